//! Consume queues: for each queue of a topic, where its messages lie in the commitlog.
//!
//! Built from committed entries only, so nothing here is ever taken back; all of it can be deleted and built
//! again from the log. Units are appended to memory and written out in batches; readers see them at once.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use platform::Disk;

use crate::checkpoint::SealState;
use crate::{CommitlogOffset, QueueOffset};

/// Bytes of one unit on disk.
pub const UNIT_BYTES: usize = 20;

/// Where one message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where the message unit begins.
    pub offset: CommitlogOffset,
    /// Its size in bytes, never 0.
    pub size: u32,
    /// Hash of its tag as Java computes it, sign-extended; 0 without a tag.
    pub tag_hash: i64,
}

/// How consume queues are kept.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// Units in one file.
    pub units_per_file: u64,
    /// Files kept open, for all queues together.
    pub open_files_max: usize,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { units_per_file: 300_000, open_files_max: 256 }
    }
}

/// The ends of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueInfo {
    /// The topic.
    pub topic: String,
    /// The queue's number within it.
    pub queue_id: u32,
    /// The first queue offset that can be read.
    pub min: QueueOffset,
    /// The next queue offset that will be given.
    pub max: QueueOffset,
}

/// Whether the files held what a checkpoint promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Restored {
    /// Every queue goes up to its end.
    Whole,
    /// Units are missing below the checkpoint: see [`crate::rebuild`].
    Incomplete,
}

/// One consume queue.
pub struct ConsumeQueue {}

impl ConsumeQueue {
    /// The first queue offset that can be read; equal to `max` if there is none.
    pub fn min(&self) -> QueueOffset {
        unimplemented!()
    }

    /// The next queue offset that will be given.
    pub fn max(&self) -> QueueOffset {
        unimplemented!()
    }

    /// Up to `count` units from `from` on; fewer at the end, none outside `[min, max)`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(&self, from: QueueOffset, count: usize) -> io::Result<Vec<Unit>> {
        unimplemented!()
    }

    /// The unit at `at`; `None` outside `[min, max)`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn unit(&self, at: QueueOffset) -> io::Result<Option<Unit>> {
        Ok(self.read(at, 1)?.first().copied())
    }
}

/// All consume queues. Shared by threads; every queue has a lock of its own.
pub struct Queues {}

impl Queues {
    /// Opens the queues in `dir`, which is made if missing.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>, options: QueueOptions) -> io::Result<Self> {
        unimplemented!()
    }

    /// Appends one unit, in memory; readable on return.
    ///
    /// # Errors
    /// If a full buffer cannot be written out.
    ///
    /// # Panics
    /// If `at` is not the queue's next offset, or its first is not 0: a gap or a repeat.
    pub fn append(&self, topic: &str, queue_id: u32, at: QueueOffset, unit: Unit) -> io::Result<()> {
        unimplemented!()
    }

    /// One queue; `None` if nothing was ever appended to it.
    pub fn get(&self, topic: &str, queue_id: u32) -> Option<Arc<ConsumeQueue>> {
        unimplemented!()
    }

    /// The ends of all queues, sorted by topic and queue id.
    pub fn list(&self) -> Vec<QueueInfo> {
        unimplemented!()
    }

    /// The next offset of every queue, and the store timestamp last told to [`Queues::note_store_timestamp`]:
    /// what a checkpoint needs. A dropped topic stays in it, so that no queue offset is ever given twice.
    pub fn seal_state(&self) -> SealState {
        unimplemented!()
    }

    /// Takes in the store timestamp of a unit.
    pub fn note_store_timestamp(&self, store_timestamp_ms: u64) {
        unimplemented!()
    }

    /// Empties one queue, and lets it go on at `next`.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn reset_queue(&self, topic: &str, queue_id: u32, next: QueueOffset) -> io::Result<()> {
        unimplemented!()
    }

    /// Brings all queues to the state of a checkpoint: drops units behind it, and makes queues it knows and the
    /// directory does not.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn truncate_all(&self, seal: &SealState) -> io::Result<Restored> {
        unimplemented!()
    }

    /// Empties all queues of a topic. They keep their next offset: if the topic comes back, they go on there.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn drop_topic(&self, topic: &str) -> io::Result<()> {
        unimplemented!()
    }

    /// Drops units of messages below `min`: moves each queue's min offset, and removes files wholly below.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn trim_below(&self, min: CommitlogOffset) -> io::Result<()> {
        unimplemented!()
    }

    /// Writes buffered units to their files, without a sync.
    ///
    /// # Errors
    /// If the disk fails; units not written stay buffered.
    pub fn write_out(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// Writes out and syncs all that changed. Must be done before a checkpoint is saved: a restart takes units
    /// below the checkpoint to be there.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn flush(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// Removes all queues, and forgets them.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn clear(&self) -> io::Result<()> {
        unimplemented!()
    }
}
