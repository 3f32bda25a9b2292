//! What lies behind the end of a log that is opened: nothing, a torn tail, or a hole in what was on disk.
//!
//! The one question is whether a write of ours can have left it, with nothing reported as durable in what is missing.

use std::path::PathBuf;

use super::OpenError;
use super::recover::{Known, Scanned, io_at};
use super::scan::{BadEntry, Leftover, first_of, look_behind};
use crate::segment::Segment;
use crate::{CommitlogOffset, LogPoint};

/// After a kill the page cache is whole, so a lost entry can only be followed by its own batch.
pub(super) const LOOK_BEHIND_BYTES: u64 = 64 << 20;

/// What lies behind the end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Clean,
    /// What was never reported durable, damaged by a loss of power; up to this offset.
    Torn { until: u64 },
    /// What was on disk, and may have been acknowledged.
    Hole,
}

impl Known {
    /// Decides whether what is behind the end is a torn tail or a hole in what was on disk. In this order:
    /// 1. The end lies below what the log's own records prove: `ends` and the proof in the segments are written after a
    ///    sync of what they speak of, and taken back before `truncate_at` zeroes the first header. No crash: a hole.
    /// 2. Zeros and nothing behind them: `write_batch` has written nothing there, or all of it was taken back.
    /// 3. An intact later entry, and the page cache is as the last run left it: `write_batch` goes from front to back, and
    ///    `truncate_at` zeroes from the last header to the first, so a kill never leaves an entry behind a missing one: a
    ///    hole. After a loss of power a `write_batch` that was not synced may have left its later sectors alone.
    /// 4. The end lies below a checkpoint of our own, which had its name only after the log below it was synced: a hole.
    /// 5. All else is what a `write_batch` leaves that was cut short: a torn tail.
    pub(super) fn judge_tail(&self, scanned: &Scanned) -> Result<Tail, OpenError> {
        let Scanned { end, reason, .. } = scanned;
        let flushed = self.flushed(scanned.evidence);
        if *end < flushed {
            return self.hole(scanned, self.damaged_below(scanned, flushed));
        }
        let (leftover, later_segment) = self.look_behind(scanned)?;
        let is_clean = *reason == BadEntry::Blank && leftover.strays == 0 && later_segment.is_none();
        if is_clean {
            return Ok(Tail::Clean);
        }
        if let Some(later) = leftover.later.or(later_segment)
            && self.is_same_boot
        {
            let (path, at) = self.place_of_end(scanned);
            let (offset, reason) = (CommitlogOffset(*end), reason.clone());
            return self.hole(scanned, OpenError::DamagedBeforeLater { path, at, offset, later, reason });
        }
        if *end < self.checkpointed {
            return self.hole(scanned, self.damaged_below(scanned, self.checkpointed));
        }
        Ok(Tail::Torn { until: leftover.end })
    }

    /// What may have been acknowledged is missing: others have it, or nobody may go on.
    fn hole(&self, scanned: &Scanned, error: OpenError) -> Result<Tail, OpenError> {
        if !self.has_peers {
            return Err(error);
        }
        tracing::error!(
            last = ?scanned.last, end = scanned.end, %error,
            "the log is damaged: it is cut there, and what follows is fetched again from the other nodes"
        );
        Ok(Tail::Hole)
    }

    fn damaged_below(&self, scanned: &Scanned, flushed: u64) -> OpenError {
        let (path, at) = self.place_of_end(scanned);
        OpenError::DamagedBelowFlushed {
            path,
            at,
            offset: CommitlogOffset(scanned.end),
            flushed: CommitlogOffset(flushed),
            reason: scanned.reason.clone(),
        }
    }

    /// The file in which the log ends, and where in it.
    pub(super) fn place_of_end(&self, scanned: &Scanned) -> (PathBuf, u64) {
        let end = scanned.end;
        let path = scanned.parts.last().map_or_else(
            || Segment::path_in(&self.dir, end - end % self.segment_bytes),
            |part| part.segment.path().to_path_buf(),
        );
        (path, end % self.segment_bytes)
    }

    /// What lies behind the end, in its segment and in later ones.
    fn look_behind(&self, scanned: &Scanned) -> Result<(Leftover, Option<LogPoint>), OpenError> {
        let bytes_max = if self.is_same_boot { LOOK_BEHIND_BYTES } else { u64::MAX };
        let leftover = match scanned.parts.last() {
            Some(part) => look_behind(&part.segment, scanned.end, bytes_max, scanned.last)
                .map_err(io_at(part.segment.path()))?,
            None => Leftover { end: scanned.end, ..Leftover::default() },
        };
        for base in &scanned.behind {
            let segment = self.open_segment(*base)?;
            if let Some(later) = first_of(&segment, scanned.last).map_err(io_at(segment.path()))? {
                return Ok((leftover, Some(later)));
            }
        }
        Ok((leftover, None))
    }
}
