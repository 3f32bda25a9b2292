//! Subscription groups and their clients by command: codes 200, 225, 207, 201, 352, 353, 203, 204, 328 and 345.

use std::sync::Arc;

use protocol::command::admin::{
    CheckedGroup, Connection as ConnectionJson, ConsumerConnection, CreateGroups, DeleteGroup,
    GetConsumerConnections, GetProducerConnections, GroupForbidden, GroupRequest, ProducerConnection,
    ProducerInfo, ProducerTable, SubscriptionGroupConfig, SubscriptionGroupWrapper, TopicGroupRequest,
    UpdateGroupForbidden,
};
use protocol::{Command, ResponseCode as code, names};
use serde_json::json;

use crate::state::data_version;

use crate::door::exchange::header;

use crate::send::check;

use crate::admin::create;
use crate::clients::ClientInfo;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::node::Node;
use crate::state::{Change, GroupConfig, TopicConfig};

/// As many as a topic may have.
const QUEUES_MAX: i32 = 65_536;
/// A retry policy that anybody needs has some hundred bytes.
const RETRY_POLICY_BYTES_MAX: usize = 4_096;

/// The bit of RocketMQ's mask that stands for reading. Source: `SubscriptionGroupManager`, `PermName.INDEX_PERM_READ`.
const FORBIDDEN_TO_READ: i32 = 1 << 2;

/// Code 200.
pub fn update(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    match SubscriptionGroupConfig::read(&request.body) {
        Ok(group) => put_checked(node, request, vec![group], answer),
        Err(error) => answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    }
}

/// Code 225: several groups, all of them or none.
pub fn update_list(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    match CreateGroups::read(&request.body) {
        Ok(groups) if groups.group_config_list.is_empty() => {
            answer.send(Command::response_to(&request, code::SUCCESS));
        }
        Ok(groups) => put_checked(node, request, groups.group_config_list, answer),
        Err(error) => answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    }
}

fn put_checked(node: &Arc<Node>, request: Command, groups: Vec<SubscriptionGroupConfig>, answer: Answer) {
    for group in &groups {
        if let Err(error) = names::validate_group(&group.group_name) {
            return answer.send(refuse(&request, code::INVALID_PARAMETER, error.to_string()));
        }
        if !(0..=QUEUES_MAX).contains(&group.retry_queue_nums) {
            let remark = format!("retryQueueNums {} is not in 0..={QUEUES_MAX}", group.retry_queue_nums);
            return answer.send(refuse(&request, code::INVALID_PARAMETER, remark));
        }
        let policy_bytes = group.group_retry_policy.to_string().len();
        if policy_bytes > RETRY_POLICY_BYTES_MAX {
            let remark = format!(
                "groupRetryPolicy of {policy_bytes} bytes exceeds the limit of {RETRY_POLICY_BYTES_MAX} bytes"
            );
            return answer.send(refuse(&request, code::INVALID_PARAMETER, remark));
        }
        // RocketMQ knows no attribute of a group either.
        if let Some(name) = group.attributes.keys().next() {
            let name = name.trim_start_matches(['+', '-']);
            return answer.send(refuse(&request, code::SYSTEM_ERROR, format!("unsupported key: {name}")));
        }
    }
    put(node, request, groups.into_iter().map(GroupConfig::from).collect(), false, answer);
}

fn put(node: &Arc<Node>, request: Command, groups: Vec<GroupConfig>, only_new: bool, answer: Answer) {
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let name = groups[0].name.clone();
        let retry_topics = wider_retry_topics(&node, &groups);
        let began = node.monotonic();
        let is_system = names::is_system_group(&name);
        let change = Change::PutGroups { groups, only_new, now_ms: node.now_ms() };
        let submitted = node.group.submit(change).await;
        let took = node.monotonic().saturating_sub(began);
        node.stats.group_creates.record(submitted.is_ok(), is_system, took);
        if let Err(error) = submitted {
            return answer.send(crate::door::exchange::not_submitted(&request, &error));
        }
        if !retry_topics.is_empty() {
            let now_ms = node.now_ms();
            let change = Change::PutTopics { topics: retry_topics, only_new: false, now_ms };
            if let Err(error) = node.group.submit(change).await {
                return answer.send(crate::door::exchange::not_submitted(&request, &error));
            }
            create::tell_name_servers(&node).await;
        }
        let reply = Command::response_to(&request, code::SUCCESS);
        let asked = request.code == protocol::RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG;
        let config =
            asked.then(|| node.group.tables().group(&name).map(SubscriptionGroupConfig::from)).flatten();
        answer.send(match config {
            Some(config) => reply.with_body(config.to_bytes()),
            None => reply,
        });
    });
}

/// S14: more retry queues want a retry topic that has as many. Fewer leave it as it is, for messages may wait in any
/// of its queues, and consumers read those it has.
fn wider_retry_topics(node: &Node, groups: &[GroupConfig]) -> Vec<TopicConfig> {
    let tables = node.group.tables();
    let wider = groups.iter().filter_map(|group| {
        let known = tables.topic(&names::retry_topic(&group.name))?;
        let wanted = group.retry_queue_nums;
        let is_wider = wanted > known.read_queue_nums || wanted > known.write_queue_nums;
        is_wider.then(|| TopicConfig {
            read_queue_nums: wanted.max(known.read_queue_nums),
            write_queue_nums: wanted.max(known.write_queue_nums),
            ..known.clone()
        })
    });
    wider.collect()
}

