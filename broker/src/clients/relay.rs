//! What a broker asks clients on behalf of an operator: codes 307, 309 and 223.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::command::admin::{ConsumeMessageDirectly, GetConsumerRunningInfo};
use protocol::command::offset::{ConsumerStatus, ConsumerStatusBody};
use protocol::message::id::parse_offset_message_id;
use protocol::{Command, RequestCode, ResponseCode as code};
use remoting::Connection;
use tokio::task::JoinSet;
use tracing::debug;

use crate::door::exchange::header;

use crate::admin::message_query;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::node::Node;

/// How long one client may take to answer. Source: RocketMQ `AdminBrokerProcessor.callConsumer`.
const CLIENT_WITHIN: Duration = Duration::from_secs(10);
/// How long each of a group's clients may take. Source: RocketMQ `Broker2Client.getConsumeStatus`.
const EACH_CLIENT_WITHIN: Duration = Duration::from_secs(5);

/// Code 307: what a client is doing, by its own word.
pub fn running_info(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(GetConsumerRunningInfo, request, answer);
    let asked = Command { ext: request.ext.clone(), ..Command::request_of_broker(request.code) };
    ask_client(node, &header.consumer_group, &header.client_id, asked, request, answer);
}

/// Code 309: a client consumes one message now.
pub fn consume_directly(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(ConsumeMessageDirectly, request, answer);
    let client_id = header.client_id.unwrap_or_default();
    if client_of(node, &header.consumer_group, &client_id).is_none() {
        return answer.send(not_online(&request, &header.consumer_group, &client_id));
    }
    let unit = match header.msg_id.as_deref().map(parse_offset_message_id) {
        Some(Ok((_, offset))) => message_query::unit_at(node, offset),
        Some(Err(error)) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
        None => return answer.send(refuse(&request, code::SYSTEM_ERROR, "msgId is missing")),
    };
    let Some(unit) = unit else {
        return answer.send(refuse(&request, code::SYSTEM_ERROR, "no message is at the offset in msgId"));
    };
    let topic_sys_flag = protocol::message::parse(&unit)
        .ok()
        .and_then(|view| node.group.tables().topic(view.topic).map(|topic| topic.sys_flag));
    let group_sys_flag = node.group.tables().group(&header.consumer_group).map(|group| group.sys_flag);
    let asked = Command { ext: request.ext.clone(), ..Command::request_of_broker(request.code) }
        .with_body(unit)
        .with("brokerName", node.group.name())
        .with("topicSysFlag", topic_sys_flag.unwrap_or(0))
        .with("groupSysFlag", group_sys_flag.unwrap_or(0));
    ask_client(node, &header.consumer_group, &client_id, asked, request, answer);
}

fn client_of(node: &Node, group: &str, client_id: &str) -> Option<Arc<Connection>> {
    let view = node.clients().consumers.view(group)?;
    let client = view.clients.into_iter().find(|client| client.client_id == client_id)?;
    node.connection(client.connection)
}

fn not_online(request: &Command, group: &str, client_id: &str) -> Command {
    refuse(request, code::SYSTEM_ERROR, format!("The Consumer <{group}> <{client_id}> not online"))
}

/// The client's answer goes back as it came, byte for byte.
fn ask_client(
    node: &Arc<Node>,
    group: &str,
    client_id: &str,
    asked: Command,
    request: Command,
    answer: Answer,
) {
    let Some(connection) = client_of(node, group, client_id) else {
        return answer.send(not_online(&request, group, client_id));
    };
    let timed_out = format!("consumer <{group}> <{client_id}> Timeout");
    tokio::spawn(async move {
        answer.send(match connection.call(asked, CLIENT_WITHIN).await {
            Ok(told) => {
                let mut reply = Command::response_to(&request, told.code).with_body(told.body);
                reply.remark = told.remark;
                reply.ext = told.ext;
                reply
            }
            Err(error) => refuse(&request, code::CONSUME_MSG_TIMEOUT, format!("{timed_out}: {error}")),
        });
    });
}

/// Code 223: how far the clients of a group say they are.
pub fn consumer_status(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(ConsumerStatus, request, answer);
    let Some(view) = node.clients().consumers.view(&header.group) else {
        let remark = format!("No Any Consumer online in the consumer group: [{}]", header.group);
        return answer.send(refuse(&request, code::SYSTEM_ERROR, remark));
    };
    let wanted = header.client_addr.as_deref().filter(|client| !client.is_empty());
    let mut calls = JoinSet::new();
    for client in view.clients {
        if wanted.is_some_and(|wanted| wanted != client.client_id) {
            continue;
        }
        let Some(connection) = node.connection(client.connection) else { continue };
        let asked = Command::request_of_broker(RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT)
            .with("topic", &header.topic)
            .with("group", &header.group);
        calls.spawn(async move {
            let told = connection.call(asked, EACH_CLIENT_WITHIN).await;
            (client.client_id, told)
        });
    }
    tokio::spawn(async move {
        let mut consumer_table = BTreeMap::new();
        while let Some(call) = calls.join_next().await {
            let Ok((client_id, told)) = call else { continue };
            match told.map(|told| (told.code, ConsumerStatusBody::read(&told.body))) {
                Ok((code::SUCCESS, Ok(status))) => {
                    consumer_table.insert(client_id, status.message_queue_table);
                }
                Ok((code, _)) => debug!(client_id, code, "client does not tell its offsets"),
                Err(error) => debug!(client_id, %error, "client does not tell its offsets"),
            }
        }
        let body = ConsumerStatusBody { consumer_table, ..ConsumerStatusBody::default() };
        answer.send(Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes()));
    });
}
