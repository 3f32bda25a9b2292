//! How far consumer groups are, and where an operator wants them to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::section::{ENTRY, SECTION_BYTES_MAX, Section, text};
use super::shared::Shared;
use super::{OffsetRow, Version};

/// group -> topic -> queue id -> next queue offset to consume.
pub(super) type QueueOffsets = BTreeMap<String, BTreeMap<String, BTreeMap<i32, i64>>>;

/// What consumer groups have stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Offsets {
    pub(super) offsets: Shared<QueueOffsets>,
    pub(super) version: Version,
}

impl Record for Offsets {
    const KIND: u16 = 0x0308;
    const NAME: &'static str = "consumer-offsets";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for Offsets {
    fn bytes(&self) -> u64 {
        bytes(&self.offsets)
    }

    fn drop_topic(&mut self, topic: &str) {
        drop_topic(&mut self.offsets, topic);
    }
}

impl Offsets {
    /// Says whether there were any rows.
    pub(super) fn set(&mut self, rows: &[OffsetRow], now_ms: u64) -> bool {
        for row in rows {
            set(&mut self.offsets, row);
        }
        if !rows.is_empty() {
            self.version.bump(now_ms);
        }
        !rows.is_empty()
    }

    /// About how many bytes a stored offset would add.
    pub(super) fn growth(&self, row: &OffsetRow) -> u64 {
        let Some(topics) = self.offsets.get(&row.group) else {
            return text(&row.group) + text(&row.topic) + ENTRY;
        };
        match topics.get(&row.topic) {
            None => text(&row.topic) + ENTRY,
            Some(queues) if queues.contains_key(&row.queue_id) => 0,
            Some(_) => ENTRY,
        }
    }
}

/// Offsets set by an operator that the group's consumers have not taken up yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Resets {
    pub(super) resets: Shared<QueueOffsets>,
}

impl Record for Resets {
    const KIND: u16 = 0x0309;
    const NAME: &'static str = "pending-resets";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for Resets {
    fn bytes(&self) -> u64 {
        bytes(&self.resets)
    }

    fn drop_topic(&mut self, topic: &str) {
        drop_topic(&mut self.resets, topic);
    }
}

impl Resets {
    pub(super) fn set(&mut self, rows: &[OffsetRow]) {
        for row in rows {
            set(&mut self.resets, row);
        }
    }

    pub(super) fn get(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.resets.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// The consumer follows it now. Says whether there was one.
    pub(super) fn take(&mut self, group: &str, topic: &str, queue_id: i32) -> bool {
        let queues = self.resets.get_mut(group).and_then(|topics| topics.get_mut(topic));
        queues.is_some_and(|queues| queues.remove(&queue_id).is_some())
    }
}

fn bytes(table: &QueueOffsets) -> u64 {
    let of_group = |(group, topics): (&String, &BTreeMap<String, BTreeMap<i32, i64>>)| {
        let topics = topics.iter().map(|(topic, queues)| text(topic) + ENTRY * queues.len() as u64);
        text(group) + topics.sum::<u64>()
    };
    table.iter().map(of_group).sum()
}

fn drop_topic(table: &mut QueueOffsets, topic: &str) {
    for topics in table.values_mut() {
        topics.remove(topic);
    }
    table.retain(|_, topics| !topics.is_empty());
}

fn set(table: &mut QueueOffsets, row: &OffsetRow) {
    // Looked up before inserted: the names are only copied for a group or topic not seen before.
    if let Some(queues) = table.get_mut(&row.group).and_then(|topics| topics.get_mut(&row.topic)) {
        queues.insert(row.queue_id, row.queue_offset);
        return;
    }
    let topics = table.entry(row.group.clone()).or_default();
    topics.entry(row.topic.clone()).or_default().insert(row.queue_id, row.queue_offset);
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn their_bytes_stay_what_they_are() {
        golden(&[filled().offsets], &[]);
        golden(&[filled().resets], &[]);
    }
}
