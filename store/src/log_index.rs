//! From log index to place, for the entries of one segment.
//!
//! The segment being written has an exact table. A sealed one keeps an anchor every 64 KiB, from which headers
//! are walked: an exact table of small entries would cost 8 MiB a segment. What a sealed segment keeps also goes
//! to a sidecar file, so that a restart need not read the segment.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::LogPoint;
use crate::codec::{self, Record};
use crate::commitlog::layout::{ENTRY_HEAD_BYTES, EntryHead};
use crate::segment::Segment;

/// At least this far apart, in bytes, two anchors of a sealed segment lie.
const ANCHOR_BYTES: u64 = 64 << 10;

/// A segment of 2 GiB has 32,768 anchors, and hardly more than a few terms.
const SIDECAR_BYTES_MAX: usize = 16 << 20;

/// Where the entries of one segment lie.
#[derive(Clone)]
pub(crate) struct SegmentIndex {
    /// Index of the first entry. Only means something if `count > 0`.
    first_index: u64,
    count: u64,
    /// The first entry of each term, oldest first.
    terms: Vec<LogPoint>,
    /// Commitlog offset behind the last entry; where the first goes if there is none.
    end: u64,
    spots: Spots,
}

#[derive(Clone)]
enum Spots {
    /// Commitlog offset of every entry.
    Exact(Vec<u64>),
    Anchors(Arc<[Anchor]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Anchor {
    log_index: u64,
    offset: u64,
}

/// A place at or before the wanted entry, from which headers are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) log_index: u64,
    pub(crate) offset: u64,
}

impl SegmentIndex {
    /// An empty one; the first entry goes to `end`.
    pub(crate) fn new(end: u64) -> Self {
        Self { first_index: 0, count: 0, terms: Vec::new(), end, spots: Spots::Exact(Vec::new()) }
    }

    /// Takes in the entry that follows.
    ///
    /// # Panics
    /// If it leaves a gap, or the segment is sealed.
    pub(crate) fn push(&mut self, head: &EntryHead) {
        let Spots::Exact(offsets) = &mut self.spots else { panic!("a sealed segment takes no entry") };
        match self.terms.last() {
            None => self.first_index = head.log_index,
            Some(last) => {
                let expected = self.first_index + self.count;
                assert!(head.log_index == expected, "entry {} follows {}", head.log_index, expected - 1);
                assert!(head.term >= last.term, "term {} follows {}", head.term, last.term);
            }
        }
        assert!(
            head.offset.0 >= self.end,
            "entry at {} overlaps the one that ends at {}",
            head.offset,
            self.end
        );
        offsets.push(head.offset.0);
        if self.terms.last().is_none_or(|last| last.term < head.term) {
            self.terms.push(head.point());
        }
        self.count += 1;
        self.end = head.end().0;
    }

    /// Its first entry.
    pub(crate) fn first(&self) -> Option<LogPoint> {
        self.terms.first().copied()
    }

    /// Its last entry.
    pub(crate) fn last(&self) -> Option<LogPoint> {
        let term = self.terms.last()?.term;
        Some(LogPoint { term, log_index: self.first_index + self.count - 1 })
    }

    /// Commitlog offset behind the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Takes in the `count` entries that follow, all of `term`, which lie between `offset` and `end` and cannot be
    /// read: where each of them begins is not known before they are written anew ([`SegmentIndex::place`]). Until
    /// then all of them stand for the whole of it.
    pub(crate) fn push_unread(&mut self, first: LogPoint, count: u64, offset: u64, end: u64) {
        assert!(offset >= self.end && offset < end, "{offset}..{end} overlaps what ends at {}", self.end);
        let Spots::Exact(offsets) = &mut self.spots else { panic!("a sealed segment takes no entry") };
        if self.count == 0 {
            self.first_index = first.log_index;
        }
        assert!(first.log_index == self.first_index + self.count, "{first} leaves a gap");
        offsets.resize(offsets.len() + count as usize, offset);
        if self.terms.last().is_none_or(|last| last.term < first.term) {
            self.terms.push(first);
        }
        self.count += count;
        self.end = end;
    }

