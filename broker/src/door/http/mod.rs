//! The node's HTTP views for people, load balancers and scripts: who leads, how the node stands, is it fit.
//!
//! `GET /leader` is linearizable: the node confirms with a majority after the request arrived. Everything else
//! tells what this node knows by itself. Names are the field's own, the same as in the logs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use raft::{Member, PeerView, Role, View};
use serde::Deserialize;
use serde_json::{Value, json};
use store::codec;
use tokio::sync::watch;
use web::metrics::Format;

use crate::admin::digest;
use crate::config::FlushDiskType;
use crate::events::{follow, peers};
use crate::leader::peer_call::{About, PeerRequest, PeerResponse};
use crate::metrics;
use crate::node::Node;

/// How long `/leader` waits for a majority: longer than a heartbeat round, shorter than anybody's patience.
const CONFIRM_WITHIN: Duration = Duration::from_secs(1);
/// How long a planned change of leader may take.
const TRANSFER_WITHIN: Duration = Duration::from_secs(5);

/// Serves the views on `listener` until `shutdown` says true.
///
/// # Errors
/// If the socket fails for good.
pub async fn serve(
    listener: Box<dyn platform::Listener>,
    node: Arc<Node>,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let names: web::Names =
        Arc::new(vec![node.config.network.advertised_host.clone(), node.config.host_name().to_owned()]);
    let guard = middleware::from_fn_with_state(names, web::own_pages_only);
    let views = Router::new()
        .route("/leader", get(leader))
        .route("/leader/transfer", post(transfer).layer(guard.clone()))
        .route("/group/found", post(found).layer(guard))
        .route("/status", get(status))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/events", get(events))
        .route("/metrics", get(metrics))
        .route("/debug/digest", get(debug_digest))
        .with_state(node);
    web::serve(listener, views, shutdown).await
}

pub use raft::node_name;

#[derive(Deserialize)]
struct LeaderQuery {
    #[serde(default)]
    local: bool,
}

