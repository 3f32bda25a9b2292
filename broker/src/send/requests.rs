//! The requests that send: codes 10, 310 and 320, single messages and batches, and 36, a message given back.

use std::fmt::Write as _;
use std::sync::Arc;

use protocol::command::send::{self as send_header, SendBackRequest, SendRequest};
use protocol::{Command, ResponseCode as code, message};

use crate::door::exchange::{self, Answer, Origin, header, refuse};
use crate::leader::forward;
use crate::node::Node;
use crate::send::{self, Send, SendError, Sent, back};

/// Takes one send.
pub fn send(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(SendRequest, request, answer);
    let send = Send { header, body: request.body.clone(), client: origin.client };
    let started = match send::start(node, send) {
        Ok(started) => started,
        Err(error) => return answer.send(with_region(node, not_sent(&request, error))),
    };
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let reply = match started.finish(&node).await {
            Ok(sent) => told(&node, &request, &sent),
            // It lost the lead between the check and the proposal: the new leader takes it.
            Err(SendError::NotLeader) if !origin.is_forwarded() => {
                return forward::answer_elsewhere(node, origin, request, answer, self::send).await;
            }
            Err(error) => not_sent(&request, error),
        };
        answer.send(with_region(&node, reply));
    });
}

/// Takes one message back.
pub fn send_back(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(SendBackRequest, request, answer);
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let reply = match back::take_back(&node, &header).await {
            Ok(()) => Command::response_to(&request, code::SUCCESS),
            Err(SendError::NotLeader) if !origin.is_forwarded() => {
                return forward::answer_elsewhere(node, origin, request, answer, send_back).await;
            }
            Err(error) => not_sent(&request, error),
        };
        answer.send(reply);
    });
}

fn not_sent(request: &Command, error: SendError) -> Command {
    match error {
        SendError::Refused(refusal) => refuse(request, refusal.code, refusal.remark).with("outcome", "none"),
        SendError::NotCreated(error) => exchange::not_submitted(request, &error),
        SendError::NotLeader | SendError::Stopped => forward::not_leader(request),
        SendError::Unknown(reason) => exchange::unknown(request, &reason),
    }
}

fn told(node: &Node, request: &Command, sent: &Sent) -> Command {
    let places = &sent.receipt.reply.units;
    let mut message_ids = String::with_capacity(places.len() * 33);
    for (n, (_, commitlog_offset)) in places.iter().enumerate() {
        if n > 0 {
            message_ids.push(',');
        }
        let id = message::id::offset_message_id(node.config.network.store_host, *commitlog_offset as i64);
        message_ids.write_str(&id).expect("a String takes all");
    }
    let queue_offset = places.first().map_or(0, |(queue_offset, _)| *queue_offset);
    let mut reply = Command::response_to(request, code::SUCCESS)
        .with("msgId", message_ids)
        .with("queueId", sent.queue_id)
        .with("queueOffset", queue_offset)
        .with("term", sent.receipt.term)
        .with("index", sent.receipt.log_index);
    if let Some(unique_key) = &sent.unique_key {
        reply = reply.with("transactionId", unique_key);
    }
    reply
}

/// Every answer to a send tells region and trace switch.
fn with_region(node: &Node, reply: Command) -> Command {
    reply
        .with(send_header::MSG_REGION, &node.config.identity.region)
        .with(send_header::TRACE_ON, node.live().messages.trace_on)
}
