//! Damage that shows while the log is open: told, served around, and written over with the bytes of another node.
//!
//! A stretch is what is looked at and told of at once: one entry of the segment being written, or what lies between two
//! anchors of a sealed one. Its ends and indexes come from the index, so a header that is damaged itself does not
//! matter. What is fetched and rewritten is entries ([`super::mend`]): of the same index and term they are the same
//! bytes on every node that has them, committed or not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::entry::verify_crc;
use super::layout::{ENTRY_HEAD_BYTES, EntryError, EntryHead};
use super::shared::{Shared, State};
use super::{LogReader, ReadError};
use crate::segment::Segment;
use crate::{CommitlogOffset, sync};

/// A stretch of the log, within one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stretch {
    /// Where its first entry begins.
    pub start: CommitlogOffset,
    /// Behind its last entry.
    pub end: CommitlogOffset,
    /// Index of its first entry.
    pub first_index: u64,
    /// Index of the entry behind its last one.
    pub next_index: u64,
}

/// A damaged stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which.
    pub stretch: Stretch,
    /// How it showed first.
    pub reason: String,
    /// No member of the group has what is missing: it is refused until one of them has it again.
    pub is_everywhere: bool,
}

/// What is known of a damaged stretch.
#[derive(Clone, Debug)]
pub(super) struct Known {
    reason: String,
    is_everywhere: bool,
}

/// Why bytes are not a stretch of this log.
#[derive(Debug, thiserror::Error)]
pub enum StretchError {
    /// Too few or too many bytes.
    #[error("{found} bytes instead of {expected}")]
    Bytes {
        /// How many there are.
        found: u64,
        /// How many there should be.
        expected: u64,
    },
    /// A damaged entry.
    #[error("entry {log_index} at commitlog offset {offset}: {source}")]
    Entry {
        /// The entry that should be there.
        log_index: u64,
        /// Where.
        offset: CommitlogOffset,
        /// What is wrong with it.
        source: EntryError,
    },
    /// An intact entry of another place, index or term.
    #[error(
        "entry {found_index} of term {found_term} for {found_offset}, not entry {log_index} of term {term} at {offset}"
    )]
    Other {
        /// What is there.
        found_index: u64,
        /// Its term.
        found_term: u64,
        /// Its place.
        found_offset: CommitlogOffset,
        /// What should be there.
        log_index: u64,
        /// Its term.
        term: u64,
        /// Its place.
        offset: CommitlogOffset,
    },
}

