//! `Known` -> [`Scanned`]: what the segments hold, read from the oldest on up to where the log does not go on.
//!
//! Trusted from here on: each entry that is listed follows the one before it and lies where it says, and its checksum
//! agrees if it is not proved to have been on disk by the newest checkpoint. Not trusted, and not looked at yet: why the log
//! ends where it does, and what lies behind.
//!
//! Nothing is written at this stage but a header that its own place and its checksum prove (see `super::super::bridge`), so
//! a crash in it leaves the log as it was found.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::super::OpenError;
use super::super::bridge::{Around, Bridge};
use super::super::evidence::Evidence;
use super::super::scan::{BadEntry, Before, SegmentEnd, first_of, scan_segment};
use super::super::shared::Part;
use super::io_at;
use super::known::Known;
use crate::LogPoint;
use crate::log_index::{SegmentIndex, decode_sidecar, sidecar_path};
use crate::segment::{Segment, TRAILER_BYTES};

/// Entries that keep their place in the log, and have to be fetched from another node: where each hole begins, and how it
/// showed.
pub(super) type Holes = Vec<(u64, BadEntry)>;

/// Made by [`Known::scan`] alone.
struct Walked;

/// The log as found on disk.
pub(in crate::commitlog) struct Scanned {
    /// Segments that follow each other, and where their entries lie.
    pub(in crate::commitlog) parts: Vec<Part>,
    /// The last entry, or the last purged one.
    pub(in crate::commitlog) last: Option<LogPoint>,
    /// Where it ends.
    pub(in crate::commitlog) end: u64,
    /// Why the log does not go on at `end`.
    pub(in crate::commitlog) reason: BadEntry,
    /// Files behind the one with the end.
    pub(in crate::commitlog) behind: Vec<u64>,
    /// The newest proof of how far the log was on disk.
    pub(in crate::commitlog) evidence: Option<Evidence>,
    /// Entries that cannot be read though others behind them can.
    pub(super) holes: Holes,
    _walked: Walked,
}

impl Known {
    /// Reads all segments up to the first bad entry.
    pub(super) fn scan(&self) -> Result<Scanned, OpenError> {
        let bases = self.list_segments()?;
        let mut evidence = None;
        for base in &bases {
            // A record torn by `Evidences::write` is skipped: the one before it lies in the other sector.
            let segment = self.open_segment(*base)?;
            evidence = evidence.max(Evidence::read(&segment).map_err(io_at(segment.path()))?);
        }
        let proved = self.flushed(evidence).max(self.checkpointed);
        let mut holes = Holes::default();
        let mut before = Before { last: self.purge.purged, is_purged: self.purge.purged.is_some() };
        let mut parts: Vec<Part> = Vec::new();
        let mut end = self.purge.min;
        let mut reason = BadEntry::Blank;
        let mut next = 0;
        while let Some(base) = bases.get(next).copied() {
            if parts.last().is_some_and(|part| part.segment.limit() != base) {
                // A gap. `remove_segments` after a truncation takes files away in any order, and a crash between two leaves
                // it. What is behind is looked at later.
                break;
            }
            next += 1;
            let is_last = bases.get(next).is_none_or(|following| *following != base + self.segment_bytes);
            let segment = self.open_segment(base)?;
            let following = bases.get(next).filter(|_| !is_last).copied();
            let (index, segment_end) = self.scan_one(&segment, following, &mut before, proved, &mut holes)?;
            if index.last().is_some() || parts.is_empty() {
                end = index.end();
            }
            let has_entries = index.last().is_some();
            match segment_end {
                SegmentEnd::Full => parts.push(Part { segment, index }),
                SegmentEnd::Bad { offset, reason: why } => {
                    // `write_batch` writes the filler of one segment, then the first entry of the next one; a crash
                    // between the two leaves an empty segment behind a filler. The log cannot end there: the filler goes,
                    // and the segment with it. But the log ends here if the one before is full to its last byte.
                    if has_entries || parts.is_empty() || end == base {
                        parts.push(Part { segment, index });
                    } else {
                        next -= 1;
                    }
                    assert!(offset >= end, "the log ends at {end}, and goes on until {offset}");
                    reason = why;
                    break;
                }
            }
        }
        let behind = bases[next..].to_vec();
        Ok(Scanned { parts, last: before.last, end, reason, behind, evidence, holes, _walked: Walked })
    }

