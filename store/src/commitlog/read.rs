//! Reading the log beside its owner, without copying where the disk has real files.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use platform::Counts;

use super::entry::verify_crc;
use super::layout::EntryHead;
use super::shared::{Part, Shared};
use super::{Digest, EntryPlace, LogEnds, ReadError, Run, SegmentInfo, StoredEntry};
use crate::log_index::{Start, read_head};
use crate::segment::Segment;
use crate::{CommitlogOffset, LogPoint, sync};

/// Digests read the log in pieces of this size.
const DIGEST_BYTES: u64 = 8 << 20;

/// Reads the log beside its owner. Cloning is cheap.
#[derive(Clone)]
pub struct LogReader {
    pub(super) shared: Arc<Shared>,
}

/// A place in a segment from which headers are walked.
pub(super) struct Walk {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    at: Start,
    /// Where the entries of this segment end.
    end: u64,
    /// Where the log ends.
    appended: u64,
}

impl Walk {
    fn new(shared: &Arc<Shared>, part: &Part, at: Start, appended: u64) -> Self {
        let segment = Arc::clone(&part.segment);
        Self { shared: Arc::clone(shared), segment, at, end: part.index.end(), appended }
    }

    /// The next header; `None` behind the last entry of the segment.
    pub(super) fn next(&mut self) -> Result<Option<EntryHead>, ReadError> {
        if self.at.offset >= self.end {
            return Ok(None);
        }
        let head = read_head(&self.segment, self.at.offset)
            .map_err(|source| self.io_error(self.at.offset, source))?;
        if head.log_index != self.at.log_index || head.end().0 > self.end {
            // It was truncated just now, or has rotted.
            self.shared.note_damage(self.at.offset, "the header there is not the one that was written");
            return Err(ReadError::Changed { log_index: self.at.log_index });
        }
        self.at = Start { log_index: head.log_index + 1, offset: head.end().0 };
        Ok(Some(head))
    }

    /// Walks up to the entry `log_index`. A damaged header on the way is passed by if that entry itself is intact.
    fn skip_to(&mut self, log_index: u64) -> Result<(), ReadError> {
        while self.at.log_index < log_index {
            match self.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    let found = self.intact_from(|head| head.log_index == log_index);
                    self.at = Start { log_index, offset: found.ok_or(error)?.offset.0 };
                }
            }
        }
        Ok(())
    }

    /// The first intact entry at or behind this place, and in the same stretch, that is looked for.
    fn intact_from(&self, is_wanted: impl Fn(&EntryHead) -> bool) -> Option<EntryHead> {
        let (segment, stretch) = self.shared.stretch_at(self.at.offset)?;
        let entries = self.shared.intact_entries(&segment, &stretch);
        entries.into_iter().map(|(head, _)| head).find(is_wanted)
    }

    fn io_error(&self, offset: u64, source: io::Error) -> ReadError {
        self.shared.note_damage(offset, &source.to_string());
        ReadError::Io { path: self.segment.path().to_path_buf(), source }
    }
}

impl LogReader {
    /// How far the log has come.
    pub fn ends(&self) -> LogEnds {
        let state = sync::read(&self.shared.state);
        LogEnds {
            min: CommitlogOffset(state.min),
            flushed: CommitlogOffset(self.shared.flushed().min(state.appended)),
            committed: CommitlogOffset(state.committed_end),
            appended: CommitlogOffset(state.appended),
        }
    }

    /// How long the syncs of this log took, in microseconds, since it was opened.
    pub fn sync_times(&self) -> Counts {
        self.shared.sync_times.counts()
    }

    /// How long appends took from their write until they counted as flushed, in microseconds, since it was opened.
    pub fn append_times(&self) -> Counts {
        self.shared.append_times.counts()
    }

    /// Everything up to here was purged.
    pub fn purged(&self) -> Option<LogPoint> {
        sync::read(&self.shared.state).purged
    }

    /// Everything up to here was purged, and stays so whatever happens to the machine.
    pub fn purged_on_disk(&self) -> Option<LogPoint> {
        *sync::lock(&self.shared.purged_on_disk)
    }

    /// The last entry, or the last purged one if none is left.
    pub fn last(&self) -> Option<LogPoint> {
        sync::read(&self.shared.state).last
    }

