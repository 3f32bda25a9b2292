//! How the node stands: `/status`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use raft::{Member, PeerView, View, node_name};
use serde_json::{Value, json};
use store::codec;

use super::health::unready;
use crate::config::FlushDiskType;
use crate::events::peers::lag_entries;
use crate::events::{follow, peers};
use crate::leader::peer_call::About;
use crate::leader::who_answers::role_name;
use crate::node::Node;

pub async fn status(State(node): State<Arc<Node>>) -> Response {
    web::json(StatusCode::OK, &status_of(&node))
}

/// Everything a person at three in the morning asks first.
pub fn status_of(node: &Node) -> Value {
    let view = node.group.raft.view();
    let (ends, backlog) = (node.group.log.ends(), node.group.backlog());
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
        "unwritten": {"bytes": backlog.bytes, "error": backlog.error},
        "damaged": node.group.log.damage().iter().map(|damage| json!({
            "from": damage.stretch.start.0, "to": damage.stretch.end.0,
            "firstIndex": damage.stretch.first_index, "nextIndex": damage.stretch.next_index, "reason": damage.reason,
            "everywhere": damage.is_everywhere,
        })).collect::<Vec<_>>(),
        "repaired": node.group.log.repaired(),
        "heldPulls": node.group.holds.len(),
        "coldReads": node.cold_reads(),
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
    let lag = lag_entries(&node.events.peers, view, peer);
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
