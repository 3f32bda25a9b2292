//! The replicated tables together.
//!
//! Every node holds the same tables after the same log entry, because [`Tables::apply`] is a pure function of
//! the tables and a [`Change`]: it reads no clock, no configuration and no randomness. Consumer offsets that a
//! client sent but that are not committed yet live in `consumer/offset_buffer.rs`, clients and held pulls elsewhere;
//! none of those is replicated.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use store::Sections;

use super::begins::Begins;
use super::delay_progress::{DelayProgress, Misfit};
use super::forbidden::Forbidden;
use super::groups::Groups;
use super::lock::QueueLocks;
use super::offsets::{Offsets, Resets};
use super::properties::Properties;
use super::request_modes::RequestModes;
use super::section::{ENTRY, Section, Sink, text, texts};
use super::topics::Topics;
use super::{Change, GroupConfig, LevelDelivered, OffsetRow, Outcome, RequestMode, TopicConfig, Version};

/// Declares the tables: each is a field, and a section of every checkpoint.
macro_rules! tables {
    ($($(#[$attribute:meta])* $field:ident: $table:ty,)+) => {
        /// All replicated tables of one broker group.
        ///
        /// A clone shares them until one side changes: that is what a checkpoint is written from.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Tables {
            $($(#[$attribute])* pub(super) $field: $table,)+
        }

        impl Tables {
            /// Puts every table.
            ///
            /// # Errors
            /// If the sink fails.
            pub fn put_into(&self, sink: &mut impl Sink) -> io::Result<()> {
                $(sink.put(&self.$field)?;)+
                Ok(())
            }

            /// Reads what [`Tables::put_into`] put. A table that is not there is empty: the checkpoint is older than it.
            ///
            /// # Errors
            /// If the disk fails, or this build does not read a table's version.
            pub fn read(sections: &Sections) -> io::Result<Self> {
                Ok(Self { $($field: sections.read()?.unwrap_or_default(),)+ })
            }

            /// About how many bytes they take.
            pub fn bytes(&self) -> u64 {
                [$(self.$field.bytes(),)+].iter().sum()
            }

            fn drop_topic(&mut self, topic: &str) {
                $(self.$field.drop_topic(topic);)+
            }
        }
    };
}

tables! {
    topics: Topics,
    groups: Groups,
    offsets: Offsets,
    resets: Resets,
    locks: QueueLocks,
    delay_progress: DelayProgress,
    forbidden: Forbidden,
    request_modes: RequestModes,
    properties: Properties,
    begins: Begins,
}

/// The tables take in nothing more beyond this size: they are held in memory, and what makes them grow is refused at the
/// door. A topic takes about a hundred bytes, a group two hundred, a consumer offset twelve and its names once for all queues
/// of a topic.
pub const BYTES_MAX: u64 = 128 << 20;

impl Tables {
    /// Takes in one committed change and says what came of it.
    pub fn apply(&mut self, change: &Change) -> Outcome {
        let done = |changed| Outcome::Done { changed };
        match change {
            Change::PutTopics { topics, only_new, now_ms } => self.topics.put(topics, *only_new, *now_ms),
            Change::DeleteTopic { topic, now_ms } => {
                let changed = self.topics.remove(topic, *now_ms);
                self.drop_topic(topic);
                done(changed)
            }
            Change::PutGroups { groups, only_new, now_ms } => self.groups.put(groups, *only_new, *now_ms),
            Change::DeleteGroup { group, clean_offsets, now_ms } => {
                done(self.delete_group(group, *clean_offsets, *now_ms))
            }
            Change::StoreOffsets { rows, now_ms } => done(self.store_offsets(rows, *now_ms)),
            Change::ResetOffsets { rows, now_ms } => {
                self.resets.set(rows);
                done(self.offsets.set(rows, *now_ms))
            }
            Change::TakeReset { group, topic, queue_id } => done(self.resets.take(group, topic, *queue_id)),
            Change::Lock { group, client_id, queues, now_ms, lease_ms } => {
                Outcome::Locked(self.locks.locks.lock(group, client_id, queues, *now_ms, *lease_ms))
            }
            Change::Unlock { group, client_id, queues } => {
                done(self.locks.locks.unlock(group, client_id, queues))
            }
            Change::Forbid { group, topic, readable, now_ms } => {
                let changed = self.forbidden.set(group, topic, *readable);
                if changed {
                    self.groups.version.bump(*now_ms);
                }
                done(changed)
            }
            Change::SetRequestMode { topic, group, mode } => {
                done(self.request_modes.set(topic, group, *mode))
            }
            Change::SetProperties { properties, now_ms } => {
                let set = self.properties.set(properties);
                // The broker's permission counts for every topic: name servers take topics up whose version is new.
                if set.changed_permission {
                    self.topics.version.bump(*now_ms);
                }
                done(set.changed)
            }
            Change::SetDelayedAside { level, offset } => done(self.delivered(*level, *offset)),
        }
    }

    /// Says whether there was such a group.
    fn delete_group(&mut self, group: &str, clean_offsets: bool, now_ms: u64) -> bool {
        let changed = self.groups.remove(group, now_ms);
        if clean_offsets {
            self.offsets.offsets.remove(group);
            self.resets.resets.remove(group);
        }
        self.forbidden.groups.remove(group);
        self.request_modes.drop_group(group);
        self.locks.locks.drop_group(group);
        changed
    }

    /// An offset under a pending reset is not taken from a consumer: the operator's word stands until the
    /// consumer has followed it.
    fn store_offsets(&mut self, rows: &[OffsetRow], now_ms: u64) -> bool {
        let is_free = |row: &&OffsetRow| self.pending_reset(&row.group, &row.topic, row.queue_id).is_none();
        let taken: Vec<_> = rows.iter().filter(is_free).cloned().collect();
        self.offsets.set(&taken, now_ms)
    }

    /// About how many bytes `change` would add to them.
    pub fn growth(&self, change: &Change) -> u64 {
        match change {
            Change::PutTopics { topics, only_new, .. } => self.topics.growth(topics, *only_new),
            Change::PutGroups { groups, only_new, .. } => self.groups.growth(groups, *only_new),
            Change::StoreOffsets { rows, .. } => rows.iter().map(|row| self.offset_growth(row)).sum(),
            Change::ResetOffsets { rows, .. } => rows.iter().map(|row| 2 * self.offset_growth(row)).sum(),
            Change::Lock { group, client_id, queues, .. } => {
                let names = queues
                    .iter()
                    .map(|queue| text(&queue.topic) + text(&queue.broker_name) + text(client_id) + ENTRY);
                text(group) + names.sum::<u64>()
            }
            Change::Forbid { group, topic, .. } | Change::SetRequestMode { group, topic, .. } => {
                text(group) + text(topic)
            }
            Change::SetProperties { properties, .. } => texts(properties),
            Change::DeleteTopic { .. }
            | Change::DeleteGroup { .. }
            | Change::TakeReset { .. }
            | Change::Unlock { .. }
            | Change::SetDelayedAside { .. } => 0,
        }
    }

    /// About how many bytes a stored offset would add.
    pub fn offset_growth(&self, row: &OffsetRow) -> u64 {
        self.offsets.growth(row)
    }

    /// The topic's configuration.
    pub fn topic(&self, name: &str) -> Option<&TopicConfig> {
        self.topics.by_name.get(name)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &TopicConfig> {
        self.topics.by_name.values()
    }

    /// Changes of the topic table.
    pub fn topic_version(&self) -> Version {
        self.topics.version
    }

    /// The subscription group's configuration.
    pub fn group(&self, name: &str) -> Option<&GroupConfig> {
        self.groups.by_name.get(name)
    }

    /// All subscription groups, by name.
    pub fn groups(&self) -> impl Iterator<Item = &GroupConfig> {
        self.groups.by_name.values()
    }

    /// Changes of the group table.
    pub fn group_version(&self) -> Version {
        self.groups.version
    }

    /// Changes of the offset table.
    pub fn offset_version(&self) -> Version {
        self.offsets.version
    }

    /// The next queue offset that `group` wants of a queue; `None` if it never stored one.
    pub fn consumer_offset(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.offsets.offsets.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// The first offset that a queue ever had since its topic was made, the last time.
    pub fn begin(&self, topic: &str, queue_id: i32) -> i64 {
        self.begins.get(topic, queue_id)
    }

    /// Every queue that began anew, with its topic and where that was.
    pub fn begins(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        let topics = self.begins.topics.iter();
        topics.flat_map(|(topic, queues)| queues.iter().map(|(id, begin)| (topic.as_str(), *id, *begin)))
    }

    /// A topic was deleted, and its queues ended here: if it comes back, they go on there.
    pub fn note_begins(&mut self, topic: &str, ends: impl IntoIterator<Item = (i32, i64)>) {
        self.begins.note(topic, ends);
    }

    /// The topics that `group` has stored offsets on.
    pub fn topics_consumed_by<'a>(&'a self, group: &str) -> impl Iterator<Item = &'a str> {
        self.offsets.offsets.get(group).into_iter().flat_map(|topics| topics.keys().map(String::as_str))
    }

    /// The groups that have stored offsets on `topic`.
    pub fn groups_consuming<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a str> {
        self.offsets
            .offsets
            .iter()
            .filter(move |(_, topics)| topics.contains_key(topic))
            .map(|(group, _)| group.as_str())
    }

    /// Every stored offset as `topic@group` -> queue id -> offset, as `consumerOffset.json` has it.
    pub fn offset_table(&self) -> BTreeMap<String, BTreeMap<i32, i64>> {
        let mut table = BTreeMap::new();
        for (group, topics) in &*self.offsets.offsets {
            for (topic, queues) in topics {
                table.insert(format!("{topic}@{group}"), queues.clone());
            }
        }
        table
    }

    /// The offset an operator set that the group's consumers have not taken up yet.
    pub fn pending_reset(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.resets.get(group, topic, queue_id)
    }

    /// Every stored offset of `group` on `topic`, by queue.
    pub fn consumer_offsets<'a>(
        &'a self,
        group: &str,
        topic: &str,
    ) -> impl Iterator<Item = (i32, i64)> + use<'a> {
        let queues = self.offsets.offsets.get(group).and_then(|topics| topics.get(topic));
        queues.into_iter().flatten().map(|(queue_id, offset)| (*queue_id, *offset))
    }

    /// Whether some client of `group` holds the lock of a queue, so that the group consumes in order.
    pub fn consumes_in_order(&self, group: &str, now_ms: u64) -> bool {
        self.locks.locks.is_any_held(group, now_ms)
    }

    /// Whether `group` may read `topic`.
    pub fn may_read(&self, group: &str, topic: &str) -> bool {
        self.forbidden.groups.get(group).is_none_or(|topics| !topics.contains(topic))
    }

    /// The topics that groups must not read, by group.
    pub fn forbidden(&self) -> &BTreeMap<String, BTreeSet<String>> {
        &self.forbidden.groups
    }

    /// How groups get at topics where somebody said so: topic -> group -> mode.
    #[expect(clippy::zero_sized_map_values, reason = "popping is a mode to come")]
    pub fn request_modes(&self) -> &BTreeMap<String, BTreeMap<String, RequestMode>> {
        &self.request_modes.topics
    }

    /// Properties set while the group runs.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties.properties
    }

    /// The next offset of a delay level's schedule queue to deliver.
    pub fn delay_progress(&self, level: i32) -> i64 {
        self.delay_progress.next(level)
    }

    /// Whether these may be delivered in this order now. Only the leader delivers, one batch of a level after the other,
    /// within its term and from applied state: a delivery that does not fit is a broken log.
    ///
    /// # Errors
    /// With the first one that is delivered already.
    pub fn check_deliveries<'a>(
        &self,
        delivered: impl IntoIterator<Item = &'a LevelDelivered>,
    ) -> Result<(), Misfit> {
        self.delay_progress.check(delivered)
    }

    /// The entry that delivers these has been committed.
    pub fn take_delivered(&mut self, delivered: &LevelDelivered) {
        if delivered.count > 0 {
            self.delivered(delivered.level, delivered.end() - 1);
        }
    }

    /// The level goes on behind the record at `offset`. Says whether that was not behind it yet.
    pub fn delivered(&mut self, level: i32, offset: i64) -> bool {
        self.delay_progress.delivered(level, offset)
    }

    /// How many topics, groups and stored offsets there are; for status and metrics.
    pub fn sizes(&self) -> HashMap<&'static str, usize> {
        let offsets = self.offsets.offsets.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
        HashMap::from([
            ("topics", self.topics.by_name.len()),
            ("groups", self.groups.by_name.len()),
            ("offsets", offsets),
        ])
    }
}
