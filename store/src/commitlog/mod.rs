//! The commitlog: entries one after the other in segments, the same bytes at the same place on every node.
//!
//! [`CommitLog`] is the one owner of the tail: it appends, truncates, purges. [`LogReader`]s read beside it.
//! Who leads, who votes and what a payload means is the business of others.

mod age;
mod append;
mod bridge;
#[cfg(test)]
mod crash_tests;
mod damage;
#[cfg(test)]
mod damage_tests;
mod effects;
mod entry;
mod error;
mod evidence;
mod flush;
mod helper;
mod judge;
pub(crate) mod layout;
mod mend;
mod read;
mod records;
mod recount;
mod recover;
mod scan;
mod seal;
mod shared;
mod tail;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use platform::{Clock, Platform};

pub use damage::{Damage, Stretch, StretchError};
pub use effects::{EFFECT_HEAD_BYTES, Effect, EffectList};
pub use entry::{Draft, Pending, StoredEntry};
pub use error::{AppendError, OpenError, ReadError};
pub use layout::{ENTRY_HEAD_BYTES, EntryError, EntryHead, EntryKind, LAYOUT_VERSION};
pub use mend::RepairError;
pub use read::LogReader;
pub use scan::BadEntry;
pub use seal::SealError;
pub(crate) use seal::is_queued;

use crate::checkpoint::{Checkpoint, Checkpoints, SealState};
use crate::lock::DirLock;
use crate::slot::SlotFile;
use crate::{CommitlogOffset, LogPoint};
use flush::{Flusher, Job};
use helper::Helper;
use records::{EndsRecord, RunRecord};
use recount::Recount;
use seal::Sealer;
use shared::Shared;

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
    /// Workers of the log's own: a flusher, and one that prepares and drops segments. Threads, or tasks of a simulation
    /// (`platform::Tasks`).
    Threads,
    /// The caller itself, at once: for tests that have no runtime, where every step must be repeatable.
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
    /// Other nodes hold the same log. Then damage where the log is walked at start is cut off, to be fetched from
    /// them again, and the node is fenced until it has been; alone, it refuses to open.
    pub has_peers: bool,
}

impl LogOptions {
    /// Segments of 1 GiB, every append synced, on threads of its own.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 1 << 30,
            flush: FlushMode::Sync,
            helpers: Helpers::Threads,
            has_peers: false,
        }
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
    /// Bytes of a torn tail, or behind a hole, that were cut off.
    pub cut_bytes: u64,
    /// Entries that this node has acknowledged may be gone (its machine lost power in `Async` mode, the log ends
    /// before a checkpoint or before what is proved to have been on disk, or one of the small records beside it was
    /// damaged): it must neither vote nor campaign until it has caught up with a leader.
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

/// The owner of the log's tail.
pub struct CommitLog {
    shared: Arc<Shared>,
    options: LogOptions,
    clock: Arc<dyn Clock>,
    sealer: Sealer,
    /// Queue offsets are not counted yet, because of a hole: `sealer` is not to be used.
    recount: Option<Recount>,
    // Before the helper, which may still drop segments' pages while the flusher syncs them.
    flusher: Flusher,
    helper: Helper,
    ends_slot: SlotFile,
    purge_slot: SlotFile,
    run_slot: SlotFile,
    run: RunRecord,
    _lock: DirLock,
}

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
        recover::open(platform, options, checkpoints)
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
        self.append_all(entries, done)
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
        self.shared.check()?;
        let result = self.truncate(last_kept);
        self.stop_on_error(result)
    }

    /// Forgets all entries up to `upto`, inclusive; whole segments below it are removed once that is on disk.
    /// May lie beyond the end: then the log is empty, and goes on at any later index.
    ///
    /// # Errors
    /// If the disk fails; the log has stopped then.
    pub fn purge_to(&mut self, upto: LogPoint) -> io::Result<()> {
        self.shared.check()?;
        let result = self.purge(upto);
        self.stop_on_error(result)
    }

    /// Takes in that everything up to `log_index` is committed; beyond the end means all there is. Never goes
    /// back. Kept on disk without a sync: may lag behind after a loss of power.
    ///
    /// # Errors
    /// If the disk fails; the log has stopped then.
    pub fn set_committed(&mut self, log_index: u64) -> io::Result<()> {
        self.shared.check()?;
        let result = self.commit(log_index);
        self.stop_on_error(result)
    }

    /// Makes the log agree with a checkpoint received from a leader, which must be on disk already
    /// ([`Checkpoints::name`]). A log that holds `checkpoint.last` is purged up to it, any other one restarts
    /// empty behind it.
    ///
    /// # Errors
    /// If the disk fails; the log has stopped then, and the next open finishes the work.
    pub fn reset_to(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.shared.check()?;
        let result = self.follow(checkpoint);
        self.stop_on_error(result)
    }

    /// Calls `done` when everything appended so far is on disk, in both flush modes, and in order with appends.
    pub fn flush_barrier(&mut self, done: Done) {
        let end = self.appended();
        self.flusher.submit(Job::barrier(end, done));
    }

    /// The node has caught up with a leader: what it may have forgotten it knows again.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn fence_lifted(&mut self) -> io::Result<()> {
        if !self.run.maybe_forgot {
            return Ok(());
        }
        let run = RunRecord { maybe_forgot: false, ..self.run.clone() };
        records::write(&mut self.run_slot, &run, true)?;
        self.run = run;
        Ok(())
    }

    /// Something beside the log was damaged, so that this node may have forgotten what it promised. On disk on return.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn raise_fence(&mut self) -> io::Result<()> {
        if self.run.maybe_forgot {
            return Ok(());
        }
        let run = RunRecord { maybe_forgot: true, ..self.run.clone() };
        records::write(&mut self.run_slot, &run, true)?;
        self.run = run;
        Ok(())
    }

    /// The last committed entry known here.
    pub fn committed(&self) -> Option<LogPoint> {
        self.make_reader().committed()
    }

    /// A reader; all readers see the same log.
    pub fn reader(&self) -> LogReader {
        self.make_reader()
    }

    /// The next queue offset of each queue and the last store timestamp, at the end of the log.
    pub fn seal_state(&self) -> SealState {
        self.sealer.state()
    }

    /// Flushes everything and leaves the mark of a clean shutdown.
    ///
    /// # Errors
    /// If the disk fails: then it is no clean shutdown.
    pub fn close(mut self) -> io::Result<()> {
        let end = self.appended();
        self.flusher.rest(end)?;
        let ends = EndsRecord { committed: self.committed(), flushed: self.shared.flushed() };
        records::write(&mut self.ends_slot, &ends, true)?;
        let run = RunRecord { is_clean: true, ..self.run.clone() };
        records::write(&mut self.run_slot, &run, true)
    }
}
