//! Subscription groups and their clients by command: codes 200, 207, 201, 352, 203, 204, 328, 208, 307 and 309.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::command::admin::{
    Connection as ConnectionJson, ConsumeMessageDirectly, ConsumeStats, ConsumerConnection, DeleteGroup,
    GetConsumeStats, GetConsumerConnections, GetConsumerRunningInfo, GetProducerConnections, GroupRequest,
    OffsetWrapper, ProducerConnection, ProducerInfo, ProducerTable, SubscriptionGroupConfig,
    SubscriptionGroupWrapper,
};
use protocol::message::id::parse_offset_message_id;
use protocol::{Command, ResponseCode as code, names};

use super::offset::store_time_at;
use super::{data_version, header, message_query, pull_read, send_check};
use crate::clients::ClientInfo;
use crate::exchange::{Answer, Origin, refuse};
use crate::server::Broker;
use crate::stats::name as stat;
use crate::tables::{Change, GroupConfig};

/// How long a client may take to answer. Source: RocketMQ `Broker2Client`.
const CLIENT_WITHIN: Duration = Duration::from_secs(10);

/// Code 200.
pub fn update(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let group = match SubscriptionGroupConfig::read(&request.body) {
        Ok(group) => group,
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    if let Err(error) = names::validate_group(&group.group_name) {
        return answer.send(refuse(&request, code::INVALID_PARAMETER, error.to_string()));
    }
    put(broker, request, vec![GroupConfig::from(group)], false, answer);
}

fn put(broker: &Arc<Broker>, request: Command, groups: Vec<GroupConfig>, only_new: bool, answer: Answer) {
    let broker = Arc::clone(broker);
    tokio::spawn(async move {
        let name = groups[0].name.clone();
        let change = Change::PutGroups { groups, only_new, now_ms: broker.now_ms() };
        if let Err(error) = broker.submit(change).await {
            return answer.send(super::not_submitted(&request, &error));
        }
        let reply = Command::response_to(&request, code::SUCCESS);
        let asked = request.code == protocol::RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG;
        let config = asked.then(|| broker.tables().group(&name).map(SubscriptionGroupConfig::from)).flatten();
        answer.send(match config {
            Some(config) => reply.with_body(config.to_bytes()),
            None => reply,
        });
    });
}

/// Code 207.
pub fn delete(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(DeleteGroup, request, answer);
    let broker = Arc::clone(broker);
    tokio::spawn(async move {
        let (group, clean_offsets) = (header.group_name, header.clean_offset);
        let change = Change::DeleteGroup { group, clean_offsets, now_ms: broker.now_ms() };
        answer.send(match broker.submit(change).await {
            Ok(_) => Command::response_to(&request, code::SUCCESS),
            Err(error) => super::not_submitted(&request, &error),
        });
    });
}

/// Code 201.
pub fn all(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let tables = broker.tables();
    let wrapper = SubscriptionGroupWrapper {
        data_version: data_version(tables.group_version(), 0),
        forbidden_table: BTreeMap::new(),
        subscription_group_table: tables.groups().map(|group| (group.name.clone(), group.into())).collect(),
    };
    let total = wrapper.subscription_group_table.len();
    let reply = Command::response_to(&request, code::SUCCESS).with("totalGroupNum", total);
    answer.send(reply.with_body(wrapper.to_bytes()));
}

/// Code 352. Asking for an unknown group makes it, as on RocketMQ.
pub fn one(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GroupRequest, request, answer);
    let known = broker.tables().group(&header.group).map(SubscriptionGroupConfig::from);
    if let Some(config) = known {
        return answer.send(Command::response_to(&request, code::SUCCESS).with_body(config.to_bytes()));
    }
    match send_check::new_group(&header.group, &broker.config) {
        Ok(group) => put(broker, request, vec![group], true, answer),
        Err(refusal) => answer.send(refuse(&request, refusal.code, refusal.remark)),
    }
}

/// Code 203, from this node's own table of clients.
pub fn consumer_connections(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetConsumerConnections, request, answer);
    let view = broker.clients().consumers.view(&header.consumer_group);
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
pub fn producer_connections(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetProducerConnections, request, answer);
    let clients = broker.clients().producers.clients(&header.producer_group);
    answer.send(if clients.is_empty() {
        let remark = format!("the producer group[{}] not exist", header.producer_group);
        refuse(&request, code::SYSTEM_ERROR, remark)
    } else {
        let body = ProducerConnection { connection_set: clients.iter().map(connection_json).collect() };
        Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes())
    });
}

