//! Offsets of queues and of consumers: codes 14, 15, 29 to 32, 43 and 222.

use std::sync::Arc;
use std::time::Duration;

use protocol::command::offset::{
    BoundaryType, ConsumerOffsetTable, DelayOffsetTable, EarliestStoreTime, QueryConsumerOffset,
    QueueOffsetRequest, ResetOffset, ResetOffsetBody, SearchOffset, UpdateConsumerOffset,
};
use protocol::{Command, ResponseCode as code};
use store::{Boundary, QueueOffset, SearchError};
use tokio::sync::oneshot;

use crate::door::exchange::header;

use crate::consumer::offset_buffer::Stored;
use crate::door::exchange;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::leader::forward::{self, Forwarded};
use crate::leader::who_answers::{Verdict, who_answers};
use crate::node::Node;
use crate::state::{Change, OffsetRow, TopicConfig};

/// How long a question for a consumer offset waits for somebody who may answer it: nearly as long as clients do,
/// because some take any error for "none stored" and skip messages.
const ANSWERABLE_WITHIN: Duration = Duration::from_millis(2_500);
/// How soon a leader that did not answer such a question is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Code 14. Never answered with an error for want of a leader: see [`ANSWERABLE_WITHIN`].
pub fn query_consumer_offset(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let mut on_its_way = on_its_way(node, &request);
    if node.group.is_ready() && on_its_way.is_none() {
        return answer_consumer_offset(node, &request, answer);
    }
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let deadline = node.monotonic() + ANSWERABLE_WITHIN;
        loop {
            // Once: what is taken in after the question is not asked for. Whatever came of it, the tables know more.
            if let Some(settled) = on_its_way.take() {
                let left = deadline.saturating_sub(node.monotonic());
                let _ = tokio::time::timeout(left, settled).await;
            }
            let left = deadline.saturating_sub(node.monotonic());
            match who_answers(&node.group, left).await {
                Verdict::Here => return answer_consumer_offset(&node, &request, answer),
                Verdict::There(leader) if !origin.is_forwarded() => {
                    let forwarded = forward::forward(&node.group, leader, &origin, &request).await;
                    if let Forwarded::Reply(reply) = forwarded
                        && reply.code != code::SERVICE_NOT_AVAILABLE
                    {
                        return answer.send(reply);
                    }
                }
                Verdict::There(_) | Verdict::Nobody => {}
            }
            if node.monotonic() >= deadline || origin.is_forwarded() {
                return hang_up(&origin, answer);
            }
            // The leader just asked may be the one that died: the election decides within this time.
            tokio::time::sleep(ASK_AGAIN).await;
        }
    });
}

/// Better no answer than a wrong one: clients take a broken connection for "try again".
fn hang_up(origin: &Origin, answer: Answer) {
    drop(answer);
    if let Some(connection) = &origin.connection {
        connection.close();
    }
}

/// Tells when the offset asked for is stored, if a newer one than the tables hold was taken in here.
fn on_its_way(node: &Node, request: &Command) -> Option<oneshot::Receiver<Stored>> {
    let header = QueryConsumerOffset::read(request).ok()?;
    let term = node.group.serving_term()?;
    node.group.offsets.settled(term, &header.consumer_group, &header.topic, header.queue_id)
}

fn answer_consumer_offset(node: &Node, request: &Command, answer: Answer) {
    let header = header!(QueryConsumerOffset, *request, answer);
    let (group, topic, queue_id) = (&header.consumer_group, &header.topic, header.queue_id);
    let tables = node.group.tables();
    let stored = tables
        .pending_reset(group, topic, queue_id)
        .or_else(|| tables.consumer_offset(group, topic, queue_id));
    // A group never seen before that reads a queue which still has its first message begins there. So it does
    // where that message is still to come: told "none stored", it would ask for the end next, and skip what is
    // sent in between. The queue of a topic that was deleted and made again has its first message where it began anew.
    let min = node.group.queue_ends(topic, queue_id).0;
    let begins_at_first = tables.topic(topic).is_some() && min <= tables.begin(topic, queue_id);
    drop(tables);
    let offset = match stored {
        Some(offset) if offset >= 0 => Some(offset),
        _ if header.set_zero_if_not_found == Some(false) => None,
        _ => begins_at_first.then_some(min),
    };
    answer.send(match offset {
        Some(offset) => Command::response_to(request, code::SUCCESS).with("offset", offset),
        None if header.set_zero_if_not_found == Some(false) => {
            let remark = "Not found, do not set to zero, maybe this group boot first";
            refuse(request, code::QUERY_NOT_FOUND, remark)
        }
        None => {
            let remark = "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first";
            refuse(request, code::QUERY_NOT_FOUND, remark)
        }
    });
}

