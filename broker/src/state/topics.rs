//! The topics of the group.

use store::codec::Record;

use super::TopicConfig;
use super::configs::{Configs, Named};
use super::section::{FIXED, SECTION_BYTES_MAX, Section, text, texts};

/// All topics. The version also counts changes of the permission that bounds all of theirs.
pub(super) type Topics = Configs<TopicConfig>;

impl Record for Topics {
    const KIND: u16 = 0x0303;
    const NAME: &'static str = "topics";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for Topics {
    fn bytes(&self) -> u64 {
        self.all_bytes()
    }
}

impl Named for TopicConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn bytes(&self) -> u64 {
        FIXED + 2 * text(&self.name) + texts(&self.attributes)
    }
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn its_bytes_stay_what_they_are() {
        golden(&[filled().topics], &[]);
    }
}