    /// Takes in where an entry lies that could not be read before.
    pub(crate) fn place(&mut self, log_index: u64, offset: u64) {
        if let Spots::Exact(offsets) = &mut self.spots
            && let Some(place) = offsets.get_mut(log_index.wrapping_sub(self.first_index) as usize)
        {
            *place = offset;
        }
    }

    /// Where an entry of this segment begins and ends, as far as that is known without reading.
    pub(crate) fn known_place(&self, log_index: u64) -> (Option<u64>, Option<u64>) {
        let behind = Start { log_index: self.first_index + self.count, offset: self.end };
        match &self.spots {
            Spots::Exact(offsets) => {
                let at = (log_index - self.first_index) as usize;
                let (start, next) = (offsets[at], offsets.get(at + 1).copied().unwrap_or(behind.offset));
                let is_first = at == 0 || offsets[at - 1] < start;
                (is_first.then_some(start), (start < next).then_some(next))
            }
            Spots::Anchors(anchors) => {
                let after = anchors.partition_point(|anchor| anchor.log_index <= log_index);
                let start = anchors[after - 1];
                let next = anchors
                    .get(after)
                    .map_or((behind.log_index, behind.offset), |next| (next.log_index, next.offset));
                let start = (start.log_index == log_index).then_some(start.offset);
                (start, (next.0 == log_index + 1).then_some(next.1))
            }
        }
    }

    /// The first entry of each term.
    pub(crate) fn terms(&self) -> &[LogPoint] {
        &self.terms
    }

    pub(crate) fn contains(&self, log_index: u64) -> bool {
        self.count > 0 && (self.first_index..self.first_index + self.count).contains(&log_index)
    }

    /// The term of an entry of this segment.
    pub(crate) fn term_of(&self, log_index: u64) -> u64 {
        let after = self.terms.partition_point(|start| start.log_index <= log_index);
        self.terms[after - 1].term
    }

    /// Where to begin walking to reach the entry `log_index` of this segment.
    pub(crate) fn start_of(&self, log_index: u64) -> Start {
        match &self.spots {
            Spots::Exact(offsets) => {
                Start { log_index, offset: offsets[(log_index - self.first_index) as usize] }
            }
            Spots::Anchors(anchors) => {
                let after = anchors.partition_point(|anchor| anchor.log_index <= log_index);
                let anchor = anchors[after - 1];
                Start { log_index: anchor.log_index, offset: anchor.offset }
            }
        }
    }

    /// Where to begin walking to reach the entry whose bytes `offset` lies in; `None` before the first entry.
    pub(crate) fn start_at(&self, offset: u64) -> Option<Start> {
        match &self.spots {
            Spots::Exact(offsets) => {
                let at = offsets.partition_point(|start| *start <= offset).checked_sub(1)?;
                let at = offsets.partition_point(|start| *start < offsets[at]);
                Some(Start { log_index: self.first_index + at as u64, offset: offsets[at] })
            }
            Spots::Anchors(anchors) => {
                let at = anchors.partition_point(|anchor| anchor.offset <= offset).checked_sub(1)?;
                Some(Start { log_index: anchors[at].log_index, offset: anchors[at].offset })
            }
        }
    }

    /// The least stretch around `offset` whose ends are known without reading: its first entry, and the one behind its
    /// last. `None` outside the entries.
    pub(crate) fn stretch_at(&self, offset: u64) -> Option<(Start, Start)> {
        let start = self.start_at(offset).filter(|_| self.count > 0 && offset < self.end)?;
        let behind = Start { log_index: self.first_index + self.count, offset: self.end };
        let next = match &self.spots {
            Spots::Exact(offsets) => {
                let next = offsets.partition_point(|start| *start <= offset);
                let log_index = self.first_index + next as u64;
                offsets.get(next).map(|offset| Start { log_index, offset: *offset })
            }
            Spots::Anchors(anchors) => {
                let after = anchors.partition_point(|anchor| anchor.offset <= offset);
                anchors.get(after).map(|anchor| Start { log_index: anchor.log_index, offset: anchor.offset })
            }
        };
        Some((start, next.unwrap_or(behind)))
    }

    /// Whether it has a place for every entry.
    pub(crate) fn is_exact(&self) -> bool {
        matches!(self.spots, Spots::Exact(_))
    }

