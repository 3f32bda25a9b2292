//! From committed entries to consume queues and key index.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use protocol::message::{self, MessageView, properties, sys_flag};

use crate::commitlog::{ENTRY_HEAD_BYTES, ReadError, StoredEntry, is_queued};
use crate::consume_queue::{Queues, Unit};
use crate::key_index::KeyIndex;
use crate::{CommitlogOffset, QueueOffset};

/// Why queues and index did not take in an entry.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// A queue or the index could not be written out.
    #[error("cannot write consume queue or key index: {0}")]
    Io(#[from] io::Error),
    /// The payload is not units.
    #[error("no message unit at commitlog offset {offset}: {source}")]
    Unit {
        /// Where the unit begins.
        offset: CommitlogOffset,
        /// What is wrong with it.
        source: message::UnitError,
    },
    /// The message is not the next one of its queue.
    #[error(
        "message {found} of queue {topic}-{queue_id} at commitlog offset {offset}, but the queue's next is {expected}"
    )]
    Place {
        /// Where its unit begins.
        offset: CommitlogOffset,
        /// Its topic.
        topic: String,
        /// Its queue.
        queue_id: u32,
        /// The queue offset it has.
        found: QueueOffset,
        /// The one it should have.
        expected: QueueOffset,
    },
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] ReadError),
}

/// Takes in the units of one committed entry. Then tells
/// `on_unit` of each of them: the message, its queue offset and its commitlog offset.
///
/// Half messages and roll-backs have no place in a queue, and roll-backs no key.
///
/// # Errors
/// If the payload is not units, or one is not the next of its queue: those before are in. The commitlog checks that they
/// follow, but not over a hole.
pub fn dispatch_units(
    entry: &StoredEntry,
    queues: &Queues,
    index: &KeyIndex,
    on_unit: &mut dyn FnMut(&MessageView<'_>, QueueOffset, CommitlogOffset),
) -> Result<(), DispatchError> {
    let torn = |source| ReadError::Damaged { log_index: entry.head.log_index, source };
    let units = entry.units().map_err(torn)?;
    take_in(&units, payload_offset(entry)..entry.head.end(), queues, index, on_unit)
}

/// Takes in units that lie at `place.start`, in an entry that ends at `place.end`.
pub(crate) fn take_in(
    units: &[u8],
    place: Range<CommitlogOffset>,
    queues: &Queues,
    index: &KeyIndex,
    on_unit: &mut dyn FnMut(&MessageView<'_>, QueueOffset, CommitlogOffset),
) -> Result<(), DispatchError> {
    let mut offset = place.start;
    for unit in message::walk(units) {
        let wrong = |source| DispatchError::Unit { offset, source };
        let view = message::parse(unit.map_err(wrong)?).map_err(wrong)?;
        let queue_offset = QueueOffset(view.queue_offset as u64);
        if is_queued(view.sys_flag) {
            let (topic, queue_id) = (view.topic, view.queue_id as u32);
            let expected = queues.next_offset(topic, queue_id);
            if queue_offset != expected {
                let (topic, found) = (topic.to_owned(), queue_offset);
                return Err(DispatchError::Place { offset, topic, queue_id, found, expected });
            }
            queues.append(topic, queue_id, queue_offset, queue_unit(&view, offset));
        }
        let store_timestamp_ms = view.store_timestamp_ms as u64;
        queues.note_store_timestamp(store_timestamp_ms);
        if sys_flag::transaction(view.sys_flag) != sys_flag::TRANSACTION_ROLLBACK {
            put_keys(&view, offset, store_timestamp_ms, index);
        }
        on_unit(&view, queue_offset, offset);
        offset = offset.plus(view.unit_bytes() as u64);
    }
    queues.note_covered(place.end);
    index.note_covered(place.end);
    Ok(())
}

/// What the consume queue keeps of a message.
pub(crate) fn queue_unit(view: &MessageView<'_>, offset: CommitlogOffset) -> Unit {
    Unit { offset, size: view.unit_bytes() as u32, tag_hash: view.tag_hash() }
}

/// The unique key, then each part of the keys property.
pub(crate) fn put_keys(
    view: &MessageView<'_>,
    offset: CommitlogOffset,
    store_timestamp_ms: u64,
    index: &KeyIndex,
) {
    let unique = view.property(properties::UNIQ_KEY).filter(|key| !key.is_empty());
    let keys = view.property(properties::KEYS).unwrap_or_default();
    let keys = keys.split(' ').filter(|key| !key.is_empty());
    for key in unique.into_iter().chain(keys) {
        index.put(view.topic, key, offset, store_timestamp_ms);
    }
}

/// Whether what is left of a damaged entry says of each of its messages where it belongs: all of them are there, at the
/// place they say, and each is the next one of its queue. Only bodies, tags and keys may be wrong then.
pub fn is_placed(entry: &StoredEntry, queues: &Queues) -> bool {
    let Ok(units) = entry.units() else { return false };
    let mut offset = payload_offset(entry);
    let mut next: BTreeMap<(String, u32), u64> = BTreeMap::new();
    let mut count = 0;
    for unit in message::walk(&units) {
        let Some(view) = unit.ok().and_then(|unit| message::parse(unit).ok()) else { return false };
        if view.physical_offset != offset.0 as i64 {
            return false;
        }
        if is_queued(view.sys_flag) {
            let (topic, queue_id) = (view.topic, view.queue_id as u32);
            let expected = next
                .entry((topic.to_owned(), queue_id))
                .or_insert_with(|| queues.next_offset(topic, queue_id).0);
            if view.queue_offset as u64 != *expected {
                return false;
            }
            *expected += 1;
        }
        offset = offset.plus(view.unit_bytes() as u64);
        count += 1;
    }
    count == entry.head.unit_count
}

/// Where the payload of an entry lies.
pub fn payload_offset(entry: &StoredEntry) -> CommitlogOffset {
    entry.head.offset.plus(ENTRY_HEAD_BYTES as u64)
}
