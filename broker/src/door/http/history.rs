//! What happened and what was counted: `/events`, `/metrics`, `/debug/digest`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use raft::node_name;
use serde::Deserialize;
use serde_json::json;
use web::metrics::Format;

use crate::admin::digest;
use crate::metrics;
use crate::node::Node;

#[derive(Deserialize)]
pub struct EventsQuery {
    /// Number of the first event that is wanted.
    #[serde(default)]
    since: u64,
    limit: Option<usize>,
}

/// What happened to this node, oldest first; also before its last start, as far as its file tells.
pub async fn events(State(node): State<Arc<Node>>, Query(query): Query<EventsQuery>) -> Response {
    let events = node.events.since(query.since, query.limit.unwrap_or(usize::MAX));
    web::json(StatusCode::OK, &json!({"node": node_name(node.group.node_id()), "events": events}))
}

/// Off the runtime: the age of messages is read from the log.
pub async fn metrics(State(node): State<Arc<Node>>, headers: HeaderMap) -> Response {
    let format = Format::asked(&headers);
    match tokio::task::spawn_blocking(move || metrics::render(&node, format)).await {
        Ok(text) => format.answer(text),
        Err(error) => web::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.to_string()})),
    }
}

#[derive(Deserialize)]
pub struct DigestQuery {
    from: Option<u64>,
    upto: Option<u64>,
}

pub async fn debug_digest(State(node): State<Arc<Node>>, Query(query): Query<DigestQuery>) -> Response {
    let digested = tokio::task::spawn_blocking(move || digest::digest(&node, query.from, query.upto)).await;
    match digested {
        Ok(Ok(value)) => web::json(StatusCode::OK, &value),
        Ok(Err(error)) => web::json(StatusCode::CONFLICT, &json!({"error": error})),
        Err(error) => web::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.to_string()})),
    }
}
