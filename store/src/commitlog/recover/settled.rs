//! [`Scanned`] -> [`Settled`] -> [`State`]: nothing behind the end, then everything below it on disk.
//!
//! **Settled**: it is decided why the log ends where it does, the fence stands if that may be a loss, and nothing behind the
//! end can be taken up again by a later start. A crash on the way finds the same end, for the place of a header there is
//! cleared first, and the files behind it go last. Not trusted yet: that what is below the end is more than page cache.
//!
//! **State**: all of it is on disk, the records say no more than that, and entries may be appended.

use std::io;
use std::sync::Arc;

use super::super::evidence::{Evidence, Evidences};
use super::super::judge::Tail;
use super::super::records::{self, EndsRecord};
use super::super::scan::look_behind;
use super::super::shared::{Part, State};
use super::super::{ENTRY_HEAD_BYTES, OpenError};
use super::io_at;
use super::known::Known;
use super::scanned::{Holes, Scanned, segment_base};
use crate::LogPoint;
use crate::log_index::{SegmentIndex, encode_sidecar, sidecar_path};
use crate::segment::Segment;
use crate::slot::SlotFile;

/// The log, with nothing behind its end.
pub(super) struct Settled {
    parts: Vec<Part>,
    last: Option<LogPoint>,
    end: u64,
    evidence: Option<Evidence>,
    holes: Holes,
    /// Bytes that were cut off behind the end.
    cut_bytes: u64,
    /// What was cut may have been acknowledged.
    has_lost: bool,
}

impl Scanned {
    /// Decides why the log ends where it does, and clears what lies behind. `raise_fence` is called before anything is
    /// written that would hide a loss: another crash must not take the fence along.
    ///
    /// # Errors
    /// If what may have been acknowledged is missing and nobody else has it: the log is left as it was found. If the disk
    /// fails.
    pub(super) fn settle(
        self,
        known: &Known,
        raise_fence: impl FnOnce() -> Result<(), OpenError>,
    ) -> Result<Settled, OpenError> {
        let tail = known.judge_tail(&self)?;
        if tail == Tail::Hole {
            raise_fence()?;
        }
        let cut_bytes = self.cut(known, tail)?;
        self.remove_behind(known)?;
        let Self { parts, last, end, evidence, holes, .. } = self;
        Ok(Settled { parts, last, end, evidence, holes, cut_bytes, has_lost: tail == Tail::Hole })
    }

    /// Clears what lies behind the end in its segment, and returns its size.
    fn cut(&self, known: &Known, tail: Tail) -> Result<u64, OpenError> {
        let Self { end, last, reason, parts, .. } = self;
        let until = match tail {
            Tail::Clean => return Ok(0),
            Tail::Torn { until } => until,
            Tail::Hole => match parts.last() {
                Some(part) => {
                    let found = look_behind(&part.segment, *end, u64::MAX, *last);
                    found.map_err(io_at(part.segment.path()))?.end
                }
                None => *end,
            },
        };
        let (path, at) = known.place_of_end(self);
        if let Some(part) = parts.last() {
            clear(&part.segment, *end, until).map_err(io_at(&path))?;
        }
        let cut_bytes = until - end;
        if tail != Tail::Hole {
            tracing::warn!(path = %path.display(), at, ?last, cut_bytes, %reason, "cut a torn tail");
        }
        Ok(cut_bytes)
    }

    /// Removes segments behind the end, and sidecars of segments that are not there.
    fn remove_behind(&self, known: &Known) -> Result<(), OpenError> {
        for path in known.disk.list(&known.dir).map_err(io_at(&known.dir))? {
            let base = segment_base(&path).or_else(|| segment_base(&path.with_extension("")));
            if base.is_some_and(|base| self.parts.iter().all(|part| part.segment.base() != base)) {
                known.disk.remove_file(&path).map_err(io_at(&path))?;
            }
        }
        tracing::debug!(behind = ?self.behind, "segments behind the end are gone");
        known.disk.sync_dir(&known.dir).map_err(io_at(&known.dir))
    }
}

impl Settled {
    /// Bytes that were cut off behind the end.
    pub(super) fn cut_bytes(&self) -> u64 {
        self.cut_bytes
    }

    /// What was cut may have been acknowledged: the node is fenced.
    pub(super) fn has_lost(&self) -> bool {
        self.has_lost
    }

    /// Where entries have to be fetched from another node, and how it showed.
    pub(super) fn take_holes(&mut self) -> Holes {
        std::mem::take(&mut self.holes)
    }

