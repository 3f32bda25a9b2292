//! Reading a consume queue for a pull, in two looks: what there is to read, decided from memory ([`plan`]), and the
//! reading ([`Reading::read`]), which may have to wait for a disk.

use std::io;
use std::sync::Arc;

use store::{ConsumeQueue, QueueOffset, ReadError, Unit};

use crate::group::Group;
use crate::node::Node;
use crate::pull::found::{Found, Look, Status};
use crate::pull::held::Filter;
use crate::pull::stored::{FRESH_BYTES, LookError, Wanted, judge, take_run};

/// At least this many units are looked at, however few messages are wanted. Source: RocketMQ
/// `maxFilterMessageSize` 16,000 bytes of 20-byte units.
const SCAN_UNITS_MIN: i64 = 800;
/// Data this close to the end of the log, in percent of memory, counts as "in memory". Source: RocketMQ
/// `accessMessageInMemoryMaxRatio`.
const IN_MEMORY_PERCENT: u64 = 40;

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

/// What the first look at a queue shows.
pub enum Plan {
    /// There is nothing to read, and this is the answer.
    Nothing(Look),
    /// There is.
    Read(Reading),
}

/// Part of a queue that is to be read.
pub struct Reading {
    queue: Arc<ConsumeQueue>,
    from: i64,
    min: i64,
    max: i64,
    /// All of it was written so lately that it is in memory: reading does not wait for a disk.
    pub is_fresh: bool,
}

/// Looks what there is in a queue from `from` on. No file is read.
pub fn plan(group: &Group, topic: &str, queue_id: i32, from: i64) -> Plan {
    let nothing = |status, next, min, max| {
        Plan::Nothing(Look { status, asked: from, next, min, max, found: Found::default() })
    };
    let Some(queue) = group.queues.get(topic, queue_id as u32) else {
        return nothing(Status::NoMessageInQueue, 0, 0, 0);
    };
    let (min, max) = (queue.min().0 as i64, queue.max().0 as i64);
    if max == 0 {
        return nothing(Status::NoMessageInQueue, 0, 0, 0);
    }
    if from < min {
        return nothing(Status::OffsetTooSmall, min, min, max);
    }
    if from == max {
        return nothing(Status::OffsetOverflowOne, from, min, max);
    }
    if from > max {
        return nothing(Status::OffsetOverflowBadly, max, min, max);
    }
    let fresh_from = group.log.ends().appended.0.saturating_sub(FRESH_BYTES);
    let is_fresh = queue.not_before(QueueOffset(from as u64)).is_some_and(|place| place.0 >= fresh_from);
    Plan::Read(Reading { queue, from, min, max, is_fresh })
}

impl Reading {
    /// Reads the messages. What is damaged in the queue is mended on the way.
    ///
    /// # Errors
    /// If queue or log cannot be read.
    pub fn read(&self, group: &Group, filter: &Filter, limits: &Limits) -> Result<Look, LookError> {
        match self.read_once(group, filter, limits) {
            // The log has just been purged, and the queue is about to follow: it does so now.
            Err(LookError::Log(ReadError::Purged { min, .. })) => {
                self.queue.trim_below(min)?;
                self.read_again(group, filter, limits)
            }
            Err(LookError::Queue(error)) if is_damage(&error) => {
                let error = LookError::Queue(error);
                let at = first_unreadable(&self.queue, self.from, limits.scan_units);
                let is_mended = at.is_some_and(|at| judge(group, &self.queue, at, &error));
                if is_mended { self.read_once(group, filter, limits) } else { Err(error) }
            }
            Err(LookError::Mended) => self.read_once(group, filter, limits),
            other => other,
        }
    }

    /// Reads after the queue was trimmed, perhaps beyond where this began.
    fn read_again(&self, group: &Group, filter: &Filter, limits: &Limits) -> Result<Look, LookError> {
        match plan(group, self.queue.topic(), self.queue.queue_id() as i32, self.from) {
            Plan::Nothing(look) => Ok(look),
            Plan::Read(reading) => reading.read_once(group, filter, limits),
        }
    }

    fn read_once(&self, group: &Group, filter: &Filter, limits: &Limits) -> Result<Look, LookError> {
        let Self { queue, from, min, max, .. } = self;
        let units = queue.read(QueueOffset(*from as u64), limits.scan_units)?;
        let log_end = group.log.ends().committed.0;
        let mut found = Found::default();
        let mut next = *from;
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
                    if let Err(damaged) = take_run(group, queue, &run, &mut found) {
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
            damage = take_run(group, queue, &run, &mut found).err();
        }
        if let Some((at, error)) = damage {
            let is_purged = matches!(error, LookError::Log(ReadError::Purged { .. }));
            let is_mended = !is_purged && judge(group, queue, at, &error);
            if found.count == 0 {
                return Err(if is_mended { LookError::Mended } else { error });
            }
            next = at;
        }
        let status = if found.count > 0 { Status::Found } else { Status::NoMatchedMessage };
        Ok(Look { status, asked: *from, next, min: *min, max: *max, found })
    }
}

/// The first unit at or behind `offset` that cannot be read.
fn first_unreadable(queue: &ConsumeQueue, offset: i64, count: usize) -> Option<i64> {
    (offset..offset + count as i64).find(|at| queue.unit(QueueOffset(*at as u64)).is_err())
}

/// A unit that was never written, or a file that ends too early.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