impl Shared {
    /// Takes in that something at `offset` cannot be read, or is not what was written: unless it is as it should be now,
    /// for whoever read it may have met a truncation, or have looked in the wrong place.
    pub(super) fn note_damage(&self, offset: u64, reason: &str) {
        let Some((segment, stretch)) = self.stretch_at(offset) else { return };
        if sync::lock(&self.damage).contains_key(&stretch) || self.read_stretch(&segment, &stretch).is_ok() {
            return;
        }
        let known = Known { reason: reason.to_owned(), is_everywhere: false };
        if self.has_stretch(&stretch) && sync::lock(&self.damage).insert(stretch, known).is_none() {
            tracing::error!(
                from = %stretch.start, to = %stretch.end, first_index = stretch.first_index, reason,
                "the log is damaged: what is missing in this stretch is fetched from another node"
            );
            self.damage_news.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether the log still has this stretch.
    pub(super) fn has_stretch(&self, stretch: &Stretch) -> bool {
        self.stretch_at(stretch.start.0).is_some_and(|(_, own)| own == *stretch)
    }

    /// The stretch that `offset` lies in.
    pub(super) fn stretch_at(&self, offset: u64) -> Option<(Arc<Segment>, Stretch)> {
        sync::read(&self.state).stretch_at(offset)
    }

    pub(super) fn term_of(&self, log_index: u64) -> Option<u64> {
        let state = sync::read(&self.state);
        let part = state.segments.get(state.part_of(log_index)?)?;
        Some(part.index.term_of(log_index))
    }

    /// Whether `bytes` are the entries of `stretch`, each intact.
    pub(super) fn verify_stretch(&self, stretch: &Stretch, bytes: &[u8]) -> Result<(), StretchError> {
        let (found, expected) = (bytes.len() as u64, stretch.end.0 - stretch.start.0);
        if found != expected {
            return Err(StretchError::Bytes { found, expected });
        }
        let mut at = 0;
        for log_index in stretch.first_index..stretch.next_index {
            let offset = stretch.start.plus(at as u64);
            let wrong = |source| StretchError::Entry { log_index, offset, source };
            let rest = bytes.get(at..).unwrap_or_default();
            let too_short = |needed: u64| wrong(EntryError::Bytes { found: rest.len() as u64, needed });
            let head = rest.first_chunk().ok_or_else(|| too_short(ENTRY_HEAD_BYTES as u64))?;
            let head = EntryHead::parse(head).map_err(wrong)?;
            let entry_bytes = head.entry_bytes as usize;
            let entry = rest.get(..entry_bytes).ok_or_else(|| too_short(entry_bytes as u64))?;
            verify_crc(entry).map_err(wrong)?;
            let term = self.term_of(log_index).unwrap_or(head.term);
            if (head.log_index, head.term, head.offset) != (log_index, term, offset) {
                let (found_index, found_term, found_offset) = (head.log_index, head.term, head.offset);
                return Err(StretchError::Other {
                    found_index,
                    found_term,
                    found_offset,
                    log_index,
                    term,
                    offset,
                });
            }
            at += entry_bytes;
        }
        if at == bytes.len() { Ok(()) } else { Err(StretchError::Bytes { found, expected: at as u64 }) }
    }

    /// The stretch as it is on this disk.
    pub(super) fn read_stretch(&self, segment: &Segment, stretch: &Stretch) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; (stretch.end.0 - stretch.start.0) as usize];
        let read = segment.read(stretch.start.0, &mut bytes);
        read.map_err(|source| ReadError::Io { path: segment.path().to_path_buf(), source })?;
        self.verify_stretch(stretch, &bytes)
            .map_err(|source| ReadError::Stretch { source: Box::new(source) })?;
        Ok(bytes)
    }
}

impl State {
    /// The stretch that `offset` lies in.
    pub(super) fn stretch_at(&self, offset: u64) -> Option<(Arc<Segment>, Stretch)> {
        if offset < self.min || offset >= self.appended {
            return None;
        }
        let after = self.segments.partition_point(|part| part.segment.base() <= offset);
        let part = self.segments.get(after.checked_sub(1)?)?;
        let (start, end) = part.index.stretch_at(offset)?;
        let stretch = Stretch {
            start: CommitlogOffset(start.offset),
            end: CommitlogOffset(end.offset),
            first_index: start.log_index,
            next_index: end.log_index,
        };
        Some((Arc::clone(&part.segment), stretch))
    }
}

