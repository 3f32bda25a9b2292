//! Appending: entries get their place, are sealed or verified, and go to the disk with one write a segment.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::entry::verify_crc;
use super::flush::Job;
use super::layout::{
    ALIGN_BYTES, CHECKED_AT, CRC_AT, ENTRY_HEAD_BYTES, FILLER_HEAD_BYTES, FILLER_MAGIC, FLAG_EFFECTS,
    entry_bytes_for, place,
};
use super::shared::Part;
use super::{AppendError, CommitLog, Done, Draft, EntryHead, EntryKind, FlushMode, Pending, StoredEntry};
use crate::log_index::{SegmentIndex, encode_sidecar};
use crate::segment::Segment;
use crate::{CommitlogOffset, LogPoint, sync};

const PAD: [u8; ALIGN_BYTES as usize] = [0; ALIGN_BYTES as usize];

/// With less left than this, and with less than half a segment, the next segment must be there.
const ROOM_AHEAD_BYTES: u64 = 128 << 20;

/// Entries that have a place, and are not written yet.
struct Batch {
    heads: Vec<EntryHead>,
    images: Vec<Image>,
    /// Segments that the log rolls into, in order.
    rolled: Vec<Arc<Segment>>,
    /// Where the log ends behind the last of them.
    end: u64,
    last: Option<LogPoint>,
}

/// The bytes of one entry.
enum Image {
    Sealed(Bytes),
    Draft { head: [u8; ENTRY_HEAD_BYTES], parts: Vec<BytesMut>, pad: usize },
}

impl Image {
    fn push_to<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>) {
        match self {
            Self::Sealed(bytes) => slices.push(IoSlice::new(bytes)),
            Self::Draft { head, parts, pad } => {
                slices.push(IoSlice::new(head));
                slices.extend(parts.iter().map(|part| IoSlice::new(part)));
                if *pad > 0 {
                    slices.push(IoSlice::new(&PAD[..*pad]));
                }
            }
        }
    }
}

impl CommitLog {
    pub(super) fn append_all(
        &mut self,
        entries: Vec<Pending>,
        done: Done,
    ) -> Result<Vec<EntryHead>, AppendError> {
        let began = self.clock.monotonic();
        match self.try_append(entries) {
            Ok((heads, mut job)) => {
                let told_now = match self.options.flush {
                    FlushMode::Sync => {
                        (job.done, job.began) = (Some(done), Some(began));
                        None
                    }
                    FlushMode::Async { .. } => {
                        self.shared.appended_in(self.clock.monotonic().saturating_sub(began));
                        Some(done)
                    }
                };
                self.flusher.submit(job);
                if let Some(done) = told_now {
                    done(self.shared.check());
                }
                Ok(heads)
            }
            Err(error) => {
                let mut job = Job::barrier(self.appended(), done);
                job.needs_sync = false;
                job.failed = Some(io::Error::other(error.to_string()));
                self.flusher.submit(job);
                Err(error)
            }
        }
    }

    fn try_append(&mut self, entries: Vec<Pending>) -> Result<(Vec<EntryHead>, Job), AppendError> {
        if let Some(reason) = self.shared.failure() {
            return Err(AppendError::Stopped { reason: reason.to_owned() });
        }
        let numbers =
            |entry: &Pending| matches!(entry, Pending::Draft(draft) if draft.kind == EntryKind::Units);
        if entries.iter().any(numbers) {
            self.recount().map_err(|log_index| AppendError::Uncounted { log_index })?;
        }
        let mut batch = self.begin_batch();
        let new_from = batch.last.map_or(0, |last| last.log_index + 1);
        for entry in entries {
            if let Err(error) = self.place_entry(&mut batch, entry) {
                self.sealer.undo_from(new_from);
                if let Some(unused) = batch.rolled.into_iter().next() {
                    self.helper.give_back(unused);
                }
                return Err(error);
            }
        }
        self.write_batch(&batch).map_err(|error| {
            self.shared.fail(&error.to_string());
            AppendError::Stopped { reason: error.to_string() }
        })?;
        Ok(self.publish(batch))
    }

    fn begin_batch(&self) -> Batch {
        let state = sync::read(&self.shared.state);
        Batch {
            heads: Vec::new(),
            images: Vec::new(),
            rolled: Vec::new(),
            end: state.appended,
            last: state.last,
        }
    }

