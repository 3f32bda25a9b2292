//! Delayed messages: 18 levels, one queue of the schedule topic each, delivered by the leader when they are due.
//!
//! A delivered message names the schedule record it fulfils. Applying it moves the level's progress in the
//! replicated tables, so delivery and bookkeeping are one log entry: a new leader goes on exactly behind it, and
//! a fail-over neither loses nor doubles a delayed message.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use protocol::message::{self, MessageView, UnitFields, properties};
use protocol::names;
use raft::{Proposal, ProposeError};
use store::QueueOffset;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::server::Broker;

/// How often the levels are looked at. Source: RocketMQ `ScheduleMessageService.DELAY_FOR_A_WHILE`.
const LOOK: Duration = Duration::from_millis(100);
/// Messages of one level delivered as one entry.
const BATCH_MESSAGES: usize = 64;
/// Bytes after which a batch of deliveries is closed.
const BATCH_BYTES: usize = 256 << 10;
/// How long to wait for certainty about a delivery whose outcome is unknown.
const CERTAIN_WITHIN: Duration = Duration::from_secs(5);

/// On a delivered message: `level,offset` of the schedule record it fulfils. Ours; clients take it for one of
/// the user's.
const DELIVERY: &str = "__DELIVERY";

/// The delay level a message asks for; 0 for none.
pub fn level(properties: &str) -> i32 {
    properties::get(properties, properties::DELAY_TIME_LEVEL)
        .and_then(|level| level.parse().ok())
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

/// Which schedule record (level, offset) a unit fulfils, if it is a delivery.
pub fn delivery_of(unit: &MessageView<'_>) -> Option<(i32, i64)> {
    // The mark is cheap to look for; the property only where it stands.
    if unit.prepared_transaction_offset == 0 {
        return None;
    }
    let (level, offset) = unit.property(DELIVERY)?.split_once(',')?;
    Some((level.parse().ok()?, offset.parse().ok()?))
}

/// Delivers what is due while this node leads, until shutdown.
pub async fn deliver(broker: Arc<Broker>, mut shutdown: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        for level in 1..=broker.config.messages.delay_levels_ms.len() as i32 {
            while broker.is_ready() && !broker.is_disk_full() && deliver_batch(&broker, level).await {}
        }
    }
}

/// Delivers what is due of one level, as one entry; says whether there may be more.
async fn deliver_batch(broker: &Broker, level: i32) -> bool {
    let due = match due(broker, level) {
        Ok(Some(due)) => due,
        Ok(None) => return false,
        Err(error) => {
            warn!(level, error, "delayed messages not read; trying again");
            return false;
        }
    };
    let count = due.count;
    match broker.node.propose(Proposal::Units { payload: due.units, count }).await {
        Ok(receipt) => {
            debug!(level, count, log_index = receipt.log_index, "delayed messages delivered");
            true
        }
        // Whether it is in the log decides whether the same messages are proposed again: wait until all that
        // could have been committed is applied. The tables know then.
        Err(ProposeError::Unknown) => broker.node.read_index(CERTAIN_WITHIN).await.is_ok(),
        Err(error) => {
            debug!(level, %error, "delayed messages not delivered; trying again");
            false
        }
    }
}

struct Due {
    units: BytesMut,
    count: u32,
}

fn due(broker: &Broker, level: i32) -> Result<Option<Due>, String> {
    let Some(queue) = broker.queues.get(names::SCHEDULE_TOPIC, (level - 1) as u32) else { return Ok(None) };
    let delay_ms = broker.config.messages.delay_levels_ms[(level - 1) as usize];
    let first = broker.tables().delay_progress(level).max(queue.min().0 as i64);
    let now_ms = broker.now_ms() as i64;
    let mut due = Due { units: BytesMut::new(), count: 0 };
    let units = queue.read(QueueOffset(first as u64), BATCH_MESSAGES).map_err(|error| error.to_string())?;
    for (n, unit) in units.iter().enumerate() {
        let record = broker.log.slice(unit.offset, unit.size).map_err(|error| error.to_string())?;
        let view = message::parse(&record).map_err(|error| error.to_string())?;
        // A clock that went back must not hold messages for longer than their delay.
        let due_ms = (view.store_timestamp_ms + delay_ms as i64).min(now_ms + delay_ms as i64);
        if due_ms > now_ms {
            break;
        }
        deliver_record(&view, level, first + n as i64, &mut due)?;
        if due.units.len() >= BATCH_BYTES {
            break;
        }
    }
    Ok((due.count > 0).then_some(due))
}

fn deliver_record(view: &MessageView<'_>, level: i32, offset: i64, due: &mut Due) -> Result<(), String> {
    let mut stored = view.properties.clone().into_owned();
    let topic =
        view.property(properties::REAL_TOPIC).ok_or("a schedule record without REAL_TOPIC")?.to_owned();
    let queue_id = view.property(properties::REAL_QUEUE_ID).and_then(|id| id.parse().ok()).unwrap_or(0);
    // Level, topic and queue stay in the properties, as on RocketMQ: consumers read the level there.
    properties::set(&mut stored, DELIVERY, &format!("{level},{offset}"));
    let fields = UnitFields {
        topic: &topic,
        queue_id,
        // Where the schedule record lies; it is never 0, for the log begins with a header.
        prepared_transaction_offset: view.physical_offset,
        ..UnitFields::copy_of(view, &stored)
    };
    message::encode_unit(&fields, &mut due.units).map_err(|error| error.to_string())?;
    due.count += 1;
    Ok(())
}

/// Kept out of what a client sends: it would claim to fulfil a record.
pub fn strip(properties: &mut String) {
    if properties::get(properties, DELIVERY).is_some() {
        properties::remove(properties, DELIVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_delivery_names_the_record_it_fulfils() {
        let stored = "REAL_TOPIC\u{1}T\u{2}REAL_QID\u{1}1\u{2}DELAY\u{1}2\u{2}KEYS\u{1}k\u{2}";
        let host = "10.0.0.1:10911".parse().unwrap();
        let fields = UnitFields {
            topic: names::SCHEDULE_TOPIC,
            queue_id: 1,
            flag: 0,
            sys_flag: 0,
            born_timestamp_ms: 5,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"later",
            properties: stored,
        };
        let mut record = BytesMut::new();
        message::encode_unit(&fields, &mut record).unwrap();
        message::seal_unit(&mut record, 7, 4_096, 9);
        let mut due = Due { units: BytesMut::new(), count: 0 };
        deliver_record(&message::parse(&record).unwrap(), 2, 7, &mut due).unwrap();
        let units = due.units.freeze();
        let delivered = message::parse(&units).unwrap();
        assert_eq!((delivered.topic, delivered.queue_id, delivered.body), ("T", 1, &b"later"[..]));
        assert_eq!(delivery_of(&delivered), Some((2, 7)));
        assert_eq!(delivered.property("KEYS"), Some("k"));
        assert_eq!(level(&delivered.properties), 2, "as consumers of RocketMQ see it");
    }
}
