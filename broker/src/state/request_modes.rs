//! How groups get at topics, where somebody said so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::RequestMode;
use super::section::{SECTION_BYTES_MAX, Section, text};
use super::shared::Shared;

/// topic -> group -> how it gets at the topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::zero_sized_map_values, reason = "there is one mode; pop brings the second")]
pub(super) struct RequestModes {
    pub(super) topics: Shared<BTreeMap<String, BTreeMap<String, RequestMode>>>,
}

impl Record for RequestModes {
    const KIND: u16 = 0x030d;
    const NAME: &'static str = "request-modes";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for RequestModes {
    fn bytes(&self) -> u64 {
        let topics = self.topics.iter();
        topics.map(|(topic, groups)| text(topic) + groups.keys().map(|name| text(name)).sum::<u64>()).sum()
    }

    fn drop_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
    }
}

impl RequestModes {
    /// Says whether it was not so before.
    pub(super) fn set(&mut self, topic: &str, group: &str, mode: RequestMode) -> bool {
        let modes = self.topics.entry(topic.to_owned()).or_default();
        modes.insert(group.to_owned(), mode) != Some(mode)
    }

    pub(super) fn drop_group(&mut self, group: &str) {
        for groups in self.topics.values_mut() {
            groups.remove(group);
        }
        self.topics.retain(|_, groups| !groups.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn its_bytes_stay_what_they_are() {
        golden(&[filled().request_modes], &[]);
    }
}
