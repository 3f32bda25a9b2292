//! Delayed messages: 18 levels, one queue of the schedule topic each, delivered by the leader when they are due.
//!
//! Delivered messages and the effect that moves their level's progress in the replicated tables are one log entry: a new
//! leader goes on exactly behind it, and a failover neither loses nor doubles a delayed message.
//!
//! What is due is decided from applied state, in one term: a leader that is ready has applied everything earlier
//! leaders delivered, delivers one batch of a level after the other, and proposes each in the term in which it was
//! decided. So a delivery that does not follow the last one is a broken log, and stops applying.

mod arrivals;
pub mod old_form;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use protocol::message::{self, MessageView, UnitFields, properties};
use protocol::names;
use raft::{Proposal, ProposeError};
use store::QueueOffset;
use store::codec::{self, EFFECTS_SINCE};
use tokio::sync::watch;
use tracing::{debug, error, warn};

use crate::node::Node;
use crate::pull::stored;
use crate::state::{Change, LevelDelivered, Tables};
use crate::stats::name as stat;
use arrivals::{Arrivals, Moment};

/// How often the levels are looked at. Source: RocketMQ `ScheduleMessageService.DELAY_FOR_A_WHILE`, halved, because
/// a record may come just after one look and be due just after another.
const LOOK: Duration = Duration::from_millis(50);
/// Messages of one level delivered as one entry.
const BATCH_MESSAGES: usize = 64;
/// Bytes after which a batch of deliveries is closed.
const BATCH_BYTES: usize = 256 << 10;
/// More than a delivery's effect takes in an entry.
const EFFECT_BYTES: usize = 128;
/// After a failure a level is tried again after this time.
const AGAIN: Duration = Duration::from_millis(500);
/// A node without a leader for so long may have missed what was stored meanwhile.
const LEADERLESS_MAX: Duration = Duration::from_secs(10);
/// A node that has more entries to apply than this is not level with its group.
const LEVEL_ENTRIES_MAX: u64 = 256;

/// The delay level a message asks for; 0 for none.
pub fn level(properties: &str) -> i32 {
    properties::get(properties, properties::DELAY_TIME_LEVEL)
        .and_then(|level| level.trim().parse().ok())
        .unwrap_or(0)
}

/// If the message asks for a delay, notes in its properties where it really goes, and returns the level: its
/// queue in the schedule topic is one less. A level above the last one is the last one.
pub fn delay(properties: &mut String, topic: &str, queue_id: i32, levels_ms: &[u64]) -> Option<i32> {
    let asked = level(properties);
    if asked <= 0 || levels_ms.is_empty() {
        return None;
    }
    let level = asked.min(levels_ms.len() as i32);
    if level != asked {
        properties::set(properties, properties::DELAY_TIME_LEVEL, &level.to_string());
    }
    properties::set(properties, properties::REAL_TOPIC, topic);
    properties::set(properties, properties::REAL_QUEUE_ID, &queue_id.to_string());
    Some(level)
}

/// Delivers what is due while this node leads, until shutdown. Every node notes when records come, for it may lead
/// when they are due.
pub async fn deliver(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    let delays_ms = node.config.messages.delay_levels_ms.iter();
    let arrivals: Vec<_> =
        delays_ms.map(|delay_ms| Arrivals::new(Duration::from_millis(*delay_ms))).collect();
    let level_count = arrivals.len() as i32;
    let arrivals = Arc::new(Mutex::new(arrivals));
    let looking = async {
        let mut led_at = None;
        loop {
            look(&node, &mut led_at, &mut arrivals.lock().unwrap_or_else(PoisonError::into_inner));
            tokio::time::sleep(LOOK).await;
        }
    };
    let delivering = async {
        let mut levels: Vec<_> = (1..=level_count).map(Level::new).collect();
        loop {
            tokio::time::sleep(LOOK).await;
            for level in &mut levels {
                level.deliver(&node, &arrivals).await;
            }
        }
    };
    tokio::select! {
        () = looking => {}
        () = delivering => {}
        _ = shutdown.wait_for(|stop| *stop) => {}
    }
}

