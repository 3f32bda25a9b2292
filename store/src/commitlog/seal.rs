//! Sealing: the numbers that a message unit gets from its place in the log.
//!
//! The next queue offset of each queue is a function of the log up to its end, uncommitted entries included. A
//! leader's appends read and advance it, a follower's check it and advance it, a truncation takes it back.

use std::collections::{BTreeMap, HashMap, VecDeque};

use protocol::message::{self, MessageView, UnitError, sys_flag};

use crate::checkpoint::SealState;

/// Why a unit of an entry is not what its place demands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The payload is not units end to end.
    #[error("message unit {unit}: {source}")]
    Unit {
        /// Which unit of the entry, from 0.
        unit: u32,
        /// What is wrong with it.
        source: UnitError,
    },
    /// The header and the payload disagree.
    #[error("the payload has {found} message units, the header says {stated}")]
    Count {
        /// In the payload.
        found: u32,
        /// In the header.
        stated: u32,
    },
    /// A negative queue id.
    #[error("message unit {unit}: queue id {queue_id} is negative")]
    QueueId {
        /// Which unit of the entry, from 0.
        unit: u32,
        /// In the unit.
        queue_id: i32,
    },
    /// A gap or a repeat in a queue.
    #[error("message unit {unit}: queue offset {found} of {topic}-{queue_id}, the next is {expected}")]
    QueueOffset {
        /// Which unit of the entry, from 0.
        unit: u32,
        /// The topic.
        topic: String,
        /// The queue.
        queue_id: u32,
        /// In the unit.
        found: i64,
        /// What follows the log so far.
        expected: u64,
    },
    /// The unit was sealed for another place.
    #[error("message unit {unit}: commitlog offset {found}, it lies at {expected}")]
    Place {
        /// Which unit of the entry, from 0.
        unit: u32,
        /// In the unit.
        found: i64,
        /// Where it lies.
        expected: u64,
    },
    /// Time went back.
    #[error("message unit {unit}: store timestamp {found} is before the last one, {last}")]
    Time {
        /// Which unit of the entry, from 0.
        unit: u32,
        /// In the unit.
        found: i64,
        /// Of the unit before.
        last: u64,
    },
}

/// Whether a unit has a place in its queue: half messages and roll-backs have none.
pub(crate) fn is_queued(sys_flag: i32) -> bool {
    matches!(sys_flag::transaction(sys_flag), sys_flag::TRANSACTION_NONE | sys_flag::TRANSACTION_COMMIT)
}

/// Counts queue offsets and store time along the log.
pub(crate) struct Sealer {
    /// Which place in `next` a queue has.
    places: HashMap<String, BTreeMap<u32, usize>>,
    /// The next queue offset, by place.
    next: Vec<u64>,
    last_store_timestamp_ms: u64,
    /// How to take back each entry that may yet be truncated, oldest first.
    undo: VecDeque<Undo>,
}

struct Undo {
    log_index: u64,
    last_store_timestamp_ms: u64,
    /// Place and value before, in the order of change.
    changed: Vec<(usize, u64)>,
}

impl Sealer {
    /// Goes on from `state`.
    pub(crate) fn new(state: &SealState) -> Self {
        let mut sealer = Self {
            places: HashMap::new(),
            next: Vec::new(),
            last_store_timestamp_ms: state.last_store_timestamp_ms,
            undo: VecDeque::new(),
        };
        for (topic, queue_id, next) in &state.queue_ends {
            let place = sealer.place(topic, *queue_id);
            sealer.next[place] = *next;
        }
        sealer
    }

    /// The state at the end of the log.
    pub(crate) fn state(&self) -> SealState {
        let mut queue_ends: Vec<_> = self
            .places
            .iter()
            .flat_map(|(topic, queues)| queues.iter().map(move |(id, place)| (topic, *id, self.next[*place])))
            .filter(|(_, _, next)| *next > 0)
            .map(|(topic, id, next)| (topic.clone(), id, next))
            .collect();
        queue_ends.sort();
        SealState { queue_ends, last_store_timestamp_ms: self.last_store_timestamp_ms }
    }

