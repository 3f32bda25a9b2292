//! Consume queues and key index after a restart: brought to the state of a checkpoint, from whatever a crash left.
//!
//! Both are written without waiting for the disk, so a checkpoint does not promise that they reach it. What is
//! missing is in the log: they say up to where they can be trusted, and are caught up from there. What is damaged in the
//! log is waited for by the caller; what is damaged on every node is passed over, and leaves lost messages in the queues.

use std::io;

use protocol::message::{self, MessageView, sys_flag};

use crate::checkpoint::Checkpoint;
use crate::commitlog::{EntryError, EntryKind, LogReader, ReadError, StoredEntry, is_queued};
use crate::consume_queue::{Queues, Recovered, Unit};
use crate::dispatch::{DispatchError, payload_offset, put_keys, queue_unit};
use crate::key_index::KeyIndex;
use crate::{CommitlogOffset, LastUpdate, QueueOffset};

/// Units and keys are written out when so many bytes of them wait.
const WRITE_OUT_BYTES: u64 = 4 << 20;
/// Entries are read in pieces of this size.
const PIECE_BYTES: u64 = 4 << 20;

/// Brings queues and index to the state of `checkpoint`, before entries behind it are applied again. Reads no more
/// of the log than what a crash may have cost them; all of it if their files are gone.
///
/// # Errors
/// If disk or log fail; what is there then is not to be used.
pub fn restore(
    log: &LogReader,
    checkpoint: &Checkpoint,
    queues: &Queues,
    index: &KeyIndex,
) -> Result<(), DispatchError> {
    let (min, end) = (log.ends().min, checkpoint.next_offset);
    match queues.recover(&checkpoint.seal, end)? {
        Recovered::Whole => {}
        Recovered::From(covered) => {
            tracing::info!(%covered, %end, "catching up consume queues from the log");
            catch_up_queues(log, covered, checkpoint, queues)?;
        }
        Recovered::Nothing => {
            tracing::info!(%min, %end, "building consume queues from the log");
            queues.clear()?;
            catch_up_queues(log, min, checkpoint, queues)?;
        }
    }
    queues.note_covered(end);
    queues.trim_below(min)?; // a crash may have come between a purge and this
    queues.trust();
    index.truncate_to(end)?;
    index.trim_below(min)?;
    if !index.reaches_back_to(min) {
        index.clear()?;
    }
    if index.covered() < end {
        let covered = index.covered();
        tracing::info!(%covered, %end, "catching up the key index from the log");
        catch_up_index(log, covered, checkpoint, index)?;
    }
    index.note_covered(end);
    Ok(())
}

/// Has what was appended written out now and then: all of it at once may be more than the memory holds.
struct WriteOut<F: Fn() -> io::Result<()>> {
    write_out: F,
    /// At so many waiting bytes.
    at: u64,
}

impl<F: Fn() -> io::Result<()>> WriteOut<F> {
    fn new(write_out: F) -> Self {
        Self { write_out, at: WRITE_OUT_BYTES }
    }

    /// On a full disk it stays in memory: nodes start all the same, and make room.
    fn look(&mut self, waiting: u64) {
        if waiting >= self.at {
            self.at = if (self.write_out)().is_ok() { WRITE_OUT_BYTES } else { waiting + WRITE_OUT_BYTES };
        }
    }
}

/// Appends what is missing of the units of entries from `from` up to the checkpoint.
fn catch_up_queues(
    log: &LogReader,
    from: CommitlogOffset,
    checkpoint: &Checkpoint,
    queues: &Queues,
) -> Result<(), DispatchError> {
    let begins_at_zero = log.purged().is_none();
    let mut writing = WriteOut::new(|| queues.write_out());
    let lost = each_unit(log, from, checkpoint, &mut |view, offset, lost| {
        if !is_queued(view.sys_flag) {
            return Ok(());
        }
        let (topic, queue_id) = (view.topic, view.queue_id as u32);
        let at = QueueOffset(view.queue_offset as u64);
        let max = queues.get(topic, queue_id).map(|queue| queue.max());
        if max.is_none() && !begins_at_zero {
            queues.reset_queue(topic, queue_id, at)?; // its first messages are purged
        }
        if let Some(lost) = lost {
            fill_up(queues, topic, queue_id, at, lost);
        }
        // Some units behind those that were trusted may be there.
        if max.is_none_or(|max| max <= at) {
            queues.append(topic, queue_id, at, queue_unit(view, offset));
            writing.look(queues.backlog().bytes);
        }
        Ok(())
    })?;
    // Queues without a message in what is left of the log have an end all the same.
    for (topic, queue_id, next) in &checkpoint.seal.queue_ends {
        let (next, queue) = (QueueOffset(*next), queues.get(topic, *queue_id));
        match lost {
            Some(lost) if queue.is_some() || begins_at_zero => fill_up(queues, topic, *queue_id, next, lost),
            _ if queue.is_none_or(|queue| queue.max() != next) => {
                queues.reset_queue(topic, *queue_id, next)?;
            }
            _ => {}
        }
    }
    queues.note_store_timestamp(checkpoint.seal.last_store_timestamp_ms);
    Ok(())
}

