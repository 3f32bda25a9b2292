//! Mending: intact entries, wherever they are left, for a node that misses them; and what other nodes have, written over
//! what is damaged here.
//!
//! An entry tells by itself whether it is intact, which one it is and where it belongs, so of a damaged stretch each
//! node gives what it has, and the first intact copy of each entry is taken.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::damage::Stretch;
use super::entry::verify_crc;
use super::layout::{ALIGN_BYTES, ENTRY_HEAD_BYTES, EntryHead};
use super::shared::Shared;
use super::{LogReader, ReadError};
use crate::segment::Segment;
use crate::sync;

/// Entries given to another node at once; the rest is asked for again.
const GIVE_BYTES_MAX: usize = 8 << 20;

/// Why a stretch was not mended.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The stretch is purged, or the log was cut.
    #[error("the log has no stretch {}..{} any more", stretch.start, stretch.end)]
    Gone {
        /// Which.
        stretch: Stretch,
    },
    /// The disk refused, or does not give back what was written.
    #[error("{}..{} cannot be written: {source}", stretch.start, stretch.end)]
    Io {
        /// Which.
        stretch: Stretch,
        /// What the system said.
        source: io::Error,
    },
}

impl Shared {
    /// The entries of a stretch that are intact on this disk, in order. Behind what cannot be read, every place is looked
    /// at where an entry may begin.
    pub(super) fn intact_entries(&self, segment: &Segment, stretch: &Stretch) -> Vec<(EntryHead, Bytes)> {
        let mut bytes = vec![0; (stretch.end.0 - stretch.start.0) as usize];
        let unit = ALIGN_BYTES as usize;
        if segment.read(stretch.start.0, &mut bytes).is_err() {
            // Somewhere in it the disk gives nothing: what it gives is taken piece by piece, and the rest is zeros.
            for (at, piece) in bytes.chunks_mut(PIECE_BYTES).enumerate() {
                let offset = stretch.start.0 + (at * PIECE_BYTES) as u64;
                if segment.read(offset, piece).is_err() {
                    piece.fill(0);
                }
            }
        }
        let bytes = Bytes::from(bytes);
        let mut found = Vec::new();
        let (mut at, mut next_index) = (0, stretch.first_index);
        while at + ENTRY_HEAD_BYTES <= bytes.len() {
            let entry = self.intact_at(stretch, &bytes, at).filter(|head| head.log_index >= next_index);
            let Some(head) = entry else {
                at += unit;
                continue;
            };
            let end = at + head.entry_bytes as usize;
            found.push((head, bytes.slice(at..end)));
            (at, next_index) = (end, head.log_index + 1);
        }
        found
    }

    /// The entry of `stretch` that begins `at` bytes from its begin, if an intact one does.
    fn intact_at(&self, stretch: &Stretch, bytes: &Bytes, at: usize) -> Option<EntryHead> {
        let head = EntryHead::parse(bytes.get(at..)?.first_chunk()?).ok()?;
        let entry = bytes.get(at..at + head.entry_bytes as usize)?;
        let is_ours = head.offset == stretch.start.plus(at as u64) && self.belongs(stretch, &head);
        (is_ours && verify_crc(entry).is_ok()).then_some(head)
    }

    /// Whether an entry is one of `stretch`, in the term that this log has for it.
    fn belongs(&self, stretch: &Stretch, head: &EntryHead) -> bool {
        (stretch.first_index..stretch.next_index).contains(&head.log_index)
            && stretch.start <= head.offset
            && head.end() <= stretch.end
            && self.term_of(head.log_index) == Some(head.term)
    }
}

/// What the disk gives is asked for in pieces of this size if it does not give all.
const PIECE_BYTES: usize = 512;

impl LogReader {
    /// The entries from `first_index` up to but without `next_index` that are intact on this disk, as they are stored:
    /// for a node whose own are damaged. Not necessarily all of them, and damage that is met is taken in.
    pub fn intact(&self, first_index: u64, next_index: u64) -> Vec<Bytes> {
        let (mut given, mut bytes) = (Vec::new(), 0);
        let mut next = first_index;
        while next < next_index && bytes <= GIVE_BYTES_MAX {
            let Some((segment, stretch)) = self.stretch_of(next) else { break };
            let entries = self.shared.intact_entries(&segment, &stretch);
            if (entries.len() as u64) < stretch.next_index - stretch.first_index {
                self.shared.note_damage(stretch.start.0, "entries are missing in it");
            }
            for (head, entry) in entries {
                if (next..next_index).contains(&head.log_index) {
                    bytes += entry.len();
                    given.push(entry);
                }
            }
            next = stretch.next_index;
        }
        given
    }

    /// The stretch with an entry.
    fn stretch_of(&self, log_index: u64) -> Option<(Arc<Segment>, Stretch)> {
        let start = {
            let state = sync::read(&self.shared.state);
            let at = state.part_of(log_index).filter(|_| state.has(log_index))?;
            state.segments[at].index.start_of(log_index).offset
        };
        self.shared.stretch_at(start)
    }