/// Code 207.
pub fn delete(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(DeleteGroup, request, answer);
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let (group, clean_offsets) = (header.group_name, header.clean_offset);
        node.clients().pulled.forget_group(&group);
        let text = format!("{} deleted group {group}", origin.client);
        let facts = json!({"by": origin.client.to_string(), "consumerGroup": group});
        let change = Change::DeleteGroup { group, clean_offsets, now_ms: node.now_ms() };
        answer.send(match node.group.submit(change).await {
            Ok(_) => {
                node.events.note("configuration", text, facts);
                Command::response_to(&request, code::SUCCESS)
            }
            Err(error) => crate::door::exchange::not_submitted(&request, &error),
        });
    });
}

/// Code 201.
pub fn all(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let tables = node.group.tables();
    let wrapper = SubscriptionGroupWrapper {
        data_version: data_version(tables.group_version(), 0),
        forbidden_table: tables
            .forbidden()
            .iter()
            .map(|(group, topics)| {
                (group.clone(), topics.iter().map(|topic| (topic.clone(), FORBIDDEN_TO_READ)).collect())
            })
            .collect(),
        subscription_group_table: tables.groups().map(|group| (group.name.clone(), group.into())).collect(),
    };
    let total = wrapper.subscription_group_table.len();
    let reply = Command::response_to(&request, code::SUCCESS).with("totalGroupNum", total);
    answer.send(reply.with_body(wrapper.to_bytes()));
}

/// Code 352. Asking for an unknown group makes it, as on RocketMQ.
pub fn one(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GroupRequest, request, answer);
    let known = node.group.tables().group(&header.group).map(SubscriptionGroupConfig::from);
    if let Some(config) = known {
        return answer.send(Command::response_to(&request, code::SUCCESS).with_body(config.to_bytes()));
    }
    match check::new_group(&header.group, &node.live()) {
        Ok(group) => put(node, request, vec![group], true, answer),
        Err(refusal) => answer.send(refuse(&request, refusal.code, refusal.remark)),
    }
}

/// Code 203, from this node's own table of clients.
pub fn consumer_connections(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetConsumerConnections, request, answer);
    let view = node.clients().consumers.view(&header.consumer_group);
    let Some(view) = view else { return answer.send(not_online(&request, &header.consumer_group)) };
    let body = ConsumerConnection {
        connection_set: view.clients.iter().map(connection_json).collect(),
        consume_from_where: view.consume_from_where.unwrap_or_default(),
        consume_type: view.consume_type.unwrap_or_default(),
        message_model: view.message_model.unwrap_or_default(),
        subscription_table: view.subscriptions,
    };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes()));
}

fn not_online(request: &Command, group: &str) -> Command {
    refuse(request, code::CONSUMER_NOT_ONLINE, format!("the consumer group[{group}] not online"))
}

fn connection_json(client: &ClientInfo) -> ConnectionJson {
    ConnectionJson {
        client_addr: client.addr.to_string(),
        client_id: client.client_id.clone(),
        language: client.language.clone(),
        version: client.version,
    }
}

/// Code 204.
pub fn producer_connections(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetProducerConnections, request, answer);
    let clients = node.clients().producers.clients(&header.producer_group);
    answer.send(if clients.is_empty() {
        let remark = format!("the producer group[{}] not exist", header.producer_group);
        refuse(&request, code::SYSTEM_ERROR, remark)
    } else {
        let body = ProducerConnection { connection_set: clients.iter().map(connection_json).collect() };
        Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes())
    });
}

/// Code 328.
pub fn all_producers(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let now_ms = node.now_ms() as i64;
    let clients = node.clients();
    let data = clients
        .producers
        .all()
        .map(|(group, clients)| {
            let infos = clients.into_iter().map(|client| ProducerInfo {
                client_id: client.client_id,
                language: client.language,
                last_update_timestamp: now_ms,
                remote_ip: client.addr.to_string(),
                version: client.version,
            });
            (group.to_owned(), infos.collect())
        })
        .collect();
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(ProducerTable { data }.to_bytes()));
}

/// Code 345: what a group wants of a topic.
pub fn subscription(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(TopicGroupRequest, request, answer);
    let subscription_data = node.clients().consumers.subscription(&header.group, &header.topic).cloned();
    let body = CheckedGroup { group: header.group, subscription_data, topic: header.topic };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes()));
}

/// Code 353: forbids a group to read a topic, or lets it again; without `readable` only asks.
pub fn forbid(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(UpdateGroupForbidden, request, answer);
    let (group, topic) = (header.group, header.topic);
    let node = Arc::clone(node);
    tokio::spawn(async move {
        if let Some(readable) = header.readable {
            let (group, topic) = (group.clone(), topic.clone());
            let change = Change::Forbid { group, topic, readable, now_ms: node.now_ms() };
            if let Err(error) = node.group.submit(change).await {
                return answer.send(crate::door::exchange::not_submitted(&request, &error));
            }
        }
        let readable = node.group.tables().may_read(&group, &topic);
        let body = GroupForbidden { group, readable, topic };
        answer.send(Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes()));
    });
}
