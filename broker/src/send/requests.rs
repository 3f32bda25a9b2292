//! Sending: codes 10, 310 and 320, single messages and batches.
//!
//! The request is checked and enqueued for Raft in place, in the order it came over its connection; a task of
//! its own waits for the entry to be applied and answers. So sends of one connection are proposed in order, and
//! thousands may be under way at once.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use protocol::command::send::{self as send_header, SendRequest};
use protocol::message::{self, UnitFields, batch, properties, sys_flag};
use protocol::{Command, ResponseCode as code, names};
use raft::{Proposal, ProposeError, Receipt};
use rand::Rng;

use crate::admin::create;
use crate::delay;
use crate::door::exchange;
use crate::door::exchange::header;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::leader::forward;
use crate::node::Node;
use crate::refusal::Refusal;
use crate::send::check::{self, Admission, Target};
use crate::state::FilterType;
use crate::stats::{MessageType, name as stat};

/// A message, or a batch of them, ready to be proposed.
struct Ready {
    units: BytesMut,
    count: u32,
    bytes: u64,
    kind: MessageType,
    topic: String,
    queue_id: i32,
    /// The first message's, or the batch's own.
    unique_key: Option<String>,
}

/// Takes one send.
pub fn send(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(SendRequest, request, answer);
    if node.group.is_disk_full() {
        return answer.send(refused(node, &request, disk_full()));
    }
    let admission = check::admit(&header, &node.live(), &node.group.tables(), node.now_ms());
    match admission {
        Err(refusal) => answer.send(refused(node, &request, refusal)),
        Ok(admission) if admission.new_topics.is_empty() && admission.new_groups.is_empty() => {
            propose(node, origin, request, &header, &admission, answer);
        }
        Ok(mut admission) => {
            let node = Arc::clone(node);
            tokio::spawn(async move {
                let (topics, groups) =
                    (std::mem::take(&mut admission.new_topics), std::mem::take(&mut admission.new_groups));
                match create::create(&node, topics, groups).await {
                    Ok(()) => propose(&node, origin, request, &header, &admission, answer),
                    Err(error) => {
                        let reply = crate::door::exchange::not_submitted(&request, &error);
                        answer.send(with_region(&node, reply));
                    }
                }
            });
        }
    }
}

fn disk_full() -> Refusal {
    let remark = "the disk is full: service not available now, maybe disk full, store path has no room left";
    Refusal::new(code::SERVICE_NOT_AVAILABLE, remark)
}

fn propose(
    node: &Arc<Node>,
    origin: Origin,
    request: Command,
    header: &SendRequest,
    admission: &Admission,
    answer: Answer,
) {
    let ready = match prepare(node, &origin, &request, header, admission) {
        Ok(ready) => ready,
        Err(refusal) => return answer.send(refused(node, &request, refusal)),
    };
    let Ready { units, count, bytes, kind, topic, queue_id, unique_key } = ready;
    let began = node.monotonic();
    // Takes its place in the log's order here and now; only the waiting is left to the task.
    let proposed = node.group.raft.propose(Proposal::units(units, count));
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let within = Duration::from_millis(node.live().storage.sync_flush_timeout_ms);
        let reply = match tokio::time::timeout(within, proposed).await {
            Ok(Ok(receipt)) => {
                count_put(&node, &topic, kind, u64::from(count), bytes);
                node.stats.put_times.record(node.monotonic().saturating_sub(began));
                sent(&node, &request, &receipt, queue_id, unique_key.as_deref())
            }
            // It lost the lead between the check and the proposal: the new leader takes it.
            Ok(Err(ProposeError::NotLeader { .. })) if !origin.is_forwarded() => {
                return forward::answer_elsewhere(node, origin, request, answer, send).await;
            }
            Ok(Err(ProposeError::NotLeader { .. } | ProposeError::Stopped | ProposeError::Halted(_))) => {
                forward::not_leader(&request)
            }
            Ok(Err(ProposeError::NoRoom { .. })) => refused(&node, &request, disk_full()),
            Ok(Err(ProposeError::Overloaded)) => {
                let remark =
                    "[REJECTREQUEST]system busy, start flow control for a while: too much is in flight";
                refuse(&request, code::SYSTEM_BUSY, remark).with("outcome", "none")
            }
            Ok(Err(error @ ProposeError::TooLarge { .. })) => {
                refuse(&request, code::MESSAGE_ILLEGAL, error.to_string()).with("outcome", "none")
            }
            Ok(Err(error)) => exchange::unknown(&request, &error.to_string()),
            Err(_) => exchange::unknown(&request, &format!("no majority has the message after {within:?}")),
        };
        answer.send(with_region(&node, reply));
    });
}

fn prepare(
    node: &Node,
    origin: &Origin,
    request: &Command,
    header: &SendRequest,
    admission: &Admission,
) -> Result<Ready, Refusal> {
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
        born_host: origin.client,
        store_host: node.config.network.store_host,
        reconsume_times: header.reconsume_times,
        prepared_transaction_offset: 0,
        body: &request.body,
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
        check::check_sizes(request.body.len(), properties.len(), body_bytes_max)?;
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
        return Err(Refusal::new(code::SYSTEM_ERROR, format!("delay level {level:?} is no number")));
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

fn sent(
    node: &Node,
    request: &Command,
    receipt: &Receipt,
    queue_id: i32,
    unique_key: Option<&str>,
) -> Command {
    let places = &receipt.reply.units;
    let mut message_ids = String::with_capacity(places.len() * 33);
    for (n, (_, commitlog_offset)) in places.iter().enumerate() {
        if n > 0 {
            message_ids.push(',');
        }
        let id = message::id::offset_message_id(node.config.network.store_host, *commitlog_offset as i64);
        message_ids.write_str(&id).expect("a String takes all");
    }
    let queue_offset = places.first().map_or(0, |(queue_offset, _)| *queue_offset);
    let mut reply = Command::response_to(request, code::SUCCESS)
        .with("msgId", message_ids)
        .with("queueId", queue_id)
        .with("queueOffset", queue_offset)
        .with("term", receipt.term)
        .with("index", receipt.log_index);
    if let Some(unique_key) = unique_key {
        reply = reply.with("transactionId", unique_key);
    }
    reply
}

fn refused(node: &Node, request: &Command, refusal: Refusal) -> Command {
    with_region(node, refuse(request, refusal.code, refusal.remark).with("outcome", "none"))
}

/// Every answer to a send tells region and trace switch.
fn with_region(node: &Node, reply: Command) -> Command {
    reply
        .with(send_header::MSG_REGION, &node.config.identity.region)
        .with(send_header::TRACE_ON, node.live().messages.trace_on)
}

fn count_put(node: &Node, topic: &str, kind: MessageType, count: u64, bytes: u64) {
    node.stats.topic_in(topic).took(kind, count, bytes);
    node.stats.counter(stat::BROKER_PUT_NUMS, &node.config.identity.cluster).add(count);
}