    /// Forgets the exact table, for no entry follows in this segment.
    pub(crate) fn seal(&mut self) {
        let Spots::Exact(offsets) = &self.spots else { return };
        let mut anchors: Vec<Anchor> = Vec::new();
        for (place, offset) in offsets.iter().enumerate() {
            if anchors.last().is_none_or(|last| offset - last.offset >= ANCHOR_BYTES) {
                anchors.push(Anchor { log_index: self.first_index + place as u64, offset: *offset });
            }
        }
        self.spots = Spots::Anchors(anchors.into());
    }

    /// The same with an exact table, for entries may follow again.
    pub(crate) fn exact(&self, segment: &Segment) -> io::Result<Self> {
        if matches!(self.spots, Spots::Exact(_)) {
            return Ok(self.clone());
        }
        let Some(first) = self.first() else { return Ok(Self::new(self.end)) };
        let start = self.start_of(first.log_index);
        let mut index = Self::new(start.offset);
        while index.end < self.end {
            index.push(&read_head(segment, index.end)?);
        }
        Ok(index)
    }

    /// Keeps the entries up to `last_kept` of an exact table; `end` is where the next one goes if none is left.
    /// Returns where the dropped ones began, oldest first.
    pub(crate) fn truncate(&mut self, last_kept: Option<u64>, end: u64) -> Vec<u64> {
        let Spots::Exact(offsets) = &mut self.spots else { panic!("a sealed segment is made exact first") };
        let kept = match last_kept {
            Some(last) if self.count > 0 && last >= self.first_index => {
                (last + 1 - self.first_index).min(self.count)
            }
            _ => 0,
        };
        let dropped = offsets.split_off(kept as usize);
        if let Some(first) = dropped.first() {
            self.end = if kept == 0 { end } else { *first };
        }
        self.count = kept;
        let first_index = self.first_index;
        self.terms.retain(|start| start.log_index < first_index + kept);
        dropped
    }
}

/// Reads the header at `offset`, which an index says is there.
pub(crate) fn read_head(segment: &Segment, offset: u64) -> io::Result<EntryHead> {
    let mut bytes = [0; ENTRY_HEAD_BYTES];
    segment.read(offset, &mut bytes)?;
    let damaged = |error: &dyn std::fmt::Display| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("no entry header at commitlog offset {offset}: {error}"),
        )
    };
    let head = EntryHead::parse(&bytes).map_err(|error| damaged(&error))?;
    if head.offset.0 == offset {
        Ok(head)
    } else {
        Err(damaged(&format_args!("the header says {}", head.offset)))
    }
}

/// What a sealed segment holds, on disk beside it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sidecar {
    base: u64,
    first_index: u64,
    count: u64,
    end: u64,
    terms: Vec<LogPoint>,
    anchors: Vec<Anchor>,
}

impl Record for Sidecar {
    const KIND: u16 = 0x0104;
    const NAME: &'static str = "segment-index";
    const BYTES_MAX: usize = SIDECAR_BYTES_MAX;
}

/// The sidecar of the segment at `base`.
pub(crate) fn sidecar_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.index"))
}

/// The bytes of a sealed segment's sidecar. It is to be written only when the segment itself is on disk: an
/// intact sidecar proves that it is. `None` if it would be too large: such a segment is read at each start.
pub(crate) fn encode_sidecar(base: u64, index: &SegmentIndex) -> Option<Vec<u8>> {
    let Spots::Anchors(anchors) = &index.spots else { panic!("only a sealed segment has a sidecar") };
    let sidecar = Sidecar {
        base,
        first_index: index.first_index,
        count: index.count,
        end: index.end,
        terms: index.terms.clone(),
        anchors: anchors.to_vec(),
    };
    codec::encode(&sidecar).ok()
}

