//! Topics by command: codes 17, 18, 215, 21, 351, 202, 300 and 305.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::command::admin::{
    CreateTopic, CreateTopics, GetTopicConfig, GroupList, TopicOffset, TopicRequest, TopicStatsTable,
};
use protocol::route::{TopicConfig as TopicJson, TopicList};
use protocol::{Command, ResponseCode as code, names};
use serde_json::json;

use crate::admin::create;
use crate::consumer::offset::store_time_at;
use crate::door::exchange::header;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::node::Node;
use crate::refusal::Refusal;
use crate::state::data_version;
use crate::state::{Change, FilterType, TopicConfig};
use crate::stats::name as stat;

/// An attribute that a topic may have.
struct Attribute {
    name: &'static str,
    /// Whether it may be set once the topic is there.
    is_changeable: bool,
    /// Its values; empty stands for a time, a number from -1 on.
    values: &'static [&'static str],
}

/// All of them. Source: RocketMQ `TopicAttributes`; the two about layout may only be set to what we have.
const ATTRIBUTES: [Attribute; 4] = [
    Attribute { name: "queue.type", is_changeable: false, values: &["SimpleCQ"] },
    Attribute { name: "cleanup.policy", is_changeable: false, values: &["DELETE"] },
    Attribute {
        name: "message.type",
        is_changeable: true,
        values: &["UNSPECIFIED", "TRANSACTION", "FIFO", "DELAY", "NORMAL"],
    },
    Attribute { name: "reserve.time", is_changeable: true, values: &[] },
];

impl Attribute {
    fn check(&self, value: &str) -> Result<(), Refusal> {
        let remark = if self.values.is_empty() {
            if value.parse::<i64>().is_ok_and(|time| time >= -1) {
                return Ok(());
            }
            format!("value is not in range(-1, {})", i64::MAX)
        } else {
            if self.values.contains(&value) {
                return Ok(());
            }
            format!("value is not in set: [{}]", self.values.join(", "))
        };
        Err(Refusal::new(code::SYSTEM_ERROR, remark))
    }
}

/// More than all attributes there are need.
const ATTRIBUTES_BYTES_MAX: usize = 4_096;
/// Permission bits that exist: 8 priority, 4 read, 2 write, 1 inherit.
const PERM_BITS: i32 = 0xf;

/// Code 17.
pub fn update(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(CreateTopic, request, answer);
    let known = node.group.tables().topic(&header.topic).cloned();
    match wanted(node, header, known.as_ref()) {
        Ok(topic) => put(node, &origin, request, vec![topic], answer),
        Err(refusal) => answer.send(refuse(&request, refusal.code, refusal.remark)),
    }
}