/// `led_at`: when this node last had a leader. Through an election it stays level with its group.
fn look(node: &Node, led_at: &mut Option<Duration>, arrivals: &mut [Arrivals]) {
    let now = Moment { monotonic: node.monotonic(), wall_ms: node.now_ms() };
    let is_level = {
        let view = node.group.views.borrow();
        if view.leader.is_some() {
            *led_at = Some(now.monotonic);
        }
        led_at.is_some_and(|at| now.monotonic.saturating_sub(at) < LEADERLESS_MAX)
            && view.halted.is_none()
            && view.applied_index + LEVEL_ENTRIES_MAX >= view.known_commit_index
    };
    for (n, arrivals) in arrivals.iter_mut().enumerate() {
        let Some(queue) = node.group.queues.get(names::SCHEDULE_TOPIC, n as u32) else { continue };
        let next = node.group.tables().delay_progress(n as i32 + 1).max(0) as u64;
        arrivals.look(now, queue.max().0, next, is_level);
    }
}

/// One delay level, as this node delivers it.
struct Level {
    number: i32,
    /// In this term a proposal's outcome is unknown, so that what is next is unknown too: the next leader knows,
    /// which may be this node again.
    unsure_in: Option<u64>,
    /// Tried again at this time.
    not_before: Duration,
    /// The next batch is one record, because more were too large.
    one_by_one: bool,
}

/// What is to be proposed.
enum Due {
    /// Messages of a level.
    Messages(Proposal),
    /// A record that can never be delivered.
    Undeliverable { offset: i64, reason: String },
}

impl Level {
    fn new(level: i32) -> Self {
        Self { number: level, unsure_in: None, not_before: Duration::ZERO, one_by_one: false }
    }

    async fn deliver(&mut self, node: &Arc<Node>, arrivals: &Arc<Mutex<Vec<Arrivals>>>) {
        while !node.group.is_disk_full() && node.monotonic() >= self.not_before {
            let Some(term) = node.group.serving_term().filter(|term| self.unsure_in != Some(*term)) else {
                return;
            };
            if !has_more(node, self.number) {
                return;
            }
            // Everything is read after the term was: nothing older than it can be decided on.
            let reading = {
                let (node, arrivals, level) = (Arc::clone(node), Arc::clone(arrivals), self.number);
                let count_max = if self.one_by_one { 1 } else { BATCH_MESSAGES };
                tokio::task::spawn_blocking(move || due(&node, &arrivals, level, count_max))
            };
            match reading.await {
                // Nothing is due, or the runtime goes down.
                Ok(Ok(None)) | Err(_) => return,
                Ok(Ok(Some(due))) => self.propose(node, term, due).await,
                Ok(Err(error)) => {
                    warn!(level = self.number, error, "delayed messages not read; trying again");
                    self.not_before = node.monotonic() + AGAIN;
                }
            }
        }
    }

    async fn propose(&mut self, node: &Node, term: u64, due: Due) {
        let level = self.number;
        let proposal = match due {
            Due::Messages(proposal) => proposal,
            Due::Undeliverable { offset, reason } => {
                error!(
                    level,
                    offset,
                    reason,
                    "a delayed message cannot be delivered and is set aside: it stays in {}",
                    names::SCHEDULE_TOPIC
                );
                node.stats.counter(stat::DELAY_SET_ASIDE_NUMS, &level.to_string()).add(1);
                match crate::leader::submit::proposal(&Change::SetDelayedAside { level, offset }) {
                    Ok(proposal) => proposal,
                    Err(error) => {
                        error!(level, offset, %error, "not set aside");
                        self.not_before = node.monotonic() + AGAIN;
                        return;
                    }
                }
            }
        };
        let count = proposal.unit_count;
        match node.group.raft.propose_in_term(term, proposal).await {
            Ok(receipt) => {
                self.one_by_one = false;
                debug!(level, count, log_index = receipt.log_index, "delayed messages delivered");
            }
            Err(ProposeError::Unknown) => self.unsure_in = Some(term),
            Err(ProposeError::TooLarge { .. }) if count > 1 => self.one_by_one = true,
            Err(error) => {
                debug!(level, %error, "delayed messages not delivered; trying again");
                self.not_before = node.monotonic() + LOOK;
            }
        }
    }
}