/// Code 15. A one-way request is gathered; one that waits is answered when it is committed.
pub fn update_consumer_offset(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = match UpdateConsumerOffset::read(&request) {
        Ok(header) => header,
        Err(error) => return answer.send(refuse(&request, code::INVALID_PARAMETER, error.to_string())),
    };
    // Taken in this term, or not at all.
    let Some(term) = node.group.serving_term() else { return answer.send(forward::not_leader(&request)) };
    if header.commit_offset < 0 {
        let remark = format!("commitOffset {} is negative", header.commit_offset);
        return answer.send(refuse(&request, code::INVALID_PARAMETER, remark));
    }
    let tables = node.group.tables();
    if tables.group(&header.consumer_group).is_none() {
        let remark = format!("Group {} not exist!", header.consumer_group);
        return answer.send(refuse(&request, code::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
    }
    let Some(topic) = tables.topic(&header.topic) else {
        let remark = format!("Topic {} not exist!", header.topic);
        return answer.send(refuse(&request, code::TOPIC_NOT_EXIST, remark));
    };
    if !has_queue(node, topic, header.queue_id) {
        let queues = topic.read_queue_nums.max(topic.write_queue_nums);
        let remark =
            format!("queueId {} is none of the {queues} queues of {}", header.queue_id, header.topic);
        return answer.send(refuse(&request, code::INVALID_PARAMETER, remark));
    }
    let reset = tables.pending_reset(&header.consumer_group, &header.topic, header.queue_id);
    drop(tables);
    if reset.is_some() {
        let remark = "Offset has been previously reset";
        return answer.send(Command::response_to(&request, code::SUCCESS).with_remark(remark));
    }
    let row = OffsetRow {
        group: header.consumer_group,
        topic: header.topic,
        queue_id: header.queue_id,
        queue_offset: header.commit_offset,
    };
    if let Err(error) = node.group.check_room_for_offset(&row) {
        return answer.send(crate::door::exchange::not_submitted(&request, &error));
    }
    if request.is_oneway() {
        return node.group.offsets.store(term, row);
    }
    let applied = node.group.offsets.store_and_wait(term, row);
    tokio::spawn(async move {
        answer.send(match applied.await.unwrap_or(Stored::Unknown) {
            Stored::Yes => Command::response_to(&request, code::SUCCESS),
            Stored::No => forward::not_leader(&request),
            Stored::Unknown => {
                exchange::unknown(&request, "the consumer offset was not acknowledged by a majority")
            }
        });
    });
}

/// Whether a topic has that queue, or had it and still holds messages there.
fn has_queue(node: &Node, topic: &TopicConfig, queue_id: i32) -> bool {
    queue_id >= 0
        && (queue_id < topic.read_queue_nums.max(topic.write_queue_nums)
            || node.group.queue_ends(&topic.name, queue_id).1 > 0)
}

/// Code 30: the end of a queue, exclusive.
pub fn max_offset(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(QueueOffsetRequest, request, answer);
    let (_, max) = node.group.queue_ends(&header.topic, header.queue_id);
    answer.send(Command::response_to(&request, code::SUCCESS).with("offset", max));
}

/// Code 31: the first offset that a queue still holds.
pub fn min_offset(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(QueueOffsetRequest, request, answer);
    let (min, _) = node.group.queue_ends(&header.topic, header.queue_id);
    answer.send(Command::response_to(&request, code::SUCCESS).with("offset", min));
}

/// Code 29: the queue offset for a store time.
pub fn search_by_time(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(SearchOffset, request, answer);
    let boundary = match header.boundary() {
        BoundaryType::Upper => Boundary::Upper,
        BoundaryType::Lower => Boundary::Lower,
    };
    answer.send(match search(node, &header.topic, header.queue_id, header.timestamp_ms, boundary) {
        Ok(offset) => Command::response_to(&request, code::SUCCESS).with("offset", offset),
        Err(error) => refuse(&request, code::SYSTEM_ERROR, error.to_string()),
    });
}

fn search(
    node: &Node,
    topic: &str,
    queue_id: i32,
    time_ms: i64,
    boundary: Boundary,
) -> Result<i64, SearchError> {
    let Some(queue) = node.group.queues.get(topic, queue_id as u32) else { return Ok(0) };
    let offset = store::offset_by_time(&queue, &node.group.log, time_ms.max(0) as u64, boundary)?;
    Ok(offset.0 as i64)
}

/// Code 32: when the first message that a queue still holds was stored; -1 if it holds none.
pub fn earliest_store_time(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(EarliestStoreTime, request, answer);
    let (min, _) = node.group.queue_ends(&header.topic, header.queue_id);
    let timestamp = store_time_at(node, &header.topic, header.queue_id, min).unwrap_or(-1);
    answer.send(Command::response_to(&request, code::SUCCESS).with("timestamp", timestamp));
}

/// When the message at a queue offset was stored, milliseconds; `None` if there is none.
pub fn store_time_at(node: &Node, topic: &str, queue_id: i32, offset: i64) -> Option<i64> {
    let queue = node.group.queues.get(topic, queue_id as u32)?;
    let unit = queue.unit(QueueOffset(u64::try_from(offset).ok()?)).ok()??;
    let bytes = node.group.log.slice(unit.offset, unit.size).ok()?;
    Some(protocol::message::parse(&bytes).ok()?.store_timestamp_ms)
}

/// Code 43: every stored consumer offset.
pub fn all_consumer_offsets(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let tables = node.group.tables();
    let version = tables.offset_version();
    let data_version = crate::state::data_version(version, 0);
    let table = ConsumerOffsetTable { data_version, offset_table: tables.offset_table() };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(table.to_bytes()));
}

/// Code 45: the next message to deliver of each delay level.
pub fn all_delay_offsets(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let tables = node.group.tables();
    let levels = 1..=node.config.messages.delay_levels_ms.len() as i32;
    let offset_table = levels.map(|level| (level, tables.delay_progress(level))).collect();
    let table = DelayOffsetTable { offset_table, ..DelayOffsetTable::default() };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(table.to_bytes()));
}