/// Code 18: several topics, all of them or none. (RocketMQ stops at the first one that is as it was.)
pub fn update_list(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let list = match CreateTopics::read(&request.body) {
        Ok(list) => list.topic_config_list,
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    let mut topics = Vec::new();
    for config in list {
        let known = node.group.tables().topic(&config.topic_name).cloned();
        match wanted(node, as_header(&config), known.as_ref()) {
            Ok(topic) => topics.push(topic),
            Err(refusal) => return answer.send(refuse(&request, refusal.code, refusal.remark)),
        }
    }
    put(node, &origin, request, topics, answer);
}

/// The same topic as the other request has it.
fn as_header(config: &TopicJson) -> CreateTopic {
    let attributes = config.attributes.iter().map(|(name, value)| format!("{name}={value}"));
    CreateTopic {
        topic: config.topic_name.clone(),
        default_topic: None,
        read_queue_nums: config.read_queue_nums,
        write_queue_nums: config.write_queue_nums,
        perm: config.perm,
        topic_filter_type: Some(FilterType::from(config.topic_filter_type).name().to_owned()),
        topic_sys_flag: Some(config.topic_sys_flag),
        order: config.order,
        attributes: Some(attributes.collect::<Vec<_>>().join(",")),
    }
}

fn put(node: &Arc<Node>, origin: &Origin, request: Command, topics: Vec<TopicConfig>, answer: Answer) {
    let began = node.monotonic();
    let is_known = topics.iter().all(|topic| node.group.tables().topic(&topic.name) == Some(topic));
    if is_known {
        return answer.send(Command::response_to(&request, code::SUCCESS));
    }
    // New topics are not switches: a script that makes thousands of them would push everything else out of the events.
    let switched: Vec<String> = {
        let tables = node.group.tables();
        topics.iter().filter_map(|topic| Some(switched(tables.topic(&topic.name)?, topic))).collect()
    };
    let (node, client) = (Arc::clone(node), origin.client);
    tokio::spawn(async move {
        let is_system = topics.first().is_some_and(|topic| names::is_system_topic(&topic.name));
        let change = Change::PutTopics { topics, only_new: false, now_ms: node.now_ms() };
        let submitted = node.group.submit(change).await;
        let took = node.monotonic().saturating_sub(began);
        node.stats.topic_creates.record(submitted.is_ok(), is_system, took);
        answer.send(match submitted {
            Ok(_) => {
                for switched in switched.into_iter().filter(|switched| !switched.is_empty()) {
                    let facts = json!({"by": client.to_string()});
                    node.events.note("configuration", format!("{client} switched {switched}"), facts);
                }
                create::tell_name_servers(&node).await;
                Command::response_to(&request, code::SUCCESS)
            }
            Err(error) => crate::door::exchange::not_submitted(&request, &error),
        });
    });
}

/// What is different of a topic, for the events; empty if nothing is.
fn switched(before: &TopicConfig, after: &TopicConfig) -> String {
    let numbers = [
        ("perm", before.perm, after.perm),
        ("readQueueNums", before.read_queue_nums, after.read_queue_nums),
        ("writeQueueNums", before.write_queue_nums, after.write_queue_nums),
        ("topicSysFlag", before.sys_flag, after.sys_flag),
        ("order", i32::from(before.order), i32::from(after.order)),
    ];
    let numbers = numbers.into_iter().filter(|(_, before, after)| before != after);
    let mut parts: Vec<String> =
        numbers.map(|(name, before, after)| format!("{name} {before} -> {after}")).collect();
    if before.filter_type != after.filter_type {
        parts.push(format!("topicFilterType {}", after.filter_type.name()));
    }
    if before.attributes != after.attributes {
        let attributes = after.attributes.iter().map(|(name, value)| format!("{name}={value}"));
        parts.push(format!("attributes [{}]", attributes.collect::<Vec<_>>().join(", ")));
    }
    if parts.is_empty() { String::new() } else { format!("topic {}: {}", after.name, parts.join(", ")) }
}

fn wanted(node: &Node, header: CreateTopic, known: Option<&TopicConfig>) -> Result<TopicConfig, Refusal> {
    let illegal = |remark: String| Err(Refusal::new(code::INVALID_PARAMETER, remark));
    if let Err(error) = names::validate_topic(&header.topic) {
        return illegal(error.to_string());
    }
    if is_system(node, &header.topic) {
        return illegal(format!("The topic[{}] is conflict with system topic.", header.topic));
    }
    for (name, queues) in
        [("readQueueNums", header.read_queue_nums), ("writeQueueNums", header.write_queue_nums)]
    {
        if !(0..=65_536).contains(&queues) {
            return illegal(format!("{name} {queues} is not in 0..=65536"));
        }
    }
    if let Some(known) = known
        && let Some(queue_id) = stranded_retry(node, known, header.read_queue_nums)
    {
        return illegal(format!(
            "readQueueNums {} would strand the retries that wait in queue {queue_id} of {}",
            header.read_queue_nums, known.name
        ));
    }
    let attributes = header.attributes.as_deref().unwrap_or_default();
    if attributes.len() > ATTRIBUTES_BYTES_MAX {
        let bytes = attributes.len();
        return illegal(format!(
            "attributes of {bytes} bytes exceed the limit of {ATTRIBUTES_BYTES_MAX} bytes"
        ));
    }
    if attributes.split(',').any(|part| part == "+message.type=MIXED") {
        return illegal("MIXED message type is not supported.".into());
    }
    if header.perm & !PERM_BITS != 0 {
        return illegal(format!("perm {} has bits beyond {PERM_BITS}", header.perm));
    }
    Ok(TopicConfig {
        name: header.topic,
        read_queue_nums: header.read_queue_nums,
        write_queue_nums: header.write_queue_nums,
        perm: header.perm,
        filter_type: FilterType::from_name(header.topic_filter_type.as_deref().unwrap_or_default()),
        sys_flag: header.topic_sys_flag.unwrap_or(0),
        order: header.order,
        attributes: self::attributes(attributes, known)?,
    })
}

/// S14: a queue of a retry topic that would be read no more, though its group has not consumed all of it.
fn stranded_retry(node: &Node, known: &TopicConfig, read_queue_nums: i32) -> Option<i32> {
    let group = names::group_of_retry_topic(&known.name)?;
    (read_queue_nums..known.read_queue_nums).find(|queue_id| {
        let (min, max) = node.group.queue_ends(&known.name, *queue_id);
        let consumed = node.group.tables().consumer_offset(group, &known.name, *queue_id);
        consumed.unwrap_or(min).max(min) < max
    })
}

/// `+key=value` adds or changes, `-key` removes. The words of refusals are RocketMQ's (`AttributeUtil`).
fn attributes(text: &str, known: Option<&TopicConfig>) -> Result<BTreeMap<String, String>, Refusal> {
    let refused = |remark: String| Err(Refusal::new(code::SYSTEM_ERROR, remark));
    let mut attributes = known.map(|topic| topic.attributes.clone()).unwrap_or_default();
    let mut changes: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (signed, value) = part.split_once('=').unwrap_or((part, ""));
        let Some(key) = signed.strip_prefix(['+', '-']) else {
            return refused(format!("attribute {part} is neither +key=value nor -key"));
        };
        let adds = signed.starts_with('+');
        if key.is_empty() || key.contains(['+', '-']) {
            return refused("kv string format wrong.".into());
        }
        if changes.insert(key, adds.then_some(value)).is_some() {
            return refused(format!("alter duplication key. key: {key}"));
        }
        if !adds && known.is_none() {
            return refused(format!("only add attribute is supported while creating topic. key: {key}"));
        }
        if !adds && !attributes.contains_key(key) {
            return refused(format!("attempt to delete a nonexistent key: {key}"));
        }
    }
    for (key, value) in changes {
        let Some(attribute) = ATTRIBUTES.iter().find(|attribute| attribute.name == key) else {
            return refused(format!("unsupported key: {key}"));
        };
        if known.is_some() && !attribute.is_changeable {
            return refused(format!("attempt to update an unchangeable attribute. key: {key}"));
        }
        match value {
            Some(value) => {
                attribute.check(value)?;
                attributes.insert(key.to_owned(), value.to_owned());
            }
            None => drop(attributes.remove(key)),
        }
    }
    Ok(attributes)
}

