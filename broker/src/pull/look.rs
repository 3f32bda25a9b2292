//! Reading a consume queue for a pull: what lies there, how much of it fits, and what to say if nothing does.

use std::io;

use bytes::Bytes;
use protocol::ResponseCode as code;
use protocol::message::{self, UnitError};
use store::{CommitlogOffset, ConsumeQueue, QueueOffset, ReadError, Unit};

use crate::node::Node;
use crate::pull::held::Filter;

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
    pub fn of(node: &Node, max_msg_nums: i32) -> Self {
        let config = node.live();
        let messages = &config.messages;
        Self {
            wanted: max_msg_nums.max(1) as u64,
            memory_count: messages.pull_count_max_in_memory,
            memory_bytes: messages.pull_bytes_max_in_memory,
            disk_count: messages.pull_count_max_on_disk,
            disk_bytes: messages.pull_bytes_max_on_disk,
            scan_units: i64::from(max_msg_nums).max(SCAN_UNITS_MIN) as usize,
            in_memory_span: node.memory_bytes / 100 * IN_MEMORY_PERCENT,
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
type Wanted = (i64, Unit);

/// Puts `run`, neighbours in the log, into what was found, each looked at once more: a disk that changed a byte since
/// must not reach a consumer. In front of a damaged message the good ones are served; it is told, and fetched from
/// another node meanwhile.
///
/// # Errors
/// The first message that is damaged, and how.
fn take_run(
    node: &Node,
    queue: &ConsumeQueue,
    run: &[Wanted],
    found: &mut Found,
) -> Result<(), (i64, LookError)> {
    let Some((at, _)) = run.first().copied() else { return Ok(()) };
    match verified(node, queue, run) {
        Ok(slice) => {
            found.chunks.push(slice);
            return Ok(());
        }
        Err(error @ LookError::Log(ReadError::Purged { .. })) => return Err((at, error)),
        Err(_) => {}
    }
    for (done, (at, unit)) in run.iter().enumerate() {
        match intact(node, queue, (*at, *unit)) {
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
fn verified(node: &Node, queue: &ConsumeQueue, run: &[Wanted]) -> Result<Bytes, LookError> {
    let first = run[0].1.offset;
    let bytes = run.iter().fold(0_u32, |bytes, (_, unit)| bytes.saturating_add(unit.size));
    let slice = node.group.log.slice(first, bytes)?;
    look_through(queue, run, &slice)?;
    let end = first.plus(u64::from(bytes));
    if end <= node.group.log.sealed_end() || end.plus(FRESH_BYTES) < node.group.log.ends().appended {
        node.group.log.verify(first, end)?;
    }
    Ok(slice)
}

/// One stored unit, if the entry that it lies in is intact.
fn intact(node: &Node, queue: &ConsumeQueue, wanted: Wanted) -> Result<Bytes, LookError> {
    let (_, unit) = wanted;
    let slice = node.group.log.slice(unit.offset, unit.size)?;
    look_through(queue, &[wanted], &slice)?;
    if let Some(entry) = node.group.log.entry_at_offset(unit.offset)? {
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
pub fn message(node: &Node, queue: &ConsumeQueue, at: QueueOffset, unit: &Unit) -> Result<Bytes, LookError> {
    let at = at.0 as i64;
    match intact(node, queue, (at, *unit)) {
        Err(error) if !matches!(error, LookError::Log(ReadError::Purged { .. })) => {
            Err(if judge(node, queue, at, &error) { LookError::Mended } else { error })
        }
        other => other,
    }
}

/// First offset and end of a queue; zeros if nothing was ever written to it.
pub fn ends(node: &Node, topic: &str, queue_id: i32) -> (i64, i64) {
    node.group
        .queues
        .get(topic, queue_id as u32)
        .map_or((0, 0), |queue| (queue.min().0 as i64, queue.max().0 as i64))
}

/// A message does not lie where the queue says: either the queue is damaged, and mended from the log, or the log is, which is
/// taken in. Returns whether it was the queue.
fn judge(node: &Node, queue: &ConsumeQueue, at: i64, error: &LookError) -> bool {
    let place = QueueOffset(at as u64);
    match store::mend_around(queue, &node.group.log, place) {
        Ok(mended) if mended > 0 => {
            let (topic, queue_id) = (queue.topic(), queue.queue_id());
            tracing::warn!(topic, queue_id, at, mended, %error, "a damaged consume queue is mended from the log");
            return true;
        }
        Ok(_) => {}
        Err(why) => tracing::debug!(at, %why, "consume queue not compared with the log"),
    }
    if let Ok(Some(unit)) = queue.unit(place) {
        node.group.log.note_damage(unit.offset, &error.to_string());
    }
    false
}

/// The first unit at or behind `offset` that cannot be read.
fn first_unreadable(queue: &ConsumeQueue, offset: i64, count: usize) -> Option<i64> {
    (offset..offset + count as i64).find(|at| queue.unit(QueueOffset(*at as u64)).is_err())
}

/// Looks at a queue from `offset` on. What is damaged in the queue is mended on the way.
///
/// # Errors
/// If queue or log cannot be read.
pub fn look(
    node: &Node,
    topic: &str,
    queue_id: i32,
    offset: i64,
    filter: &Filter,
    limits: &Limits,
) -> Result<Look, LookError> {
    match look_once(node, topic, queue_id, offset, filter, limits) {
        // The log has just been purged, and the queue is about to follow: it does so now.
        Err(LookError::Log(ReadError::Purged { min, .. })) => {
            if let Some(queue) = node.group.queues.get(topic, queue_id as u32) {
                queue.trim_below(min)?;
            }
            look_once(node, topic, queue_id, offset, filter, limits)
        }
        Err(LookError::Queue(error)) if is_damage(&error) => {
            let queue = node.group.queues.get(topic, queue_id as u32);
            let error = LookError::Queue(error);
            let is_mended = queue.is_some_and(|queue| {
                let at = first_unreadable(&queue, offset, limits.scan_units);
                at.is_some_and(|at| judge(node, &queue, at, &error))
            });
            if is_mended { look_once(node, topic, queue_id, offset, filter, limits) } else { Err(error) }
        }
        Err(LookError::Mended) => look_once(node, topic, queue_id, offset, filter, limits),
        other => other,
    }
}

/// A unit that was never written, or a file that ends too early.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn look_once(
    node: &Node,
    topic: &str,
    queue_id: i32,
    offset: i64,
    filter: &Filter,
    limits: &Limits,
) -> Result<Look, LookError> {
    let nothing =
        |status, next, min, max| Ok(Look { status, asked: offset, next, min, max, found: Found::default() });
    let Some(queue) = node.group.queues.get(topic, queue_id as u32) else {
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
    let log_end = node.group.log.ends().committed.0;
    let mut found = Found::default();
    let mut next = offset;
    let mut run: Vec<Wanted> = Vec::new(); // neighbours in the log
    let mut damage = None;
    for unit in units {
        // Who knows what tag a lost message had: nobody passes it by unawares.
        if unit.is_lost() || filter.passes(unit.tag_hash) {
            // The first message always goes, whatever its size.
            if found.count > 0 && limits.is_full(&found, &unit, log_end) {
                break;
            }
            let follows =
                run.last().is_none_or(|(_, last)| last.offset.plus(u64::from(last.size)) == unit.offset);
            if !follows {
                if let Err(damaged) = take_run(node, &queue, &run, &mut found) {
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
        damage = take_run(node, &queue, &run, &mut found).err();
    }
    if let Some((at, error)) = damage {
        let is_purged = matches!(error, LookError::Log(ReadError::Purged { .. }));
        let is_mended = !is_purged && judge(node, &queue, at, &error);
        if found.count == 0 {
            return Err(if is_mended { LookError::Mended } else { error });
        }
        next = at;
    }
    let status = if found.count > 0 { Status::Found } else { Status::NoMatchedMessage };
    Ok(Look { status, asked: offset, next, min, max, found })
}
