//! What the log's owner, its readers and its helpers see in common.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use platform::{Disk, Histogram};

use super::damage::{Known, Stretch};
use super::evidence::Evidences;
use crate::LogPoint;
use crate::log_index::SegmentIndex;
use crate::segment::Segment;
use crate::sync;

/// Bounds of the times of syncs and appends, microseconds: a fast disk takes some hundred of them, a slow one some hundred
/// thousand, and beyond lies a disk that hangs.
const TIMES_US: [u64; 12] =
    [200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];

/// The log as readers see it.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    /// Where the segments are.
    pub(super) dir: PathBuf,
    pub(super) segment_bytes: u64,
    pub(super) state: RwLock<State>,
    /// What is purged for good: that it is purged is on disk, and no crash brings it back.
    pub(super) purged_on_disk: Mutex<Option<LogPoint>>,
    /// Below it everything is on disk. Moved forward by the flusher; back by a truncation, when the flusher rests.
    pub(super) flushed: AtomicU64,
    pub(super) evidences: Evidences,
    /// Where the log ended when it was opened: what lies below came from the disk.
    pub(super) opened_at: u64,
    failure: OnceLock<String>,
    has_failed: AtomicBool,
    /// The next segment could not be made: what is left of the last one is all the room there is.
    pub(super) is_out_of_room: AtomicBool,
    /// Held while segments' files come and go, so that no two hands do it at once.
    pub(super) files: Mutex<()>,
    /// When the last message of a sealed segment was stored, by base; `None` if it has none.
    pub(super) last_stored_ms: Mutex<BTreeMap<u64, Option<u64>>>,
    /// Stretches that are damaged, and how it showed.
    pub(super) damage: Mutex<BTreeMap<Stretch, Known>>,
    /// Counts what changes in it.
    pub(super) damage_news: AtomicU64,
    /// Stretches mended so far.
    pub(super) repaired: AtomicU64,
    /// How long each sync of a segment took, microseconds.
    pub(super) sync_times: Histogram,
    /// How long each append took until it counted as flushed, microseconds.
    pub(super) append_times: Histogram,
}

/// Changed by the log's owner only.
pub(super) struct State {
    /// Oldest first, without gaps; never empty. The last one is being written.
    pub(super) segments: VecDeque<Part>,
    pub(super) purged: Option<LogPoint>,
    /// Where the first entry that is not purged begins, or would begin.
    pub(super) min: u64,
    pub(super) committed: Option<LogPoint>,
    /// Where the last committed entry ends.
    pub(super) committed_end: u64,
    /// Where the last entry ends.
    pub(super) appended: u64,
    /// The last entry, or the last purged one.
    pub(super) last: Option<LogPoint>,
}

/// A segment and where its entries lie.
pub(super) struct Part {
    pub(super) segment: Arc<Segment>,
    pub(super) index: SegmentIndex,
}

impl Shared {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        segment_bytes: u64,
        state: State,
        flushed: u64,
        evidences: Evidences,
    ) -> Self {
        Self {
            disk,
            dir,
            segment_bytes,
            purged_on_disk: Mutex::new(state.purged),
            opened_at: state.appended,
            state: RwLock::new(state),
            flushed: AtomicU64::new(flushed),
            evidences,
            failure: OnceLock::new(),
            has_failed: AtomicBool::new(false),
            is_out_of_room: AtomicBool::new(false),
            files: Mutex::new(()),
            last_stored_ms: Mutex::default(),
            damage: Mutex::default(),
            damage_news: AtomicU64::new(0),
            repaired: AtomicU64::new(0),
            sync_times: Histogram::new(&TIMES_US),
            append_times: Histogram::new(&TIMES_US),
        }
    }

    pub(super) fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// Stops the log for good: what the page cache holds can no longer be trusted.
    pub(super) fn fail(&self, reason: &str) {
        if self.failure.set(reason.to_owned()).is_ok() {
            tracing::error!(dir = %self.dir.display(), reason, "the commitlog has stopped");
        }
        self.has_failed.store(true, Ordering::Release);
    }

    /// Takes in how long an append took until it counted as flushed.
    pub(super) fn appended_in(&self, took: Duration) {
        self.append_times.record(took.as_micros() as u64);
    }

    /// Takes in whether the next segment could be made; returns whether that is news.
    pub(super) fn note_room(&self, has_room: bool) -> bool {
        self.is_out_of_room.swap(!has_room, Ordering::AcqRel) == has_room
    }

    /// Why the log has stopped, if it has.
    pub(super) fn failure(&self) -> Option<&str> {
        if !self.has_failed.load(Ordering::Acquire) {
            return None;
        }
        self.failure.get().map(String::as_str)
    }

    /// The failure as an error of the system.
    pub(super) fn check(&self) -> io::Result<()> {
        self.failure().map_or(Ok(()), |reason| Err(io::Error::other(reason.to_owned())))
    }

    /// Removes the files of segments that nobody is to find again. An error only leaves a file behind, which
    /// the next start removes.
    pub(super) fn remove_segments(&self, bases: &[u64]) {
        let _files = sync::lock(&self.files);
        for base in bases {
            for path in [Segment::path_in(&self.dir, *base), crate::log_index::sidecar_path(&self.dir, *base)]
            {
                if self.disk.exists(&path)
                    && let Err(error) = self.disk.remove_file(&path)
                {
                    tracing::warn!(path = %path.display(), %error, "cannot remove a purged file");
                }
            }
        }
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot sync the directory after a purge");
        }
    }
}

impl State {
    /// The segment that holds an entry, by its place in `segments`.
    pub(super) fn part_of(&self, log_index: u64) -> Option<usize> {
        let after = self
            .segments
            .partition_point(|part| part.index.first().is_none_or(|first| first.log_index <= log_index));
        let at = self.segments.iter().take(after).rposition(|part| part.index.contains(log_index))?;
        Some(at)
    }

    /// Whether the entry is there and not purged.
    pub(super) fn has(&self, log_index: u64) -> bool {
        self.first_index().is_some_and(|first| first <= log_index)
            && self.last.is_some_and(|last| log_index <= last.log_index)
    }

    /// The first entry that can be read.
    pub(super) fn first_index(&self) -> Option<u64> {
        let last = self.last_retained()?;
        let first = self.segments.iter().find_map(|part| part.index.first())?.log_index;
        let first = self.purged.map_or(first, |purged| first.max(purged.log_index + 1));
        (first <= last.log_index).then_some(first)
    }

    /// The last entry, unless it is purged.
    pub(super) fn last_retained(&self) -> Option<LogPoint> {
        let last = self.last?;
        (self.purged.is_none_or(|purged| purged.log_index < last.log_index)).then_some(last)
    }

    /// Term and index of an entry, the last purged one included.
    pub(super) fn point(&self, log_index: u64) -> Option<LogPoint> {
        if let Some(purged) = self.purged.filter(|purged| purged.log_index == log_index) {
            return Some(purged);
        }
        if !self.has(log_index) {
            return None;
        }
        let part = &self.segments[self.part_of(log_index)?];
        Some(LogPoint { term: part.index.term_of(log_index), log_index })
    }

    /// The part that the log's end lies in.
    pub(super) fn tail(&self) -> &Part {
        self.segments.back().expect("a log always has a segment")
    }
}
