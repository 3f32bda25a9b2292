//! Clients come, stay and go: codes 34, 35, 38 and 46, and the notices (40) that tell a group of a change.

use std::sync::Arc;

use protocol::command::heartbeat::{
    CheckClientConfig, ConsumerData, ConsumerList, GetConsumerList, HeartbeatData, IS_SUB_CHANGE,
    IS_SUPPORT_HEART_BEAT_V2, MessageModel,
};
use protocol::{Command, RequestCode, ResponseCode as code, names};
use tracing::{debug, info};

use crate::admin::create;
use crate::clients::{ClientInfo, ConnectionId, ConsumerBeat};
use crate::door::exchange::header;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::leader::forward::{self, Forwarded};
use crate::leader::who_answers::{LEADER_WITHIN, Verdict, who_answers};
use crate::node::Node;
use crate::pull::check::{is_sql, no_sql};
use crate::send::check;
use crate::state::{GroupConfig, TopicConfig};

/// Code 34. Every node keeps its own table of clients; what a heartbeat brings into being (a group, its retry
/// topic) is committed and known to the name servers before the answer, because the client asks for it next.
pub fn heartbeat(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let beat = match HeartbeatData::read(&request.body) {
        Ok(beat) => beat,
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    let Some(connection) = &origin.connection else {
        return answer.send(refuse(&request, code::SYSTEM_ERROR, "a heartbeat is not forwarded"));
    };
    let info = ClientInfo {
        connection: connection.id(),
        client_id: beat.client_id.clone(),
        addr: origin.client,
        language: request.language.name().to_owned(),
        version: request.version,
    };
    let (groups, topics) = missing(node, &beat);
    if groups.is_empty() && topics.is_empty() {
        return answer.send(take_in(node, &request, &beat, &info));
    }
    let node = Arc::clone(node);
    tokio::spawn(async move {
        // Where no leader serves the client is taken in all the same; its next heartbeat tries again.
        if let Err(error) = create::create(&node, topics, groups).await {
            debug!(client = info.client_id, %error, "group or retry topic not created");
        }
        answer.send(take_in(&node, &request, &beat, &info));
    });
}

/// Groups and retry topics that the heartbeat needs and that do not exist.
fn missing(node: &Node, beat: &HeartbeatData) -> (Vec<GroupConfig>, Vec<TopicConfig>) {
    let tables = node.group.tables();
    let (mut groups, mut topics) = (Vec::new(), Vec::new());
    for consumer in &beat.consumer_data_set {
        let known = tables.group(&consumer.group_name);
        let group = match known {
            Some(group) => group.clone(),
            None => match check::new_group(&consumer.group_name, &node.live()) {
                Ok(group) => group,
                Err(_) => continue, // skipped silently, as on RocketMQ
            },
        };
        let retry = names::retry_topic(&group.name);
        if tables.topic(&retry).is_none() {
            topics.push(check::retry_topic(&retry, consumer.unit_mode, group.retry_queue_nums.max(1)));
        }
        if known.is_none() {
            groups.push(group);
        }
    }
    (groups, topics)
}

fn take_in(node: &Node, request: &Command, beat: &HeartbeatData, info: &ClientInfo) -> Command {
    let now_ms = node.monotonic().as_millis() as u64;
    let mut to_notify = Vec::new();
    let mut is_sub_change = beat.heartbeat_fingerprint == 0;
    {
        let mut clients = node.clients();
        for producer in &beat.producer_data_set {
            clients.producers.heartbeat(&producer.group_name, info, now_ms);
        }
        for consumer in &beat.consumer_data_set {
            let group = &consumer.group_name;
            if beat.heartbeat_fingerprint != 0 {
                let before = clients.fingerprints.insert(group.clone(), beat.heartbeat_fingerprint);
                is_sub_change |= before.is_some_and(|before| before != beat.heartbeat_fingerprint);
                // A node that never saw the full form needs it, else every pull of the group would fail.
                is_sub_change |= beat.without_sub && !clients.consumers.has_subscriptions(group);
            }
            let subscriptions: Vec<_> = subscriptions_of(consumer);
            let is_new = clients.consumers.heartbeat(
                &ConsumerBeat {
                    group,
                    consume_type: consumer.consume_type,
                    message_model: consumer.message_model,
                    consume_from_where: consumer.consume_from_where,
                    subscriptions: (!beat.without_sub).then_some(&subscriptions[..]),
                },
                info,
                now_ms,
            );
            if is_new && consumer.message_model != Some(MessageModel::Broadcasting) {
                to_notify.push(group.clone());
            }
        }
    }
    for group in to_notify {
        info!(group, client = info.client_id, addr = %info.addr, "consumer group changed");
        notify(node, &group);
    }
    Command::response_to(request, code::SUCCESS)
        .with(IS_SUPPORT_HEART_BEAT_V2, true)
        .with(IS_SUB_CHANGE, is_sub_change)
}

/// The tag codes are computed here: the C++ client sends zeros.
fn subscriptions_of(consumer: &ConsumerData) -> Vec<protocol::subscription::SubscriptionData> {
    consumer.subscription_data_set.iter().map(|data| data.clone().with_tag_codes()).collect()
}

/// Tells every client of a group that its members or subscriptions changed.
fn notify(node: &Node, group: &str) {
    let notifies =
        node.group.tables().group(group).is_none_or(|group| group.notify_consumer_ids_changed_enable);
    if !notifies {
        return;
    }
    let connections = node.clients().consumers.connections(group);
    for connection in connections.into_iter().filter_map(|id| node.connection(id)) {
        let notice =
            Command::request_of_broker(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED).with("consumerGroup", group);
        if let Err(error) = connection.oneway(notice) {
            debug!(group, peer = %connection.peer(), %error, "notice not sent");
        }
    }
}

/// Code 35. Its fields are looked at one by one: a client that names no group takes leave of none.
pub fn unregister(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    if let Some(connection) = &origin.connection {
        let left = {
            let mut clients = node.clients();
            if let Some(group) = request.ext.get("producerGroup") {
                clients.producers.unregister(group, connection.id());
            }
            let group = request.ext.get("consumerGroup");
            group.filter(|group| clients.consumers.unregister(group, connection.id()))
        };
        if let Some(group) = left {
            info!(group, client = request.ext.get("clientID"), "consumer left");
            notify(node, group);
        }
    }
    answer.send(Command::response_to(&request, code::SUCCESS));
}

/// A connection is gone, and its clients with it.
pub fn closed(node: &Node, connection: ConnectionId) {
    let left = {
        let mut clients = node.clients();
        clients.producers.closed(connection);
        clients.consumers.closed(connection)
    };
    for group in left {
        info!(group, connection, "consumer gone with its connection");
        notify(node, &group);
    }
}

/// Code 38. Consumers send their heartbeats to every node, but not at the same moment: the leader's table counts, so
/// that all clients of a group divide the same queues. Another node's own table is better than none.
pub fn consumer_list(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetConsumerList, request, answer);
    if node.group.is_ready() || origin.is_forwarded() {
        return answer.send(own_consumer_list(node, &request, &header.consumer_group));
    }
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let leaders = match who_answers(&node.group, LEADER_WITHIN).await {
            Verdict::There(leader) => match forward::forward(&node.group, leader, &origin, &request).await {
                Forwarded::Reply(reply) if reply.code == code::SUCCESS => Some(reply),
                _ => None,
            },
            Verdict::Here | Verdict::Nobody => None,
        };
        // The Go client takes an error for "no consumers" and lets go of its queues.
        answer.send(leaders.unwrap_or_else(|| own_consumer_list(&node, &request, &header.consumer_group)));
    });
}

fn own_consumer_list(node: &Node, request: &Command, group: &str) -> Command {
    let consumer_id_list = node.clients().consumers.client_ids(group);
    if consumer_id_list.is_empty() {
        return refuse(request, code::SYSTEM_ERROR, format!("no consumer for this group, {group}"));
    }
    Command::response_to(request, code::SUCCESS).with_body(ConsumerList { consumer_id_list }.to_bytes())
}

/// Code 46: whether the broker can filter as the client wants.
pub fn check_config(_broker: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let wanted = match CheckClientConfig::read(&request.body) {
        Ok(wanted) => wanted,
        Err(_) if request.body.is_empty() => CheckClientConfig::default(),
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    let expression_type = wanted.subscription_data.as_ref().map(|data| data.expression_type.as_str());
    answer.send(if is_sql(expression_type) {
        refuse(&request, code::SYSTEM_ERROR, no_sql())
    } else {
        Command::response_to(&request, code::SUCCESS)
    });
}
