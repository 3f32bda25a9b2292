//! The key index: which messages of a topic have a key, newest first.
//!
//! Built from committed entries only; can be deleted and built again from the log.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use platform::Disk;

use crate::CommitlogOffset;

/// What was last put into a key index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastUpdate {
    /// Store timestamp of the message.
    pub store_timestamp_ms: u64,
    /// Where it lies.
    pub offset: CommitlogOffset,
}

/// The key index. Shared by threads.
pub struct KeyIndex {}

impl KeyIndex {
    /// Opens the index in `dir`, which is made if missing.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> io::Result<Self> {
        unimplemented!()
    }

    /// Takes in one key of one message; found on return. Offsets never fall from call to call.
    ///
    /// # Errors
    /// If a full buffer cannot be written out.
    pub fn put(
        &self,
        topic: &str,
        key: &str,
        offset: CommitlogOffset,
        store_timestamp_ms: u64,
    ) -> io::Result<()> {
        unimplemented!()
    }

    /// Up to `max` messages of `topic` that probably have `key`, newest first, with a store timestamp in
    /// `begin_ms..=end_ms`. Keys are kept as hashes, so the caller must look at the messages themselves.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn query(
        &self,
        topic: &str,
        key: &str,
        max: usize,
        begin_ms: u64,
        end_ms: u64,
    ) -> io::Result<Vec<CommitlogOffset>> {
        unimplemented!()
    }

    /// Drops what lies at or behind `end`, to be put again.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn truncate_to(&self, end: CommitlogOffset) -> io::Result<()> {
        unimplemented!()
    }

    /// Drops messages below `min`, by whole files.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn trim_below(&self, min: CommitlogOffset) -> io::Result<()> {
        unimplemented!()
    }

    /// On disk on return. Must be done before a checkpoint is saved.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn flush(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// Removes everything.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn clear(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// What was put last; all zero if nothing ever was.
    pub fn last_update(&self) -> LastUpdate {
        unimplemented!()
    }
}
