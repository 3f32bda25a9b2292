//! Consume queues held against the log that they were built from: units that say something else are mended.
//!
//! The files of a queue have Java's form, without room for a checksum. But every unit can be computed again from its
//! message, so a damaged one is not a loss, once it is noticed: by a consumer whose message does not lie where the unit says
//! ([`mend_around`]), or by the scrub that reads the whole log anyway ([`check_queues`]).

use protocol::message::{self, MessageView};

use crate::commitlog::{EntryKind, LogReader, ReadError, is_queued};
use crate::consume_queue::{ConsumeQueue, Queues, Unit};
use crate::dispatch::{DispatchError, payload_offset, queue_unit};
use crate::{CommitlogOffset, QueueOffset};

/// Entries are read in pieces of this size.
const PIECE_BYTES: u64 = 4 << 20;
/// So many neighbours on each side may be damaged too.
const NEIGHBOURS: u64 = 256;
/// Without an intact neighbour so much of the log is looked through.
const SEARCH_BYTES: u64 = 256 << 20;

/// Whether `view` is the message at `at` of `queue`, and `unit` what the queue keeps of it.
pub fn belongs(view: &MessageView<'_>, queue: &ConsumeQueue, at: QueueOffset, unit: &Unit) -> bool {
    view.unit_bytes() as u64 == u64::from(unit.size)
        && view.queue_offset as u64 == at.0
        && view.queue_id as u32 == queue.queue_id()
        && view.topic == queue.topic()
}

/// Mends the unit at `at`, and the damaged ones around it, from the messages that the log holds between its intact
/// neighbours. Returns how many said something else.
///
/// # Errors
/// If queue or log cannot be read, or what the log holds there is damaged itself.
pub fn mend_around(queue: &ConsumeQueue, log: &LogReader, at: QueueOffset) -> Result<u64, DispatchError> {
    let (min, max) = (queue.min().0, queue.max().0);
    let ends = log.ends();
    let mut from = ends.min;
    for before in (at.0.saturating_sub(NEIGHBOURS).max(min)..at.0.min(max)).rev() {
        if let Some(unit) = intact(queue, log, QueueOffset(before)) {
            from = unit.offset.plus(u64::from(unit.size));
            break;
        }
    }
    let mut to = CommitlogOffset(ends.committed.0.min(from.0.saturating_add(SEARCH_BYTES)));
    for after in at.0 + 1..max.min(at.0.saturating_add(NEIGHBOURS)) {
        if let Some(unit) = intact(queue, log, QueueOffset(after)) {
            to = unit.offset;
            break;
        }
    }
    let mut mended = 0;
    each_queued(log, from, to, &mut |view, offset| {
        if view.queue_id as u32 == queue.queue_id() && view.topic == queue.topic() {
            let at = QueueOffset(view.queue_offset as u64);
            mended += u64::from(queue.mend(at, queue_unit(view, offset))?);
        }
        Ok(())
    })?;
    Ok(mended)
}

/// Holds all queues against the messages at `from..to` of the log, which must be applied. Returns how many units said
/// something else, and were mended.
///
/// # Errors
/// As [`mend_around`].
pub fn check_queues(
    queues: &Queues,
    log: &LogReader,
    from: CommitlogOffset,
    to: CommitlogOffset,
) -> Result<u64, DispatchError> {
    let mut mended = 0;
    each_queued(log, from, to, &mut |view, offset| {
        if let Some(queue) = queues.get(view.topic, view.queue_id as u32) {
            let at = QueueOffset(view.queue_offset as u64);
            mended += u64::from(queue.mend(at, queue_unit(view, offset))?);
        }
        Ok(())
    })?;
    Ok(mended)
}

/// The unit at `at`, if it says where its message lies.
fn intact(queue: &ConsumeQueue, log: &LogReader, at: QueueOffset) -> Option<Unit> {
    let unit = queue.unit(at).ok()??;
    let bytes = log.slice(unit.offset, unit.size).ok()?;
    let view = message::parse(&bytes).ok()?;
    belongs(&view, queue, at, &unit).then_some(unit)
}

/// Tells of every message with a place in a queue at `from..to`, in order.
fn each_queued(
    log: &LogReader,
    from: CommitlogOffset,
    to: CommitlogOffset,
    tell: &mut dyn FnMut(&MessageView<'_>, CommitlogOffset) -> Result<(), DispatchError>,
) -> Result<(), DispatchError> {
    let Some(mut next) = first_index(log, from)? else { return Ok(()) };
    let Some(committed) = log.committed() else { return Ok(()) };
    while next <= committed.log_index {
        let entries = log.entries(next..committed.log_index + 1, PIECE_BYTES)?;
        let Some(last) = entries.last() else { return Ok(()) };
        next = last.head.log_index + 1;
        for entry in entries {
            if entry.head.offset >= to {
                return Ok(());
            }
            if entry.head.kind != EntryKind::Units {
                continue;
            }
            let log_index = entry.head.log_index;
            let damaged = |source| ReadError::Damaged { log_index, source };
            entry.verify().map_err(damaged)?;
            let units = entry.units().map_err(damaged)?;
            let mut offset = payload_offset(&entry);
            for unit in message::walk(&units) {
                let wrong = |source| DispatchError::Unit { offset, source };
                let view = message::parse(unit.map_err(wrong)?).map_err(wrong)?;
                if is_queued(view.sys_flag) {
                    tell(&view, offset)?;
                }
                offset = offset.plus(view.unit_bytes() as u64);
            }
        }
    }
    Ok(())
}

/// The entry that `from` lies in, or else the first one behind it.
fn first_index(log: &LogReader, from: CommitlogOffset) -> Result<Option<u64>, ReadError> {
    match log.entry_at_offset(from)? {
        Some(entry) => Ok(Some(entry.head.log_index)),
        None => log.index_from(from),
    }
}
