//! Holes in what was on disk, found when the log is opened: entries that cannot be read, with intact ones behind them.
//!
//! What is behind a hole was acknowledged as well, and other nodes may have a hole there: nothing is cut. The missing
//! entries keep their place, as a damaged stretch that is fetched from another node once there is one. For that it has
//! to be known how many they are and of which term, and neither is guessed: a hole of which that cannot be said is left
//! to the caller, who cuts the log there and raises the fence. Most of what can be wrong with a header follows from where
//! it lies, and is put right here if the checksum then agrees.
//!
//! No write of ours leaves a hole: `write_batch` of what was on disk is done, and a later one does not touch it. So each
//! check here asks what the disk has changed, not what a crash has cut short. The one exception is named where it is made:
//! above what is proved (`Around::is_torn_above`) a loss of power may have torn a `write_batch`, and what looks like a hole
//! there is left to `judge`.

use std::io::{self, IoSlice};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::entry::verify_crc;
use super::judge::LOOK_BEHIND_BYTES;
use super::layout::{
    ALIGN_BYTES, CRC_AT, ENTRY_BYTES_AT, ENTRY_HEAD_BYTES, ENTRY_MAGIC, EntryKind, FILLER_HEAD_BYTES,
    FILLER_MAGIC, FLAG_EFFECTS, FLAGS_AT, INDEX_AT, KIND_AT, LAYOUT_VERSION, MAGIC_AT, OFFSET_AT,
    PAYLOAD_BYTES_AT, TERM_AT, UNIT_COUNT_AT, VERSION_AT, entry_bytes_for, u32_at, u64_at,
};
use super::scan::{Before, head_at, intact_entry, may_come_after};
use crate::LogPoint;
use crate::segment::Segment;

/// Terms that are tried for an entry whose own cannot be read.
const TERMS_MAX: u64 = 64;
/// Bytes looked through at once.
const WINDOW_BYTES: u64 = 1 << 20;

/// Entries that cannot be read, and where the log goes on behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) first: LogPoint,
    pub(super) count: u64,
    pub(super) end: u64,
}

/// How the log goes on at a bad entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bridge {
    /// Behind a hole.
    Hole(Hole),
    /// With that entry: what was wrong with its header follows from its place, and its checksum agrees.
    Healed(LogPoint),
}

/// What is known around a hole.
pub(super) struct Around<'a> {
    pub(super) segment: &'a Arc<Segment>,
    /// Where the first bad entry begins.
    pub(super) offset: u64,
    pub(super) before: &'a Before,
    /// The first entry of the segment behind this one, if an intact one is there.
    pub(super) next_segment: Option<LogPoint>,
    /// Below it everything was on disk; the end of an entry.
    pub(super) proved: u64,
    /// What lies above that may have been torn, and does not prove anything.
    pub(super) is_torn_above: bool,
}

