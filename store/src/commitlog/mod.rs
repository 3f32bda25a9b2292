//! The commitlog: entries one after the other in segments, the same bytes at the same place on every node.
//!
//! [`CommitLog`] is the one owner of the tail: it appends, truncates, purges. [`LogReader`]s read beside it.
//! Who leads, who votes and what a payload means is the business of others.

mod entry;
mod layout;

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use platform::Platform;

pub use entry::{Draft, Pending, StoredEntry};
pub use layout::{ENTRY_HEAD_BYTES, EntryError, EntryHead, EntryKind, LAYOUT_VERSION};

use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::{CommitlogOffset, LogPoint};

/// Called once when the bytes it stands for are as durable as the flush mode promises.
///
/// Runs on the flusher's thread (or inside `append`), so it must be quick and must not call the log.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// When an append counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMode {
    /// After fdatasync.
    Sync,
    /// At once, in the page cache; fdatasync follows in the background and before checkpoints.
    Async {
        /// Longest time between two background syncs while there is something to sync.
        interval_ms: u64,
    },
}

/// Who does the work that must not hold up the tail's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helpers {
    /// Threads of the log's own: a flusher, and one that prepares and drops segments.
    Threads,
    /// The caller itself, at once: for simulation, where every step must be repeatable.
    Inline,
}

/// How to open a commitlog.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Directory of the log; made if missing, locked while open.
    pub dir: PathBuf,
    /// Size of one segment: a multiple of 4096, at most 2 GiB. The same on all nodes, for ever.
    pub segment_bytes: u64,
    /// When an append counts as done.
    pub flush: FlushMode,
    /// Who flushes and prepares.
    pub helpers: Helpers,
}

impl LogOptions {
    /// Segments of 1 GiB, every append synced, on threads of its own.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), segment_bytes: 1 << 30, flush: FlushMode::Sync, helpers: Helpers::Threads }
    }
}

/// What was found when the log was opened.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The last entry, or the last purged one if none is left; `None` in a log never written.
    pub last: Option<LogPoint>,
    /// Everything up to here was purged, and reads begin behind it.
    pub purged: Option<LogPoint>,
    /// The last entry known to be committed. Never beyond `last`; may lag behind what was really committed.
    pub committed: Option<LogPoint>,
    /// The newest checkpoint that the log reaches: what the application restores, before entries behind it
    /// are applied again.
    pub checkpoint: Option<Checkpoint>,
    /// Bytes of a torn tail that were cut off.
    pub cut_bytes: u64,
    /// Entries that this node has acknowledged may be gone (its machine lost power in `Async` mode, or the log
    /// ends before a checkpoint): it must neither vote nor campaign until it has caught up with a leader.
    /// Stays so over restarts until [`CommitLog::fence_lifted`].
    pub maybe_forgot: bool,
}

/// How far the log has come. Every end is exclusive: the offset of the next byte.
///
/// Invariants: `min <= committed <= appended`, `flushed <= appended`. Neither of `flushed` and `committed`
/// bounds the other: a quorum of other nodes can commit what this node still buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// Where the first entry that is not purged begins, or would begin.
    pub min: CommitlogOffset,
    /// Below it everything is on disk.
    pub flushed: CommitlogOffset,
    /// Below it nothing ever changes again.
    pub committed: CommitlogOffset,
    /// Where the next entry goes, or the segment that it no longer fits ends.
    pub appended: CommitlogOffset,
}

/// Where one entry lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// Term and index of the entry.
    pub point: LogPoint,
    /// Where its header begins.
    pub offset: CommitlogOffset,
    /// Header, payload and pad.
    pub entry_bytes: u32,
}

/// One segment, as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Where the segment begins.
    pub base: CommitlogOffset,
    /// Its first and last entry.
    pub first: LogPoint,
    /// Its last entry. A purge up to here frees the segment, unless it is the one being written.
    pub last: LogPoint,
    /// Where its last entry ends.
    pub end: CommitlogOffset,
    /// Whether later entries go elsewhere.
    pub is_sealed: bool,
}

