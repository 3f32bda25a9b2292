//! Checkpoints: the application's state after one entry, and what the log needs to go on behind that entry.

use std::path::PathBuf;
use std::sync::Arc;

use platform::Disk;
use serde::{Deserialize, Serialize};

use crate::{CommitlogOffset, LogPoint};

/// What sealing needs to know of all earlier entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealState {
    /// Topic, queue id and next queue offset, sorted; a queue that is not listed begins at 0.
    pub queue_ends: Vec<(String, u32, u64)>,
    /// Store timestamps never fall below it.
    pub last_store_timestamp_ms: u64,
}

/// State exactly after the entry `last`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last entry whose effect is in it.
    pub last: LogPoint,
    /// Where that entry ends, or where the next one begins.
    pub next_offset: CommitlogOffset,
    /// For sealing the next entry.
    pub seal: SealState,
    /// The state of the layers above, which this crate never looks into.
    pub app: Vec<u8>,
}

/// Why a checkpoint is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// To restart from; the newest two of all are kept.
    Newest,
    /// Because it stands between two segments; kept until a later boundary is purged.
    Boundary,
    /// Received from a leader. May be ahead of the log: opening the log makes it follow.
    Installed,
}

/// What is known of a checkpoint without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// The last entry whose effect is in it.
    pub last: LogPoint,
    /// Where that entry ends, or where the next one begins.
    pub next_offset: CommitlogOffset,
    /// Why it is kept.
    pub keep: Keep,
}

/// Why checkpoints could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The directory of checkpoints.
pub struct Checkpoints {}

impl Checkpoints {
    /// Opens `dir`, which is made if missing, and drops what was half written.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        unimplemented!()
    }

    /// All of them, oldest first.
    pub fn list(&self) -> Vec<CheckpointInfo> {
        unimplemented!()
    }

    /// The newest whose bytes are intact and that `log_last` reaches.
    ///
    /// # Errors
    /// If the disk fails. A damaged checkpoint is passed over with a warning.
    pub fn newest_valid(&self, log_last: Option<LogPoint>) -> Result<Option<Checkpoint>, CheckpointError> {
        unimplemented!()
    }

    /// Reads the checkpoint after `last`; `None` if there is none or it is damaged.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn load(&self, last: LogPoint) -> Result<Option<Checkpoint>, CheckpointError> {
        unimplemented!()
    }

    /// Writes one; on disk on return. The log must be on disk through `checkpoint.last` before.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn save(&mut self, checkpoint: &Checkpoint, keep: Keep) -> Result<(), CheckpointError> {
        unimplemented!()
    }

    /// Drops what is no longer needed once the log is purged up to `purged`: all but the newest two, the
    /// boundaries above it, and the one it stands at.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn prune(&mut self, purged: Option<LogPoint>) -> Result<(), CheckpointError> {
        unimplemented!()
    }
}
