//! The replicated tables: topics, subscription groups, consumer offsets, queue locks.
//!
//! Every node holds the same tables after the same log entry, because [`Tables::apply`] is a pure function of
//! the tables and a [`Change`]: it reads no clock, no configuration and no randomness. Consumer offsets that a
//! client sent but that are not committed yet live in `consumer/offset_buffer.rs`, clients and held pulls elsewhere;
//! none of those is replicated.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::shared::Shared;
use super::{Change, GroupConfig, LevelDelivered, Locks, OffsetRow, Outcome, RequestMode, TopicConfig};

/// The property that every topic's permission is bounded by.
const PERMISSION: &str = "brokerPermission";

/// Counts the changes of one table, so that name servers and tools see whether they know the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Changes so far.
    pub counter: u64,
    /// Wall time of the last one at the leader that proposed it, in milliseconds.
    pub timestamp_ms: u64,
}

impl Version {
    fn bump(&mut self, now_ms: u64) {
        self.counter += 1;
        self.timestamp_ms = now_ms;
    }
}

/// All replicated tables of one broker group.
///
/// A clone shares them until one side changes: that is what a checkpoint is written from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    pub(super) topics: Shared<BTreeMap<String, TopicConfig>>,
    pub(super) topic_version: Version,
    pub(super) groups: Shared<BTreeMap<String, GroupConfig>>,
    pub(super) group_version: Version,
    pub(super) offsets: Shared<QueueOffsets>,
    pub(super) offset_version: Version,
    /// Offsets set by an operator that the group's consumers have not taken up yet; shaped like `offsets`.
    pub(super) resets: Shared<QueueOffsets>,
    pub(super) locks: Shared<Locks>,
    /// Delay level -> next offset of its schedule queue to deliver.
    pub(super) delay_progress: Shared<BTreeMap<i32, i64>>,
    /// group -> topics that it must not read.
    pub(super) forbidden: Shared<BTreeMap<String, BTreeSet<String>>>,
    /// topic -> group -> how it gets at the topic.
    #[expect(clippy::zero_sized_map_values, reason = "popping is a mode to come")]
    pub(super) request_modes: Shared<BTreeMap<String, BTreeMap<String, RequestMode>>>,
    /// Properties set while the group runs: they count for every node, over what its file says.
    pub(super) properties: Shared<BTreeMap<String, String>>,
    /// topic -> queue id -> where the queue began anew when the topic was deleted; a topic never deleted begins at 0.
    pub(super) begins: Shared<BTreeMap<String, BTreeMap<i32, i64>>>,
}

/// group -> topic -> queue id -> next queue offset to consume.
pub(super) type QueueOffsets = BTreeMap<String, BTreeMap<String, BTreeMap<i32, i64>>>;

impl Tables {
    /// Takes in one committed change and says what came of it.
    pub fn apply(&mut self, change: &Change) -> Outcome {
        match change {
            Change::PutTopics { topics, only_new, now_ms } => self.put_topics(topics, *only_new, *now_ms),
            Change::DeleteTopic { topic, now_ms } => self.delete_topic(topic, *now_ms),
            Change::PutGroups { groups, only_new, now_ms } => self.put_groups(groups, *only_new, *now_ms),
            Change::DeleteGroup { group, clean_offsets, now_ms } => {
                self.delete_group(group, *clean_offsets, *now_ms)
            }
            Change::StoreOffsets { rows, now_ms } => self.store_offsets(rows, *now_ms),
            Change::ResetOffsets { rows, now_ms } => {
                for row in rows {
                    set(&mut self.resets, row);
                }
                self.set_offsets(rows, *now_ms)
            }
            Change::TakeReset { group, topic, queue_id } => {
                let taken = self.resets.get_mut(group).and_then(|topics| topics.get_mut(topic));
                let taken = taken.is_some_and(|queues| queues.remove(queue_id).is_some());
                Outcome::Done { changed: taken }
            }
            Change::Lock { group, client_id, queues, now_ms, lease_ms } => {
                Outcome::Locked(self.locks.lock(group, client_id, queues, *now_ms, *lease_ms))
            }
            Change::Unlock { group, client_id, queues } => {
                Outcome::Done { changed: self.locks.unlock(group, client_id, queues) }
            }
            Change::Forbid { group, topic, readable, now_ms } => {
                self.forbid(group, topic, *readable, *now_ms)
            }
            Change::SetRequestMode { topic, group, mode } => {
                let modes = self.request_modes.entry(topic.clone()).or_default();
                Outcome::Done { changed: modes.insert(group.clone(), *mode) != Some(*mode) }
            }
            Change::SetProperties { properties, now_ms } => self.set_properties(properties, *now_ms),
            Change::SetDelayedAside { level, offset } => {
                Outcome::Done { changed: self.delivered(*level, *offset) }
            }
        }
    }

