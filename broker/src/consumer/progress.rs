//! How far groups have come: codes 208, 317, 303, 343, 308 and 314.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::command::admin::{
    BrokerConsumeStats, ConsumeStats, ConsumeTimeSpan, GetBrokerConsumeStats, GetConsumeStats, GroupRequest,
    OffsetWrapper, QueueTimeSpan, TopicGroupRequest,
};
use protocol::command::offset::{CloneGroupOffset, CorrectionOffsets, QueryCorrectionOffset};
use protocol::route::TopicList;
use protocol::{Command, ResponseCode as code, names};

use crate::consumer::offset::store_time_at;
use crate::door::exchange::header;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::node::Node;
use crate::state::{Change, OffsetRow};
use crate::stats::name as stat;

/// Code 208.
pub fn of_group(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetConsumeStats, request, answer);
    let mut stats = ConsumeStats::default();
    for topic in asked_topics(node, &header) {
        let of_topic = of_topic(node, &header.consumer_group, &topic);
        stats.consume_tps += of_topic.consume_tps;
        stats.offset_table.extend(of_topic.offset_table);
    }
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(stats.to_bytes()));
}

fn asked_topics(node: &Node, header: &GetConsumeStats) -> BTreeSet<String> {
    if let Some(list) = header.topic_list.as_deref().filter(|list| !list.is_empty()) {
        return list.split(';').filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
    }
    match header.topic.as_deref().filter(|topic| !topic.is_empty()) {
        Some(topic) => subscribed(node, &header.consumer_group, BTreeSet::from([topic.to_owned()])),
        None => topics_of(node, &header.consumer_group),
    }
}

/// Topics that a group has offsets on; while it is online, those of them that it subscribes to.
fn topics_of(node: &Node, group: &str) -> BTreeSet<String> {
    let topics = node.group.tables().topics_consumed_by(group).map(str::to_owned).collect();
    subscribed(node, group, topics)
}

/// Those of `topics` that a group subscribes to; all of them while it is offline.
fn subscribed(node: &Node, group: &str, mut topics: BTreeSet<String>) -> BTreeSet<String> {
    let view = node.clients().consumers.view(group);
    if let Some(view) = view {
        topics.retain(|topic| view.subscriptions.contains_key(topic));
    }
    topics
}

/// Nothing for a topic that does not exist.
fn of_topic(node: &Node, group: &str, topic: &str) -> ConsumeStats {
    let mut stats = ConsumeStats::default();
    let queues = node.group.tables().topic(topic).map(|topic| topic.read_queue_nums);
    for queue_id in 0..queues.unwrap_or(0) {
        let (_, broker_offset) = node.group.queue_ends(topic, queue_id);
        let consumer_offset = stored(node, group, topic, queue_id)
            .unwrap_or_else(|| node.group.tables().begin(topic, queue_id));
        let last_timestamp = store_time_at(node, topic, queue_id, consumer_offset - 1).unwrap_or(0);
        let pulled = node.clients().pulled.get((group, topic, queue_id));
        let pull_offset = pulled.unwrap_or(0).max(consumer_offset);
        let offsets = OffsetWrapper { broker_offset, consumer_offset, last_timestamp, pull_offset };
        stats.offset_table.insert(node.group.message_queue(topic, queue_id), offsets);
    }
    let gets = node.stats.find(stat::GROUP_GET_NUMS, &format!("{topic}@{group}"));
    stats.consume_tps = gets.map_or(0.0, |counter| counter.rates().minute.per_second);
    stats
}

/// The newest consumer offset that the group stored, in the tables or on its way there.
fn stored(node: &Node, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
    let buffered = node.group.offset_on_its_way(group, topic, queue_id);
    let stored = buffered.or_else(|| node.group.tables().consumer_offset(group, topic, queue_id));
    stored.filter(|offset| *offset >= 0)
}

/// Code 317: all groups of the broker.
pub fn of_broker(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetBrokerConsumeStats, request, answer);
    let groups: Vec<String> = node.group.tables().groups().map(|group| group.name.clone()).collect();
    let mut all = BrokerConsumeStats {
        broker_addr: node.config.network.advertised_addr(),
        ..BrokerConsumeStats::default()
    };
    for group in groups {
        let mut topics = topics_of(node, &group);
        topics.retain(|topic| {
            node.group.tables().topic(topic).is_some_and(|topic| topic.order || !header.is_order)
        });
        let stats: Vec<_> = topics.iter().map(|topic| of_topic(node, &group, topic)).collect();
        for offsets in stats.iter().flat_map(|stats| stats.offset_table.values()) {
            all.total_diff += offsets.broker_offset - offsets.consumer_offset;
            all.total_inflight_diff += offsets.pull_offset - offsets.consumer_offset;
        }
        all.consume_stats_list.push(BTreeMap::from([(group, stats)]));
    }
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(all.to_bytes()));
}

