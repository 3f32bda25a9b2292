//! What a replicated command can say, and what can come of it. Both are records of `store::codec`.
//!
//! Variants are numbered by their order: a new one goes to the end and raises the version, and none is ever removed
//! or changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::{GroupConfig, TopicConfig};

/// One change of the replicated tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// Creates or replaces topics.
    PutTopics {
        /// The whole configuration of each.
        topics: Vec<TopicConfig>,
        /// Leave a topic that exists as it is.
        only_new: bool,
        /// Wall time at the proposer, milliseconds.
        now_ms: u64,
    },
    /// Removes a topic with all offsets and locks on it.
    DeleteTopic {
        /// Its name.
        topic: String,
        /// Wall time at the proposer, milliseconds.
        now_ms: u64,
    },
    /// Creates or replaces subscription groups.
    PutGroups {
        /// The whole configuration of each.
        groups: Vec<GroupConfig>,
        /// Leave a group that exists as it is.
        only_new: bool,
        /// Wall time at the proposer, milliseconds.
        now_ms: u64,
    },
    /// Removes a subscription group.
    DeleteGroup {
        /// Its name.
        group: String,
        /// Forget its consumer offsets too.
        clean_offsets: bool,
        /// Wall time at the proposer, milliseconds.
        now_ms: u64,
    },
    /// Stores consumer offsets, except where a reset is pending.
    StoreOffsets {
        /// One a queue.
        rows: Vec<OffsetRow>,
        /// Wall time at the proposer, milliseconds.
        now_ms: u64,
    },
    /// Sets consumer offsets by an operator's wish, and marks them pending until the consumers followed.
    ResetOffsets {
        /// One a queue.
        rows: Vec<OffsetRow>,
        /// Wall time at the proposer, milliseconds.
        now_ms: u64,
    },
    /// A consumer has been told of its reset offset.
    TakeReset {
        /// Subscription group.
        group: String,
        /// Topic.
        topic: String,
        /// Queue.
        queue_id: i32,
    },
    /// Takes or renews queue locks for one client.
    Lock {
        /// Subscription group.
        group: String,
        /// The client that wants them.
        client_id: String,
        /// What it wants.
        queues: Vec<LockedQueue>,
        /// Wall time at the proposer, milliseconds.
        now_ms: u64,
        /// How long a lock lasts without renewal, milliseconds.
        lease_ms: u64,
    },
    /// Gives queue locks back.
    Unlock {
        /// Subscription group.
        group: String,
        /// The client that gives them back.
        client_id: String,
        /// Which.
        queues: Vec<LockedQueue>,
    },
    /// Forbids a group to read a topic, or lets it again.
    Forbid {
        /// Subscription group.
        group: String,
        /// Topic.
        topic: String,
        /// Whether it may read.
        readable: bool,
        /// Wall time at the proposer, milliseconds.
        now_ms: u64,
    },
    /// Says how a group gets at a topic.
    SetRequestMode {
        /// Topic.
        topic: String,
        /// Subscription group.
        group: String,
        /// How.
        mode: RequestMode,
    },
    /// Sets properties for all nodes of the group, over what their files say.
    SetProperties {
        /// Name to value.
        properties: BTreeMap<String, String>,
        /// Wall time at the proposer, milliseconds.
        now_ms: u64,
    },
    /// A delayed message can never be delivered: its level goes on behind it.
    SetDelayedAside {
        /// Delay level, from 1.
        level: i32,
        /// The offset of its record in the level's queue.
        offset: i64,
    },
}

impl Change {
    /// Whether it does no harm after newer changes: it only makes what is missing.
    pub fn may_come_late(&self) -> bool {
        matches!(self, Self::PutTopics { only_new: true, .. } | Self::PutGroups { only_new: true, .. })
    }
}

impl Record for Change {
    const KIND: u16 = 0x0301;
    const NAME: &'static str = "command";
    /// 2: `SetDelayedAside`.
    const VERSION: u16 = 2;
    const OLDEST: u16 = 1;
    const BYTES_MAX: usize = 16 << 20;
}

/// How a group gets at a topic. Source: RocketMQ `MessageRequestMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestMode {
    /// Its clients pull.
    Pull,
}

/// A consumer offset of one queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRow {
    /// Subscription group.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Queue.
    pub queue_id: i32,
    /// Next queue offset to consume.
    pub queue_offset: i64,
}

/// A queue as the lock table names it: RocketMQ's `MessageQueue`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LockedQueue {
    /// Topic.
    pub topic: String,
    /// Broker group as the client names it.
    pub broker_name: String,
    /// Queue.
    pub queue_id: i32,
}

/// What came of a [`Change`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is in the tables.
    Done {
        /// Whether the tables differ from before.
        changed: bool,
    },
    /// The queues that the asking client holds now, of those it asked for.
    Locked(Vec<LockedQueue>),
    /// Told by builds before November 2026 for a command that they did not know.
    Unknown,
}

impl Record for Outcome {
    const KIND: u16 = 0x0302;
    const NAME: &'static str = "outcome";
    const BYTES_MAX: usize = 16 << 20;
}