/// Stored entries one after the other, as they go over the wire.
#[derive(Clone, Debug)]
pub struct Run {
    /// The entries' bytes without anything between them.
    pub bytes: Bytes,
    /// The last entry in it.
    pub last: LogPoint,
    /// How many entries it has; never 0.
    pub entries: u32,
}

/// A fingerprint of a stretch of log, equal on all nodes that hold the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The first entry's index.
    pub first_index: u64,
    /// The last entry's index.
    pub last_index: u64,
    /// Where the first entry begins.
    pub first_offset: CommitlogOffset,
    /// Where the last entry ends.
    pub end_offset: CommitlogOffset,
    /// crc32c over all entries, headers included.
    pub crc32c: u32,
}

/// Why a log did not open. Nothing on disk was changed beyond what a further try would change again.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why entries were not appended. The log is as it was before the call, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// An earlier write or sync failed; nothing is appended until the log is opened again.
    #[error("the commitlog has stopped after a failed write: {reason}")]
    Stopped {
        /// What failed first.
        reason: String,
    },
}

/// Why an entry or a slice was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The owner of the log's tail.
pub struct CommitLog {}

impl CommitLog {
    /// Opens the log in `options.dir`, and brings it and `checkpoints` into agreement: a torn tail is cut,
    /// checkpoints that the log does not reach are dropped, a half-done [`CommitLog::reset_to`] is finished.
    ///
    /// # Errors
    /// If something that may have been committed is damaged: the log is left as it is, for a person to look at.
    pub fn open(
        platform: &Platform,
        options: LogOptions,
        checkpoints: &mut Checkpoints,
    ) -> Result<(Self, Recovery), OpenError> {
        unimplemented!()
    }

    /// Appends entries in order with one write, and returns their headers. Readable on return; durable when
    /// `done` is called, which happens exactly once and in the order of the appends, also if this fails.
    ///
    /// # Errors
    /// See [`AppendError`].
    ///
    /// # Panics
    /// If a draft does not follow the last entry: indexes rise by one, terms do not fall.
    pub fn append(&mut self, entries: Vec<Pending>, done: Done) -> Result<Vec<EntryHead>, AppendError> {
        unimplemented!()
    }

    /// Drops all entries behind `last_kept` (all there are, if `None`), because a newer leader overruled them,
    /// and takes their queue offsets back. On disk on return. Nothing to drop is fine.
    ///
    /// # Errors
    /// If the disk fails; the log has stopped then.
    ///
    /// # Panics
    /// If that would drop a committed entry.
    pub fn truncate_after(&mut self, last_kept: Option<u64>) -> io::Result<()> {
        unimplemented!()
    }

    /// Forgets all entries up to `upto`, inclusive; whole segments below it are removed once that is on disk.
    /// May lie beyond the end: then the log is empty, and goes on at any later index.
    ///
    /// # Errors
    /// If the disk fails; the log has stopped then.
    pub fn purge_to(&mut self, upto: LogPoint) -> io::Result<()> {
        unimplemented!()
    }

    /// Takes in that everything up to `log_index` is committed; beyond the end means all there is. Never goes
    /// back. Kept on disk without a sync: may lag behind after a loss of power.
    ///
    /// # Errors
    /// If the disk fails; the log has stopped then.
    pub fn set_committed(&mut self, log_index: u64) -> io::Result<()> {
        unimplemented!()
    }

    /// Makes the log agree with a checkpoint received from a leader, which must be on disk already
    /// ([`Checkpoints::install`]). A log that holds `checkpoint.last` is purged up to it, any other one restarts
    /// empty behind it.
    ///
    /// # Errors
    /// If the disk fails; the log has stopped then, and the next open finishes the work.
    pub fn reset_to(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        unimplemented!()
    }

    /// Calls `done` when everything appended so far is on disk, in both flush modes, and in order with appends.
    pub fn flush_barrier(&mut self, done: Done) {
        unimplemented!()
    }

