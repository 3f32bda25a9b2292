//! Answers calls from the brokers on the group's other nodes.

use std::sync::{Arc, OnceLock, Weak};

use bytes::{Bytes, BytesMut};
use raft::{BoxFuture, NodeId, PeerHandler};
use store::codec;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::warn;

use crate::door::exchange::{Answer, Origin};
use crate::door::remoting;
use crate::group::SUBMIT_WITHIN;
use crate::housekeeping::repair;
use crate::leader::confirm::confirm_here;
use crate::leader::peer_call::{PeerRequest, PeerResponse};
use crate::leader::submit::{self, SubmitError, SubmitHereError};
use crate::node::Node;
use crate::state::{Change, Outcome};

/// The door for peers. It exists before the broker does, because the Raft node wants it at its start.
pub struct PeerDoor {
    node: OnceLock<Weak<Node>>,
    /// The broker's own runtime: calls come in on the Raft node's thread, which must not be kept.
    runtime: Handle,
}

impl PeerDoor {
    /// A door that answers "not yet" until [`PeerDoor::open`].
    pub fn new(runtime: Handle) -> Self {
        Self { node: OnceLock::new(), runtime }
    }

    /// From now on calls are answered by `broker`.
    ///
    /// # Panics
    /// If it was opened before.
    pub fn open(&self, node: &Arc<Node>) {
        assert!(self.node.set(Arc::downgrade(node)).is_ok(), "the door for peers is opened once");
    }
}

impl PeerHandler for PeerDoor {
    fn call(&self, from: NodeId, request: Bytes) -> BoxFuture<'static, Bytes> {
        let node = self.node.get().and_then(Weak::upgrade);
        let Some(node) = node else {
            return Box::pin(std::future::ready(PeerResponse::NotLeader.to_bytes()));
        };
        let answering = self.runtime.spawn(answer(node, from, request));
        Box::pin(async move {
            let response = answering.await.unwrap_or_else(|error| PeerResponse::Failed(error.to_string()));
            response.to_bytes()
        })
    }
}

async fn answer(node: Arc<Node>, from: NodeId, request: Bytes) -> PeerResponse {
    match codec::decode::<PeerRequest>(&request) {
        Ok(PeerRequest::Forward { client, frame }) => forward(&node, Origin::forwarded(client), &frame).await,
        Ok(PeerRequest::Propose(change)) => propose(&node, change).await,
        Ok(PeerRequest::ConfirmLeader) => match confirm_here(&node).await {
            Ok(confirmed) => PeerResponse::Confirmed(confirmed.to_string()),
            Err(reason) => PeerResponse::Failed(reason),
        },
        Ok(PeerRequest::Stretch(_)) => {
            PeerResponse::Failed("this build mends entry by entry, and gives no stretches".into())
        }
        Ok(PeerRequest::Entries { first_index, next_index }) => {
            repair::give(&node, first_index, next_index).await
        }
        Err(error) => {
            warn!(from, %error, "call from a peer not understood");
            PeerResponse::Failed(format!("call not understood: {error}"))
        }
    }
}

async fn forward(node: &Arc<Node>, origin: Origin, frame: &[u8]) -> PeerResponse {
    let request = match protocol::frame::decode(&mut BytesMut::from(frame)) {
        Ok(Some(request)) => request,
        Ok(None) => return PeerResponse::Failed("forwarded frame is cut short".into()),
        Err(error) => return PeerResponse::Failed(error.to_string()),
    };
    let oneway = request.is_oneway();
    let (sender, reply) = oneshot::channel();
    remoting::dispatch(node, origin, request, Answer::to_peer(sender));
    if oneway {
        return PeerResponse::Taken;
    }
    let Ok(reply) = reply.await else {
        return PeerResponse::Failed("the leader gave no reply".into());
    };
    let mut command = reply.head;
    if !reply.chunks.is_empty() {
        let mut body = BytesMut::from(&command.body[..]);
        for chunk in &reply.chunks {
            body.extend_from_slice(chunk);
        }
        command.body = body.freeze();
    }
    match command.encode() {
        Ok(frame) => PeerResponse::Frame(frame.to_vec()),
        Err(error) => PeerResponse::Failed(error.to_string()),
    }
}

async fn propose(node: &Node, change: Change) -> PeerResponse {
    // Who does not lead says so, whatever room there is.
    if node.group.is_ready()
        && let Err(error) = node.group.check_room(&change)
    {
        return response(Err(SubmitHereError::Other(error)));
    }
    response(submit::submit_here(&node.group.raft, &change, SUBMIT_WITHIN).await)
}

/// What the calling node is told, which tells its client the same as this node would.
fn response(submitted: Result<Outcome, SubmitHereError>) -> PeerResponse {
    match submitted {
        Ok(outcome) => PeerResponse::Outcome(outcome),
        Err(SubmitHereError::NotLeader { .. } | SubmitHereError::Other(SubmitError::NoLeader)) => {
            PeerResponse::NotLeader
        }
        Err(SubmitHereError::Other(SubmitError::Refused(reason))) => PeerResponse::Refused(reason),
        Err(SubmitHereError::Other(SubmitError::Unknown(reason))) => PeerResponse::Failed(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a leader refuses for want of room was told as "outcome unknown" at every other node.
    #[test]
    fn a_refusal_reaches_the_client_of_another_node_in_the_same_words() {
        let room = || SubmitError::Refused("no room: 9 bytes".into());
        let there = codec::decode(&response(Err(SubmitHereError::Other(room()))).to_bytes());
        let told = submit::outcome_at_leader(there).unwrap_err();
        assert!(told.is_none());
        assert_eq!(told.to_string(), room().to_string());
        let unknown = SubmitHereError::Other(SubmitError::Unknown("not applied".into()));
        let told = submit::outcome_at_leader(codec::decode(&response(Err(unknown)).to_bytes())).unwrap_err();
        assert_eq!((told.is_none(), told.to_string()), (false, "outcome unknown: not applied".into()));
    }
}
