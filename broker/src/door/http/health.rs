//! Whether the node is fit: `/healthz`, `/readyz`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use raft::{Role, View, node_name};
use serde_json::json;

use crate::events::follow;
use crate::leader::who_answers::role_name;
use crate::node::Node;

/// The process runs and its disk works: nothing that a restart would mend.
pub async fn healthz(State(node): State<Arc<Node>>) -> Response {
    match node.group.raft.view().fatal {
        None => web::json(StatusCode::OK, &json!({"ok": true})),
        Some(reason) => web::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"ok": false, "reason": reason})),
    }
}

/// Why the node does not serve clients. It does if it leads and is ready, or follows a leader that it knows.
pub fn unready(view: &View) -> Option<String> {
    match (view.fatal.as_ref().or(view.halted.as_ref()), view.role) {
        (Some(reason), _) => Some(reason.clone()),
        (None, Role::Leader) if !view.is_ready() => {
            Some("leads, but a majority has not confirmed it yet".to_owned())
        }
        (None, Role::Leader) => None,
        (None, _) if view.leader.is_none() => Some("no leader is known".to_owned()),
        (None, Role::Learner) => Some("has no vote yet".to_owned()),
        (None, _) => None,
    }
}

pub async fn readyz(State(node): State<Arc<Node>>) -> Response {
    let view = node.group.raft.view();
    let reason = unready(&view)
        .or_else(|| node.group.is_disk_full().then(|| "the disk is full: sends are refused".to_owned()));
    let code = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    web::json(
        code,
        &json!({"ready": reason.is_none(), "reason": reason, "alarms": follow::alarms(&node, &view), "role": role_name(view.role), "term": view.term,
            "leader": view.leader.map(node_name)}),
    )
}
