//! The node's numbers in Prometheus' text form, under the names that RocketMQ 5.3 emits and a few of our own.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use raft::Role;

use crate::events::{follow, peers};
use crate::http::node_name;
use crate::server::Broker;
use crate::stats::name as stat;

struct Text<'a> {
    out: String,
    common: &'a str,
}

impl Text<'_> {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes all");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let wrote = write!(self.out, "{name}{{{}", self.common)
            .and_then(|()| {
                labels.iter().try_for_each(|(key, value)| write!(self.out, ",{key}=\"{}\"", escaped(value)))
            })
            .and_then(|()| writeln!(self.out, "}} {value}"));
        wrote.expect("a String takes all");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.value(name, &[], value);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Everything, at this moment.
pub fn render(broker: &Broker) -> String {
    let common = format!(
        "cluster=\"{}\",node_type=\"broker\",node_id=\"{}\",peer_id=\"{}\"",
        escaped(&broker.config.identity.cluster),
        escaped(broker.name()),
        node_name(broker.node_id())
    );
    let mut text = Text { out: String::new(), common: &common };
    raft(broker, &mut text);
    text.family("rocketmq_log_lines_lost_total", "counter", "Log lines that nobody read in time.");
    text.value("rocketmq_log_lines_lost_total", &[], platform::Sink::stderr().lost() as f64);
    storage(broker, &mut text);
    topics(broker, &mut text);
    groups(broker, &mut text);
    clients(broker, &mut text);
    text.out
}

fn raft(broker: &Broker, text: &mut Text<'_>) {
    let view = broker.node.view();
    let leads = view.leader == Some(broker.node_id());
    text.gauge("rocketmq_raft_term", "Newest term known.", view.term as f64);
    text.gauge("rocketmq_raft_leader", "1 if this node leads.", f64::from(u8::from(leads)));
    text.gauge(
        "rocketmq_raft_ready",
        "1 if this node leads and serves.",
        f64::from(u8::from(view.is_ready())),
    );
    text.family("rocketmq_raft_role", "gauge", "1 for the role this node has.");
    for role in [Role::Leader, Role::Follower, Role::Candidate, Role::Learner] {
        let is = f64::from(u8::from(view.role == role));
        text.value("rocketmq_raft_role", &[("role", crate::http::role_name(role))], is);
    }
    text.gauge("rocketmq_raft_commit_index", "Last committed log index.", view.commit_index as f64);
    text.gauge("rocketmq_raft_applied_index", "Last applied log index.", view.applied_index as f64);
    text.gauge("rocketmq_raft_last_log_index", "Last log index.", view.last_log_index as f64);
    text.family("rocketmq_raft_peer_lag_entries", "gauge", "Entries a follower lacks, as the leader knows.");
    for peer in &view.peers {
        if let Some(lag) = crate::http::lag_entries(broker, &view, peer) {
            text.value("rocketmq_raft_peer_lag_entries", &[("peer", &node_name(peer.id))], lag as f64);
        }
    }
    text.family("rocketmq_raft_peer_connected", "gauge", "1 if the leader hears of this peer, 0 if not.");
    for peer in &view.peers {
        if let Some(is_up) = peers::answers(&view, peer.id) {
            let is_up = f64::from(u8::from(is_up));
            text.value("rocketmq_raft_peer_connected", &[("peer", &node_name(peer.id))], is_up);
        }
    }
    if let Some(ms) = view.quorum_ack_age_ms() {
        let help = "Since a majority last answered, as the leader knows.";
        text.gauge("rocketmq_raft_quorum_ack_age_milliseconds", help, ms as f64);
    }
    text.gauge("rocketmq_raft_fenced", "1 if this node has no vote yet.", f64::from(u8::from(view.fenced)));
    let alarms = follow::alarms(broker, &view).len() as f64;
    text.gauge("rocketmq_alarms", "What is wrong just now; /status tells it in words.", alarms);
}

fn storage(broker: &Broker, text: &mut Text<'_>) {
    let ends = broker.log.ends();
    let labels = [("storage_type", "local"), ("storage_medium", "disk")];
    let rows = [
        ("rocketmq_storage_size_bytes", "Bytes of log retained.", ends.appended.0 - ends.min.0),
        ("rocketmq_storage_flush_behind_bytes", "Bytes not flushed yet.", ends.appended.0 - ends.flushed.0),
        (
            "rocketmq_storage_dispatch_behind_bytes",
            "Committed bytes not applied yet.",
            ends.committed.0.saturating_sub(crate::maintenance::applied_end(broker).0),
        ),
    ];
    for (name, help, value) in rows {
        text.family(name, "gauge", help);
        text.value(name, &labels, value as f64);
    }
    let damaged: u64 =
        broker.log.damage().iter().map(|damage| damage.stretch.end.0 - damage.stretch.start.0).sum();
    text.gauge(
        "rocketmq_storage_damaged_bytes",
        "Bytes of log that are damaged here, and not mended yet.",
        damaged as f64,
    );
    let name = "rocketmq_storage_repaired_total";
    text.family(name, "counter", "Stretches of log mended with another node's bytes.");
    text.value(name, &[], broker.log.repaired() as f64);
    if let Ok(space) = broker.platform.disk.space(&broker.config.storage.root) {
        text.gauge("rocketmq_disk_available_bytes", "Room on the log's disk.", space.available_bytes as f64);
        text.gauge("rocketmq_disk_total_bytes", "Size of the log's disk.", space.total_bytes as f64);
    }
    let is_full = f64::from(u8::from(broker.is_disk_full()));
    text.gauge("rocketmq_disk_full", "1 if sends are refused for want of room.", is_full);
}

