//! Stored messages as they are handed out: each is looked at once more, and what is damaged is told and mended.

use std::io;

use bytes::Bytes;
use protocol::message::{self, UnitError};
use store::{CommitlogOffset, ConsumeQueue, QueueOffset, ReadError, Unit};

use crate::group::Group;
use crate::pull::found::Found;

/// What was written so lately is in memory as it was written.
pub const FRESH_BYTES: u64 = 64 << 20;

/// Why a queue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The consume queue.
    #[error("cannot read the consume queue")]
    Queue(#[from] io::Error),
    /// The commitlog.
    #[error("cannot read the commitlog")]
    Log(#[from] ReadError),
    /// What lies there is not the message that was stored.
    #[error("message at commitlog offset {offset} is damaged on this node")]
    Damaged {
        /// Where it begins.
        offset: CommitlogOffset,
        /// How it shows.
        #[source]
        source: UnitError,
    },
    /// What lies there is intact, and not the message that the queue has at this place.
    #[error("unit {at} of the consume queue does not say where its message lies")]
    Misplaced {
        /// Its queue offset.
        at: i64,
    },
    /// It was damaged, and is not any more: to be read again.
    #[error("the consume queue was damaged and is mended; read it again")]
    Mended,
}

/// A unit to be served, and its place in the queue.
pub type Wanted = (i64, Unit);

/// Puts `run`, neighbours in the log, into what was found, each looked at once more: a disk that changed a byte since
/// must not reach a consumer. In front of a damaged message the good ones are served; it is told, and fetched from
/// another node meanwhile.
///
/// # Errors
/// The first message that is damaged, and how.
pub fn take_run(
    group: &Group,
    queue: &ConsumeQueue,
    run: &[Wanted],
    found: &mut Found,
) -> Result<(), (i64, LookError)> {
    let Some((at, _)) = run.first().copied() else { return Ok(()) };
    match verified(group, queue, run) {
        Ok(slice) => {
            found.chunks.push(slice);
            return Ok(());
        }
        Err(error @ LookError::Log(ReadError::Purged { .. })) => return Err((at, error)),
        Err(_) => {}
    }
    for (done, (at, unit)) in run.iter().enumerate() {
        match intact(group, queue, (*at, *unit)) {
            Ok(slice) => found.chunks.push(slice),
            Err(error) => {
                let rest = &run[done..];
                found.count -= rest.len() as u64;
                found.bytes -= rest.iter().map(|(_, unit)| u64::from(unit.size)).sum::<u64>();
                return Err((*at, error));
            }
        }
    }
    Ok(())
}

/// Stored units without a copy. The body's checksum is RocketMQ's own; what is around it has to fit together, and where
/// the bytes came from the disk the checksums of their entries are tested too.
fn verified(group: &Group, queue: &ConsumeQueue, run: &[Wanted]) -> Result<Bytes, LookError> {
    let first = run[0].1.offset;
    let bytes = run.iter().fold(0_u32, |bytes, (_, unit)| bytes.saturating_add(unit.size));
    let slice = group.log.slice(first, bytes)?;
    look_through(queue, run, &slice)?;
    let end = first.plus(u64::from(bytes));
    if end <= group.log.sealed_end() || end.plus(FRESH_BYTES) < group.log.ends().appended {
        group.log.verify(first, end)?;
    }
    Ok(slice)
}

/// One stored unit, if the entry that it lies in is intact.
fn intact(group: &Group, queue: &ConsumeQueue, wanted: Wanted) -> Result<Bytes, LookError> {
    let (_, unit) = wanted;
    let slice = group.log.slice(unit.offset, unit.size)?;
    look_through(queue, &[wanted], &slice)?;
    if let Some(entry) = group.log.entry_at_offset(unit.offset)? {
        let log_index = entry.head.log_index;
        entry.verify().map_err(|source| ReadError::Damaged { log_index, source })?;
    }
    Ok(slice)
}

/// Each message is intact, and the one that the queue has there.
fn look_through(queue: &ConsumeQueue, run: &[Wanted], slice: &Bytes) -> Result<(), LookError> {
    let mut messages = message::walk(slice);
    for (at, unit) in run {
        let offset = unit.offset;
        let damaged = |source| LookError::Damaged { offset, source };
        let message = messages.next().ok_or(LookError::Misplaced { at: *at })?;
        let view = message::parse(message.map_err(damaged)?).map_err(damaged)?;
        view.verify_body().map_err(damaged)?;
        if !store::belongs(&view, queue, QueueOffset(*at as u64), unit) {
            return Err(LookError::Misplaced { at: *at });
        }
    }
    Ok(())
}

/// The message at `at` of a queue, whose unit is `unit`. What is damaged in the queue is mended on the way.
///
/// # Errors
/// If it is not there as it was stored. The next attempt may find it mended.
pub fn message(
    group: &Group,
    queue: &ConsumeQueue,
    at: QueueOffset,
    unit: &Unit,
) -> Result<Bytes, LookError> {
    let at = at.0 as i64;
    match intact(group, queue, (at, *unit)) {
        Err(error) if !matches!(error, LookError::Log(ReadError::Purged { .. })) => {
            Err(if judge(group, queue, at, &error) { LookError::Mended } else { error })
        }
        other => other,
    }
}

/// A message does not lie where the queue says: either the queue is damaged, and mended from the log, or the log is, which is
/// taken in. Returns whether it was the queue.
pub fn judge(group: &Group, queue: &ConsumeQueue, at: i64, error: &LookError) -> bool {
    let place = QueueOffset(at as u64);
    match store::mend_around(queue, &group.log, place) {
        Ok(mended) if mended > 0 => {
            let (topic, queue_id) = (queue.topic(), queue.queue_id());
            tracing::warn!(topic, queue_id, at, mended, %error, "a damaged consume queue is mended from the log");
            return true;
        }
        Ok(_) => {}
        Err(why) => tracing::debug!(at, %why, "consume queue not compared with the log"),
    }
    if let Ok(Some(unit)) = queue.unit(place) {
        group.log.note_damage(unit.offset, &error.to_string());
    }
    false
}
