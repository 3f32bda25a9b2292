//! From what was sent to the units of a proposal: properties as they are stored, delays, batches.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use protocol::ResponseCode as code;
use protocol::command::send::SendRequest;
use protocol::message::{self, UnitFields, batch, properties, sys_flag};
use protocol::names;
use rand::Rng;

use crate::delay;
use crate::node::Node;
use crate::refusal::Refusal;
use crate::send::check::{self, Admission, Target};
use crate::state::FilterType;
use crate::stats::MessageType;

/// One message, or a batch of them, as it was sent.
pub struct Send {
    /// Where it goes, and what is said of it.
    pub header: SendRequest,
    /// Its body; of a batch, all members.
    pub body: Bytes,
    /// Who sent it.
    pub client: SocketAddr,
}

/// A message, or a batch of them, ready to be proposed.
pub struct Ready {
    /// The units, one behind the other.
    pub units: BytesMut,
    /// How many.
    pub count: u32,
    /// How many bytes they have.
    pub bytes: u64,
    /// For the counters.
    pub kind: MessageType,
    /// Where they go, dead letters included.
    pub topic: String,
    /// Their queue.
    pub queue_id: i32,
    /// The first message's, or the batch's own.
    pub unique_key: Option<String>,
}

/// The units of a send that was admitted.
///
/// # Errors
/// What no broker could store, with both numbers where it is a size.
pub fn prepare(node: &Node, send: &Send, admission: &Admission) -> Result<Ready, Refusal> {
    let header = &send.header;
    let body_bytes_max = node.live().messages.body_bytes_max;
    let queue_id =
        if admission.queue_id < 0 { any_queue(node, &admission.target) } else { admission.queue_id };
    // A transaction bit without a half message would hide the message from every queue.
    let mut flags = sys_flag::with_transaction(sys_flag::without_host_bits(header.sys_flag), 0);
    if admission.target.filter_type == FilterType::MultiTag {
        flags |= sys_flag::MULTI_TAGS;
    }
    let fields = UnitFields {
        topic: &admission.topic,
        queue_id,
        flag: header.flag,
        sys_flag: flags,
        born_timestamp_ms: header.born_timestamp_ms,
        born_host: send.client,
        store_host: node.config.network.store_host,
        reconsume_times: header.reconsume_times,
        prepared_transaction_offset: 0,
        body: &send.body,
        properties: &header.properties,
    };
    let mut units = BytesMut::new();
    refuse_what_cannot_be(&header.properties)?;
    refuse_what_is_missing(&header.properties)?;
    let (count, unique_key) = if header.batch {
        if delay::level(&header.properties) > 0 {
            return Err(Refusal::new(code::MESSAGE_ILLEGAL, "a batch cannot be delayed"));
        }
        let unique_key = properties::get(&header.properties, properties::UNIQ_KEY).map(str::to_owned);
        (pack_batch(&fields, body_bytes_max, &mut units)?, unique_key)
    } else {
        let (mut properties, unique_key) = stored_properties(node, &header.properties);
        if admission.is_dead {
            properties::set(&mut properties, properties::DELAY_TIME_LEVEL, "-1");
        }
        let delayed =
            delay::delay(&mut properties, &admission.topic, queue_id, &node.config.messages.delay_levels_ms);
        check::check_sizes(send.body.len(), properties.len(), body_bytes_max)?;
        let mut fields = UnitFields { properties: &properties, ..fields };
        if let Some(level) = delayed {
            (fields.topic, fields.queue_id) = (names::SCHEDULE_TOPIC, level - 1);
        }
        message::encode_unit(&fields, &mut units).map_err(illegal)?;
        (1, Some(unique_key))
    };
    let bytes = units.len() as u64;
    let kind = MessageType::of(&header.properties);
    Ok(Ready { units, count, bytes, kind, topic: admission.topic.clone(), queue_id, unique_key })
}

