//! Queues shared out by the broker instead of by its clients: codes 400, 401 and 402. Pull mode only.

use std::sync::Arc;
use std::time::Duration;

use protocol::allocate::Strategy;
use protocol::command::admin::{Assignment, Assignments, QueryAssignment, SetMessageRequestMode};
use protocol::route::{MessageQueue, TopicRouteData};
use protocol::{Command, RequestCode, ResponseCode as code, names, perm};
use serde_json::{Map, Value, json};
use tracing::debug;

use crate::send::check;

use crate::admin::create;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::node::Node;
use crate::state::{Change, RequestMode};

/// How long a name server may take to tell a topic's queues on other broker groups.
const ROUTE_WITHIN: Duration = Duration::from_secs(1);
const PULL: &str = "PULL";

/// Code 400: which queues of a topic a client has.
pub fn query(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let asked = match QueryAssignment::read(&request.body) {
        Ok(asked) => asked,
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let queues = queues(&node, &asked.topic).await;
        let shared = if asked.message_model == "BROADCASTING" {
            Some(queues)
        } else {
            let clients = node.clients().consumers.client_ids(&asked.consumer_group);
            Strategy::from_name(&asked.strategy_name)
                .map(|strategy| strategy.allocate(&asked.client_id, &queues, &clients))
        };
        let reply = Command::response_to(&request, code::SUCCESS);
        // With a strategy that is not known here the client keeps what it has.
        answer.send(match shared {
            None => reply.with_body("{}"),
            Some(queues) => {
                let assigned = |message_queue| Assignment { message_queue, mode: PULL.into() };
                let body =
                    Assignments { message_queue_assignments: queues.into_iter().map(assigned).collect() };
                reply.with_body(body.to_bytes())
            }
        });
    });
}

/// The readable queues of a topic on all broker groups, sorted; those of this one where no name server tells more.
async fn queues(node: &Node, topic: &str) -> Vec<MessageQueue> {
    let own = node
        .group
        .tables()
        .topic(topic)
        .filter(|topic| topic.is_readable())
        .map_or(0, |topic| topic.read_queue_nums);
    let mut queues: Vec<_> = (0..own).map(|queue_id| node.group.message_queue(topic, queue_id)).collect();
    for addr in &node.config.network.namesrv_addrs {
        let ask = Command::request_of_broker(RequestCode::GET_ROUTEINFO_BY_TOPIC).with("topic", topic);
        let told = match node.client.call(addr, ask, ROUTE_WITHIN).await {
            Ok(told) if told.code == code::SUCCESS => TopicRouteData::read(&told.body).ok(),
            Ok(_) => None,
            Err(error) => {
                debug!(namesrv = addr, %error, "no route for an assignment");
                None
            }
        };
        let Some(route) = told else { continue };
        for data in route
            .queue_datas
            .iter()
            .filter(|data| data.broker_name != node.group.name() && perm::is_readable(data.perm))
        {
            let of_data = |queue_id| MessageQueue {
                topic: topic.to_owned(),
                broker_name: data.broker_name.clone(),
                queue_id,
            };
            queues.extend((0..data.read_queue_nums).map(of_data));
        }
        break;
    }
    queues.sort();
    queues
}

/// Code 401.
pub fn set_mode(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let asked = match SetMessageRequestMode::read(&request.body) {
        Ok(asked) => asked,
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    if names::group_of_retry_topic(&asked.topic).is_some() {
        return answer.send(refuse(&request, code::NO_PERMISSION, "retry topic is not allowed to set mode"));
    }
    if node.group.tables().topic(&asked.topic).is_none() {
        let remark = format!("topic[{}] not exist", asked.topic);
        return answer.send(refuse(&request, code::TOPIC_NOT_EXIST, remark));
    }
    let new_groups = match node.group.tables().group(&asked.consumer_group) {
        Some(_) => Vec::new(),
        None => match check::new_group(&asked.consumer_group, &node.live()) {
            Ok(group) => vec![group],
            Err(refusal) => return answer.send(refuse(&request, refusal.code, refusal.remark)),
        },
    };
    if asked.mode != PULL {
        let remark = format!("mode {} is not supported by this broker, {PULL} is", asked.mode);
        return answer.send(refuse(&request, code::INVALID_PARAMETER, remark));
    }
    let node = Arc::clone(node);
    tokio::spawn(async move {
        if let Err(error) = create::create(&node, Vec::new(), new_groups).await {
            return answer.send(crate::door::exchange::not_submitted(&request, &error));
        }
        let (topic, group) = (asked.topic, asked.consumer_group);
        answer.send(
            match node.group.submit(Change::SetRequestMode { topic, group, mode: RequestMode::Pull }).await {
                Ok(_) => Command::response_to(&request, code::SUCCESS),
                Err(error) => crate::door::exchange::not_submitted(&request, &error),
            },
        );
    });
}

/// Code 402.
pub fn all_modes(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let tables = node.group.tables();
    let topics: Map<String, Value> = tables
        .request_modes()
        .iter()
        .map(|(topic, groups)| {
            let groups: Map<String, Value> = groups
                .iter()
                .map(|(group, RequestMode::Pull)| {
                    let mode =
                        json!({"consumerGroup": group, "mode": PULL, "popShareQueueNum": 0, "topic": topic});
                    (group.clone(), mode)
                })
                .collect();
            (topic.clone(), Value::Object(groups))
        })
        .collect();
    let body = json!({"messageRequestModeMap": topics}).to_string();
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(body));
}
