//! Reading a consume queue for a pull: what lies there, how much of it fits, and what to say if nothing does.

use std::io;

use bytes::Bytes;
use protocol::ResponseCode as code;
use protocol::message::{self, UnitError};
use store::{CommitlogOffset, QueueOffset, ReadError, Unit};

use super::pull::Filter;
use crate::server::Broker;

/// At least this many units are looked at, however few messages are wanted. Source: RocketMQ
/// `maxFilterMessageSize` 16,000 bytes of 20-byte units.
const SCAN_UNITS_MIN: i64 = 800;
/// Data this close to the end of the log, in percent of memory, counts as "in memory". Source: RocketMQ
/// `accessMessageInMemoryMaxRatio`.
const IN_MEMORY_PERCENT: u64 = 40;

/// What was written so lately is in memory as it was written.
const FRESH_BYTES: u64 = 64 << 20;

/// How much one pull may carry.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    wanted: u64,
    memory_count: u64,
    memory_bytes: u64,
    disk_count: u64,
    disk_bytes: u64,
    scan_units: usize,
    in_memory_span: u64,
}

impl Limits {
    /// From the configuration, for a pull that wants `max_msg_nums` messages.
    pub fn of(broker: &Broker, max_msg_nums: i32) -> Self {
        let config = broker.live();
        let messages = &config.messages;
        Self {
            wanted: max_msg_nums.max(1) as u64,
            memory_count: messages.pull_count_max_in_memory,
            memory_bytes: messages.pull_bytes_max_in_memory,
            disk_count: messages.pull_count_max_on_disk,
            disk_bytes: messages.pull_bytes_max_on_disk,
            scan_units: i64::from(max_msg_nums).max(SCAN_UNITS_MIN) as usize,
            in_memory_span: broker.memory_bytes / 100 * IN_MEMORY_PERCENT,
        }
    }

    fn is_full(&self, found: &Found, next: &Unit, log_end: u64) -> bool {
        let behind = log_end.saturating_sub(next.offset.0);
        let (count, bytes) = if behind <= self.in_memory_span {
            (self.memory_count, self.memory_bytes)
        } else {
            (self.disk_count, self.disk_bytes)
        };
        found.count >= self.wanted.min(count) || found.bytes + u64::from(next.size) > bytes
    }
}

/// What a look at a queue showed. Source of the names: RocketMQ `GetMessageStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There are messages.
    Found,
    /// There are messages, none of them wanted.
    NoMatchedMessage,
    /// The queue is empty.
    NoMessageInQueue,
    /// Behind the first message that is kept.
    OffsetTooSmall,
    /// Just at the end.
    OffsetOverflowOne,
    /// Beyond the end.
    OffsetOverflowBadly,
    /// An operator set another offset.
    OffsetReset,
}

impl Status {
    /// As RocketMQ's remark has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetReset => "OFFSET_RESET",
        }
    }
}

/// Messages for one pull.
#[derive(Debug, Default)]
pub struct Found {
    /// Stored units, without a copy; neighbours in the log are one slice.
    pub chunks: Vec<Bytes>,
    /// How many messages.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// The result of a look.
#[derive(Debug)]
pub struct Look {
    /// What there was.
    pub status: Status,
    /// Where the pull asked to read.
    pub asked: i64,
    /// Where to pull next.
    pub next: i64,
    /// First offset of the queue.
    pub min: i64,
    /// End of the queue, exclusive.
    pub max: i64,
    /// The messages.
    pub found: Found,
}

impl Look {
    /// The response code for it.
    pub fn code(&self) -> i32 {
        match self.status {
            Status::Found => code::SUCCESS,
            Status::NoMatchedMessage => code::PULL_RETRY_IMMEDIATELY,
            Status::OffsetOverflowOne => code::PULL_NOT_FOUND,
            Status::NoMessageInQueue if self.asked == 0 => code::PULL_NOT_FOUND,
            _ => code::PULL_OFFSET_MOVED,
        }
    }
}

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
}

/// A unit to be served, and its place in the queue.
type Wanted = (i64, Unit);