impl Around<'_> {
    /// How the log goes on, if it is known how many entries are missing and of which term.
    pub(super) fn bridge(&self) -> io::Result<Option<Bridge>> {
        if let Some(one) = self.one_with_a_header()? {
            return self.one(one.0, one.1, one.2);
        }
        let last_term = self.before.last.map_or(0, |last| last.term);
        let first_index = self.before.last.map(|last| last.log_index + 1);
        let Some((next, end)) = self.next_intact()? else {
            return match first_index {
                Some(first_index) if self.says_that_it_ends_at(self.proved)? => {
                    self.one(first_index, self.proved, last_term)
                }
                _ => Ok(None),
            };
        };
        // At the very beginning of a log nothing but the entry itself says that it is the only one.
        let is_one = self.says_that_it_ends_at(end)?;
        let first_index = first_index.or_else(|| next.log_index.checked_sub(1).filter(|_| is_one));
        let Some(first_index) = first_index else { return Ok(None) };
        match next.log_index.saturating_sub(first_index) {
            0 => Ok(None),
            1 => self.one(first_index, end, next.term),
            count if last_term == next.term => {
                let first = LogPoint { term: last_term, log_index: first_index };
                Ok(Some(Bridge::Hole(Hole { first, count, end })))
            }
            _ => Ok(None),
        }
    }

    /// The header says where the entry ends, and what is there confirms it: only the rest is damaged. Index, end, and the
    /// highest term it can have.
    fn one_with_a_header(&self) -> io::Result<Option<(u64, u64, u64)>> {
        let Ok(head) = head_at(self.segment, self.offset)? else { return Ok(None) };
        let (log_index, end) = (head.log_index, head.end().0);
        if self.before.check(head.point()).is_err() {
            return Ok(None);
        }
        let next = if end == self.segment.limit() || self.has_filler(end)? {
            self.next_segment // the segment ends with it
        } else {
            head_at(self.segment, end)?.ok().map(|next| next.point())
        };
        let follows = next.is_some_and(|next| next.log_index == log_index + 1 && next.term >= head.term);
        let is_last = end == self.proved;
        let term_max = next.filter(|_| follows).map_or(head.term, |next| next.term);
        Ok((follows || is_last).then_some((log_index, end, term_max)))
    }

    /// What is left of the header says that the entry ends there.
    fn says_that_it_ends_at(&self, end: u64) -> io::Result<bool> {
        if end <= self.offset || end > self.segment.limit() {
            return Ok(false);
        }
        let (raw, bytes) = (self.raw_head()?, end - self.offset);
        let stated = [
            u64::from(u32_at(&raw, ENTRY_BYTES_AT)),
            entry_bytes_for(u64::from(u32_at(&raw, PAYLOAD_BYTES_AT))),
        ];
        Ok(stated.contains(&bytes))
    }

    /// One entry lies at `self.offset..end`, of no later term than `term_max`.
    fn one(&self, log_index: u64, end: u64, term_max: u64) -> io::Result<Option<Bridge>> {
        let raw = self.raw_head()?;
        let own_term = u64_at(&raw, TERM_AT);
        let terms = self.before.last.map_or(0, |last| last.term)..=term_max;
        if let Some(point) = self.heal(log_index, end, own_term, &terms)? {
            return Ok(Some(Bridge::Healed(point)));
        }
        // Whoever cannot read a change of the members does not know who may vote.
        if may_be_membership(raw[KIND_AT]) {
            return Ok(None);
        }
        // The checksum does not say that it is the term that is wrong.
        let term = if terms.start() == terms.end() { term_max } else { own_term };
        let first = LogPoint { term, log_index };
        Ok(terms.contains(&term).then_some(Bridge::Hole(Hole { first, count: 1, end })))
    }

    /// Puts right what the place of an entry says of its header, and one more field if need be, as long as the checksum
    /// agrees; on disk on return. If this write is torn itself, the header lies in one or two sectors with the old fields or
    /// the right ones, and the next start comes here again.
    fn heal(
        &self,
        log_index: u64,
        end: u64,
        own_term: u64,
        terms: &RangeInclusive<u64>,
    ) -> io::Result<Option<LogPoint>> {
        let entry_bytes = end - self.offset;
        if entry_bytes < ENTRY_HEAD_BYTES as u64 {
            return Ok(None);
        }
        let mut entry = vec![0; entry_bytes as usize];
        self.segment.read(self.offset, &mut entry)?;
        entry[MAGIC_AT..ENTRY_BYTES_AT].copy_from_slice(&ENTRY_MAGIC.to_be_bytes());
        entry[ENTRY_BYTES_AT..CRC_AT].copy_from_slice(&(entry_bytes as u32).to_be_bytes());
        entry[VERSION_AT..INDEX_AT].copy_from_slice(&LAYOUT_VERSION.to_be_bytes());
        entry[INDEX_AT..TERM_AT].copy_from_slice(&log_index.to_be_bytes());
        entry[OFFSET_AT..UNIT_COUNT_AT].copy_from_slice(&self.offset.to_be_bytes());
        let kinds = (EntryKind::Blank as u8..=EntryKind::Group as u8).map(|kind| (KIND_AT, vec![kind]));
        let payloads =
            (0..ALIGN_BYTES).filter_map(|pad| entry_bytes.checked_sub(ENTRY_HEAD_BYTES as u64 + pad));
        let payloads = payloads.map(|bytes| (PAYLOAD_BYTES_AT, (bytes as u32).to_be_bytes().to_vec()));
        let some_terms = *terms.start()..=*terms.end().min(&(terms.start() + TERMS_MAX));
        let some_terms = some_terms.map(|term| (TERM_AT, term.to_be_bytes().to_vec()));
        let as_it_is =
            [(FLAGS_AT, vec![entry[FLAGS_AT]]), (FLAGS_AT, vec![0]), (FLAGS_AT, vec![FLAG_EFFECTS])];
        for (at, bytes) in as_it_is.into_iter().chain(kinds).chain(payloads).chain(some_terms) {
            let place = at..at + bytes.len();
            let before = entry[place.clone()].to_vec();
            entry[place.clone()].copy_from_slice(&bytes);
            let term = if at == TERM_AT { u64_at(&entry, TERM_AT) } else { own_term };
            if terms.contains(&term) && verify_crc(&entry).is_ok() {
                self.segment.write(self.offset, &[IoSlice::new(&entry[..ENTRY_HEAD_BYTES])])?;
                self.segment.sync()?;
                return Ok(Some(LogPoint { term, log_index }));
            }
            entry[place].copy_from_slice(&before);
        }
        Ok(None)
    }

    fn raw_head(&self) -> io::Result<[u8; ENTRY_HEAD_BYTES]> {
        let mut raw = [0; ENTRY_HEAD_BYTES];
        let bytes = (self.segment.limit() - self.offset).min(ENTRY_HEAD_BYTES as u64) as usize;
        self.segment.read(self.offset, &mut raw[..bytes])?;
        Ok(raw)
    }

    /// The first intact entry behind the hole, and where the hole ends.
    fn next_intact(&self) -> io::Result<Option<(LogPoint, u64)>> {
        let limit = self.segment.limit();
        let until = match (self.is_torn_above, self.offset < self.proved) {
            (true, _) => self.proved.min(limit),
            (false, true) => limit,
            (false, false) => limit.min(self.offset.saturating_add(LOOK_BEHIND_BYTES)),
        };
        let mut filler = None;
        let mut window = self.offset;
        while window < until {
            let bytes = self.segment.slice(window, WINDOW_BYTES.min(until - window) as usize)?;
            for (at, word) in bytes.chunks(ALIGN_BYTES as usize).enumerate() {
                let offset = window + at as u64 * ALIGN_BYTES;
                if word.starts_with(&ENTRY_MAGIC.to_be_bytes())
                    && let Some(head) = intact_entry(self.segment, offset)?
                    && may_come_after(self.before.last, head.point())
                    && offset > self.offset
                {
                    return Ok(Some((head.point(), offset)));
                }
                if filler.is_none()
                    && word.starts_with(&FILLER_MAGIC.to_be_bytes())
                    && self.has_filler(offset)?
                {
                    filler = Some(offset);
                }
            }
            window += bytes.len() as u64;
        }
        Ok(self.next_segment.zip(filler).filter(|(_, filler)| *filler > self.offset))
    }

    /// Whether the segment ends with a filler at `offset`.
    fn has_filler(&self, offset: u64) -> io::Result<bool> {
        let left = self.segment.limit() - offset;
        if left < FILLER_HEAD_BYTES as u64 {
            return Ok(false);
        }
        let mut filler = [0; FILLER_HEAD_BYTES];
        self.segment.read(offset, &mut filler)?;
        Ok(u32_at(&filler, 0) == FILLER_MAGIC && u64::from(u32_at(&filler, 4)) == left)
    }
}

/// Whether an entry of which the kind may be damaged may be a membership or another change of the group: one bit makes
/// these two of each other, and neither of them of messages or commands.
fn may_be_membership(kind: u8) -> bool {
    ![EntryKind::Blank as u8, EntryKind::Units as u8, EntryKind::Command as u8].contains(&kind)
}
