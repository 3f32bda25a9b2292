//! The subscription groups.

use store::codec::Record;

use super::GroupConfig;
use super::configs::{Configs, Named};
use super::section::{FIXED, SECTION_BYTES_MAX, Section, text, texts};

/// All subscription groups. The version also counts what is forbidden to them.
pub(super) type Groups = Configs<GroupConfig>;

impl Record for Groups {
    const KIND: u16 = 0x0307;
    const NAME: &'static str = "groups";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for Groups {
    fn bytes(&self) -> u64 {
        self.all_bytes()
    }
}

impl Named for GroupConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn bytes(&self) -> u64 {
        FIXED + 2 * text(&self.name) + text(&self.retry_policy) + texts(&self.attributes)
    }
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn its_bytes_stay_what_they_are() {
        golden(&[filled().groups], &[]);
    }
}