/// Puts `run`, neighbours in the log, into what was found, each looked at once more: a disk that changed a byte since
/// must not reach a consumer. In front of a damaged message the good ones are served; it is told, and fetched from
/// another node meanwhile.
///
/// # Errors
/// The first message that is damaged, and how.
fn take_run(broker: &Broker, run: &[Wanted], found: &mut Found) -> Result<(), (i64, LookError)> {
    let Some((at, first)) = run.first().copied() else { return Ok(()) };
    let bytes = run.iter().map(|(_, unit)| unit.size).sum();
    match verified(broker, first.offset, bytes) {
        Ok(slice) => {
            found.chunks.push(slice);
            return Ok(());
        }
        Err(error @ LookError::Log(ReadError::Purged { .. })) => return Err((at, error)),
        Err(_) => {}
    }
    for (done, (at, unit)) in run.iter().enumerate() {
        match intact(broker, unit) {
            Ok(slice) => found.chunks.push(slice),
            Err(error) => {
                broker.log.note_damage(unit.offset, &error.to_string());
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
fn verified(broker: &Broker, first: CommitlogOffset, bytes: u32) -> Result<Bytes, LookError> {
    let slice = broker.log.slice(first, bytes)?;
    look_through(first, &slice)?;
    let end = first.plus(u64::from(bytes));
    if end <= broker.log.sealed_end() || end.plus(FRESH_BYTES) < broker.log.ends().appended {
        broker.log.verify(first, end)?;
    }
    Ok(slice)
}

/// One stored unit, if the entry that it lies in is intact.
fn intact(broker: &Broker, unit: &Unit) -> Result<Bytes, LookError> {
    let slice = broker.log.slice(unit.offset, unit.size)?;
    look_through(unit.offset, &slice)?;
    if let Some(entry) = broker.log.entry_at_offset(unit.offset)? {
        let log_index = entry.head.log_index;
        entry.verify().map_err(|source| ReadError::Damaged { log_index, source })?;
    }
    Ok(slice)
}

fn look_through(first: CommitlogOffset, slice: &Bytes) -> Result<(), LookError> {
    let mut offset = first;
    for unit in message::walk(slice) {
        let damaged = |source| LookError::Damaged { offset, source };
        let view = message::parse(unit.map_err(damaged)?).map_err(damaged)?;
        view.verify_body().map_err(damaged)?;
        offset = offset.plus(view.unit_bytes() as u64);
    }
    Ok(())
}

/// First offset and end of a queue; zeros if nothing was ever written to it.
pub fn ends(broker: &Broker, topic: &str, queue_id: i32) -> (i64, i64) {
    broker
        .queues
        .get(topic, queue_id as u32)
        .map_or((0, 0), |queue| (queue.min().0 as i64, queue.max().0 as i64))
}

/// Looks at a queue from `offset` on.
///
/// # Errors
/// If queue or log cannot be read.
pub fn look(
    broker: &Broker,
    topic: &str,
    queue_id: i32,
    offset: i64,
    filter: &Filter,
    limits: &Limits,
) -> Result<Look, LookError> {
    match look_once(broker, topic, queue_id, offset, filter, limits) {
        // The log has just been purged, and the queue is about to follow: it does so now.
        Err(LookError::Log(ReadError::Purged { min, .. })) => {
            if let Some(queue) = broker.queues.get(topic, queue_id as u32) {
                queue.trim_below(min)?;
            }
            look_once(broker, topic, queue_id, offset, filter, limits)
        }
        other => other,
    }
}

fn look_once(
    broker: &Broker,
    topic: &str,
    queue_id: i32,
    offset: i64,
    filter: &Filter,
    limits: &Limits,
) -> Result<Look, LookError> {
    let nothing =
        |status, next, min, max| Ok(Look { status, asked: offset, next, min, max, found: Found::default() });
    let Some(queue) = broker.queues.get(topic, queue_id as u32) else {
        return nothing(Status::NoMessageInQueue, 0, 0, 0);
    };
    let (min, max) = (queue.min().0 as i64, queue.max().0 as i64);
    if max == 0 {
        return nothing(Status::NoMessageInQueue, 0, 0, 0);
    }
    if offset < min {
        return nothing(Status::OffsetTooSmall, min, min, max);
    }
    if offset == max {
        return nothing(Status::OffsetOverflowOne, offset, min, max);
    }
    if offset > max {
        return nothing(Status::OffsetOverflowBadly, max, min, max);
    }
    let units = queue.read(QueueOffset(offset as u64), limits.scan_units)?;
    let log_end = broker.log.ends().committed.0;
    let mut found = Found::default();
    let mut next = offset;
    let mut run: Vec<Wanted> = Vec::new(); // neighbours in the log
    let mut damage = None;
    for unit in units {
        if filter.passes(unit.tag_hash) {
            // The first message always goes, whatever its size.
            if found.count > 0 && limits.is_full(&found, &unit, log_end) {
                break;
            }
            let follows =
                run.last().is_none_or(|(_, last)| last.offset.plus(u64::from(last.size)) == unit.offset);
            if !follows {
                if let Err(damaged) = take_run(broker, &run, &mut found) {
                    damage = Some(damaged);
                    break;
                }
                run.clear();
            }
            found.count += 1;
            found.bytes += u64::from(unit.size);
            run.push((next, unit));
        }
        next += 1;
    }
    if damage.is_none() {
        damage = take_run(broker, &run, &mut found).err();
    }
    match damage {
        Some((_, error)) if found.count == 0 => return Err(error),
        Some((at, _)) => next = at,
        None => {}
    }
    let status = if found.count > 0 { Status::Found } else { Status::NoMatchedMessage };
    Ok(Look { status, asked: offset, next, min, max, found })
}