/// Whether the level has a record that is not delivered, due or not.
fn has_more(node: &Node, level: i32) -> bool {
    let queue = node.group.queues.get(names::SCHEDULE_TOPIC, (level - 1) as u32);
    queue.is_some_and(|queue| queue.max().0 as i64 > node.group.tables().delay_progress(level))
}

fn due(
    node: &Node,
    arrivals: &Mutex<Vec<Arrivals>>,
    level: i32,
    count_max: usize,
) -> Result<Option<Due>, String> {
    let Some(queue) = node.group.queues.get(names::SCHEDULE_TOPIC, (level - 1) as u32) else {
        return Ok(None);
    };
    let first = node.group.tables().delay_progress(level).max(queue.min().0 as i64);
    let (mut payload, mut count) = (BytesMut::new(), 0);
    let has_marks = node.group.views.borrow().group_feature_level < EFFECTS_SINCE;
    let units = queue.read(QueueOffset(first as u64), count_max).map_err(|error| error.to_string())?;
    for (n, unit) in units.iter().enumerate() {
        let offset = first + n as i64;
        let place = QueueOffset(offset as u64);
        let record = match stored::message(&node.group, &queue, place, unit) {
            Ok(record) => record,
            Err(error) if count == 0 => {
                // No record stands in the way of the others forever.
                let is_lost = |damage: &store::Damage| {
                    damage.is_everywhere && (damage.stretch.start..damage.stretch.end).contains(&unit.offset)
                };
                if node.group.log.damage().iter().any(is_lost) {
                    let reason = format!("{error}, and on every other node");
                    return Ok(Some(Due::Undeliverable { offset, reason }));
                }
                return Err(error.to_string());
            }
            Err(_) => break, // told when it is the next one
        };
        let view = message::parse(&record).map_err(|error| error.to_string())?;
        let is_due = {
            let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            arrivals[(level - 1) as usize].is_due(offset as u64, view.store_timestamp_ms, node.monotonic())
        };
        if !is_due {
            break;
        }
        let before = payload.len();
        let mark = has_marks.then_some((level, offset));
        let outcome = deliver_record(&view, &node.group.tables(), mark, &mut payload).and_then(|()| {
            let bytes = payload.len() - before + EFFECT_BYTES;
            let limit = node.group.raft.entry_bytes_max();
            if bytes > limit {
                return Err(format!("delivered it has {bytes} bytes, an entry at most {limit}"));
            }
            Ok(())
        });
        if let Err(reason) = outcome {
            if count == 0 {
                return Ok(Some(Due::Undeliverable { offset, reason }));
            }
            payload.truncate(before);
            break;
        }
        count += 1;
        if payload.len() >= BATCH_BYTES {
            break;
        }
    }
    if count == 0 {
        return Ok(None);
    }
    let mut proposal = Proposal::units(payload, count);
    if !has_marks {
        let effect = codec::encode(&LevelDelivered { level, from: first, count });
        proposal = proposal.with_effect(effect.map_err(|error| error.to_string())?);
    }
    Ok(Some(Due::Messages(proposal)))
}

/// S14: a topic may have fewer queues by now than when its message was sent; consumers read no others.
fn readable_queue(tables: &Tables, topic: &str, queue_id: i32) -> i32 {
    let queues = tables.topic(topic).map_or(0, |topic| topic.read_queue_nums);
    if queues > 0 && !(0..queues).contains(&queue_id) { queue_id.rem_euclid(queues) } else { queue_id }
}

