//! When messages of the log were stored: what retention and tools ask.
//!
//! What cannot be read, or does not pass its checksum, has no time: retention must not take it for old.

use std::ops::Range;

use protocol::message;

use super::layout::EntryHead;
use super::{EntryKind, LogReader, ReadError, SegmentInfo};
use crate::segment::Segment;
use crate::{CommitlogOffset, sync};

/// Headers are looked through in stretches of so many entries.
const STRETCH: u64 = 1024;

impl LogReader {
    /// When the last message of a sealed segment was stored; `None` if the segment holds no message. Found once,
    /// then remembered: the bytes do not change any more.
    ///
    /// # Errors
    /// If the segment cannot be read, or the message is damaged.
    pub fn last_stored_ms(&self, segment: &SegmentInfo) -> Result<Option<u64>, ReadError> {
        let base = segment.base.0;
        if let Some(known) = sync::lock(&self.shared.last_stored_ms).get(&base) {
            return Ok(*known);
        }
        let found = self.find_last_stored_ms(segment)?;
        if segment.is_sealed {
            let min = self.ends().min.0;
            let mut known = sync::lock(&self.shared.last_stored_ms);
            known.retain(|base, _| base + self.shared.segment_bytes > min);
            known.insert(base, found);
        }
        Ok(found)
    }

    /// When a segment's file was last written, by the clock of this node; `None` if that is unknown. Store times are of the
    /// clock of whoever led.
    pub fn modified_ms(&self, segment: &SegmentInfo) -> Option<u64> {
        self.shared.disk.modified_ms(&Segment::path_in(&self.shared.dir, segment.base.0))
    }

    fn find_last_stored_ms(&self, segment: &SegmentInfo) -> Result<Option<u64>, ReadError> {
        let first = segment.first.log_index.max(self.first_index().unwrap_or(0));
        let mut end = segment.last.log_index + 1;
        while first < end {
            let start = end.saturating_sub(STRETCH).max(first);
            let heads = self.heads(start..end)?;
            if let Some(head) = heads.iter().rev().find(|head| has_messages(head)) {
                return self.stored_ms(head, true);
            }
            end = start;
        }
        Ok(None)
    }

    /// When the first message among the first `entries_max` entries of the log was stored; `None` if there is none.
    ///
    /// # Errors
    /// If the log cannot be read, or the message is damaged.
    pub fn first_stored_ms(&self, entries_max: u64) -> Result<Option<u64>, ReadError> {
        let (Some(first), Some(committed)) = (self.first_index(), self.committed()) else { return Ok(None) };
        let end = (committed.log_index + 1).min(first.saturating_add(entries_max));
        let mut start = first;
        while start < end {
            let heads = self.heads(start..end.min(start + STRETCH))?;
            if let Some(head) = heads.iter().find(|head| has_messages(head)) {
                return self.stored_ms(head, false);
            }
            start += STRETCH;
        }
        Ok(None)
    }

    /// The headers of `range` that exist, across segments.
    fn heads(&self, range: Range<u64>) -> Result<Vec<EntryHead>, ReadError> {
        let mut heads = Vec::new();
        let mut next = range.start;
        while next < range.end {
            let Some(mut walk) = self.walk_from(next)? else { break };
            while next < range.end
                && let Some(head) = walk.next()?
            {
                next = head.log_index + 1;
                heads.push(head);
            }
        }
        Ok(heads)
    }

    /// When the last or the first message of an entry was stored.
    fn stored_ms(&self, head: &EntryHead, last: bool) -> Result<Option<u64>, ReadError> {
        let log_index = head.log_index;
        let entries = self.entries(log_index..log_index + 1, 1)?;
        let entry = entries.first().ok_or(ReadError::Missing { log_index })?;
        let damaged = |source| ReadError::Damaged { log_index, source };
        entry.verify().map_err(damaged)?;
        let units = entry.units().map_err(damaged)?;
        let mut time = None;
        for unit in message::walk(&units) {
            let offset = CommitlogOffset(head.offset.0);
            let wrong = |source| ReadError::Unit { offset, source };
            let view = message::parse(unit.map_err(wrong)?).map_err(wrong)?;
            time = Some(view.store_timestamp_ms as u64);
            if !last {
                break;
            }
        }
        Ok(time)
    }
}

fn has_messages(head: &EntryHead) -> bool {
    head.kind == EntryKind::Units && head.unit_count > 0
}
