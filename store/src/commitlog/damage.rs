//! Damage that shows while the log is open: told, served around, and written over with the bytes of another node.
//!
//! A stretch is what is fetched and rewritten at once: one entry of the segment being written, or what lies between
//! two anchors of a sealed one. Its ends and indexes come from the index, so a header that is damaged itself does not
//! matter. Only committed stretches count: their bytes are the same on every node, and never change again.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::entry::verify_crc;
use super::layout::{ENTRY_HEAD_BYTES, EntryError, EntryHead};
use super::shared::Shared;
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
}

/// Why a stretch was not mended.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The stretch is purged, or the log was cut.
    #[error("the log has no stretch {}..{} any more", stretch.start, stretch.end)]
    Gone {
        /// Which.
        stretch: Stretch,
    },
    /// What was fetched is not what belongs there.
    #[error("what was fetched for {}..{} does not belong there: {source}", stretch.start, stretch.end)]
    Unfit {
        /// Which.
        stretch: Stretch,
        /// How it shows.
        source: StretchError,
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
    /// Takes in that something at `offset` cannot be read, or is not what was written.
    pub(super) fn note_damage(&self, offset: u64, reason: &str) {
        let Some((_, stretch)) = self.stretch_at(offset) else { return };
        let mut damage = sync::lock(&self.damage);
        if damage.insert(stretch, reason.to_owned()).is_none() {
            tracing::error!(
                from = %stretch.start, to = %stretch.end, first_index = stretch.first_index, reason,
                "the log is damaged: this stretch is fetched from another node"
            );
        }
    }

    /// The committed stretch that `offset` lies in.
    fn stretch_at(&self, offset: u64) -> Option<(Arc<Segment>, Stretch)> {
        let state = sync::read(&self.state);
        if offset < state.min || offset >= state.committed_end {
            return None;
        }
        let after = state.segments.partition_point(|part| part.segment.base() <= offset);
        let part = state.segments.get(after.checked_sub(1)?)?;
        let (start, end) = part.index.stretch_at(offset)?;
        let stretch = Stretch {
            start: CommitlogOffset(start.offset),
            end: CommitlogOffset(end.offset),
            first_index: start.log_index,
            next_index: end.log_index,
        };
        (end.offset <= state.committed_end).then(|| (Arc::clone(&part.segment), stretch))
    }

    fn term_of(&self, log_index: u64) -> Option<u64> {
        let state = sync::read(&self.state);
        let part = state.segments.get(state.part_of(log_index)?)?;
        Some(part.index.term_of(log_index))
    }

    /// Whether `bytes` are the entries of `stretch`, each intact.
    fn verify_stretch(&self, stretch: &Stretch, bytes: &[u8]) -> Result<(), StretchError> {
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
    fn read_stretch(&self, segment: &Segment, stretch: &Stretch) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; (stretch.end.0 - stretch.start.0) as usize];
        let read = segment.read(stretch.start.0, &mut bytes);
        read.map_err(|source| ReadError::Io { path: segment.path().to_path_buf(), source })?;
        self.verify_stretch(stretch, &bytes)
            .map_err(|source| ReadError::Stretch { source: Box::new(source) })?;
        Ok(bytes)
    }
}

impl LogReader {
    /// What is known to be damaged, oldest first.
    pub fn damage(&self) -> Vec<Damage> {
        let min = self.ends().min;
        let mut damage = sync::lock(&self.shared.damage);
        damage.retain(|stretch, _| stretch.end > min);
        damage.iter().map(|(stretch, reason)| Damage { stretch: *stretch, reason: reason.clone() }).collect()
    }

    /// Takes in that what lies at `offset` cannot be read, or is not what was written. Nothing if it is purged or not
    /// committed.
    pub fn note_damage(&self, offset: CommitlogOffset, reason: &str) {
        self.shared.note_damage(offset.0, reason);
    }

    /// Reads what lies in sealed segments from `from` on, until it was about `bytes_max` bytes, and takes in what is
    /// damaged. Returns where to go on; `None` at the end.
    pub fn scrub(&self, from: CommitlogOffset, bytes_max: u64) -> Option<CommitlogOffset> {
        let sealed_end = self.sealed_end().0;
        let mut at = from.0.max(self.ends().min.0);
        let until = at.saturating_add(bytes_max);
        while at < until {
            if at >= sealed_end {
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

    /// How many stretches were mended since the log was opened.
    pub fn repaired(&self) -> u64 {
        self.shared.repaired.load(Ordering::Relaxed)
    }

    /// Where the segment being written begins: what lies below is sealed.
    pub fn sealed_end(&self) -> CommitlogOffset {
        CommitlogOffset(sync::read(&self.shared.state).tail().segment.base())
    }

    /// The bytes of a stretch, for a node whose own are damaged; each entry is intact.
    ///
    /// # Errors
    /// If this node does not have it, or not intact either: that is taken in too.
    pub fn stretch(&self, stretch: &Stretch) -> Result<Bytes, ReadError> {
        let bytes = stretch.end.0.checked_sub(stretch.start.0).and_then(|bytes| u32::try_from(bytes).ok());
        let (offset, end) = (stretch.start, stretch.end);
        let slice = self.slice(offset, bytes.ok_or(ReadError::AcrossSegments { offset, end })?)?;
        self.shared.verify_stretch(stretch, &slice).map_err(|source| {
            if let StretchError::Entry { offset, .. } | StretchError::Other { offset, .. } = &source {
                self.shared.note_damage(offset.0, &source.to_string());
            }
            ReadError::Stretch { source: Box::new(source) }
        })?;
        Ok(slice)
    }

    /// Writes `bytes`, which another node has for it, over a damaged stretch. On disk on return, and read back.
    ///
    /// # Errors
    /// As [`RepairError`] says; the damage stays known.
    pub fn repair(&self, stretch: &Stretch, bytes: &[u8]) -> Result<(), RepairError> {
        let stretch = *stretch;
        let gone = RepairError::Gone { stretch };
        let Some((segment, _)) = self.shared.stretch_at(stretch.start.0).filter(|(_, own)| *own == stretch)
        else {
            sync::lock(&self.shared.damage).remove(&stretch);
            return Err(gone);
        };
        let verified = self.shared.verify_stretch(&stretch, bytes);
        verified.map_err(|source| RepairError::Unfit { stretch, source })?;
        let io = |source| RepairError::Io { stretch, source };
        segment.write(stretch.start.0, &[IoSlice::new(bytes)]).map_err(io)?;
        segment.sync().map_err(io)?;
        self.shared.read_stretch(&segment, &stretch).map_err(|error| io(io::Error::other(error)))?;
        sync::lock(&self.shared.damage).remove(&stretch);
        self.shared.repaired.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            from = %stretch.start, to = %stretch.end, first_index = stretch.first_index,
            "the damaged stretch was written anew with the bytes of another node"
        );
        Ok(())
    }
}
