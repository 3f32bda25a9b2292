//! Where queues began anew when their topic was deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::section::{ENTRY, SECTION_BYTES_MAX, Section, text};
use super::shared::Shared;

/// topic -> queue id -> where the queue began anew; a topic never deleted begins at 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Begins {
    pub(super) topics: Shared<BTreeMap<String, BTreeMap<i32, i64>>>,
}

impl Record for Begins {
    const KIND: u16 = 0x030f;
    const NAME: &'static str = "queue-begins";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for Begins {
    fn bytes(&self) -> u64 {
        self.topics.iter().map(|(topic, queues)| text(topic) + ENTRY * queues.len() as u64).sum()
    }
}

impl Begins {
    pub(super) fn get(&self, topic: &str, queue_id: i32) -> i64 {
        self.topics.get(topic).and_then(|queues| queues.get(&queue_id)).copied().unwrap_or(0)
    }

    pub(super) fn note(&mut self, topic: &str, ends: impl IntoIterator<Item = (i32, i64)>) {
        let queues = self.topics.entry(topic.to_owned()).or_default();
        queues.extend(ends.into_iter().filter(|(_, end)| *end > 0));
        if queues.is_empty() {
            self.topics.remove(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn its_bytes_stay_what_they_are() {
        golden(&[filled().begins], &[]);
    }
}
