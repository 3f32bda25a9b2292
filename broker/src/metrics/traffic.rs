//! What came in by topic, and what consumer groups got and lack. Counters are this node's; what is waiting is the leader's to
//! say, so that a sum over the nodes counts nothing twice.

use std::collections::BTreeMap;
use std::fmt;

use protocol::names;
use web::metrics::Families;

use super::lag;
use super::words::word;
use crate::node::Node;
use crate::stats::name as stat;

pub(super) fn tell(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    topics(node, out)?;
    got(node, out)?;
    creates(node, out)?;
    if node.group.is_ready() { waiting(node, out) } else { Ok(()) }
}

fn topics(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    let known = |topic: &str| node.group.tables().topic(topic).is_some();
    let topics: Vec<_> = node.stats.topics_in().into_iter().filter(|(topic, _)| known(topic)).collect();
    let rows = || {
        topics.iter().flat_map(|(topic, came_in)| {
            came_in.types().map(move |(kind, of_type)| {
                let is_system = word(names::is_system_topic(topic));
                let labels =
                    [("topic", topic.as_str()), ("message_type", kind.name()), ("is_system", is_system)];
                (labels, of_type)
            })
        })
    };
    let messages = rows().map(|(labels, of_type)| (labels, of_type.messages()));
    out.counters("rocketmq_messages_in", "Messages taken in by this node.", messages)?;
    let bytes = rows().map(|(labels, of_type)| (labels, of_type.bytes()));
    out.counters("rocketmq_throughput_in", "Bytes taken in by this node.", bytes)?;
    let sizes = rows().map(|(labels, of_type)| (labels, of_type.sizes()));
    out.histograms("rocketmq_message_size", "Sizes of the messages taken in by this node.", 1, sizes)?;
    let levels = (1..=node.config.messages.delay_levels_ms.len()).map(|level| {
        let level = level.to_string();
        let counter = node.stats.find(stat::DELAY_SET_ASIDE_NUMS, &level);
        ([("level", level)], counter.map_or(0, |counter| counter.total()))
    });
    let help = "Delayed messages that this node could not deliver as leader.";
    out.counters("rocketmq_delayed_set_aside", help, levels)?;
    let permission = node.live().identity.permission;
    out.gauge("rocketmq_topic_number", "Topics.", node.group.tables().topics().count())?;
    out.gauge(
        "rocketmq_consumer_group_number",
        "Subscription groups.",
        node.group.tables().groups().count(),
    )?;
    out.gauge("rocketmq_broker_permission", "brokerPermission: 2 write, 4 read.", permission)
}

fn got(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    for (name, statistic, help) in [
        ("rocketmq_messages_out", stat::GROUP_GET_NUMS, "Messages given to consumers by this node."),
        ("rocketmq_throughput_out", stat::GROUP_GET_SIZE, "Bytes given to consumers by this node."),
    ] {
        let totals = node.stats.by_key(statistic);
        let rows = totals.iter().filter_map(|(key, total)| {
            let (topic, group) = key.split_once('@')?;
            Some((group_labels(topic, group), *total))
        });
        out.counters(name, help, rows)?;
    }
    Ok(())
}

fn waiting(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    let lags = lag::of_all(node);
    let rows = lags.iter().map(|lag| (group_labels(&lag.topic, &lag.group), lag.messages));
    out.gauges("rocketmq_consumer_lag_messages", "Messages that a group has not consumed yet.", rows)?;
    let rows = lags.iter().filter_map(|lag| Some((group_labels(&lag.topic, &lag.group), lag.age_ms?)));
    let help = "Age of the first message that a group has not consumed yet; 0 if there is none.";
    out.gauges("rocketmq_consumer_lag_latency_milliseconds", help, rows)?;
    let queues = node.group.queues.list();
    let mut dead: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for queue in &queues {
        if let Some(group) = queue.topic.strip_prefix(names::DLQ_PREFIX) {
            *dead.entry((&queue.topic, group)).or_default() += queue.max.0;
        }
    }
    let rows = dead.iter().map(|((topic, group), count)| (group_labels(topic, group), *count));
    let help = "Messages that a group has given up, since the topic of its dead letters exists.";
    out.counters("rocketmq_send_to_dlq_messages", help, rows)
}

/// Commands that make topics and groups, and how long they took.
fn creates(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    for (what, times) in [("topic", &node.stats.topic_creates), ("consumer_group", &node.stats.group_creates)]
    {
        let rows = times.rows().map(|(has_succeeded, is_system, counts)| {
            let status = if has_succeeded { "success" } else { "failure" };
            ([("invocation_status", status), ("is_system", word(is_system))], counts)
        });
        let name = format!("rocketmq_{what}_create_execution_time_milliseconds");
        out.histograms(&name, "How long commands that make or change one took.", 1, rows)?;
    }
    Ok(())
}

fn group_labels<'a>(topic: &'a str, group: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("consumer_group", group),
        ("topic", topic),
        ("is_retry", word(topic.starts_with(names::RETRY_PREFIX))),
        ("is_system", word(names::is_system_topic(topic))),
    ]
}