async fn leader(State(node): State<Arc<Node>>, Query(query): Query<LeaderQuery>) -> Response {
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

async fn confirm_at(node: &Node, leader: raft::NodeId) -> Result<Value, String> {
    let request = codec::encode(&PeerRequest::ConfirmLeader).map_err(|error| error.to_string())?;
    let answered = node.group.raft.call_peer(leader, Bytes::from(request), CONFIRM_WITHIN).await;
    let answer = answered.map_err(|error| error.to_string())?;
    match codec::decode::<PeerResponse>(&answer).map_err(|error| error.to_string())? {
        PeerResponse::Confirmed(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
        PeerResponse::Failed(reason) => Err(reason),
        other => Err(format!("unexpected answer {other:?}")),
    }
}

#[derive(Deserialize)]
struct TransferQuery {
    to: Option<String>,
}

async fn transfer(State(node): State<Arc<Node>>, Query(query): Query<TransferQuery>) -> Response {
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
struct FoundQuery {
    #[serde(default)]
    force: bool,
}

/// Lets this node found its group, or come back to it, without the members that are missing.
async fn found(State(node): State<Arc<Node>>, Query(query): Query<FoundQuery>) -> Response {
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

async fn status(State(node): State<Arc<Node>>) -> Response {
    web::json(StatusCode::OK, &status_of(&node))
}

/// Everything a person at three in the morning asks first.
pub fn status_of(node: &Node) -> Value {
    let view = node.group.raft.view();
    let ends = node.group.log.ends();
    let tables = node.group.tables().sizes();
    json!({
        "cluster": node.config.identity.cluster,
        "group": node.group.name(),
        "node": node_name(node.group.node_id()),
        "version": env!("CARGO_PKG_VERSION"),
        "role": role_name(view.role),
        "term": view.term,
        "leader": view.leader.map(node_name),
        "ready": unready(&view).is_none(),
        "groupId": view.group_id.map(|id| id.to_string()),
        "fenced": view.fenced,
        "halted": view.halted,
        "waitsFor": view.waits_for,
        "fatal": view.fatal,
        "checkpointError": view.checkpoint_error,
        "configurationDiffers": view.configuration_differs,
        "featureLevel": {"build": view.feature_level, "group": view.group_feature_level},
        "membership": view.members.iter().map(|(id, member)| member_json(*id, member)).collect::<Vec<_>>(),
        "lastLogIndex": view.last_log_index,
        "commitIndex": view.commit_index,
        "appliedIndex": view.applied_index,
        "purgedIndex": view.purged_index,
        "commitlog": {
            "min": ends.min.0, "flushed": ends.flushed.0, "committed": ends.committed.0, "appended": ends.appended.0,
        },
        "flush": flush_name(node),
        "quorumAckAgeMs": view.quorum_ack_age_ms(),
        "voters": view.voters.iter().copied().map(node_name).collect::<Vec<_>>(),
        "members": peers::rows(&view, node.group.node_id(), &node.events.peers),
        "alarms": follow::alarms(node, &view),
        "disk": disk(node),
        "peers": view.peers.iter().map(|peer| peer_json(node, &view, peer)).collect::<Vec<_>>(),
        "topics": tables.get("topics"),
        "groups": tables.get("groups"),
        "diskFull": node.group.is_disk_full(),
        "damaged": node.group.log.damage().iter().map(|damage| json!({
            "from": damage.stretch.start.0, "to": damage.stretch.end.0,
            "firstIndex": damage.stretch.first_index, "nextIndex": damage.stretch.next_index, "reason": damage.reason,
            "everywhere": damage.is_everywhere,
        })).collect::<Vec<_>>(),
        "repaired": node.group.log.repaired(),
        "heldPulls": node.group.holds.len(),
        "coldReads": node.readers.waiting(),
        "connections": node.connection_count(),
        "startedMs": node.started_ms,
        "remoting": node.config.network.advertised_addr(),
    })
}

fn flush_name(node: &Node) -> &'static str {
    match node.config.storage.flush {
        FlushDiskType::Sync => "SYNC_FLUSH",
        FlushDiskType::Async => "ASYNC_FLUSH",
    }
}

/// Room on the disk of the log; `null` where the system does not say.
fn disk(node: &Node) -> Value {
    match node.platform.disk.space(&node.config.storage.root) {
        Ok(space) => json!({
            "totalBytes": space.total_bytes,
            "availableBytes": space.available_bytes,
            "usedPercent": 100 - (space.available_bytes * 100 / space.total_bytes.max(1)).min(100),
        }),
        Err(_) => Value::Null,
    }
}

fn peer_json(node: &Node, view: &View, peer: &PeerView) -> Value {
    // What it had once is not what it has: a dead peer's lag is unknown, and not 0.
    let lag = lag_entries(node, view, peer);
    let about: Option<About> = codec::decode(&peer.about).ok();
    json!({
        "id": node_name(peer.id),
        "addr": peer.addr,
        "remoting": about.as_ref().map(|about| &about.remoting),
        "http": about.as_ref().map(|about| &about.http),
        "matchedIndex": peer.matched_index,
        "lagEntries": lag,
        "lastContactMs": peer.last_contact_ms,
        "error": node.events.peers.of(peer.id).map(|trouble| trouble.cause),
    })
}

/// How many entries a peer lacks; `None` where nobody can know, because it does not answer.
pub(crate) fn lag_entries(node: &Node, view: &View, peer: &PeerView) -> Option<u64> {
    let answers = node.events.peers.of(peer.id).is_none() && peers::answers(view, peer.id) != Some(false);
    peer.matched_index.filter(|_| answers).map(|matched| view.last_log_index.saturating_sub(matched))
}

/// A member as the group's log has it; what the log does not know yet is null.
fn member_json(id: raft::NodeId, member: &Member) -> Value {
    let known = |text: &String| (!text.is_empty()).then(|| text.clone());
    json!({
        "id": node_name(id),
        "raft": known(&member.raft),
        "remoting": known(&member.remoting),
        "http": known(&member.http),
    })
}

/// Raft's role in lower case.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
    }
}

/// The process runs and its disk works: nothing that a restart would mend.
async fn healthz(State(node): State<Arc<Node>>) -> Response {
    match node.group.raft.view().fatal {
        None => web::json(StatusCode::OK, &json!({"ok": true})),
        Some(reason) => web::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"ok": false, "reason": reason})),
    }
}

/// Why the node does not serve clients. It does if it leads and is ready, or follows a leader that it knows.
fn unready(view: &View) -> Option<String> {
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

async fn readyz(State(node): State<Arc<Node>>) -> Response {
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

#[derive(Deserialize)]
struct EventsQuery {
    /// Number of the first event that is wanted.
    #[serde(default)]
    since: u64,
    limit: Option<usize>,
}

/// What happened to this node, oldest first; also before its last start, as far as its file tells.
async fn events(State(node): State<Arc<Node>>, Query(query): Query<EventsQuery>) -> Response {
    let events = node.events.since(query.since, query.limit.unwrap_or(usize::MAX));
    web::json(StatusCode::OK, &json!({"node": node_name(node.group.node_id()), "events": events}))
}

/// Off the runtime: the age of messages is read from the log.
async fn metrics(State(node): State<Arc<Node>>, headers: HeaderMap) -> Response {
    let format = Format::asked(&headers);
    match tokio::task::spawn_blocking(move || metrics::render(&node, format)).await {
        Ok(text) => format.answer(text),
        Err(error) => web::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.to_string()})),
    }
}

#[derive(Deserialize)]
struct DigestQuery {
    from: Option<u64>,
    upto: Option<u64>,
}

async fn debug_digest(State(node): State<Arc<Node>>, Query(query): Query<DigestQuery>) -> Response {
    let digested = tokio::task::spawn_blocking(move || digest::digest(&node, query.from, query.upto)).await;
    match digested {
        Ok(Ok(value)) => web::json(StatusCode::OK, &value),
        Ok(Err(error)) => web::json(StatusCode::CONFLICT, &json!({"error": error})),
        Err(error) => web::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.to_string()})),
    }
}
