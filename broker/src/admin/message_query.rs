//! Looking messages up by offset id, by key and by queue offset: codes 33, 12 and 321. Any node answers from what it
//! holds committed.

use std::sync::Arc;

use protocol::command::query::{
    ConsumeQueueData, QueryConsumeQueue, QueryConsumeQueueBody, QueryMessage, QueryMessageResponse,
    ViewMessage,
};
use protocol::message;
use protocol::{Command, ResponseCode as code};
use remoting::Reply;
use store::{CommitlogOffset, QueueOffset};

use crate::door::exchange::header;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::node::Node;

/// Most messages of one query. Source: RocketMQ `maxMsgsNumBatch`.
const MESSAGES_MAX: usize = 64;
/// Most messages of a query by unique key. Source: RocketMQ `defaultQueryMaxNum`.
const UNIQUE_MESSAGES_MAX: usize = 32;
/// Most units of a look into a consume queue.
const UNITS_MAX: usize = 4_096;
/// Bytes that every unit begins with: its size and its magic.
const PREFIX_BYTES: u32 = 8;

/// Code 33.
pub fn view_by_id(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(ViewMessage, request, answer);
    answer.send(match unit_at(node, header.offset) {
        Some(unit) => Reply { head: Command::response_to(&request, code::SUCCESS), chunks: vec![unit] },
        None => {
            let remark = format!("can not find message by the offset, {}", header.offset);
            Reply::from(refuse(&request, code::SYSTEM_ERROR, remark))
        }
    });
}

/// The message that begins at a commitlog offset; `None` if none begins there.
pub fn unit_at(node: &Node, offset: i64) -> Option<bytes::Bytes> {
    let offset = CommitlogOffset(u64::try_from(offset).ok()?);
    let prefix = node.group.log.slice(offset, PREFIX_BYTES).ok()?;
    let unit = node.group.log.slice(offset, u32::try_from(message::unit_size(&prefix).ok()?).ok()?).ok()?;
    let view = message::parse(&unit).ok()?;
    // What only looks like a message does not know its own place.
    (view.physical_offset == offset.0 as i64).then(|| unit.clone())
}

/// Code 12.
pub fn by_key(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(QueryMessage, request, answer);
    let most = if header.is_unique_key {
        UNIQUE_MESSAGES_MAX
    } else {
        usize::try_from(header.max_num).unwrap_or(0).clamp(1, MESSAGES_MAX)
    };
    let begin_ms = header.begin_timestamp_ms.max(0) as u64;
    let end_ms = header.end_timestamp_ms.max(0) as u64;
    let found = node.group.index.query(&header.topic, &header.key, most, begin_ms, end_ms);
    let mut offsets = match found {
        Ok(offsets) => offsets,
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    offsets.sort_unstable();
    let chunks: Vec<_> = offsets
        .into_iter()
        .filter_map(|offset| unit_at(node, offset.0 as i64))
        .filter(|unit| is_about(unit, &header))
        .collect();
    let last = node.group.index.last_update();
    let response = QueryMessageResponse {
        index_last_update_timestamp: last.store_timestamp_ms as i64,
        index_last_update_phyoffset: last.offset.0 as i64,
    };
    answer.send(if chunks.is_empty() {
        let remark = "can not find message, maybe time range not correct";
        Reply::from(refuse(&request, code::QUERY_NOT_FOUND, remark).with_header(&response))
    } else {
        Reply { head: Command::response_to(&request, code::SUCCESS).with_header(&response), chunks }
    });
}

/// The index holds hashes: what only collides is sorted out here.
fn is_about(unit: &[u8], header: &QueryMessage) -> bool {
    use message::properties::{KEYS, UNIQ_KEY};
    let Ok(view) = message::parse(unit) else { return false };
    if view.topic != header.topic {
        return false;
    }
    let is_unique = view.property(UNIQ_KEY) == Some(header.key.as_str());
    is_unique || view.property(KEYS).is_some_and(|keys| keys.split(' ').any(|key| key == header.key))
}

/// Code 321: a look at the units of a consume queue, for people.
pub fn consume_queue(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(QueryConsumeQueue, request, answer);
    let Some(queue) = node.group.queues.get(&header.topic, header.queue_id as u32) else {
        let remark = format!("{}@{} is not exist!", header.queue_id, header.topic);
        return answer.send(refuse(&request, code::SYSTEM_ERROR, remark));
    };
    let group = header.consumer_group.as_deref().filter(|group| !group.is_empty());
    let subscription =
        group.and_then(|group| node.clients().consumers.subscription(group, &header.topic).cloned());
    let (min, max) = (queue.min().0 as i64, queue.max().0 as i64);
    if !(min..max).contains(&header.index) {
        let place = format!("{}@{}", header.queue_id, header.topic);
        // The tool numbers what it gets from the index it asked for: what lies elsewhere would be misnamed.
        let has = if min == max {
            "It is empty.".into()
        } else {
            format!("It begins at {min} and ends before {max}.")
        };
        let remark = format!("Index {} of {place} is not exist! {has}", header.index);
        return answer.send(refuse(&request, code::SYSTEM_ERROR, remark));
    }
    let count = usize::try_from(header.count).unwrap_or(0).min(UNITS_MAX);
    let units = queue.read(QueueOffset(header.index as u64), count);
    let units = match units {
        Ok(units) => units,
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    let data = |unit: store::Unit| ConsumeQueueData {
        eval: subscription.as_ref().is_some_and(|subscription| subscription.matches(unit.tag_hash)),
        physic_offset: unit.offset.0 as i64,
        physic_size: unit.size as i32,
        tags_code: unit.tag_hash,
    };
    let filter_data = (group.is_some() && subscription.is_none())
        .then(|| format!("{}@{} is not online!", group.unwrap_or_default(), header.topic));
    let queue_data = units.into_iter().map(data).collect();
    let body = QueryConsumeQueueBody {
        filter_data,
        max_queue_index: max,
        min_queue_index: min,
        queue_data,
        subscription_data: subscription,
    };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes()));
}
