//! What can go wrong with the log from outside: a full disk, a damaged file, entries that do not fit.

use std::io;
use std::path::PathBuf;

use super::damage::StretchError;
use super::layout::EntryError;
use super::scan::BadEntry;
use super::seal::SealError;
use crate::checkpoint::CheckpointError;
use crate::lock::LockError;
use crate::slot::SlotError;
use crate::{CommitlogOffset, LogPoint};

/// Why a log did not open. Where it says *damaged*, the log is left as it is, for a person to look at.
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
    /// Another process has the directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A slot file.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A segment size that no log can have.
    #[error("segments of {bytes} bytes: it must be a multiple of {unit}, at most {limit}")]
    BadSegmentBytes {
        /// What was asked for.
        bytes: u64,
        /// It must be a multiple of this.
        unit: u64,
        /// It must not exceed this.
        limit: u64,
    },
    /// The log was written with another segment size.
    #[error("{}: the log has segments of {found} bytes, not of {configured}", path.display())]
    SegmentBytes {
        /// The directory, or the segment.
        path: PathBuf,
        /// What the log has.
        found: u64,
        /// What the options say.
        configured: u64,
    },
    /// The first segment is gone, later ones are there.
    #[error("{}: damaged: the segment is missing, and one at {following} is there", path.display())]
    Missing {
        /// The missing segment.
        path: PathBuf,
        /// Where the first one that is there begins.
        following: u64,
    },
    /// Something that was on disk is not what it was.
    #[error(
        "{}: damaged at byte {at}: the log ends at {offset}, but was on disk up to {flushed}: {reason}",
        path.display()
    )]
    DamagedBelowFlushed {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        at: u64,
        /// The commitlog offset of that place.
        offset: CommitlogOffset,
        /// How far the log was on disk before.
        flushed: CommitlogOffset,
        /// What is wrong there.
        reason: BadEntry,
    },
    /// A bad entry before a good one, and no loss of power that could have done it.
    #[error(
        "{}: damaged at byte {at}: no entry at {offset} ({reason}), but entry {later} is intact behind it",
        path.display()
    )]
    DamagedBeforeLater {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        at: u64,
        /// The commitlog offset of that place.
        offset: CommitlogOffset,
        /// The first good entry behind it.
        later: LogPoint,
        /// What is wrong there.
        reason: BadEntry,
    },
    /// An entry below the log's end has another checksum than when the log was last opened.
    #[error("damaged: entry {log_index}: {source}")]
    Entry {
        /// The entry.
        log_index: u64,
        /// What is wrong with it.
        source: EntryError,
    },
    /// Message units of an entry do not follow those before it, counted from the newest checkpoint.
    #[error("damaged: entry {log_index}: {source}")]
    Units {
        /// The entry.
        log_index: u64,
        /// What is wrong with it.
        source: SealError,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why entries were not appended. All variants but `Stopped` leave the log as it was before the call.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A write or sync has failed, now or earlier; nothing is appended until the log is opened again.
    #[error("the commitlog has stopped: {reason}")]
    Stopped {
        /// What failed first.
        reason: String,
    },
    /// Messages cannot be numbered: an entry before them is damaged, and other nodes have not filled that hole yet.
    #[error("queue offsets cannot be counted before entry {log_index}, which is damaged, is mended")]
    Uncounted {
        /// The entry.
        log_index: u64,
    },
    /// An entry that fits no segment.
    #[error("entry of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Header, payload and pad.
        bytes: u64,
        /// The size of a segment.
        limit: u64,
    },
    /// The next segment could not be made: the disk is full. May be tried again.
    #[error("cannot make the segment {}: {source}", path.display())]
    Segment {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A sealed entry is damaged.
    #[error("entry {log_index}: {source}")]
    Entry {
        /// The entry.
        log_index: u64,
        /// What is wrong with it.
        source: EntryError,
    },
    /// A sealed entry leaves a gap, repeats one, or has a lower term.
    #[error("entry {found} does not follow {last}")]
    Order {
        /// The entry.
        found: LogPoint,
        /// The last one here.
        last: LogPoint,
    },
    /// A sealed entry was sealed for another place.
    #[error("entry {log_index} is for commitlog offset {found}, its place here is {expected}")]
    Place {
        /// The entry.
        log_index: u64,
        /// Where it says it lies.
        found: CommitlogOffset,
        /// Where it would lie.
        expected: CommitlogOffset,
    },
    /// The payload of a `Units` entry is not what it should be.
    #[error("entry {log_index}: {source}")]
    Units {
        /// The entry.
        log_index: u64,
        /// What is wrong with it.
        source: SealError,
    },
}

impl ReadError {
    /// Whether the disk is at fault: what was asked for should be there, and is not what was written.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Io { .. }
            | Self::Changed { .. }
            | Self::Unit { .. }
            | Self::Stretch { .. }
            | Self::Damaged { .. } => true,
            Self::Purged { .. }
            | Self::PurgedIndex { .. }
            | Self::NotCommitted { .. }
            | Self::AcrossSegments { .. }
            | Self::Missing { .. } => false,
        }
    }
}

/// Why an entry or a slice was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused, or a header is damaged.
    #[error("{}: {source}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The offset is below what is left of the log.
    #[error("commitlog offset {offset} is purged, the log begins at {min}")]
    Purged {
        /// What was asked for.
        offset: CommitlogOffset,
        /// Where the log begins.
        min: CommitlogOffset,
    },
    /// The entry is below what is left of the log.
    #[error("entry {log_index} is purged, as all up to {purged}")]
    PurgedIndex {
        /// What was asked for.
        log_index: u64,
        /// The last purged one.
        purged: u64,
    },
    /// Bytes that may still change.
    #[error("up to commitlog offset {end} is not committed, only up to {committed}")]
    NotCommitted {
        /// Where what was asked for ends.
        end: CommitlogOffset,
        /// The committed end.
        committed: CommitlogOffset,
    },
    /// What was asked for begins in one segment and ends in another: no message does.
    #[error("{offset}..{end} is not in one segment")]
    AcrossSegments {
        /// Its first byte.
        offset: CommitlogOffset,
        /// Behind its last byte.
        end: CommitlogOffset,
    },
    /// The entry was truncated while it was being read.
    #[error("entry {log_index} has just been truncated")]
    Changed {
        /// The entry.
        log_index: u64,
    },
    /// There is no such entry.
    #[error("there is no entry {log_index}")]
    Missing {
        /// The entry.
        log_index: u64,
    },
    /// What lies in an intact entry is not a message.
    #[error("no message in the entry at commitlog offset {offset}: {source}")]
    Unit {
        /// Where the entry begins.
        offset: CommitlogOffset,
        /// What is wrong with it.
        source: protocol::message::UnitError,
    },
    /// A stretch is not what the index says.
    #[error("damaged: {source}")]
    Stretch {
        /// What is wrong with it.
        source: Box<StretchError>,
    },
    /// The entry's checksum does not match.
    #[error("entry {log_index}: {source}")]
    Damaged {
        /// The entry.
        log_index: u64,
        /// What is wrong with it.
        source: EntryError,
    },
}
