//! Requests that only the leader may answer, from a node that does not lead.
//!
//! They are forwarded within the request's time-out, over the connections between the nodes. With no leader in sight the
//! client is told so at once, so that its retry is not eaten by waiting.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::{Command, ResponseCode};
use raft::{CallError, NodeId};
use store::codec;
use tracing::debug;

use crate::door::exchange::{Answer, Origin, refuse, unknown};
use crate::group::Group;
use crate::leader::peer_call::{PeerRequest, PeerResponse};
use crate::leader::submit::SubmitError;
use crate::leader::who_answers::{LEADER_WITHIN, Verdict, who_answers};
use crate::node::Node;

/// How long a forwarded request may take: below the 3 s that clients wait by default.
const FORWARD_WITHIN: Duration = Duration::from_millis(2_500);
/// How long a node that no longer leads may still answer: a handover takes a few milliseconds.
const LAST_WORD_WITHIN: Duration = Duration::from_millis(200);
/// How soon it looks again where the node it took for the leader says that it is not.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a client is told where nobody leads, and a node that forwarded its request.
const NO_LEADER_SERVES: &str = "no leader serves this broker group now";

/// What came of forwarding.
pub enum Forwarded {
    /// The leader's reply.
    Reply(Command),
    /// The leader has taken a one-way request in.
    Taken,
    /// Certainly nothing happened; the text says why.
    NotDone(String),
    /// Nobody knows; the text says why.
    Unknown(String),
}

