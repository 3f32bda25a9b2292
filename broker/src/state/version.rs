//! How often a table has changed.

use serde::{Deserialize, Serialize};

/// Counts the changes of one table, so that name servers and tools see whether they know the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Changes so far.
    pub counter: u64,
    /// Wall time of the last one at the leader that proposed it, in milliseconds.
    pub timestamp_ms: u64,
}

impl Version {
    /// One change more.
    pub(super) fn bump(&mut self, now_ms: u64) {
        self.counter += 1;
        self.timestamp_ms = now_ms;
    }
}
