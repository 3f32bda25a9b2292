//! Offsets and log points as types of their own, so that no two kinds of number are ever mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes from the start of the commitlog; RocketMQ calls it the physical offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommitlogOffset(pub u64);

/// Units from the start of one consume queue; RocketMQ calls it the logical offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueOffset(pub u64);

/// One place in the replicated log: the index of an entry and the term it was proposed in.
///
/// Ordered as Raft orders logs: by term first, then by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPoint {
    /// The term the entry was proposed in.
    pub term: u64,
    /// The entry's index, from 1 or 0 on, with no gaps.
    pub log_index: u64,
}

impl CommitlogOffset {
    /// The offset `bytes` further on.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
}

impl QueueOffset {
    /// The offset of the next unit.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for CommitlogOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for QueueOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LogPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.log_index)
    }
}