    fn put_topics(&mut self, topics: &[TopicConfig], only_new: bool, now_ms: u64) -> Outcome {
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
            self.topic_version.bump(now_ms);
        }
        Outcome::Done { changed }
    }

    fn delete_topic(&mut self, topic: &str, now_ms: u64) -> Outcome {
        let changed = self.topics.remove(topic).is_some();
        if changed {
            self.topic_version.bump(now_ms);
        }
        for table in [&mut self.offsets, &mut self.resets] {
            for topics in table.values_mut() {
                topics.remove(topic);
            }
            table.retain(|_, topics| !topics.is_empty());
        }
        for topics in self.forbidden.values_mut() {
            topics.remove(topic);
        }
        self.forbidden.retain(|_, topics| !topics.is_empty());
        self.request_modes.remove(topic);
        self.locks.drop_topic(topic);
        Outcome::Done { changed }
    }

    fn put_groups(&mut self, groups: &[GroupConfig], only_new: bool, now_ms: u64) -> Outcome {
        let mut changed = false;
        for group in groups {
            let known = self.groups.get(&group.name);
            if known == Some(group) || (only_new && known.is_some()) {
                continue;
            }
            self.groups.insert(group.name.clone(), group.clone());
            changed = true;
        }
        if changed {
            self.group_version.bump(now_ms);
        }
        Outcome::Done { changed }
    }

    fn delete_group(&mut self, group: &str, clean_offsets: bool, now_ms: u64) -> Outcome {
        let changed = self.groups.remove(group).is_some();
        if changed {
            self.group_version.bump(now_ms);
        }
        if clean_offsets {
            self.offsets.remove(group);
            self.resets.remove(group);
        }
        self.forbidden.remove(group);
        for groups in self.request_modes.values_mut() {
            groups.remove(group);
        }
        self.request_modes.retain(|_, groups| !groups.is_empty());
        self.locks.drop_group(group);
        Outcome::Done { changed }
    }

    fn forbid(&mut self, group: &str, topic: &str, readable: bool, now_ms: u64) -> Outcome {
        let topics = self.forbidden.entry(group.to_owned()).or_default();
        let changed = if readable { topics.remove(topic) } else { topics.insert(topic.to_owned()) };
        if topics.is_empty() {
            self.forbidden.remove(group);
        }
        if changed {
            self.group_version.bump(now_ms);
        }
        Outcome::Done { changed }
    }

    /// The broker's permission counts for every topic: name servers take topics up whose version is new.
    fn set_properties(&mut self, properties: &BTreeMap<String, String>, now_ms: u64) -> Outcome {
        let permission = self.properties.get(PERMISSION).cloned();
        let mut changed = false;
        for (name, value) in properties {
            changed |= self.properties.insert(name.clone(), value.clone()).as_ref() != Some(value);
        }
        if self.properties.get(PERMISSION) != permission.as_ref() {
            self.topic_version.bump(now_ms);
        }
        Outcome::Done { changed }
    }

    /// An offset under a pending reset is not taken from a consumer: the operator's word stands until the
    /// consumer has followed it.
    fn store_offsets(&mut self, rows: &[OffsetRow], now_ms: u64) -> Outcome {
        let taken: Vec<_> = rows
            .iter()
            .filter(|row| self.pending_reset(&row.group, &row.topic, row.queue_id).is_none())
            .cloned()
            .collect();
        self.set_offsets(&taken, now_ms)
    }

    fn set_offsets(&mut self, rows: &[OffsetRow], now_ms: u64) -> Outcome {
        for row in rows {
            set(&mut self.offsets, row);
        }
        if !rows.is_empty() {
            self.offset_version.bump(now_ms);
        }
        Outcome::Done { changed: !rows.is_empty() }
    }

    /// The topic's configuration.
    pub fn topic(&self, name: &str) -> Option<&TopicConfig> {
        self.topics.get(name)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &TopicConfig> {
        self.topics.values()
    }

    /// Changes of the topic table.
    pub fn topic_version(&self) -> Version {
        self.topic_version
    }

    /// The subscription group's configuration.
    pub fn group(&self, name: &str) -> Option<&GroupConfig> {
        self.groups.get(name)
    }

    /// All subscription groups, by name.
    pub fn groups(&self) -> impl Iterator<Item = &GroupConfig> {
        self.groups.values()
    }

    /// Changes of the group table.
    pub fn group_version(&self) -> Version {
        self.group_version
    }

    /// Changes of the offset table.
    pub fn offset_version(&self) -> Version {
        self.offset_version
    }

    /// The next queue offset that `group` wants of a queue; `None` if it never stored one.
    pub fn consumer_offset(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.offsets.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// The first offset that a queue ever had since its topic was made, the last time.
    pub fn begin(&self, topic: &str, queue_id: i32) -> i64 {
        self.begins.get(topic).and_then(|queues| queues.get(&queue_id)).copied().unwrap_or(0)
    }

    /// A topic was deleted, and its queues ended here: if it comes back, they go on there.
    pub fn note_begins(&mut self, topic: &str, ends: impl IntoIterator<Item = (i32, i64)>) {
        let queues = self.begins.entry(topic.to_owned()).or_default();
        queues.extend(ends.into_iter().filter(|(_, end)| *end > 0));
        if queues.is_empty() {
            self.begins.remove(topic);
        }
    }

    /// The topics that `group` has stored offsets on.
    pub fn topics_consumed_by<'a>(&'a self, group: &str) -> impl Iterator<Item = &'a str> {
        self.offsets.get(group).into_iter().flat_map(|topics| topics.keys().map(String::as_str))
    }

    /// The groups that have stored offsets on `topic`.
    pub fn groups_consuming<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a str> {
        self.offsets
            .iter()
            .filter(move |(_, topics)| topics.contains_key(topic))
            .map(|(group, _)| group.as_str())
    }

    /// Every stored offset as `topic@group` -> queue id -> offset, as `consumerOffset.json` has it.
    pub fn offset_table(&self) -> BTreeMap<String, BTreeMap<i32, i64>> {
        let mut table = BTreeMap::new();
        for (group, topics) in &*self.offsets {
            for (topic, queues) in topics {
                table.insert(format!("{topic}@{group}"), queues.clone());
            }
        }
        table
    }

    /// The offset an operator set that the group's consumers have not taken up yet.
    pub fn pending_reset(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.resets.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// Every stored offset of `group` on `topic`, by queue.
    pub fn consumer_offsets<'a>(
        &'a self,
        group: &str,
        topic: &str,
    ) -> impl Iterator<Item = (i32, i64)> + use<'a> {
        let queues = self.offsets.get(group).and_then(|topics| topics.get(topic));
        queues.into_iter().flatten().map(|(queue_id, offset)| (*queue_id, *offset))
    }

    /// Whether some client of `group` holds the lock of a queue, so that the group consumes in order.
    pub fn consumes_in_order(&self, group: &str, now_ms: u64) -> bool {
        self.locks.is_any_held(group, now_ms)
    }

    /// Whether `group` may read `topic`.
    pub fn may_read(&self, group: &str, topic: &str) -> bool {
        self.forbidden.get(group).is_none_or(|topics| !topics.contains(topic))
    }

    /// The topics that groups must not read, by group.
    pub fn forbidden(&self) -> &BTreeMap<String, BTreeSet<String>> {
        &self.forbidden
    }

    /// How groups get at topics where somebody said so: topic -> group -> mode.
    #[expect(clippy::zero_sized_map_values, reason = "popping is a mode to come")]
    pub fn request_modes(&self) -> &BTreeMap<String, BTreeMap<String, RequestMode>> {
        &self.request_modes
    }

    /// Properties set while the group runs.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// The next offset of a delay level's schedule queue to deliver.
    pub fn delay_progress(&self, level: i32) -> i64 {
        self.delay_progress.get(&level).copied().unwrap_or(0)
    }

    /// Whether these may be delivered in this order now. Only the leader delivers, one batch of a level after the other,
    /// within its term and from applied state: a delivery that does not fit is a broken log.
    ///
    /// # Errors
    /// With the first one that is delivered already.
    pub fn check_deliveries<'a>(
        &self,
        delivered: impl IntoIterator<Item = &'a LevelDelivered>,
    ) -> Result<(), String> {
        let mut nexts = BTreeMap::new();
        for delivered in delivered {
            let (level, from) = (delivered.level, delivered.from);
            let next = nexts.entry(level).or_insert_with(|| self.delay_progress(level));
            if from < *next {
                return Err(format!(
                    "it delivers delayed message {from} of level {level} a second time; {next} is next"
                ));
            }
            *next = delivered.end();
        }
        Ok(())
    }

    /// The entry that delivers these has been committed.
    pub fn take_delivered(&mut self, delivered: &LevelDelivered) {
        if delivered.count > 0 {
            self.delivered(delivered.level, delivered.end() - 1);
        }
    }

    /// The level goes on behind the record at `offset`. Says whether that was not behind it yet.
    pub fn delivered(&mut self, level: i32, offset: i64) -> bool {
        let next = self.delay_progress.entry(level).or_insert(offset);
        let is_next = *next <= offset;
        *next = (*next).max(offset.saturating_add(1));
        is_next
    }

    /// How many topics, groups and stored offsets there are; for status and metrics.
    pub fn sizes(&self) -> HashMap<&'static str, usize> {
        let offsets = self.offsets.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
        HashMap::from([("topics", self.topics.len()), ("groups", self.groups.len()), ("offsets", offsets)])
    }
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