    /// Finds the entry's place and makes its bytes. Whatever fails here has not touched the disk's entries.
    fn place_entry(&mut self, batch: &mut Batch, entry: Pending) -> Result<(), AppendError> {
        let entry_bytes = entry.entry_bytes();
        let limit = self.options.segment_bytes.min(u64::from(u32::MAX));
        if entry_bytes > limit {
            return Err(AppendError::TooLarge { bytes: entry_bytes, limit });
        }
        let offset = place(batch.end, entry_bytes, self.options.segment_bytes);
        let (head, image) = match entry {
            Pending::Draft(draft) => {
                self.assert_follows(batch.last, LogPoint { term: draft.term, log_index: draft.log_index });
                self.seal(draft, offset, entry_bytes)?
            }
            Pending::Sealed(stored) => {
                self.verify(&stored, batch.last, offset)?;
                (stored.head, Image::Sealed(stored.bytes))
            }
        };
        let tail_limit = match batch.rolled.last() {
            Some(segment) => segment.limit(),
            None => sync::read(&self.shared.state).tail().segment.limit(),
        };
        if offset >= tail_limit {
            let base = offset - offset % self.options.segment_bytes;
            let segment = self.helper.take(base).map_err(|source| AppendError::Segment {
                path: Segment::path_in(&self.shared.dir, base),
                source,
            })?;
            batch.rolled.push(segment);
        }
        batch.end = head.end().0;
        batch.last = Some(head.point());
        batch.heads.push(head);
        batch.images.push(image);
        Ok(())
    }

    fn seal(
        &mut self,
        draft: Draft,
        offset: u64,
        entry_bytes: u64,
    ) -> Result<(EntryHead, Image), AppendError> {
        let Draft { log_index, term, kind, unit_count, payload: mut parts, effects } = draft;
        assert!(effects.is_empty() || kind == EntryKind::Units, "effects in an entry of kind {kind:?}");
        if kind == EntryKind::Units {
            let at = offset + ENTRY_HEAD_BYTES as u64;
            let now_ms = self.clock.wall_ms();
            self.sealer
                .seal(log_index, &mut parts, at, unit_count, now_ms)
                .map_err(|source| AppendError::Units { log_index, source })?;
        }
        let mut flags = 0;
        if !effects.is_empty() {
            flags = FLAG_EFFECTS;
            parts.push(effects.into_bytes());
        }
        let payload_bytes: usize = parts.iter().map(BytesMut::len).sum();
        let head = EntryHead {
            kind,
            flags,
            log_index,
            term,
            offset: CommitlogOffset(offset),
            unit_count,
            payload_bytes: payload_bytes as u32,
            entry_bytes: entry_bytes as u32,
        };
        let pad = entry_bytes as usize - ENTRY_HEAD_BYTES - payload_bytes;
        let mut bytes = head.to_bytes();
        let mut crc = crc32c::crc32c(&bytes[CHECKED_AT..]);
        for part in &parts {
            crc = crc32c::crc32c_append(crc, part);
        }
        crc = crc32c::crc32c_append(crc, &PAD[..pad]);
        bytes[CRC_AT..CHECKED_AT].copy_from_slice(&crc.to_be_bytes());
        Ok((head, Image::Draft { head: bytes, parts, pad }))
    }

    fn verify(
        &mut self,
        stored: &StoredEntry,
        last: Option<LogPoint>,
        offset: u64,
    ) -> Result<(), AppendError> {
        let StoredEntry { head, bytes } = stored;
        let log_index = head.log_index;
        assert!(
            bytes.len() == head.entry_bytes as usize,
            "a stored entry of {} bytes has {}",
            head.entry_bytes,
            bytes.len()
        );
        verify_crc(bytes).map_err(|source| AppendError::Entry { log_index, source })?;
        if let Some(last) = last
            && (head.term < last.term || !self.may_follow(last, log_index))
        {
            return Err(AppendError::Order { found: head.point(), last });
        }
        if head.offset.0 != offset {
            let expected = CommitlogOffset(offset);
            return Err(AppendError::Place { log_index, found: head.offset, expected });
        }
        // Over a hole the leader's numbers are taken as they are.
        if head.kind == EntryKind::Units && self.recount.is_none() {
            let wrong = |source| AppendError::Entry { log_index, source };
            stored.effects().map_err(wrong)?;
            let units = stored.units().map_err(wrong)?;
            self.sealer
                .observe(log_index, &units, offset + ENTRY_HEAD_BYTES as u64, head.unit_count)
                .map_err(|source| AppendError::Units { log_index, source })?;
        }
        Ok(())
    }

    /// Right behind `last`, or anywhere behind it if `last` is purged: an empty log goes on at any index.
    fn may_follow(&self, last: LogPoint, log_index: u64) -> bool {
        let purged = sync::read(&self.shared.state).purged;
        log_index == last.log_index + 1 || (purged == Some(last) && log_index > last.log_index)
    }

    fn assert_follows(&self, last: Option<LogPoint>, next: LogPoint) {
        if let Some(last) = last {
            assert!(
                self.may_follow(last, next.log_index),
                "draft {next} cannot follow {last}: a gap or a repeat"
            );
            assert!(next.term >= last.term, "draft {next} cannot follow {last}: its term is lower");
        }
    }