fn is_system(node: &Node, topic: &str) -> bool {
    let cluster = &node.config.identity.cluster;
    names::is_system_topic(topic)
        || topic == cluster
        || topic == node.group.name()
        || topic == names::reply_topic(cluster)
}

/// Code 215.
pub fn delete(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(TopicRequest, request, answer);
    if header.topic.trim().is_empty() {
        return answer.send(refuse(&request, code::INVALID_PARAMETER, "The specified topic is blank."));
    }
    if is_system(node, &header.topic) {
        let remark = format!("The topic[{}] is conflict with system topic.", header.topic);
        return answer.send(refuse(&request, code::INVALID_PARAMETER, remark));
    }
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let change = Change::DeleteTopic { topic: header.topic.clone(), now_ms: node.now_ms() };
        answer.send(match node.group.submit(change).await {
            Ok(_) => {
                let text = format!("{} deleted topic {}", origin.client, header.topic);
                let facts = json!({"by": origin.client.to_string(), "topic": header.topic});
                node.events.note("configuration", text, facts);
                node.stats.forget_topic(&header.topic);
                node.clients().pulled.forget_topic(&header.topic);
                create::tell_name_servers(&node).await;
                Command::response_to(&request, code::SUCCESS)
            }
            Err(error) => crate::door::exchange::not_submitted(&request, &error),
        });
    });
}