    /// The index of the first entry that can be read; `None` if there is none.
    pub fn first_index(&self) -> Option<u64> {
        sync::read(&self.shared.state).first_index()
    }

    /// The last committed entry, as this node knows.
    pub fn committed(&self) -> Option<LogPoint> {
        sync::read(&self.shared.state).committed
    }

    /// The size of a segment.
    pub fn segment_bytes(&self) -> u64 {
        self.shared.segment_bytes
    }

    /// How many more bytes of entries the log takes, if the next segment cannot be made: the disk is full, or there are
    /// too many open files. `None` while it can.
    pub fn room_left(&self) -> Option<u64> {
        if !self.shared.is_out_of_room.load(Ordering::Acquire) {
            return None;
        }
        let state = sync::read(&self.shared.state);
        Some(state.tail().segment.limit() - state.appended)
    }

    /// All segments that hold entries, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let state = sync::read(&self.shared.state);
        let sealed = state.segments.len() - 1;
        let info = |(at, part): (usize, &Part)| {
            Some(SegmentInfo {
                base: CommitlogOffset(part.segment.base()),
                first: part.index.first()?,
                last: part.index.last()?,
                end: CommitlogOffset(part.index.end()),
                is_sealed: at < sealed,
            })
        };
        state.segments.iter().enumerate().filter_map(info).collect()
    }

    /// The first retained entry of each term, oldest first.
    pub fn term_starts(&self) -> Vec<LogPoint> {
        let state = sync::read(&self.shared.state);
        let Some(first_index) = state.first_index() else { return Vec::new() };
        let mut starts: Vec<LogPoint> = Vec::new();
        for start in state.segments.iter().flat_map(|part| part.index.terms()) {
            match starts.last_mut() {
                // The term began before the first entry that is left, or in an earlier segment.
                Some(last) if start.log_index <= first_index => {
                    *last = LogPoint { log_index: first_index, ..*start }
                }
                Some(last) if last.term == start.term => {}
                _ => starts.push(LogPoint { log_index: start.log_index.max(first_index), ..*start }),
            }
        }
        starts
    }

    /// Term and index of an entry, the last purged one included.
    pub fn point(&self, log_index: u64) -> Option<LogPoint> {
        sync::read(&self.shared.state).point(log_index)
    }

    /// Where an entry lies; `None` if there is no such entry.
    ///
    /// # Errors
    /// If a segment cannot be read.
    pub fn position(&self, log_index: u64) -> Result<Option<EntryPlace>, ReadError> {
        {
            let state = sync::read(&self.shared.state);
            if let Some(at) = state.part_of(log_index).filter(|_| state.has(log_index))
                && let (Some(start), Some(end)) = state.segments[at].index.known_place(log_index)
            {
                let point = LogPoint { term: state.segments[at].index.term_of(log_index), log_index };
                let entry_bytes = (end - start) as u32;
                return Ok(Some(EntryPlace { point, offset: CommitlogOffset(start), entry_bytes }));
            }
        }
        let Some(mut walk) = self.walk_from(log_index)? else { return Ok(None) };
        let place = |head: EntryHead| EntryPlace {
            point: head.point(),
            offset: head.offset,
            entry_bytes: head.entry_bytes,
        };
        Ok(walk.next()?.map(place))
    }

    /// Where an entry begins; `None` if there is no such entry. Reads only what the index does not know.
    pub(super) fn begin_of(&self, log_index: u64) -> Result<Option<u64>, ReadError> {
        {
            let state = sync::read(&self.shared.state);
            if let Some(at) = state.part_of(log_index).filter(|_| state.has(log_index))
                && let (Some(begin), _) = state.segments[at].index.known_place(log_index)
            {
                return Ok(Some(begin));
            }
        }
        Ok(self.position(log_index)?.map(|place| place.offset.0))
    }

    /// The entries of `range` that exist, in order, without holes: until their bytes exceed `bytes_max`, but at
    /// least one. Not copied; neighbours of one segment are contiguous in memory. What is not committed yet can
    /// change under the reader when a new leader overrules it: who takes such bytes in must test their checksum.
    ///
    /// # Errors
    /// If the first is purged, or a segment cannot be read.
    pub fn entries(&self, range: Range<u64>, bytes_max: u64) -> Result<Vec<StoredEntry>, ReadError> {
        self.check_not_purged(range.start)?;
        let mut entries = Vec::new();
        let mut left = bytes_max;
        let mut next = range.start;
        while next < range.end && (entries.is_empty() || left > 0) {
            let Some((heads, bytes)) = self.neighbours(next..range.end, left, entries.is_empty())? else {
                break;
            };
            let start = heads[0].offset.0;
            entries.extend(heads.iter().map(|head| {
                let at = (head.offset.0 - start) as usize;
                StoredEntry { head: *head, bytes: bytes.slice(at..at + head.entry_bytes as usize) }
            }));
            left = left.saturating_sub(bytes.len() as u64);
            next += heads.len() as u64;
        }
        Ok(entries)
    }

    /// As [`LogReader::entries`], as one piece for the wire; ends with the segment, so ask again for the rest.
    /// `None` if the first entry of `range` does not exist.
    ///
    /// # Errors
    /// If the first is purged, or a segment cannot be read.
    pub fn run(&self, range: Range<u64>, bytes_max: u64) -> Result<Option<Run>, ReadError> {
        self.check_not_purged(range.start)?;
        let Some((heads, bytes)) = self.neighbours(range, bytes_max, true)? else { return Ok(None) };
        let last = heads[heads.len() - 1].point();
        Ok(Some(Run { bytes, last, entries: heads.len() as u32 }))
    }

    /// `bytes` bytes from `offset` on, not copied.
    ///
    /// # Errors
    /// If they are purged, not committed, not in one segment, or the segment cannot be read.
    pub fn slice(&self, offset: CommitlogOffset, bytes: u32) -> Result<Bytes, ReadError> {
        let end = offset.plus(u64::from(bytes));
        let (segment, appended) = {
            let state = sync::read(&self.shared.state);
            if offset.0 < state.min {
                return Err(ReadError::Purged { offset, min: CommitlogOffset(state.min) });
            }
            if end.0 > state.committed_end {
                return Err(ReadError::NotCommitted { end, committed: CommitlogOffset(state.committed_end) });
            }
            let after = state.segments.partition_point(|part| part.segment.base() <= offset.0);
            (Arc::clone(&state.segments[after - 1].segment), state.appended)
        };
        if end.0 > segment.limit() {
            return Err(ReadError::AcrossSegments { offset, end });
        }
        segment.note_read(offset.0, appended);
        segment.slice(offset.0, bytes as usize).map_err(|source| {
            self.shared.note_damage(offset.0, &source.to_string());
            ReadError::Io { path: segment.path().to_path_buf(), source }
        })
    }

    /// The committed entry whose bytes `offset` lies in; `None` if there is none.
    ///
    /// # Errors
    /// If it is purged, or the segment cannot be read.
    pub fn entry_at_offset(&self, offset: CommitlogOffset) -> Result<Option<StoredEntry>, ReadError> {
        let mut walk = {
            let state = sync::read(&self.shared.state);
            if offset.0 < state.min {
                return Err(ReadError::Purged { offset, min: CommitlogOffset(state.min) });
            }
            if offset.0 >= state.committed_end {
                return Ok(None);
            }
            let after = state.segments.partition_point(|part| part.segment.base() <= offset.0);
            let part = &state.segments[after - 1];
            let Some(start) = part.index.start_at(offset.0) else { return Ok(None) };
            Walk::new(&self.shared, part, start, state.appended)
        };
        loop {
            let head = match walk.next() {
                Ok(head) => head,
                Err(error) => {
                    let holds = |head: &EntryHead| head.offset <= offset && offset < head.end();
                    Some(walk.intact_from(holds).ok_or(error)?)
                }
            };
            let Some(head) = head else { break };
            if offset < head.end() {
                let bytes = self.slice(head.offset, head.entry_bytes)?;
                return Ok(Some(StoredEntry { head, bytes }));
            }
        }
        Ok(None) // between the last entry of a segment and its end
    }

    /// The index of the first entry that begins at or behind `offset`; `None` if there is none.
    ///
    /// # Errors
    /// If the segment cannot be read.
    pub fn index_from(&self, offset: CommitlogOffset) -> Result<Option<u64>, ReadError> {
        let Some(first) = self.first_index() else { return Ok(None) };
        let mut walk = {
            let state = sync::read(&self.shared.state);
            let Some(part) = state.segments.iter().find(|part| offset.0 < part.index.end()) else {
                return Ok(None);
            };
            let Some(part_first) = part.index.first() else { return Ok(None) };
            let Some(start) = part.index.start_at(offset.0) else {
                return Ok(Some(part_first.log_index.max(first)));
            };
            Walk::new(&self.shared, part, start, state.appended)
        };
        while walk.at.offset < offset.0 && walk.next()?.is_some() {}
        Ok(Some(walk.at.log_index.max(first)))
    }

    /// A fingerprint of the entries from `first_index` to `last_index`, both inclusive, all checksums tested.
    ///
    /// # Errors
    /// If one is missing or damaged.
    pub fn digest(&self, first_index: u64, last_index: u64) -> Result<Digest, ReadError> {
        let mut digest: Option<Digest> = None;
        let mut next = first_index;
        while next <= last_index {
            let found = self.neighbours(next..last_index + 1, DIGEST_BYTES, true)?;
            let (heads, bytes) = found.ok_or(ReadError::Missing { log_index: next })?;
            let start = heads[0].offset;
            for head in &heads {
                let at = (head.offset.0 - start.0) as usize;
                let entry = &bytes[at..at + head.entry_bytes as usize];
                let log_index = head.log_index;
                verify_crc(entry).map_err(|source| {
                    self.shared.note_damage(head.offset.0, &source.to_string());
                    ReadError::Damaged { log_index, source }
                })?;
            }
            let digest = digest.get_or_insert(Digest {
                first_index,
                last_index,
                first_offset: start,
                end_offset: start,
                crc32c: 0,
            });
            digest.crc32c = crc32c::crc32c_append(digest.crc32c, &bytes);
            digest.end_offset = heads[heads.len() - 1].end();
            next += heads.len() as u64;
        }
        digest.ok_or(ReadError::Missing { log_index: first_index })
    }

    /// Headers and bytes of the entries of `range` that lie in one segment, until they exceed `bytes_max`; with
    /// `at_least_one`, the first whatever its size. `None` if there are none.
    fn neighbours(
        &self,
        range: Range<u64>,
        bytes_max: u64,
        at_least_one: bool,
    ) -> Result<Option<(Vec<EntryHead>, Bytes)>, ReadError> {
        let Some(mut walk) = self.walk_from(range.start)? else { return Ok(None) };
        let start = walk.at.offset;
        let mut heads: Vec<EntryHead> = Vec::new();
        while walk.at.log_index < range.end {
            let head = match walk.next() {
                Err(_) if !heads.is_empty() => break, // those before it first
                head => head?,
            };
            let Some(head) = head else { break };
            let is_over = head.end().0 - start > bytes_max;
            if is_over && !(heads.is_empty() && at_least_one) {
                break;
            }
            heads.push(head);
            if is_over {
                break;
            }
        }
        let Some(last) = heads.last() else { return Ok(None) };
        let bytes = (last.end().0 - start) as usize;
        walk.segment.note_read(start, walk.appended);
        let bytes = walk.segment.slice(start, bytes).map_err(|source| walk.io_error(start, source))?;
        Ok(Some((heads, bytes)))
    }

    /// Stands right before the entry `log_index`; `None` if there is no such entry.
    pub(super) fn walk_from(&self, log_index: u64) -> Result<Option<Walk>, ReadError> {
        let mut walk = {
            let state = sync::read(&self.shared.state);
            if !state.has(log_index) {
                return Ok(None);
            }
            let Some(at) = state.part_of(log_index) else { return Ok(None) };
            let part = &state.segments[at];
            Walk::new(&self.shared, part, part.index.start_of(log_index), state.appended)
        };
        walk.skip_to(log_index)?;
        Ok(Some(walk))
    }

    fn check_not_purged(&self, log_index: u64) -> Result<(), ReadError> {
        match self.purged() {
            Some(purged) if log_index <= purged.log_index => {
                Err(ReadError::PurgedIndex { log_index, purged: purged.log_index })
            }
            _ => Ok(()),
        }
    }
}