/// Code 328.
pub fn all_producers(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let now_ms = broker.now_ms() as i64;
    let clients = broker.clients();
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

/// Code 208: how far a group is on each queue.
pub fn consume_stats(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetConsumeStats, request, answer);
    let group = &header.consumer_group;
    let mut stats = ConsumeStats::default();
    for topic in topics_of(broker, &header) {
        let queues = broker.tables().topic(&topic).map(|topic| topic.read_queue_nums);
        for queue_id in 0..queues.unwrap_or(0) {
            let (_, broker_offset) = pull_read::ends(broker, &topic, queue_id);
            let buffered = broker.offsets.get(group, &topic, queue_id);
            let stored = buffered.or_else(|| broker.tables().consumer_offset(group, &topic, queue_id));
            let consumer_offset = stored.unwrap_or(0).max(0);
            let last_timestamp = store_time_at(broker, &topic, queue_id, consumer_offset - 1).unwrap_or(0);
            let offsets = OffsetWrapper {
                broker_offset,
                consumer_offset,
                last_timestamp,
                pull_offset: consumer_offset,
            };
            stats.offset_table.insert(broker.message_queue(&topic, queue_id), offsets);
        }
        let gets = broker.stats.find(stat::GROUP_GET_NUMS, &format!("{topic}@{group}"));
        stats.consume_tps += gets.map_or(0.0, |counter| counter.rates().minute.per_second);
    }
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(stats.to_bytes()));
}

fn topics_of(broker: &Broker, header: &GetConsumeStats) -> BTreeSet<String> {
    if let Some(list) = header.topic_list.as_deref().filter(|list| !list.is_empty()) {
        return list.split(';').filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
    }
    if let Some(topic) = header.topic.as_deref().filter(|topic| !topic.is_empty()) {
        return BTreeSet::from([topic.to_owned()]);
    }
    let mut topics: BTreeSet<String> =
        broker.tables().topics_consumed_by(&header.consumer_group).map(str::to_owned).collect();
    let view = broker.clients().consumers.view(&header.consumer_group);
    if let Some(view) = view {
        topics.retain(|topic| view.subscriptions.contains_key(topic));
    }
    topics
}

/// Code 307: asked of the client itself.
pub fn running_info(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetConsumerRunningInfo, request, answer);
    let asked = Command { ext: request.ext.clone(), ..Command::request(request.code) };
    ask_client(broker, &header.consumer_group, &header.client_id, asked, request, answer);
}

/// Code 309: a client consumes one message now.
pub fn consume_directly(broker: &Arc<Broker>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(ConsumeMessageDirectly, request, answer);
    let offset = header.msg_id.as_deref().map(parse_offset_message_id);
    let unit = match offset {
        Some(Ok((_, offset))) => message_query::unit_at(broker, offset),
        Some(Err(error)) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
        None => return answer.send(refuse(&request, code::SYSTEM_ERROR, "msgId is missing")),
    };
    let Some(unit) = unit else {
        return answer.send(refuse(&request, code::SYSTEM_ERROR, "no message is at the offset in msgId"));
    };
    let mut asked = Command { ext: request.ext.clone(), ..Command::request(request.code) }.with_body(unit);
    asked.ext.insert("brokerName", broker.name());
    let client_id = header.client_id.unwrap_or_default();
    ask_client(broker, &header.consumer_group, &client_id, asked, request, answer);
}

fn ask_client(
    broker: &Arc<Broker>,
    group: &str,
    client_id: &str,
    asked: Command,
    request: Command,
    answer: Answer,
) {
    let view = broker.clients().consumers.view(group);
    let client = view.and_then(|view| view.clients.into_iter().find(|client| client.client_id == client_id));
    let Some(connection) = client.and_then(|client| broker.connection(client.connection)) else {
        let remark = format!("The Consumer <{group}> <{client_id}> not online");
        return answer.send(refuse(&request, code::SYSTEM_ERROR, remark));
    };
    tokio::spawn(async move {
        answer.send(match connection.call(asked, CLIENT_WITHIN).await {
            Ok(told) => {
                let mut reply = Command::response_to(&request, told.code).with_body(told.body);
                reply.remark = told.remark;
                reply.ext = told.ext;
                reply
            }
            Err(error) => refuse(&request, code::CONSUME_MSG_TIMEOUT, error.to_string()),
        });
    });
}
