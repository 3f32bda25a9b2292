//! Who leads, confirmed by a majority after it was asked.

use std::time::Duration;

use bytes::Bytes;
use raft::node_name;
use serde_json::{Value, json};
use store::codec;

use crate::leader::peer_call::{PeerRequest, PeerResponse};
use crate::node::Node;

/// How long a majority may take: longer than a heartbeat round, shorter than anybody's patience.
const CONFIRM_WITHIN: Duration = Duration::from_secs(1);

/// Asks a majority, then says what it confirmed.
///
/// # Errors
/// Why it could not, in a sentence.
pub async fn confirm_here(node: &Node) -> Result<Value, String> {
    let confirmed = node.group.raft.read_index(CONFIRM_WITHIN).await.map_err(|error| error.to_string())?;
    Ok(json!({
        "term": confirmed.term,
        "leader": node_name(confirmed.leader),
        "addr": node.remoting_addr_of(confirmed.leader),
        "readIndex": confirmed.log_index,
        "linearizable": true,
    }))
}

/// Has `leader` ask a majority.
///
/// # Errors
/// Why it could not, in a sentence.
pub async fn confirm_at(node: &Node, leader: raft::NodeId) -> Result<Value, String> {
    let request = codec::encode(&PeerRequest::ConfirmLeader).map_err(|error| error.to_string())?;
    let answered = node.group.raft.call_peer(leader, Bytes::from(request), CONFIRM_WITHIN).await;
    let answer = answered.map_err(|error| error.to_string())?;
    match codec::decode::<PeerResponse>(&answer).map_err(|error| error.to_string())? {
        PeerResponse::Confirmed(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
        PeerResponse::Failed(reason) => Err(reason),
        other => Err(format!("unexpected answer {other:?}")),
    }
}
