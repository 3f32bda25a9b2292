//! What came in by topic, and what consumer groups got and lack. Counters are this node's; what is waiting is the leader's to
//! say, so that a sum over the nodes counts nothing twice.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use protocol::names;
use web::metrics::Families;

use super::word;
use crate::server::Broker;
use crate::stats::name as stat;

pub(super) fn tell(broker: &Broker, out: &mut Families<'_>) -> fmt::Result {
    topics(broker, out)?;
    got(broker, out)?;
    if broker.is_ready() { waiting(broker, out) } else { Ok(()) }
}

fn topics(broker: &Broker, out: &mut Families<'_>) -> fmt::Result {
    let topics: Vec<String> = broker.tables().topics().map(|topic| topic.name.clone()).collect();
    for (name, statistic, help) in [
        ("rocketmq_messages_in", stat::TOPIC_PUT_NUMS, "Messages taken in by this node."),
        ("rocketmq_throughput_in", stat::TOPIC_PUT_SIZE, "Bytes taken in by this node."),
    ] {
        let rows = topics.iter().filter_map(|topic| {
            let labels = [("topic", topic.as_str()), ("is_system", word(names::is_system_topic(topic)))];
            Some((labels, broker.stats.find(statistic, topic)?.total()))
        });
        out.counters(name, help, rows)?;
    }
    let levels = (1..=broker.config.messages.delay_levels_ms.len()).map(|level| {
        let level = level.to_string();
        let counter = broker.stats.find(stat::DELAY_SET_ASIDE_NUMS, &level);
        ([("level", level)], counter.map_or(0, |counter| counter.total()))
    });
    let help = "Delayed messages that this node could not deliver as leader.";
    out.counters("rocketmq_delayed_set_aside", help, levels)?;
    let permission = broker.live().identity.permission;
    out.gauge("rocketmq_topic_number", "Topics.", topics.len())?;
    out.gauge("rocketmq_consumer_group_number", "Subscription groups.", broker.tables().groups().count())?;
    out.gauge("rocketmq_broker_permission", "brokerPermission: 2 write, 4 read.", permission)
}

fn got(broker: &Broker, out: &mut Families<'_>) -> fmt::Result {
    for (name, statistic, help) in [
        ("rocketmq_messages_out", stat::GROUP_GET_NUMS, "Messages given to consumers by this node."),
        ("rocketmq_throughput_out", stat::GROUP_GET_SIZE, "Bytes given to consumers by this node."),
    ] {
        let totals = broker.stats.by_key(statistic);
        let rows = totals.iter().filter_map(|(key, total)| {
            let (topic, group) = key.split_once('@')?;
            Some((group_labels(topic, group), *total))
        });
        out.counters(name, help, rows)?;
    }
    Ok(())
}

fn waiting(broker: &Broker, out: &mut Families<'_>) -> fmt::Result {
    let queues = broker.queues.list().into_iter();
    let ends: HashMap<(String, i32), i64> =
        queues.map(|queue| ((queue.topic, queue.queue_id as i32), queue.max.0 as i64)).collect();
    let offsets = broker.tables().offset_table();
    let term = broker.views.borrow().term;
    let mut lags = BTreeMap::new();
    for (key, queues) in &offsets {
        let Some((topic, group)) = key.split_once('@') else { continue };
        let lag = |(queue_id, offset): (&i32, &i64)| {
            let end = ends.get(&(topic.to_owned(), *queue_id))?;
            let offset = broker.offsets.get(term, group, topic, *queue_id).unwrap_or(*offset);
            Some((end - offset).max(0))
        };
        lags.insert((topic, group), queues.iter().filter_map(lag).sum::<i64>());
    }
    let rows = lags.iter().map(|((topic, group), lag)| (group_labels(topic, group), *lag));
    out.gauges("rocketmq_consumer_lag_messages", "Messages that a group has not consumed yet.", rows)?;
    let mut dead: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for ((topic, _), end) in &ends {
        if let Some(group) = topic.strip_prefix(names::DLQ_PREFIX) {
            *dead.entry((topic, group)).or_default() += *end as u64;
        }
    }
    let rows = dead.iter().map(|((topic, group), count)| (group_labels(topic, group), *count));
    let help = "Messages that a group has given up, since the topic of its dead letters exists.";
    out.counters("rocketmq_send_to_dlq_messages", help, rows)
}

fn group_labels<'a>(topic: &'a str, group: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("consumer_group", group),
        ("topic", topic),
        ("is_retry", word(topic.starts_with(names::RETRY_PREFIX))),
        ("is_system", word(names::is_system_topic(topic))),
    ]
}