/// Code 21: all topics at once; a tool that reads pages takes the total for the end.
pub fn all(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let tables = node.group.tables();
    let wrapper = protocol::command::admin::TopicConfigWrapper {
        data_version: data_version(tables.topic_version(), 0),
        topic_config_table: tables.topics().map(|topic| (topic.name.clone(), topic.into())).collect(),
        ..Default::default()
    };
    let total = wrapper.topic_config_table.len();
    let reply = Command::response_to(&request, code::SUCCESS).with("totalTopicNum", total);
    answer.send(reply.with_body(wrapper.to_bytes()));
}

/// Code 351.
pub fn one(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetTopicConfig, request, answer);
    let topic = node.group.tables().topic(&header.topic).map(TopicJson::from);
    answer.send(match topic {
        Some(topic) => Command::response_to(&request, code::SUCCESS).with_body(topic.to_bytes()),
        None => {
            let remark = format!("No topic in this broker. topic: {}", header.topic);
            refuse(&request, code::TOPIC_NOT_EXIST, remark)
        }
    });
}

fn no_topic(request: &Command, topic: &str) -> Command {
    refuse(request, code::TOPIC_NOT_EXIST, format!("topic[{topic}] not exist"))
}

/// Code 202.
pub fn stats(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(TopicRequest, request, answer);
    let queues = node
        .group
        .tables()
        .topic(&header.topic)
        .map(|topic| topic.read_queue_nums.max(topic.write_queue_nums));
    let Some(queues) = queues else { return answer.send(no_topic(&request, &header.topic)) };
    let offset_table = (0..queues)
        .map(|queue_id| {
            let (min_offset, max_offset) = node.group.queue_ends(&header.topic, queue_id);
            let last = store_time_at(node, &header.topic, queue_id, max_offset - 1).unwrap_or(0);
            let offsets = TopicOffset { last_update_timestamp: last, max_offset, min_offset };
            (node.group.message_queue(&header.topic, queue_id), offsets)
        })
        .collect();
    let puts = node.stats.find(stat::TOPIC_PUT_NUMS, &header.topic);
    let topic_put_tps = puts.map_or(0.0, |counter| counter.rates().minute.per_second);
    let table = TopicStatsTable { offset_table, topic_put_tps };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(table.to_bytes()));
}

/// Code 305.
pub fn system_topics(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let tables = node.group.tables();
    let mut topics: BTreeSet<String> = names::SYSTEM_TOPICS.iter().map(|topic| (*topic).to_owned()).collect();
    topics
        .extend(tables.topics().filter(|topic| is_system(node, &topic.name)).map(|topic| topic.name.clone()));
    let list = TopicList { broker_addr: None, topic_list: topics.into_iter().collect() };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(list.to_bytes()));
}

/// Code 300: the groups that subscribe to a topic or have offsets on it.
pub fn consumed_by(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(TopicRequest, request, answer);
    let mut groups: BTreeSet<String> =
        node.group.tables().groups_consuming(&header.topic).map(str::to_owned).collect();
    groups.extend(node.clients().consumers.subscribed_to(&header.topic).map(str::to_owned));
    let list = GroupList { group_list: groups.into_iter().collect() };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(list.to_bytes()));
}