/// Code 222: an operator sets a group's offsets; its consumers are moved at their next pull.
pub fn reset(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(ResetOffset, request, answer);
    let rows = match rows_to_reset(node, &header) {
        Ok(rows) => rows,
        Err((code, remark)) => return answer.send(refuse(&request, code, remark)),
    };
    let node = Arc::clone(node);
    tokio::spawn(async move {
        node.group.offsets.forget(&rows);
        let change = Change::ResetOffsets { rows: rows.clone(), now_ms: node.now_ms() };
        if let Err(error) = node.group.submit(change).await {
            return answer.send(crate::door::exchange::not_submitted(&request, &error));
        }
        let offset_table = rows
            .into_iter()
            .map(|row| (node.group.message_queue(row.topic, row.queue_id), row.queue_offset))
            .collect();
        let body = ResetOffsetBody { offset_table };
        answer.send(Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes()));
    });
}

fn rows_to_reset(node: &Node, header: &ResetOffset) -> Result<Vec<OffsetRow>, (i32, String)> {
    let queue_nums = {
        let tables = node.group.tables();
        let Some(topic) = tables.topic(&header.topic) else {
            return Err((code::TOPIC_NOT_EXIST, format!("Topic {} does not exist", header.topic)));
        };
        if tables.group(&header.group).is_none() {
            let remark = format!("Group {} does not exist", header.group);
            return Err((code::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        if let Some(queue_id) = header.queue_id.filter(|id| *id >= 0 && !has_queue(node, topic, *id)) {
            let remark = format!("queueId {queue_id} is none of the queues of {}", header.topic);
            return Err((code::INVALID_PARAMETER, remark));
        }
        topic.read_queue_nums
    };
    let asked_queue = header.queue_id.filter(|queue_id| *queue_id >= 0);
    let asked_offset = header.offset.filter(|offset| *offset >= 0);
    let queues = match asked_queue {
        Some(queue_id) => queue_id..queue_id + 1,
        None => 0..queue_nums,
    };
    let mut rows = Vec::new();
    for queue_id in queues {
        let (min, max) = node.group.queue_ends(&header.topic, queue_id);
        let queue_offset = match asked_offset {
            Some(offset) if asked_queue.is_some() => {
                if offset < min || offset > max + 1 {
                    let remark = format!("Target offset {offset} not in consume queue range [{min}-{max}]");
                    return Err((code::SYSTEM_ERROR, remark));
                }
                offset
            }
            _ if header.timestamp_ms < 0 => max,
            _ => search(node, &header.topic, queue_id, header.timestamp_ms, Boundary::Lower)
                .map_err(|error| (code::SYSTEM_ERROR, error.to_string()))?,
        };
        let (group, topic) = (header.group.clone(), header.topic.clone());
        rows.push(OffsetRow { group, topic, queue_id, queue_offset });
    }
    Ok(rows)
}