    /// Seals the units of `parts`, whose first byte lies at commitlog offset `at`, as those of entry `log_index`.
    ///
    /// # Errors
    /// If they are not `unit_count` units. What was counted so far is taken back by [`Sealer::undo_from`].
    pub(crate) fn seal(
        &mut self,
        log_index: u64,
        parts: &mut [bytes::BytesMut],
        at: u64,
        unit_count: u32,
        now_ms: u64,
    ) -> Result<(), SealError> {
        self.begin(log_index);
        let store_timestamp_ms = now_ms.max(self.last_store_timestamp_ms);
        let mut count = 0;
        let mut at = at;
        for part in parts {
            let mut begin = 0;
            while begin < part.len() {
                let wrong = |source| SealError::Unit { unit: count, source };
                let bytes = message::unit_size(&part[begin..]).map_err(wrong)?;
                let got = part.len() - begin;
                let Some(unit) = part[begin..].get_mut(..bytes) else {
                    return Err(wrong(UnitError::Truncated { needed: bytes, got }));
                };
                let view = message::parse(unit).map_err(wrong)?;
                let queue_offset = if is_queued(view.sys_flag) { self.take_next(&view, count)? } else { 0 };
                message::seal_unit(unit, queue_offset as i64, at as i64, store_timestamp_ms as i64);
                self.last_store_timestamp_ms = store_timestamp_ms;
                begin += bytes;
                at += bytes as u64;
                count += 1;
            }
        }
        check_count(count, unit_count)
    }

    /// Checks the sealed units of `payload`, which lies at commitlog offset `at`, and counts them.
    ///
    /// # Errors
    /// If they are not what this place in the log demands. What was counted so far is taken back by
    /// [`Sealer::undo_from`].
    pub(crate) fn observe(
        &mut self,
        log_index: u64,
        payload: &[u8],
        at: u64,
        unit_count: u32,
    ) -> Result<(), SealError> {
        self.begin(log_index);
        let mut count = 0;
        let mut at = at;
        for unit in message::walk(payload) {
            let wrong = |source| SealError::Unit { unit: count, source };
            let view = message::parse(unit.map_err(wrong)?).map_err(wrong)?;
            if view.physical_offset != at as i64 {
                return Err(SealError::Place { unit: count, found: view.physical_offset, expected: at });
            }
            let last = self.last_store_timestamp_ms;
            if view.store_timestamp_ms < last as i64 {
                return Err(SealError::Time { unit: count, found: view.store_timestamp_ms, last });
            }
            self.last_store_timestamp_ms = view.store_timestamp_ms as u64;
            if is_queued(view.sys_flag) {
                let expected = self.take_next(&view, count)?;
                if view.queue_offset != expected as i64 {
                    return Err(SealError::QueueOffset {
                        unit: count,
                        topic: view.topic.to_owned(),
                        queue_id: view.queue_id as u32,
                        found: view.queue_offset,
                        expected,
                    });
                }
            }
            at += view.unit_bytes() as u64;
            count += 1;
        }
        check_count(count, unit_count)
    }

    /// Takes back all entries from `log_index` on.
    pub(crate) fn undo_from(&mut self, log_index: u64) {
        while self.undo.back().is_some_and(|undo| undo.log_index >= log_index) {
            let undo = self.undo.pop_back().expect("it has just been seen");
            for (place, before) in undo.changed.into_iter().rev() {
                self.next[place] = before;
            }
            self.last_store_timestamp_ms = undo.last_store_timestamp_ms;
        }
    }

    /// Entries up to `log_index` will never be taken back.
    pub(crate) fn settle(&mut self, log_index: u64) {
        while self.undo.front().is_some_and(|undo| undo.log_index <= log_index) {
            self.undo.pop_front();
        }
    }

    fn begin(&mut self, log_index: u64) {
        let last_store_timestamp_ms = self.last_store_timestamp_ms;
        self.undo.push_back(Undo { log_index, last_store_timestamp_ms, changed: Vec::new() });
    }

    fn take_next(&mut self, view: &MessageView<'_>, unit: u32) -> Result<u64, SealError> {
        let queue_id =
            u32::try_from(view.queue_id).map_err(|_| SealError::QueueId { unit, queue_id: view.queue_id })?;
        let place = self.place(view.topic, queue_id);
        let next = self.next[place];
        let changed = &mut self.undo.back_mut().expect("an entry has begun").changed;
        if changed.last().is_none_or(|(last, _)| *last != place) {
            changed.push((place, next));
        }
        self.next[place] = next + 1;
        Ok(next)
    }

    fn place(&mut self, topic: &str, queue_id: u32) -> usize {
        if let Some(place) = self.places.get(topic).and_then(|queues| queues.get(&queue_id)) {
            return *place;
        }
        let place = self.next.len();
        self.next.push(0);
        self.places.entry(topic.to_owned()).or_default().insert(queue_id, place);
        place
    }
}

fn check_count(found: u32, stated: u32) -> Result<(), SealError> {
    if found == stated { Ok(()) } else { Err(SealError::Count { found, stated }) }
}
