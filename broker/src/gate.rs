//! Who may answer a request: this node, the leader, or nobody now.
//!
//! A node that does not lead forwards what only the leader may answer, within the request's time-out, over the
//! connections between the nodes. With no leader in sight it says so at once, so that the client's retry is not
//! eaten by waiting.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::{Command, ResponseCode};
use raft::{CallError, NodeId};
use store::codec;
use tracing::debug;

use crate::exchange::{Answer, Origin, refuse};
use crate::peer::{PeerRequest, PeerResponse};
use crate::server::Broker;
use crate::submit::SubmitError;

/// How long a forwarded request may take: below the 3 s that clients wait by default.
const FORWARD_WITHIN: Duration = Duration::from_millis(2_500);
/// How long a node without a leader looks for one before it says so: a planned handover takes a few
/// milliseconds, and a client's retry costs more than this.
pub const LEADER_WITHIN: Duration = Duration::from_millis(400);
/// How long a node that leads no more may still answer: a handover takes a few milliseconds.
const LAST_WORD_WITHIN: Duration = Duration::from_millis(200);
/// How soon it looks again where the node it took for the leader says that it is not.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a client is told where nobody leads, and a node that forwarded its request.
const NO_LEADER_SERVES: &str = "no leader serves this broker group now";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This node: it leads and is ready.
    Here,
    /// That node leads.
    There(NodeId),
    /// No leader is known.
    Nobody,
}

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

impl Broker {
    /// Who answers now; waits a moment for a leader where there is none.
    pub async fn verdict(&self, within: Duration) -> Verdict {
        let mut views = self.node.views();
        let seen = tokio::time::timeout(
            within,
            views.wait_for(|view| {
                view.is_ready() || view.leader.is_some_and(|leader| leader != self.node_id())
            }),
        )
        .await;
        match seen {
            Ok(Ok(view)) if view.is_ready() => Verdict::Here,
            Ok(Ok(view)) => view.leader.map_or(Verdict::Nobody, Verdict::There),
            // No leader in time, or the node is stopped.
            Ok(Err(_)) | Err(_) => Verdict::Nobody,
        }
    }

    /// Answers a request that only the leader may answer, from a node that is not ready to. While the lead changes
    /// hands it looks again, for [`LEADER_WITHIN`] at most: nothing has been proposed then, so nothing is doubled.
    ///
    /// `here` is called if this node turns out to lead after all.
    pub async fn answer_elsewhere(
        self: std::sync::Arc<Self>,
        origin: Origin,
        request: Command,
        answer: Answer,
        here: impl FnOnce(std::sync::Arc<Self>, Origin, Command, Answer) + Send,
    ) {
        let deadline = self.monotonic() + LEADER_WITHIN;
        loop {
            let left = deadline.saturating_sub(self.monotonic());
            match self.verdict(left).await {
                Verdict::Here => return here(self, origin, request, answer),
                // Forwarded once already: two nodes that each take the other for the leader must not play ball.
                Verdict::There(_) if origin.is_forwarded() => return answer.send(not_leader(&request)),
                Verdict::There(leader) => match self.forward(leader, &origin, &request).await {
                    Forwarded::Reply(reply) if !is_not_leader(&reply) => return answer.send(reply),
                    Forwarded::Taken => return,
                    Forwarded::Unknown(reason) => return answer.send(unknown(&request, &reason)),
                    Forwarded::Reply(_) => {}
                    Forwarded::NotDone(reason) => {
                        debug!(
                            code = request.code,
                            leader = raft::node_name(leader),
                            reason,
                            "not forwarded"
                        );
                    }
                },
                Verdict::Nobody => {}
            }
            if self.monotonic() >= deadline {
                return answer.send(not_leader(&request));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Forwards a request to `leader`, and sends the client its reply.
    pub async fn forward_and_answer(
        &self,
        leader: NodeId,
        origin: &Origin,
        request: &Command,
        answer: Answer,
    ) {
        match self.forward(leader, origin, request).await {
            Forwarded::Reply(reply) => answer.send(reply),
            Forwarded::Taken => {}
            Forwarded::NotDone(_) => answer.send(not_leader(request)),
            Forwarded::Unknown(reason) => answer.send(unknown(request, &reason)),
        }
    }

    /// Forwards a request to `leader`.
    pub async fn forward(&self, leader: NodeId, origin: &Origin, request: &Command) -> Forwarded {
        let frame = match request.encode() {
            Ok(frame) => frame.to_vec(),
            Err(error) => return Forwarded::NotDone(error.to_string()),
        };
        let call = match codec::encode(&PeerRequest::Forward { client: origin.client, frame }) {
            Ok(call) => Bytes::from(call),
            Err(error) => return Forwarded::NotDone(error.to_string()),
        };
        let called = tokio::select! {
            called = self.node.call_peer(leader, call, FORWARD_WITHIN) => called,
            () = self.leads_no_more(leader) => {
                return Forwarded::Unknown(format!("{} does not answer and leads no more", raft::node_name(leader)));
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
    async fn leads_no_more(&self, leader: NodeId) {
        let mut views = self.node.views();
        let is_other = |view: &raft::View| view.leader.is_some_and(|other| other != leader);
        if views.wait_for(is_other).await.is_err() {
            // This node is stopped, which the call is told as well.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LAST_WORD_WITHIN).await;
    }
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

/// It may or may not have happened. Never a code that clients take for success.
pub fn unknown(request: &Command, reason: &str) -> Command {
    refuse(request, ResponseCode::SYSTEM_ERROR, format!("outcome unknown: {reason}"))
        .with("outcome", "unknown")
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
