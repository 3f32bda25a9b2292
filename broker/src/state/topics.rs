//! The topics of the group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::section::{FIXED, SECTION_BYTES_MAX, Section, text, texts};
use super::shared::Shared;
use super::{Outcome, TopicConfig, Version};

/// All topics, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Topics {
    pub(super) topics: Shared<BTreeMap<String, TopicConfig>>,
    pub(super) version: Version,
}

impl Record for Topics {
    const KIND: u16 = 0x0303;
    const NAME: &'static str = "topics";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for Topics {
    fn bytes(&self) -> u64 {
        self.topics.values().map(size).sum()
    }
}

/// About how many bytes a topic takes.
fn size(topic: &TopicConfig) -> u64 {
    FIXED + 2 * text(&topic.name) + texts(&topic.attributes)
}

impl Topics {
    pub(super) fn put(&mut self, topics: &[TopicConfig], only_new: bool, now_ms: u64) -> Outcome {
        let mut changed = false;
        for topic in topics {
            let known = self.topics.get(&topic.name);
            if known == Some(topic) || (only_new && known.is_some()) {
                continue;
            }
            self.topics.insert(topic.name.clone(), topic.clone());
            changed = true;
        }
        if changed {
            self.version.bump(now_ms);
        }
        Outcome::Done { changed }
    }

    /// Says whether there was such a topic.
    pub(super) fn remove(&mut self, topic: &str, now_ms: u64) -> bool {
        let changed = self.topics.remove(topic).is_some();
        if changed {
            self.version.bump(now_ms);
        }
        changed
    }

    /// About how many bytes these would add.
    pub(super) fn growth(&self, topics: &[TopicConfig], only_new: bool) -> u64 {
        let known = topics.iter().map(|new| (new, self.topics.get(&new.name)));
        let taken = known.filter(|(_, known)| !only_new || known.is_none());
        taken.map(|(new, known)| size(new).saturating_sub(known.map_or(0, size))).sum()
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