    /// Makes the log that was found the log that is: everything in it on disk, and no record that says more.
    ///
    /// # Errors
    /// If the disk fails. Nothing is lost then: the next start does the same again.
    pub(super) fn into_state(
        self,
        known: &Known,
        ends_slot: &mut SlotFile,
    ) -> Result<(State, Evidences), OpenError> {
        let Self { mut parts, last, end, evidence, .. } = self;
        let flushed = known.flushed(evidence);
        if parts.is_empty() {
            let base = end - end % known.segment_bytes;
            let segment = Segment::create(&*known.disk, &known.dir, base, known.segment_bytes)
                .map_err(io_at(&Segment::path_in(&known.dir, base)))?;
            parts.push(Part { segment: Arc::new(segment), index: SegmentIndex::new(end) });
        }
        // A sync that failed in the last run left pages that look written and are not: only a new write makes them so.
        for part in &parts {
            let from = flushed.max(part.segment.base());
            rewrite(&part.segment, from, part.index.end()).map_err(io_at(part.segment.path()))?;
        }
        secure(known, &mut parts)?;
        let mut state = State {
            segments: parts.into(),
            purged: known.purge.purged,
            min: known.purge.min,
            committed: known.purge.purged,
            committed_end: known.purge.min,
            appended: end,
            last,
        };
        // `CommitLog::commit` does not wait for the flusher: what it saved may lie beyond a torn tail.
        if let Some(committed) = known.ends.committed
            && let Some(last) = state.last_retained()
            && let Some(point) = state.point(committed.log_index.min(last.log_index))
            && state.committed.is_none_or(|purged| purged.log_index < point.log_index)
        {
            state.committed = Some(point);
            state.committed_end = end_of(&state, point.log_index).map_err(io_at(&known.dir))?;
        }
        // From here on the log may be shorter than its own proof says, as after `truncate_at`: the proof goes back first.
        let evidences = Evidences::behind(evidence);
        if evidence.is_some_and(|evidence| evidence.flushed > end) {
            let segment = &state.tail().segment;
            evidences.write(segment, || end).and_then(|()| segment.sync()).map_err(io_at(segment.path()))?;
        }
        let record = EndsRecord { committed: state.committed, flushed: end };
        records::write(ends_slot, &record, true).map_err(io_at(ends_slot.path()))?;
        Ok((state, evidences))
    }
}

/// Syncs what may only be in the page cache, seals all segments but the last, and makes that one exact.
fn secure(known: &Known, parts: &mut [Part]) -> Result<(), OpenError> {
    let Some((tail, sealed)) = parts.split_last_mut() else { return Ok(()) };
    for part in sealed {
        let path = sidecar_path(&known.dir, part.segment.base());
        if known.disk.exists(&path) && !part.index.is_exact() {
            continue; // only written after a sync
        }
        part.segment.sync().map_err(io_at(part.segment.path()))?;
        part.index.seal();
        if part.index.first().is_some()
            && let Some(bytes) = encode_sidecar(part.segment.base(), &part.index)
        {
            let written = known.disk.open(&path, platform::OpenMode::Create).and_then(|file| {
                file.set_len(bytes.len() as u64)?;
                file.write_all_at(&[io::IoSlice::new(&bytes)], 0)
            });
            if let Err(error) = written {
                tracing::warn!(path = %path.display(), %error, "no sidecar: the next start reads the segment");
            }
        }
    }
    tail.index = tail.index.exact(&tail.segment).map_err(io_at(tail.segment.path()))?;
    tail.segment.sync().map_err(io_at(tail.segment.path()))?;
    let sidecar = sidecar_path(&known.dir, tail.segment.base());
    if known.disk.exists(&sidecar) {
        known.disk.remove_file(&sidecar).map_err(io_at(&sidecar))?;
        known.disk.sync_dir(&known.dir).map_err(io_at(&known.dir))?;
    }
    Ok(())
}

/// Where an entry ends.
fn end_of(state: &State, log_index: u64) -> io::Result<u64> {
    let at = state.part_of(log_index).expect("a point of the log lies in a segment");
    let part = &state.segments[at];
    if let (_, Some(end)) = part.index.known_place(log_index) {
        return Ok(end);
    }
    let mut start = part.index.start_of(log_index);
    loop {
        let head = crate::log_index::read_head(&part.segment, start.offset)?;
        if head.log_index >= log_index {
            return Ok(head.end().0);
        }
        start.offset = head.end().0;
    }
}

/// Writes the bytes of `from..until` once more, to be synced by the caller. A sync that failed leaves pages that look
/// written and are not on disk, and another sync would not write them.
fn rewrite(segment: &Segment, from: u64, until: u64) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 20];
    let mut at = from;
    while at < until {
        let piece = (until - at).min(bytes.len() as u64) as usize;
        segment.read(at, &mut bytes[..piece])?;
        segment.write(at, &[io::IoSlice::new(&bytes[..piece])])?;
        at += piece as u64;
    }
    Ok(())
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