    /// The index of one segment: from its sidecar, or by reading it.
    fn scan_one(
        &self,
        segment: &Arc<Segment>,
        following: Option<u64>,
        before: &mut Before,
        proved: u64,
        holes: &mut Holes,
    ) -> Result<(SegmentIndex, SegmentEnd), OpenError> {
        let failed = io_at(segment.path());
        // Above the newest checkpoint everything is applied again, and so read in any case.
        let is_applied = segment.limit() <= self.checkpointed;
        if following.is_some()
            && is_applied
            && let Some(index) = self.read_sidecar(segment, before).map_err(&failed)?
        {
            *before = Before { last: index.last(), is_purged: false };
            return Ok((index, SegmentEnd::Full));
        }
        let mut index = SegmentIndex::new(segment.base().max(self.purge.min));
        let trusted = self.checkpointed.min(self.ends.flushed);
        loop {
            let end = scan_segment(segment, &mut index, before, trusted).map_err(&failed)?;
            let SegmentEnd::Bad { offset, reason } = &end else { return Ok((index, end)) };
            // Above what is proved to have been on disk, only a machine that has not lost power since proves anything.
            let bridge = if self.has_peers && (*offset < proved || self.is_same_boot) {
                self.bridge_at(segment, following, before, *offset, proved)?
            } else {
                None
            };
            let hole = match bridge {
                None => return Ok((index, end)),
                Some(Bridge::Healed(point)) => {
                    let at = offset - segment.base();
                    tracing::warn!(
                        path = %segment.path().display(), at, %point, %reason,
                        "the header of this entry was damaged: it is put right, and its checksum agrees"
                    );
                    continue;
                }
                Some(Bridge::Hole(hole)) => hole,
            };
            let last = LogPoint { log_index: hole.first.log_index + hole.count - 1, ..hole.first };
            tracing::error!(
                path = %segment.path().display(), at = offset - segment.base(), first_index = hole.first.log_index,
                last_index = last.log_index, %reason,
                "the log is damaged: these entries are fetched from another node, and nothing behind them is cut"
            );
            index.push_unread(hole.first, hole.count, *offset, hole.end);
            *before = Before { last: Some(last), is_purged: false };
            holes.push((*offset, reason.clone()));
        }
    }

    /// How the log goes on behind what is wrong at `offset`, if that is known.
    fn bridge_at(
        &self,
        segment: &Arc<Segment>,
        following: Option<u64>,
        before: &Before,
        offset: u64,
        proved: u64,
    ) -> Result<Option<Bridge>, OpenError> {
        let failed = io_at(segment.path());
        let next_segment = match following {
            Some(base) => first_of(&self.open_segment(base)?, before.last).map_err(&failed)?,
            None => None,
        };
        let is_torn_above = !self.is_same_boot;
        let around = Around { segment, offset, before, next_segment, proved, is_torn_above };
        around.bridge().map_err(&failed)
    }

    /// The index that was written when the segment was sealed; `None` if it has to be read instead. `seal_tail`'s sidecar is
    /// written by the flusher without a sync, once the segment itself is on disk, so a crash can tear it or leave none: its
    /// checksum tells. `truncate_at` removes it, synced, before an entry that it lists is zeroed, so one that is intact is
    /// not of entries that are gone; that it follows is checked all the same.
    fn read_sidecar(&self, segment: &Segment, before: &Before) -> io::Result<Option<SegmentIndex>> {
        let path = sidecar_path(&self.dir, segment.base());
        if !self.disk.exists(&path) {
            return Ok(None);
        }
        let file = self.disk.open(&path, platform::OpenMode::Read)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let Some(index) = decode_sidecar(&bytes, segment.base()) else {
            tracing::warn!(path = %path.display(), "damaged sidecar, reading the segment instead");
            return Ok(None);
        };
        let (Some(first), Some(last)) = (index.first(), index.last()) else { return Ok(None) };
        let follows = match before.last {
            // The purge point may lie in the middle of this segment.
            Some(purged) if before.is_purged => first.log_index <= purged.log_index + 1 && purged <= last,
            _ => before.check(first).is_ok(),
        };
        Ok(follows.then_some(index))
    }

    /// The bases of all segments that may hold entries, in order.
    fn list_segments(&self) -> Result<Vec<u64>, OpenError> {
        let mut bases = Vec::new();
        for path in self.disk.list(&self.dir).map_err(io_at(&self.dir))? {
            let Some(base) = segment_base(&path) else { continue };
            let file = self.disk.open(&path, platform::OpenMode::Read).map_err(io_at(&path))?;
            let found = file.len().map_err(io_at(&path))?;
            // No write of ours makes a file too long or at another place: the log is one of another segment size.
            if !base.is_multiple_of(self.segment_bytes) || found > self.segment_bytes + TRAILER_BYTES {
                return Err(OpenError::SegmentBytes { path, found, configured: self.segment_bytes });
            }
            // Shorter: the power went off in `Segment::create`, which syncs the whole length before the first entry goes
            // in. Purged: `finish_purge` was about to remove it, after the record that says so was on disk.
            if found >= self.segment_bytes && base + self.segment_bytes > self.purge.min {
                bases.push(base);
            }
        }
        // No crash takes the oldest segment: nothing is removed before `purge`, synced, says that it is given up.
        if let Some(first) = bases.first()
            && *first > self.purge.min
        {
            let missing = self.purge.min - self.purge.min % self.segment_bytes;
            return Err(OpenError::Missing { path: Segment::path_in(&self.dir, missing), following: *first });
        }
        Ok(bases)
    }
}

/// The base of a segment, by its file name; `None` if it is not a segment.
pub(super) fn segment_base(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let is_base = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    is_base.then(|| name.parse().ok()).flatten()
}