/// Code 303: how old the first message, the last message and the last consumed message of each queue are.
pub fn time_span(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(TopicGroupRequest, request, answer);
    let queues = node.group.tables().topic(&header.topic).map(|topic| topic.write_queue_nums);
    let Some(queues) = queues else {
        let remark = format!("topic[{}] not exist", header.topic);
        return answer.send(refuse(&request, code::TOPIC_NOT_EXIST, remark));
    };
    let now_ms = node.now_ms() as i64;
    let span = |queue_id| {
        let at = |offset| store_time_at(node, &header.topic, queue_id, offset);
        let (min, max) = node.group.queue_ends(&header.topic, queue_id);
        let next = stored(node, &header.group, &header.topic, queue_id).unwrap_or(0);
        let first = at(min).unwrap_or(-1);
        QueueTimeSpan {
            message_queue: node.group.message_queue(&header.topic, queue_id),
            min_time_stamp: first,
            max_time_stamp: at(max - 1).unwrap_or(-1),
            consume_time_stamp: if next > 0 { at(next - 1).unwrap_or(-1) } else { first },
            delay_time: if next < max { at(next).map_or(0, |time| now_ms - time) } else { 0 },
        }
    };
    let body = ConsumeTimeSpan { consume_time_span_set: (0..queues).map(span).collect() };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes()));
}

/// Code 343: the topics that a group has offsets on.
pub fn topics(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GroupRequest, request, answer);
    let topic_list = node.group.tables().topics_consumed_by(&header.group).map(str::to_owned).collect();
    let list = TopicList { broker_addr: Some(node.config.network.advertised_addr()), topic_list };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(list.to_bytes()));
}

/// Code 308: for each queue that a group has an offset on, the least offset of all other groups, or the greatest
/// number there is where that is not behind the group's own.
pub fn corrections(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(QueryCorrectionOffset, request, answer);
    let left_out: BTreeSet<&str> =
        header.filter_groups.as_deref().unwrap_or_default().split(',').map(str::trim).collect();
    let tables = node.group.tables();
    let mut least: BTreeMap<i32, i64> = BTreeMap::new();
    for group in tables.groups_consuming(&header.topic).filter(|group| !left_out.contains(group)) {
        for (queue_id, offset) in tables.consumer_offsets(group, &header.topic) {
            if offset >= node.group.queue_ends(&header.topic, queue_id).0 {
                let least = least.entry(queue_id).or_insert(offset);
                *least = offset.min(*least);
            }
        }
    }
    let correction = |(queue_id, own): (i32, i64)| {
        let least = *least.get(&queue_id)?;
        Some((queue_id, if least > own { i64::MAX } else { least }))
    };
    let own = tables.consumer_offsets(&header.compare_group, &header.topic);
    let correction_offsets = own.filter_map(correction).collect();
    let body = CorrectionOffsets { correction_offsets };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes()));
}

/// Code 314: another group gets the offsets of this one.
pub fn clone_offsets(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(CloneGroupOffset, request, answer);
    if let Err(error) = names::validate_group(&header.dest_group) {
        return answer.send(refuse(&request, code::INVALID_PARAMETER, error.to_string()));
    }
    let rows = rows_to_clone(node, &header);
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let change = Change::StoreOffsets { rows, now_ms: node.now_ms() };
        answer.send(match node.group.submit(change).await {
            Ok(_) => Command::response_to(&request, code::SUCCESS),
            Err(error) => crate::door::exchange::not_submitted(&request, &error),
        });
    });
}

fn rows_to_clone(node: &Node, header: &CloneGroupOffset) -> Vec<OffsetRow> {
    let topics = match header.topic.as_deref().filter(|topic| !topic.trim().is_empty()) {
        Some(topic) => BTreeSet::from([topic.to_owned()]),
        None if header.offline => {
            node.group.tables().topics_consumed_by(&header.src_group).map(str::to_owned).collect()
        }
        None => topics_of(node, &header.src_group),
    };
    let mut rows = Vec::new();
    for topic in topics.into_iter().filter(|topic| node.group.tables().topic(topic).is_some()) {
        let queues: Vec<_> = node.group.tables().consumer_offsets(&header.src_group, &topic).collect();
        for (queue_id, queue_offset) in queues {
            let queue_offset = stored(node, &header.src_group, &topic, queue_id).unwrap_or(queue_offset);
            let (group, topic) = (header.dest_group.clone(), topic.clone());
            rows.push(OffsetRow { group, topic, queue_id, queue_offset });
        }
    }
    rows
}
