//! What lies behind the end of a log that is opened: nothing, a torn tail, or a hole in what was on disk.

use std::io;
use std::path::PathBuf;

use super::recover::{Known, Scanned, io_at};
use super::scan::{BadEntry, Leftover, first_of, look_behind};
use super::{ENTRY_HEAD_BYTES, OpenError};
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
    /// Decides whether what is behind the end is a torn tail or a hole in what was on disk.
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
    fn place_of_end(&self, scanned: &Scanned) -> (PathBuf, u64) {
        let end = scanned.end;
        let path = scanned.parts.last().map_or_else(
            || Segment::path_in(&self.dir, end - end % self.segment_bytes),
            |part| part.segment.path().to_path_buf(),
        );
        (path, end % self.segment_bytes)
    }

    /// Clears what lies behind the end, and returns its size.
    pub(super) fn cut_tail(&self, scanned: &Scanned, tail: Tail) -> Result<u64, OpenError> {
        let Scanned { end, last, reason, .. } = scanned;
        let until = match tail {
            Tail::Clean => return Ok(0),
            Tail::Torn { until } => until,
            Tail::Hole => match scanned.parts.last() {
                Some(part) => {
                    let found = look_behind(&part.segment, *end, u64::MAX, *last);
                    found.map_err(io_at(part.segment.path()))?.end
                }
                None => *end,
            },
        };
        let (path, at) = self.place_of_end(scanned);
        if let Some(part) = scanned.parts.last() {
            clear(&part.segment, *end, until).map_err(io_at(&path))?;
        }
        let cut_bytes = until - end;
        if tail != Tail::Hole {
            tracing::warn!(path = %path.display(), at, ?last, cut_bytes, %reason, "cut a torn tail");
        }
        Ok(cut_bytes)
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

/// Zeroes `from..until`, and the place of a header at `from` in any case, so that nothing there is taken up again.
fn clear(segment: &Segment, from: u64, until: u64) -> io::Result<()> {
    let zeroes = vec![0; 1 << 20];
    let until = until.max(from + ENTRY_HEAD_BYTES as u64).min(segment.limit());
    let mut at = from;
    while at < until {
        let bytes = (until - at).min(zeroes.len() as u64);
        segment.write(at, &[io::IoSlice::new(&zeroes[..bytes as usize])])?;
        at += bytes;
    }
    segment.sync()
}