    /// The node has caught up with a leader: what it may have forgotten it knows again.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn fence_lifted(&mut self) -> io::Result<()> {
        unimplemented!()
    }

    /// The last committed entry known here.
    pub fn committed(&self) -> Option<LogPoint> {
        unimplemented!()
    }

    /// A reader; all readers see the same log.
    pub fn reader(&self) -> LogReader {
        unimplemented!()
    }

    /// The next queue offset of each queue and the last store timestamp, at the end of the log.
    pub fn seal_state(&self) -> SealState {
        unimplemented!()
    }

    /// Flushes everything and leaves the mark of a clean shutdown.
    ///
    /// # Errors
    /// If the disk fails: then it is no clean shutdown.
    pub fn close(self) -> io::Result<()> {
        unimplemented!()
    }
}

pub use crate::checkpoint::SealState;

/// Reads the log beside its owner. Cloning is cheap.
#[derive(Clone)]
pub struct LogReader {}

impl LogReader {
    /// How far the log has come.
    pub fn ends(&self) -> LogEnds {
        unimplemented!()
    }

    /// Everything up to here was purged.
    pub fn purged(&self) -> Option<LogPoint> {
        unimplemented!()
    }

    /// The last entry, or the last purged one if none is left.
    pub fn last(&self) -> Option<LogPoint> {
        unimplemented!()
    }

    /// The index of the first entry that can be read; `None` if there is none.
    pub fn first_index(&self) -> Option<u64> {
        unimplemented!()
    }

    /// The last committed entry, as this node knows.
    pub fn committed(&self) -> Option<LogPoint> {
        unimplemented!()
    }

    /// The size of a segment.
    pub fn segment_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// All segments that hold entries, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        unimplemented!()
    }

    /// The first retained entry of each term, oldest first.
    pub fn term_starts(&self) -> Vec<LogPoint> {
        unimplemented!()
    }

    /// Term and index of an entry, the last purged one included.
    ///
    /// # Errors
    /// If a segment cannot be read.
    pub fn point(&self, log_index: u64) -> Result<Option<LogPoint>, ReadError> {
        unimplemented!()
    }

    /// Where an entry lies; `None` if there is no such entry.
    ///
    /// # Errors
    /// If a segment cannot be read.
    pub fn position(&self, log_index: u64) -> Result<Option<EntryPlace>, ReadError> {
        unimplemented!()
    }

    /// The entries of `range` that exist, in order, without holes: until their bytes exceed `bytes_max`, but at
    /// least one. Not copied; neighbours of one segment are contiguous in memory. What is not committed yet can
    /// change under the reader when a new leader overrules it: who takes such bytes in must test their checksum.
    ///
    /// # Errors
    /// If the first is purged, or a segment cannot be read.
    pub fn entries(&self, range: Range<u64>, bytes_max: u64) -> Result<Vec<StoredEntry>, ReadError> {
        unimplemented!()
    }

    /// As [`LogReader::entries`], as one piece for the wire; ends with the segment, so ask again for the rest.
    /// `None` if the first entry of `range` does not exist.
    ///
    /// # Errors
    /// If the first is purged, or a segment cannot be read.
    pub fn run(&self, range: Range<u64>, bytes_max: u64) -> Result<Option<Run>, ReadError> {
        unimplemented!()
    }

    /// `bytes` bytes from `offset` on, not copied.
    ///
    /// # Errors
    /// If they are purged, not committed, not in one segment, or the segment cannot be read.
    pub fn slice(&self, offset: CommitlogOffset, bytes: u32) -> Result<Bytes, ReadError> {
        unimplemented!()
    }

    /// The committed entry whose bytes `offset` lies in; `None` if there is none.
    ///
    /// # Errors
    /// If it is purged, or the segment cannot be read.
    pub fn entry_at_offset(&self, offset: CommitlogOffset) -> Result<Option<StoredEntry>, ReadError> {
        unimplemented!()
    }

    /// A fingerprint of the entries from `first_index` to `last_index`, both inclusive, all checksums tested.
    ///
    /// # Errors
    /// If one is missing or damaged.
    pub fn digest(&self, first_index: u64, last_index: u64) -> Result<Digest, ReadError> {
        unimplemented!()
    }
}