/// Reads a sidecar; `None` if it is not an intact one of the segment at `base` that holds entries.
pub(crate) fn decode_sidecar(bytes: &[u8], base: u64) -> Option<SegmentIndex> {
    let sidecar: Sidecar = codec::decode(bytes).ok()?;
    let is_ours = sidecar.base == base;
    let is_full = sidecar.count > 0 && !sidecar.terms.is_empty() && !sidecar.anchors.is_empty();
    (is_ours && is_full).then_some(SegmentIndex {
        first_index: sidecar.first_index,
        count: sidecar.count,
        terms: sidecar.terms,
        end: sidecar.end,
        spots: Spots::Anchors(sidecar.anchors.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CommitlogOffset, EntryKind};

    fn head(log_index: u64, term: u64, offset: u64, entry_bytes: u32) -> EntryHead {
        EntryHead {
            kind: EntryKind::Command,
            flags: 0,
            log_index,
            term,
            offset: CommitlogOffset(offset),
            unit_count: 0,
            payload_bytes: entry_bytes - 48,
            entry_bytes,
        }
    }

    fn filled(entries: u64) -> SegmentIndex {
        let mut index = SegmentIndex::new(4096);
        for n in 0..entries {
            index.push(&head(10 + n, 1 + n / 100, 4096 + n * 1000, 1000));
        }
        index
    }

    #[test]
    fn a_sealed_index_finds_an_anchor_before_each_entry_and_survives_its_sidecar() {
        let exact = filled(300);
        let mut sealed = exact.clone();
        sealed.seal();
        let read = decode_sidecar(&encode_sidecar(4096, &sealed).unwrap(), 4096).unwrap();
        for index in [&sealed, &read] {
            assert_eq!(
                (index.first(), index.last(), index.end()),
                (exact.first(), exact.last(), exact.end())
            );
            for n in 10..310 {
                let (start, place) = (index.start_of(n), exact.start_of(n));
                assert!(start.offset <= place.offset && place.offset - start.offset < ANCHOR_BYTES);
                assert_eq!(index.term_of(n), 1 + (n - 10) / 100);
            }
        }
        assert!(decode_sidecar(&encode_sidecar(4096, &sealed).unwrap(), 0).is_none());
    }

    /// Entries whose headers cannot be read, between others that can.
    #[test]
    fn unread_entries_stand_for_their_whole_stretch_until_they_are_placed() {
        let mut index = SegmentIndex::new(4096);
        index.push(&head(10, 1, 4096, 1000));
        index.push_unread(LogPoint { term: 1, log_index: 11 }, 3, 5096, 8096);
        index.push(&head(14, 1, 8096, 1000));
        assert_eq!(index.known_place(10), (Some(4096), Some(5096)));
        assert_eq!((index.known_place(11), index.known_place(12)), ((Some(5096), None), (None, None)));
        assert_eq!(
            (index.known_place(13), index.known_place(14)),
            ((None, Some(8096)), (Some(8096), Some(9096)))
        );
        let stretch = index.stretch_at(7000).unwrap();
        assert_eq!((stretch.0.log_index, stretch.1.log_index), (11, 14));
        assert_eq!((stretch.0.offset, stretch.1.offset), (5096, 8096));
        for (n, offset) in [(11, 5096), (12, 6096), (13, 7096)] {
            index.place(n, offset);
        }
        assert_eq!(index.known_place(12), (Some(6096), Some(7096)));
        assert_eq!(index.stretch_at(7000).unwrap().0.log_index, 12);
        index.seal();
        assert_eq!((index.known_place(10), index.known_place(14)), ((Some(4096), None), (None, Some(9096))));
    }

    #[test]
    fn the_bytes_of_a_sidecar_stay_what_they_are() {
        let sidecar = Sidecar {
            base: 4096,
            first_index: 10,
            count: 300,
            end: 304_096,
            terms: vec![LogPoint { term: 1, log_index: 10 }, LogPoint { term: 2, log_index: 110 }],
            anchors: vec![Anchor { log_index: 10, offset: 4096 }],
        };
        crate::testing::golden(&[sidecar], &[]);
    }

    #[test]
    fn a_truncated_index_is_as_if_the_entries_had_never_come() {
        for kept in 0..300_u64 {
            let mut index = filled(300);
            let dropped = index.truncate(kept.checked_sub(1).map(|last| 10 + last), 4096);
            let expected = filled(kept);
            assert_eq!(dropped.len() as u64, 300 - kept);
            assert_eq!(
                (index.last(), index.end(), index.terms()),
                (expected.last(), expected.end(), expected.terms())
            );
        }
    }
}