fn deliver_record(
    view: &MessageView<'_>,
    tables: &Tables,
    mark: Option<(i32, i64)>,
    units: &mut BytesMut,
) -> Result<(), String> {
    let topic = view.property(properties::REAL_TOPIC).ok_or("it has no REAL_TOPIC")?;
    let queue_id = view.property(properties::REAL_QUEUE_ID).and_then(|id| id.parse().ok()).unwrap_or(0);
    let queue_id = readable_queue(tables, topic, queue_id);
    let prepared_transaction_offset = match mark {
        Some((_, offset)) if offset > old_form::OFFSET_MAX => {
            return Err(format!("its offset {offset} is above {}", old_form::OFFSET_MAX));
        }
        Some((level, offset)) => old_form::mark(level, offset),
        None => 0,
    };
    // The properties are the record's own, so that what was accepted can be delivered. Level, topic and queue stay
    // in them, as on RocketMQ: consumers read the level there.
    let fields = UnitFields {
        topic,
        queue_id,
        prepared_transaction_offset,
        ..UnitFields::copy_of(view, &view.properties)
    };
    message::encode_unit(&fields, units).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::TopicConfig;

    const LEVELS: [u64; 3] = [1_000, 5_000, 10_000];

    #[test]
    fn a_message_that_asks_for_a_delay_notes_where_it_really_goes() {
        let mut properties = String::from("DELAY\u{1}2\u{2}");
        assert_eq!(delay(&mut properties, "T", 3, &LEVELS), Some(2));
        assert_eq!(properties::get(&properties, "REAL_TOPIC"), Some("T"));
        assert_eq!(properties::get(&properties, "REAL_QID"), Some("3"));
    }

    #[test]
    fn a_level_above_the_last_is_the_last_and_none_is_none() {
        let mut above = String::from("DELAY\u{1}99\u{2}");
        assert_eq!(delay(&mut above, "T", 0, &LEVELS), Some(3));
        assert_eq!(level(&above), 3);
        for none in ["", "DELAY\u{1}0\u{2}", "DELAY\u{1}-1\u{2}", "DELAY\u{1}x\u{2}"] {
            assert_eq!(delay(&mut none.to_owned(), "T", 0, &LEVELS), None, "{none:?}");
        }
    }

    /// Every delayed message that a Java broker has stored, and what it delivered for it: what ours delivers for the same
    /// record is the same, field by field and property by property. Their order in the text is the record's own in both.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test reads recorded bytes")]
    fn a_delivered_message_is_what_a_java_broker_delivers() {
        let mut compared = 0;
        for store in ["broker-5.3.3", "broker-4.9.7"] {
            let path = format!("{}/../protocol/tests/vectors/units/{store}.bin", env!("CARGO_MANIFEST_DIR"));
            let bytes = std::fs::read(path).unwrap();
            let units: Vec<_> = message::walk(&bytes)
                .map_while(Result::ok)
                .filter_map(|unit| message::parse(unit).ok())
                .collect();
            let key = |unit: &MessageView<'_>| {
                let names = ["UNIQ_KEY", properties::DELAY_TIME_LEVEL];
                (names.map(|name| unit.property(name).unwrap_or_default().to_owned()), unit.reconsume_times)
            };
            for (at, record) in units.iter().enumerate() {
                if record.topic != names::SCHEDULE_TOPIC {
                    continue;
                }
                let topic = record.property(properties::REAL_TOPIC).unwrap();
                let theirs = units[at..].iter().find(|unit| unit.topic == topic && key(unit) == key(record));
                let Some(theirs) = theirs else { continue };
                let mut delivered = BytesMut::new();
                deliver_record(record, &Tables::default(), None, &mut delivered).unwrap();
                let ours = message::parse(&delivered).unwrap();
                assert_eq!(ours.properties, theirs.properties);
                assert_eq!(
                    (ours.topic, ours.queue_id, ours.flag),
                    (theirs.topic, theirs.queue_id, theirs.flag)
                );
                assert_eq!((ours.sys_flag, ours.reconsume_times), (theirs.sys_flag, theirs.reconsume_times));
                assert_eq!(ours.born_timestamp_ms, theirs.born_timestamp_ms);
                assert_eq!((ours.born_host, ours.store_host), (theirs.born_host, theirs.store_host));
                assert_eq!(ours.prepared_transaction_offset, theirs.prepared_transaction_offset);
                assert_eq!(ours.body, theirs.body);
                compared += 1;
            }
        }
        assert!(compared >= 5, "{compared} were compared");
    }

    #[test]
    fn s14_a_message_comes_into_a_queue_that_is_read() {
        let mut tables = Tables::default();
        assert_eq!(readable_queue(&tables, "T", 9), 9, "a topic that is gone");
        let topics = vec![TopicConfig::new("T", 4, 6)];
        tables.apply(&Change::PutTopics { topics, only_new: false, now_ms: 1 });
        assert_eq!([3, 4, 9, -1].map(|queue_id| readable_queue(&tables, "T", queue_id)), [3, 0, 1, 3]);
    }
}