/// What a queue lacks up to `end` was in entries that no node has any more, the last of them at `lost`.
fn fill_up(queues: &Queues, topic: &str, queue_id: u32, end: QueueOffset, lost: CommitlogOffset) {
    let max = queues.get(topic, queue_id).map_or(0, |queue| queue.max().0);
    for at in max..end.0 {
        queues.append(topic, queue_id, QueueOffset(at), Unit::lost(lost));
    }
}

/// Puts what is missing of the keys of entries from `from` up to the checkpoint.
fn catch_up_index(
    log: &LogReader,
    from: CommitlogOffset,
    checkpoint: &Checkpoint,
    index: &KeyIndex,
) -> Result<(), DispatchError> {
    let last = index.last_update();
    let is_empty = last == LastUpdate::default();
    let mut writing = WriteOut::new(|| index.write_out());
    let lost = each_unit(log, from, checkpoint, &mut |view, offset, _| {
        let is_missing = is_empty || offset > last.offset;
        if is_missing && sys_flag::transaction(view.sys_flag) != sys_flag::TRANSACTION_ROLLBACK {
            put_keys(view, offset, view.store_timestamp_ms as u64, index);
            writing.look(index.backlog().bytes);
        }
        Ok(())
    });
    lost.map(drop)
}

/// What is told of a unit: the message, where it lies, and where the last entry before it was passed over, if any was.
type Tell<'a> = &'a mut dyn FnMut(
    &MessageView<'_>,
    CommitlogOffset,
    Option<CommitlogOffset>,
) -> Result<(), DispatchError>;

/// Tells of every unit of the entries from `from` up to the checkpoint, in order. Returns where the last entry lies that
/// was passed over, because it is damaged on every node.
fn each_unit(
    log: &LogReader,
    from: CommitlogOffset,
    checkpoint: &Checkpoint,
    tell: Tell<'_>,
) -> Result<Option<CommitlogOffset>, DispatchError> {
    let mut lost = None;
    let Some(mut next) = log.index_from(from)? else { return Ok(None) };
    while next <= checkpoint.last.log_index {
        let entries = match read_intact(log, next, checkpoint.last.log_index) {
            Ok(entries) => entries,
            Err(error) => {
                lost = Some(log.lost_at(next).ok_or(error)?);
                tracing::error!(log_index = next, "passed over an entry that is damaged on every node");
                next += 1;
                continue;
            }
        };
        let Some(last) = entries.last() else { break };
        next = last.head.log_index + 1;
        for entry in entries.iter().filter(|entry| entry.head.kind == EntryKind::Units) {
            let mut offset = payload_offset(entry);
            let units = entry.units().map_err(|source| damaged(entry, source))?;
            for unit in message::walk(&units) {
                let wrong = |source| DispatchError::Unit { offset, source };
                let view = message::parse(unit.map_err(wrong)?).map_err(wrong)?;
                tell(&view, offset, lost)?;
                offset = offset.plus(view.unit_bytes() as u64);
            }
        }
    }
    Ok(lost)
}

fn damaged(entry: &StoredEntry, source: EntryError) -> ReadError {
    ReadError::Damaged { log_index: entry.head.log_index, source }
}

/// Some entries from `first` on, up to the first one that is damaged; an error if that is the first.
fn read_intact(log: &LogReader, first: u64, last: u64) -> Result<Vec<StoredEntry>, ReadError> {
    let mut entries = log.entries(first..last + 1, PIECE_BYTES)?;
    let damaged = entries.iter().enumerate().find_map(|(at, entry)| Some((at, entry.verify().err()?)));
    if let Some((at, source)) = damaged {
        let head = entries[at].head;
        log.note_damage(head.offset, &source.to_string());
        if at == 0 {
            return Err(ReadError::Damaged { log_index: head.log_index, source });
        }
        entries.truncate(at);
    }
    Ok(entries)
}