fn topics(broker: &Broker, text: &mut Text<'_>) {
    let names: Vec<String> = broker.tables().topics().map(|topic| topic.name.clone()).collect();
    for (name, statistic, help) in [
        ("rocketmq_messages_in_total", stat::TOPIC_PUT_NUMS, "Messages taken in by this node."),
        ("rocketmq_throughput_in_total", stat::TOPIC_PUT_SIZE, "Bytes taken in by this node."),
    ] {
        text.family(name, "counter", help);
        for topic in &names {
            if let Some(counter) = broker.stats.find(statistic, topic) {
                let is_system = protocol::names::is_system_topic(topic).to_string();
                text.value(name, &[("topic", topic), ("is_system", &is_system)], counter.total() as f64);
            }
        }
    }
    text.family(
        "rocketmq_delayed_set_aside_total",
        "counter",
        "Delayed messages that this node could not deliver as leader.",
    );
    for level in 1..=broker.config.messages.delay_levels_ms.len() {
        let level = level.to_string();
        let counter = broker.stats.find(stat::DELAY_SET_ASIDE_NUMS, &level);
        let count = counter.map_or(0, |counter| counter.total());
        text.value("rocketmq_delayed_set_aside_total", &[("level", &level)], count as f64);
    }
    text.gauge("rocketmq_topic_number", "Topics.", names.len() as f64);
    text.gauge(
        "rocketmq_consumer_group_number",
        "Subscription groups.",
        broker.tables().groups().count() as f64,
    );
    text.gauge(
        "rocketmq_broker_permission",
        "brokerPermission: 2 write, 4 read.",
        f64::from(broker.live().identity.permission),
    );
}

/// What consumer groups got and lack. Counters are this node's; what is waiting is the leader's to say, so that a sum over
/// the nodes counts nothing twice.
fn groups(broker: &Broker, text: &mut Text<'_>) {
    for (name, statistic, help) in [
        ("rocketmq_messages_out_total", stat::GROUP_GET_NUMS, "Messages given to consumers by this node."),
        ("rocketmq_throughput_out_total", stat::GROUP_GET_SIZE, "Bytes given to consumers by this node."),
    ] {
        text.family(name, "counter", help);
        for (key, total) in broker.stats.by_key(statistic) {
            if let Some((topic, group)) = key.split_once('@') {
                text.value(name, &group_labels(topic, group), total as f64);
            }
        }
    }
    let (mut waiting, mut dead) = (BTreeMap::new(), BTreeMap::new());
    if broker.is_ready() {
        let ends: HashMap<(String, i32), i64> = broker
            .queues
            .list()
            .into_iter()
            .map(|queue| ((queue.topic, queue.queue_id as i32), queue.max.0 as i64))
            .collect();
        let offsets = broker.tables().offset_table();
        let term = broker.views.borrow().term;
        for (key, queues) in &offsets {
            let Some((topic, group)) = key.split_once('@') else { continue };
            let lag: i64 = queues
                .iter()
                .filter_map(|(queue_id, offset)| {
                    let end = ends.get(&(topic.to_owned(), *queue_id))?;
                    let offset = broker.offsets.get(term, group, topic, *queue_id).unwrap_or(*offset);
                    Some((end - offset).max(0))
                })
                .sum();
            waiting.insert((topic, group), lag);
        }
        for ((topic, _), end) in &ends {
            if let Some(group) = topic.strip_prefix(protocol::names::DLQ_PREFIX) {
                *dead.entry((topic.clone(), group.to_owned())).or_insert(0) += end;
            }
        }
        text.family("rocketmq_consumer_lag_messages", "gauge", "Messages that a group has not consumed yet.");
        for ((topic, group), lag) in waiting {
            text.value("rocketmq_consumer_lag_messages", &group_labels(topic, group), lag as f64);
        }
        let help = "Messages that a group has given up, since the topic of its dead letters exists.";
        text.family("rocketmq_send_to_dlq_messages_total", "counter", help);
        for ((topic, group), count) in &dead {
            text.value("rocketmq_send_to_dlq_messages_total", &group_labels(topic, group), *count as f64);
        }
    }
}

fn group_labels<'a>(topic: &'a str, group: &'a str) -> [(&'static str, &'a str); 4] {
    let word = |is_so: bool| if is_so { "true" } else { "false" };
    [
        ("consumer_group", group),
        ("topic", topic),
        ("is_retry", word(topic.starts_with(protocol::names::RETRY_PREFIX))),
        ("is_system", word(protocol::names::is_system_topic(topic))),
    ]
}

fn clients(broker: &Broker, text: &mut Text<'_>) {
    let (producers, consumers) = {
        let clients = broker.clients();
        let producers = clients.producers.all().map(|(_, clients)| clients.len()).sum::<usize>();
        let consumers: Vec<(String, usize)> = clients
            .consumers
            .names()
            .map(|group| (group.to_owned(), clients.consumers.connections(group).len()))
            .collect();
        (producers, consumers)
    };
    text.gauge("rocketmq_producer_connections", "Producers connected.", producers as f64);
    text.family("rocketmq_consumer_connections", "gauge", "Consumers connected.");
    for (group, count) in consumers {
        text.value("rocketmq_consumer_connections", &[("consumer_group", &group)], count as f64);
    }
    text.gauge("rocketmq_held_pulls", "Pulls that wait for a message.", broker.holds.len() as f64);
}