/// Answers a request that only the leader may answer, from a node that is not ready to. While the lead changes
/// hands it looks again, for [`LEADER_WITHIN`] at most: nothing has been proposed then, so nothing is doubled.
///
/// `here` is called if this node turns out to lead after all.
pub async fn answer_elsewhere(
    node: Arc<Node>,
    origin: Origin,
    request: Command,
    answer: Answer,
    here: impl FnOnce(&Arc<Node>, Origin, Command, Answer) + Send,
) {
    let group = &node.group;
    let deadline = node.monotonic() + LEADER_WITHIN;
    loop {
        let left = deadline.saturating_sub(node.monotonic());
        match who_answers(group, left).await {
            Verdict::Here => return here(&node, origin, request, answer),
            // Forwarded once already: two nodes that each take the other for the leader must not play ball.
            Verdict::There(_) if origin.is_forwarded() => return answer.send(not_leader(&request)),
            Verdict::There(leader) => match forward(group, leader, &origin, &request).await {
                Forwarded::Reply(reply) if !is_not_leader(&reply) => return answer.send(reply),
                Forwarded::Taken => return,
                Forwarded::Unknown(reason) => return answer.send(unknown(&request, &reason)),
                Forwarded::Reply(_) => {}
                Forwarded::NotDone(reason) => {
                    debug!(code = request.code, leader = raft::node_name(leader), reason, "not forwarded");
                }
            },
            Verdict::Nobody => {}
        }
        if node.monotonic() >= deadline {
            return answer.send(not_leader(&request));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Forwards a request to `leader`, and sends the client its reply.
pub async fn forward_and_answer(
    group: &Group,
    leader: NodeId,
    origin: &Origin,
    request: &Command,
    answer: Answer,
) {
    match forward(group, leader, origin, request).await {
        Forwarded::Reply(reply) => answer.send(reply),
        Forwarded::Taken => {}
        Forwarded::NotDone(_) => answer.send(not_leader(request)),
        Forwarded::Unknown(reason) => answer.send(unknown(request, &reason)),
    }
}

/// Forwards a request to `leader`.
pub async fn forward(group: &Group, leader: NodeId, origin: &Origin, request: &Command) -> Forwarded {
    let frame = match request.encode() {
        Ok(frame) => frame.to_vec(),
        Err(error) => return Forwarded::NotDone(error.to_string()),
    };
    let call = match codec::encode(&PeerRequest::Forward { client: origin.client, frame }) {
        Ok(call) => Bytes::from(call),
        Err(error) => return Forwarded::NotDone(error.to_string()),
    };
    let called = tokio::select! {
        called = group.raft.call_peer(leader, call, FORWARD_WITHIN) => called,
        () = no_longer_leads(group, leader) => {
            let leader = raft::node_name(leader);
            return Forwarded::Unknown(format!("{leader} does not answer and no longer leads"));
        }
    };
    let response = match called {
        Err(error @ CallError::NoAnswer { .. }) => return Forwarded::Unknown(error.to_string()),
        Err(error) => return Forwarded::NotDone(error.to_string()),
        Ok(response) => response,
    };
    match codec::decode::<PeerResponse>(&response) {
        Ok(PeerResponse::Frame(frame)) => reply_of(&frame, request),
        Ok(PeerResponse::Taken) => Forwarded::Taken,
        Ok(PeerResponse::NotLeader) => Forwarded::NotDone("the called node does not lead".into()),
        Ok(PeerResponse::Failed(reason)) => Forwarded::Unknown(reason),
        Ok(other) => Forwarded::Unknown(format!("unexpected answer {other:?}")),
        Err(error) => Forwarded::Unknown(error.to_string()),
    }
}

/// Returns [`LAST_WORD_WITHIN`] after another node than `leader` was seen to lead: what hangs, or cannot be
/// reached, is not waited for any longer.
async fn no_longer_leads(group: &Group, leader: NodeId) {
    let mut views = group.raft.views();
    let is_other = |view: &raft::View| view.leader.is_some_and(|other| other != leader);
    if views.wait_for(is_other).await.is_err() {
        // This node is stopped, which the call is told as well.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(LAST_WORD_WITHIN).await;
}

/// The leader's reply numbered and encoded as the client expects it.
fn reply_of(frame: &[u8], request: &Command) -> Forwarded {
    match protocol::frame::decode(&mut BytesMut::from(frame)) {
        Ok(Some(mut reply)) => {
            reply.opaque = request.opaque;
            reply.encoding = request.encoding;
            Forwarded::Reply(reply)
        }
        Ok(None) => Forwarded::Unknown("the leader's reply is cut short".into()),
        Err(error) => Forwarded::Unknown(error.to_string()),
    }
}

/// "I do not lead, and know nobody who does": clients try again.
pub fn not_leader(request: &Command) -> Command {
    refuse(request, ResponseCode::SERVICE_NOT_AVAILABLE, NO_LEADER_SERVES).with("outcome", "none")
}

/// Whether a reply says that whoever gave it does not lead. A leader's own refusals (no room, a disk that is full) have the
/// same code, and are the answer.
fn is_not_leader(reply: &Command) -> bool {
    let no_leader = SubmitError::NoLeader.to_string();
    reply.code == ResponseCode::SERVICE_NOT_AVAILABLE
        && reply.remark.as_deref().is_some_and(|remark| remark == NO_LEADER_SERVES || remark == no_leader)
}

#[cfg(test)]
mod tests {
    use protocol::RequestCode;

    use super::*;

    /// The refusal of a leader that has no room reached the client of a follower as "no leader serves".
    #[test]
    fn a_leaders_refusal_is_no_word_of_a_missing_leader() {
        let request = Command::request(RequestCode::SEND_MESSAGE_V2);
        let code = ResponseCode::SERVICE_NOT_AVAILABLE;
        let refused = |remark: String| refuse(&request, code, remark).with("outcome", "none");
        assert!(is_not_leader(&not_leader(&request)));
        assert!(is_not_leader(&refused(SubmitError::NoLeader.to_string())));
        let no_room = "topics, groups and offsets take 9 bytes, 1 more would exceed the limit of 9 bytes";
        assert!(!is_not_leader(&refused(SubmitError::Refused(no_room.into()).to_string())));
        assert!(!is_not_leader(&refused("the disk is full: service not available now".into())));
    }
}
