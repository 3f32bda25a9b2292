//! Who leads, and who should: `/leader`, `/leader/transfer`, `/group/found`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use raft::{View, node_name};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::leader::confirm::{confirm_at, confirm_here};
use crate::node::Node;

/// How long a planned change of leader may take.
const TRANSFER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
pub struct LeaderQuery {
    #[serde(default)]
    local: bool,
}

pub async fn leader(State(node): State<Arc<Node>>, Query(query): Query<LeaderQuery>) -> Response {
    if query.local {
        return web::json(StatusCode::OK, &local_leader(&node, &node.group.raft.view()));
    }
    let view = node.group.raft.view();
    let confirmed = match view.leader {
        Some(leader) if leader != node.group.node_id() => confirm_at(&node, leader).await,
        _ => confirm_here(&node).await,
    };
    match confirmed {
        Ok(answer) => web::json(StatusCode::OK, &answer),
        Err(reason) => {
            let view = node.group.raft.view();
            let believed = view.leader.map(node_name);
            web::json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"error": reason, "term": view.term, "believedLeader": believed, "linearizable": false}),
            )
        }
    }
}

fn local_leader(node: &Node, view: &View) -> Value {
    json!({
        "term": view.term,
        "leader": view.leader.map(node_name),
        "addr": view.leader.and_then(|leader| node.remoting_addr_of(leader)),
        "ready": view.is_ready(),
        "fenced": view.fenced,
        "linearizable": false,
    })
}

#[derive(Deserialize)]
pub struct TransferQuery {
    to: Option<String>,
}

pub async fn transfer(State(node): State<Arc<Node>>, Query(query): Query<TransferQuery>) -> Response {
    let view = node.group.raft.view();
    if !view.is_leader() {
        let believed = view.leader.map(node_name);
        return web::json(
            StatusCode::CONFLICT,
            &json!({"error": "this node does not lead", "leader": believed, "term": view.term}),
        );
    }
    let target = match &query.to {
        Some(name) => match view.peers.iter().find(|peer| node_name(peer.id) == *name) {
            Some(peer) => peer.id,
            None => {
                let known: Vec<_> = view.peers.iter().map(|peer| node_name(peer.id)).collect();
                let error = format!("no other node is named {name:?}; there are {}", known.join(", "));
                return web::json(StatusCode::BAD_REQUEST, &json!({"error": error}));
            }
        },
        None => match view.peers.iter().max_by_key(|peer| peer.matched_index) {
            Some(peer) => peer.id,
            None => return web::json(StatusCode::CONFLICT, &json!({"error": "the group has one node only"})),
        },
    };
    let to = node_name(target);
    node.events.note("operator", format!("asked to hand the lead to {to}"), json!({"to": to}));
    match node.group.hand_over(target, TRANSFER_WITHIN).await {
        Ok(()) => web::json(
            StatusCode::OK,
            &json!({"leader": node_name(target), "from": node_name(node.group.node_id())}),
        ),
        Err(error) => web::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": error.to_string()})),
    }
}

#[derive(Deserialize)]
pub struct FoundQuery {
    #[serde(default)]
    force: bool,
}

/// Lets this node found its group, or come back to it, without the members that are missing.
pub async fn found(State(node): State<Arc<Node>>, Query(query): Query<FoundQuery>) -> Response {
    if !query.force {
        let error = "a node waits until it has heard every member once; force=true says that the missing ones hold \
                     nothing, or are lost for good";
        return web::json(StatusCode::BAD_REQUEST, &json!({"error": error}));
    }
    match node.group.raft.leave_out_the_missing() {
        Ok(()) => {
            let text = "told that the members which are missing hold nothing, and may be left out";
            node.events.note("operator", text, json!({}));
            web::json(StatusCode::OK, &json!({"node": node_name(node.group.node_id()), "forced": true}))
        }
        Err(error) => web::json(StatusCode::CONFLICT, &json!({"error": error.to_string()})),
    }
}