    /// The entries of a stretch that are not intact here: ranges of log indexes, the second exclusive.
    pub fn missing(&self, stretch: &Stretch) -> Vec<(u64, u64)> {
        let Some((segment, _)) = self.shared.stretch_at(stretch.start.0) else { return Vec::new() };
        let mut missing = Vec::new();
        let mut next = stretch.first_index;
        for (head, _) in self.shared.intact_entries(&segment, stretch) {
            if next < head.log_index {
                missing.push((next, head.log_index));
            }
            next = head.log_index + 1;
        }
        if next < stretch.next_index {
            missing.push((next, stretch.next_index));
        }
        missing
    }

    /// Writes `entries`, which other nodes have, over what is damaged in a stretch; those that do not belong there, or
    /// are not intact themselves, are passed over. On disk on return, and read back. Returns which entries are still
    /// missing; if none is, the stretch is no longer damaged.
    ///
    /// # Errors
    /// As [`RepairError`] says; the damage stays known. After a sync that failed the log has stopped.
    pub fn repair(&self, stretch: &Stretch, entries: &[Bytes]) -> Result<Vec<(u64, u64)>, RepairError> {
        let stretch = *stretch;
        let missing = self.missing(&stretch);
        let fit = self.fit(&stretch, entries, &missing);
        let io = |source| RepairError::Io { stretch, source };
        let segment = self.write_over(&stretch, &fit).map_err(io)?;
        let Some(segment) = segment else {
            sync::lock(&self.shared.damage).remove(&stretch);
            return Err(RepairError::Gone { stretch });
        };
        let mut missing = missing;
        if !fit.is_empty() {
            // The pages of whatever else is not synced yet went with it.
            segment.sync().inspect_err(|error| self.shared.fail(&error.to_string())).map_err(io)?;
            missing = self.missing(&stretch);
            if let Some(log_index) = fit.keys().find(|log_index| is_in(&missing, **log_index)) {
                let text = format!("entry {log_index} does not come back as it was written");
                return Err(io(io::Error::other(text)));
            }
        }
        if missing.is_empty() {
            self.mended(&segment, &stretch, !fit.is_empty()).map_err(|error| io(io::Error::other(error)))?;
        }
        Ok(missing)
    }

    /// Those of `entries` that are intact, and missing here.
    fn fit<'a>(
        &self,
        stretch: &Stretch,
        entries: &'a [Bytes],
        missing: &[(u64, u64)],
    ) -> BTreeMap<u64, (EntryHead, &'a Bytes)> {
        let fit = |entry: &'a Bytes| {
            let head = EntryHead::parse(entry.first_chunk()?).ok()?;
            let is_whole = entry.len() == head.entry_bytes as usize && verify_crc(entry).is_ok();
            let is_wanted = is_whole && self.shared.belongs(stretch, &head) && is_in(missing, head.log_index);
            is_wanted.then_some((head.log_index, (head, entry)))
        };
        entries.iter().filter_map(fit).collect()
    }

    /// Writes entries where they belong, unless the log has no such stretch any more: `None`. What is not committed may
    /// be truncated by the log's owner and written anew, who waits meanwhile.
    fn write_over(
        &self,
        stretch: &Stretch,
        fit: &BTreeMap<u64, (EntryHead, &Bytes)>,
    ) -> io::Result<Option<Arc<Segment>>> {
        let state = sync::read(&self.shared.state);
        let own = state.stretch_at(stretch.start.0).filter(|(_, own)| own == stretch);
        let Some((segment, _)) = own else { return Ok(None) };
        for (head, entry) in fit.values() {
            segment.write(head.offset.0, &[IoSlice::new(entry)])?;
        }
        Ok(Some(segment))
    }

    /// The stretch is whole again.
    fn mended(&self, segment: &Segment, stretch: &Stretch, was_written: bool) -> Result<(), ReadError> {
        self.shared.read_stretch(segment, stretch)?;
        let entries = self.shared.intact_entries(segment, stretch);
        {
            let mut state = sync::write(&self.shared.state);
            let is_there = state.stretch_at(stretch.start.0).is_some_and(|(_, own)| own == *stretch);
            let part = state.segments.iter_mut().find(|part| part.segment.base() == segment.base());
            if let Some(part) = part.filter(|_| is_there) {
                for (head, _) in &entries {
                    part.index.place(head.log_index, head.offset.0);
                }
            }
        }
        sync::lock(&self.shared.damage).remove(stretch);
        self.shared.damage_news.fetch_add(1, Ordering::AcqRel);
        if was_written {
            self.shared.repaired.fetch_add(1, Ordering::Relaxed);
            tracing::info!(
                from = %stretch.start, to = %stretch.end, first_index = stretch.first_index,
                "the damaged stretch was written anew with the bytes of another node"
            );
        }
        Ok(())
    }
}

fn is_in(ranges: &[(u64, u64)], log_index: u64) -> bool {
    ranges.iter().any(|(from, to)| (*from..*to).contains(&log_index))
}