impl LogReader {
    /// What is known to be damaged, oldest first.
    pub fn damage(&self) -> Vec<Damage> {
        let known: Vec<_> = sync::lock(&self.shared.damage)
            .iter()
            .map(|(stretch, known)| (*stretch, known.clone()))
            .collect();
        let (there, gone): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|(stretch, _)| self.shared.has_stretch(stretch));
        let mut damage = sync::lock(&self.shared.damage);
        for (stretch, _) in gone {
            damage.remove(&stretch); // purged, truncated, or cut at other anchors
        }
        let damage = |(stretch, Known { reason, is_everywhere })| Damage { stretch, reason, is_everywhere };
        there.into_iter().map(damage).collect()
    }

    /// The first entry from `log_index` on that lies in a damaged stretch.
    pub fn first_damaged(&self, log_index: u64) -> Option<u64> {
        let damaged: Vec<_> = sync::lock(&self.shared.damage).keys().copied().collect();
        let mut behind = damaged.iter().filter(|stretch| log_index < stretch.next_index);
        let first = behind.find(|stretch| self.shared.has_stretch(stretch))?;
        Some(first.first_index.max(log_index))
    }

    /// Where an entry lies, or the stretch with it, if it is damaged on every node.
    pub(crate) fn lost_at(&self, log_index: u64) -> Option<CommitlogOffset> {
        let damage = sync::lock(&self.shared.damage);
        let found = damage.iter().find(|(stretch, known)| {
            known.is_everywhere && (stretch.first_index..stretch.next_index).contains(&log_index)
        });
        found.map(|(stretch, _)| stretch.start)
    }

    /// Whether an entry lies in a stretch that is damaged on every node.
    pub fn is_lost(&self, log_index: u64) -> bool {
        self.lost_at(log_index).is_some()
    }

    /// Counts what was found damaged, and what was mended: whoever waits for either looks again when it has changed.
    pub fn damage_news(&self) -> u64 {
        self.shared.damage_news.load(Ordering::Acquire)
    }

    /// Takes in whether no member of the group has what is missing in a damaged stretch.
    pub fn note_everywhere(&self, stretch: &Stretch, is_everywhere: bool) {
        if let Some(known) = sync::lock(&self.shared.damage).get_mut(stretch)
            && known.is_everywhere != is_everywhere
        {
            known.is_everywhere = is_everywhere;
            self.shared.damage_news.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Takes in that what lies at `offset` cannot be read, or is not what was written. Nothing if it is purged, or
    /// intact after all.
    pub fn note_damage(&self, offset: CommitlogOffset, reason: &str) {
        self.shared.note_damage(offset.0, reason);
    }

    /// Reads what is committed and on disk from `from` on, until it was about `bytes_max` bytes, and takes in what is
    /// damaged. Returns where to go on; `None` at the end.
    pub fn scrub(&self, from: CommitlogOffset, bytes_max: u64) -> Option<CommitlogOffset> {
        let ends = self.ends();
        let end = ends.committed.min(ends.flushed).0;
        let mut at = from.0.max(self.ends().min.0);
        let until = at.saturating_add(bytes_max);
        while at < until {
            if at >= end {
                return None;
            }
            let Some((segment, stretch)) = self.shared.stretch_at(at) else {
                // Behind the last entry of its segment.
                at = at - at % self.shared.segment_bytes + self.shared.segment_bytes;
                continue;
            };
            if let Err(error) = self.shared.read_stretch(&segment, &stretch) {
                self.shared.note_damage(stretch.start.0, &error.to_string());
            }
            at = stretch.end.0;
        }
        Some(CommitlogOffset(at))
    }

    /// Tests the checksums of all entries around `from..to`, which must be committed, and takes in what is damaged.
    ///
    /// # Errors
    /// The first damage.
    pub fn verify(&self, from: CommitlogOffset, to: CommitlogOffset) -> Result<(), ReadError> {
        let mut at = from.0;
        while at < to.0 {
            let Some((_, stretch)) = self.shared.stretch_at(at) else { return Ok(()) };
            self.stretch(&stretch)?;
            at = stretch.end.0;
        }
        Ok(())
    }

    /// Below it entries may have come from the disk: they are older than this run of the log, or in a segment that is
    /// no longer written. Above it they are as they were appended, unless somebody changed them in memory.
    pub fn old_end(&self) -> CommitlogOffset {
        self.sealed_end().max(CommitlogOffset(self.shared.opened_at))
    }

    /// How many stretches were mended since the log was opened.
    pub fn repaired(&self) -> u64 {
        self.shared.repaired.load(Ordering::Relaxed)
    }

    /// Where the segment being written begins: what lies below is sealed.
    pub fn sealed_end(&self) -> CommitlogOffset {
        CommitlogOffset(sync::read(&self.shared.state).tail().segment.base())
    }

    /// The bytes of a stretch, each entry intact.
    ///
    /// # Errors
    /// If it is not: that is taken in too.
    pub(crate) fn stretch(&self, stretch: &Stretch) -> Result<Bytes, ReadError> {
        let bytes = stretch.end.0.checked_sub(stretch.start.0).and_then(|bytes| u32::try_from(bytes).ok());
        let (offset, end) = (stretch.start, stretch.end);
        let slice = self.slice(offset, bytes.ok_or(ReadError::AcrossSegments { offset, end })?)?;
        self.shared.verify_stretch(stretch, &slice).map_err(|source| {
            self.shared.note_damage(offset.0, &source.to_string());
            ReadError::Stretch { source: Box::new(source) }
        })?;
        Ok(slice)
    }
}