/// One unit a member: properties as they came, everything else from the request.
fn pack_batch(fields: &UnitFields<'_>, body_bytes_max: u64, units: &mut BytesMut) -> Result<u32, Refusal> {
    if names::group_of_retry_topic(fields.topic).is_some() {
        return Err(Refusal::new(code::MESSAGE_ILLEGAL, "batch request does not support retry group"));
    }
    if fields.body.len() as u64 > body_bytes_max {
        let remark =
            format!("batch body of {} bytes exceeds the limit of {body_bytes_max} bytes", fields.body.len());
        return Err(Refusal::new(code::MESSAGE_ILLEGAL, remark));
    }
    let mut count = 0;
    for item in batch::decode(fields.body) {
        let item = item.map_err(|error| Refusal::new(code::MESSAGE_ILLEGAL, error.to_string()))?;
        refuse_what_cannot_be(&item.properties)?;
        refuse_what_is_missing(&item.properties)?;
        if delay::level(&item.properties) > 0 {
            return Err(Refusal::new(code::MESSAGE_ILLEGAL, "a batch cannot hold delayed messages"));
        }
        check::check_sizes(item.body.len(), item.properties.len(), body_bytes_max)?;
        let fields = UnitFields { body: item.body, properties: &item.properties, flag: item.flag, ..*fields };
        message::encode_unit(&fields, units).map_err(illegal)?;
        count += 1;
    }
    if count == 0 {
        return Err(Refusal::new(code::MESSAGE_ILLEGAL, "batch without a message"));
    }
    Ok(count)
}

/// The message's properties as they are stored: without the pop mark, with region, trace switch, cluster and a
/// unique key.
fn stored_properties(node: &Node, sent: &str) -> (String, String) {
    let mut stored = String::with_capacity(sent.len() + 128);
    stored.push_str(sent);
    if properties::get(sent, properties::POP_CK).is_some() {
        properties::remove(&mut stored, properties::POP_CK);
    }
    let unique_key = match properties::get(sent, properties::UNIQ_KEY) {
        Some(key) => key.to_owned(),
        None => {
            let key = node.unique_keys.next(node.now_ms() as i64);
            properties::append(&mut stored, properties::UNIQ_KEY, &key);
            key
        }
    };
    let trace = if node.live().messages.trace_on { "true" } else { "false" };
    for (name, value) in [
        (properties::MSG_REGION, node.config.identity.region.as_str()),
        (properties::TRACE_SWITCH, trace),
        (properties::CLUSTER, node.config.identity.cluster.as_str()),
    ] {
        if properties::get(sent, name).is_some() {
            properties::set(&mut stored, name, value);
        } else {
            properties::append(&mut stored, name, value);
        }
    }
    (stored, unique_key)
}

/// Properties that no broker could act on.
fn refuse_what_cannot_be(sent: &str) -> Result<(), Refusal> {
    if let Some(level) = properties::get(sent, properties::DELAY_TIME_LEVEL)
        && level.trim().parse::<i32>().is_err()
    {
        return Err(Refusal::new(code::SYSTEM_ERROR, format!("delay level {level:?} is not a number")));
    }
    if properties::get(sent, properties::INNER_NUM).is_some() {
        let remark = format!("{} is for the broker to set", properties::INNER_NUM);
        return Err(Refusal::new(code::MESSAGE_ILLEGAL, remark));
    }
    Ok(())
}

/// What this broker cannot keep its word on is refused, rather than delivered at the wrong time.
fn refuse_what_is_missing(sent: &str) -> Result<(), Refusal> {
    if properties::get(sent, properties::TRANSACTION_PREPARED)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        return Err(Refusal::new(
            code::NO_PERMISSION,
            "transaction messages are not supported by this broker",
        ));
    }
    let timers = [properties::TIMER_DELAY_SEC, properties::TIMER_DELAY_MS, properties::TIMER_DELIVER_MS];
    if timers.iter().any(|timer| properties::get(sent, timer).is_some()) {
        return Err(Refusal::new(code::SYSTEM_ERROR, "timer messages are not supported by this broker"));
    }
    Ok(())
}

fn any_queue(node: &Node, target: &Target) -> i32 {
    let mut rng = node.rng.lock().expect("nothing panics while it holds this lock");
    rng.random_range(0..target.write_queue_nums.max(1))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn illegal(error: message::UnitError) -> Refusal {
    Refusal::new(code::MESSAGE_ILLEGAL, error.to_string())
}