    /// Writes the entries of each segment, and the filler that ends it, with one call.
    fn write_batch(&self, batch: &Batch) -> io::Result<()> {
        let (mut segment, mut end) = {
            let state = sync::read(&self.shared.state);
            (Arc::clone(&state.tail().segment), state.appended)
        };
        let mut rolled = batch.rolled.iter();
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(4 * batch.images.len());
        let mut fillers = Vec::new(); // made first, for the slices borrow them
        for next in &batch.rolled {
            let before = batch.heads.iter().rev().map(EntryHead::end).find(|end| end.0 <= next.base());
            fillers.push(filler(before.map_or(end, |end| end.0), next.base()));
        }
        let mut fillers = fillers.iter();
        let mut start = end;
        for (head, image) in batch.heads.iter().zip(&batch.images) {
            if head.offset.0 >= segment.limit() {
                let filler = fillers.next().expect("one a roll");
                slices.extend(filler.as_ref().map(|filler| IoSlice::new(filler)));
                write(&segment, start, &slices)?;
                slices.clear();
                segment = Arc::clone(rolled.next().expect("a segment was taken for every roll"));
                start = head.offset.0;
            }
            assert!(head.offset.0 >= end, "entry at {} overlaps the one that ends at {end}", head.offset);
            image.push_to(&mut slices);
            end = head.end().0;
        }
        write(&segment, start, &slices)
    }

    /// Reserves room ahead: the next segment is made while what is left of this one still takes all that may be on the
    /// way, so that a full disk is known before an append needs it.
    pub(super) fn prepare_next(&self, tail: &Segment, end: u64) {
        let bytes = self.options.segment_bytes;
        if tail.limit() - end < (bytes / 2).max(ROOM_AHEAD_BYTES.min(bytes)) || bytes <= ROOM_AHEAD_BYTES {
            self.helper.prepare(tail.limit());
        }
    }

    /// Makes written entries readable.
    fn publish(&mut self, batch: Batch) -> (Vec<EntryHead>, Job) {
        let Batch { heads, rolled, end, last, .. } = batch;
        let mut rolled = rolled.into_iter();
        let mut sidecars = Vec::new();
        let mut written = Vec::with_capacity(1 + rolled.len());
        let before;
        {
            let mut state = sync::write(&self.shared.state);
            before = state.appended;
            written.push(Arc::clone(&state.tail().segment));
            for head in &heads {
                if head.offset.0 >= state.tail().segment.limit() {
                    let segment = rolled.next().expect("a segment was taken for every roll");
                    written.push(Arc::clone(&segment));
                    sidecars.extend(seal_tail(state.segments.back_mut().expect("a log has a segment")));
                    let index = SegmentIndex::new(segment.base());
                    tracing::info!(base = segment.base(), "new segment");
                    state.segments.push_back(Part { segment, index });
                }
                state.segments.back_mut().expect("a log has a segment").index.push(head);
            }
            state.appended = end;
            state.last = last;
        }
        let tail = Arc::clone(written.last().expect("it has the old tail at least"));
        self.helper.written(&tail, before, end);
        self.prepare_next(&tail, end);
        let needs_sync = self.options.flush == FlushMode::Sync;
        (heads, Job { written, began: None, end, needs_sync, done: None, failed: None, sidecars })
    }
}

/// Base and sidecar of a segment that takes no more entries; `None` if it has none.
pub(super) fn seal_tail(part: &mut Part) -> Option<(u64, Vec<u8>)> {
    part.index.first()?;
    part.index.seal();
    Some((part.segment.base(), encode_sidecar(part.segment.base(), &part.index)?))
}

impl Pending {
    fn entry_bytes(&self) -> u64 {
        match self {
            Self::Draft(draft) => {
                let units: u64 = draft.payload.iter().map(|part| part.len() as u64).sum();
                entry_bytes_for(units + draft.effects.bytes())
            }
            Self::Sealed(stored) => u64::from(stored.head.entry_bytes),
        }
    }
}

/// What ends a segment that no further entry fits in; `None` if it is full to the last byte.
fn filler(end: u64, next_base: u64) -> Option<[u8; FILLER_HEAD_BYTES]> {
    let left = next_base - end;
    if left == 0 {
        return None;
    }
    let mut filler = [0; FILLER_HEAD_BYTES];
    filler[..4].copy_from_slice(&FILLER_MAGIC.to_be_bytes());
    filler[4..].copy_from_slice(&(left as u32).to_be_bytes());
    Some(filler)
}

fn write(segment: &Segment, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
    if slices.is_empty() {
        return Ok(());
    }
    segment.write(offset, slices).map_err(|error| {
        io::Error::new(error.kind(), format!("write of {} at {offset}: {error}", segment.path().display()))
    })
}
