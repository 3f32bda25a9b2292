//! Damage in this node's log: looked for in the background, told, and mended with what the other nodes have.
//!
//! Whoever reads damaged bytes tells the log of it; this takes it from there. As long as something is damaged the lead
//! is given to another node. What is damaged on every node is served by none: its messages are refused with a sentence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::NodeId;
use serde_json::json;
use store::{CommitlogOffset, LogReader, Queues, RepairError, StoredEntry, Stretch, codec};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::leader::peer_call::{PeerRequest, PeerResponse};
use crate::node::Node;
use raft::node_name;

/// How often new damage is looked for.
const LOOK: Duration = Duration::from_millis(250);
/// How long another node may take to give a stretch.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a handover may take.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);
/// A stretch that could not be mended is tried again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// And told again after so long.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// A peer not heard of for so long, in milliseconds, is not asked to lead.
const PEER_SILENT_MS: u64 = 500;
/// The scrub reads so much of a second's share at once.
const SCRUB: Duration = Duration::from_secs(1);
/// Between the end of one scrub and the beginning of the next.
const SCRUB_PAUSE: Duration = Duration::from_secs(10);

/// A stretch that is still damaged.
#[derive(Default)]
struct Open {
    tried: Option<Duration>,
    told: Option<Duration>,
    /// It is in the events that every node's bytes are damaged.
    is_everywhere: bool,
}

/// Mends what is damaged until shutdown.
pub async fn mend(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    let mut open: BTreeMap<Stretch, Open> = BTreeMap::new();
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        let damage = node.group.log.damage();
        open.retain(|stretch, _| damage.iter().any(|damage| damage.stretch == *stretch));
        let mut wants_another_leader = false;
        for damage in damage {
            let now = node.monotonic();
            if !open.contains_key(&damage.stretch) {
                note(&node, damage.stretch, "found", &format!("damaged: {}", damage.reason));
            }
            let state = open.entry(damage.stretch).or_default();
            if state.tried.is_some_and(|tried| now.saturating_sub(tried) < AGAIN_AFTER) {
                continue;
            }
            state.tried = Some(now);
            let Err(failure) = mend_one(&node, damage.stretch).await else { continue };
            node.group.log.note_everywhere(&damage.stretch, failure.is_everywhere);
            if failure.is_everywhere && !state.is_everywhere {
                note(
                    &node,
                    damage.stretch,
                    "everywhere",
                    "damaged on every node: what lies there is refused",
                );
            }
            state.is_everywhere = failure.is_everywhere;
            wants_another_leader |= !failure.is_everywhere;
            if state.told.is_none_or(|told| now.saturating_sub(told) >= TELL_AGAIN_AFTER) {
                state.told = Some(now);
                let (from, to) = (damage.stretch.start.0, damage.stretch.end.0);
                let (entries, reasons) = (failure.entries, failure.reasons);
                if failure.is_everywhere {
                    error!(from, to, entries, reasons, "damaged on every node: what lies there is refused");
                } else {
                    error!(from, to, entries, reasons, "damaged, and not mended yet");
                }
            }
        }
        if wants_another_leader {
            give_up_the_lead(&node).await;
        }
    }
}

/// Takes note of damage, in the events.
fn note(node: &Node, stretch: Stretch, state: &str, what: &str) {
    let (from, to) = (stretch.start.0, stretch.end.0);
    let text = format!("bytes {from} to {to} of the log are {what}");
    node.events.note("repair", text, json!({"state": state, "from": from, "to": to}));
}

/// Why a stretch is still damaged.
struct Failure {
    /// What is missing.
    entries: String,
    reasons: String,
    /// Every other node has answered that it does not have that either.
    is_everywhere: bool,
}

/// Takes each entry that is missing from the first node that has it intact.
async fn mend_one(node: &Arc<Node>, stretch: Stretch) -> Result<(), Failure> {
    let view = node.group.raft.view();
    let peers: Vec<NodeId> = view.peers.iter().map(|peer| peer.id).collect();
    let mut reasons = Vec::new();
    let mut answered = 0;
    // What is missing may be there by now, or never have been damaged.
    let mut missing = match write(node, stretch, Vec::new()).await {
        Ok(missing) if missing.is_empty() => return Ok(()),
        Ok(missing) => missing,
        Err(Mending::Gone) => return Ok(()),
        Err(Mending::Failed(reason)) => {
            reasons.push(reason);
            vec![(stretch.first_index, stretch.next_index)]
        }
    };
    for peer in &peers {
        let fetched = fetch(node, *peer, &missing).await;
        let entries = match fetched {
            Ok(entries) => entries,
            Err(reason) => {
                reasons.push(format!("{}: {reason}", node_name(*peer)));
                continue;
            }
        };
        answered += 1;
        match write(node, stretch, entries).await {
            Ok(left) if left.is_empty() => {
                info!(from = stretch.start.0, to = stretch.end.0, with = node_name(*peer), "mended");
                let what = format!("mended with what {} has", node_name(*peer));
                note(node, stretch, "mended", &what);
                return Ok(());
            }
            Ok(left) => {
                reasons.push(format!("{}: has no intact {}", node_name(*peer), told(&left)));
                missing = left;
            }
            Err(Mending::Gone) => return Ok(()),
            Err(Mending::Failed(reason)) => reasons.push(format!("{}: {reason}", node_name(*peer))),
        }
    }
    let is_everywhere = answered == peers.len();
    Err(Failure { entries: told(&missing), reasons: reasons.join("; "), is_everywhere })
}

/// Entries in words.
fn told(ranges: &[(u64, u64)]) -> String {
    let each = ranges.iter().map(|(from, to)| match to - from {
        1 => format!("entry {from}"),
        _ => format!("entries {from} to {}", to - 1),
    });
    each.collect::<Vec<_>>().join(", ")
}

enum Mending {
    /// The log has no such stretch any more.
    Gone,
    /// This disk does not take it.
    Failed(String),
}

/// Writes what was fetched over what is damaged; returns what is missing still.
async fn write(node: &Node, stretch: Stretch, entries: Vec<Bytes>) -> Result<Vec<(u64, u64)>, Mending> {
    let log = node.group.log.clone();
    let written = tokio::task::spawn_blocking(move || log.repair(&stretch, &entries)).await;
    match written {
        Ok(Ok(missing)) => Ok(missing),
        Ok(Err(RepairError::Gone { .. })) => Err(Mending::Gone),
        Ok(Err(error)) => Err(Mending::Failed(error.to_string())),
        Err(error) => Err(Mending::Failed(error.to_string())),
    }
}

/// What a node has of these entries.
async fn fetch(node: &Node, from: NodeId, missing: &[(u64, u64)]) -> Result<Vec<Bytes>, String> {
    let mut fetched = Vec::new();
    let end = missing.last().map_or(0, |(_, to)| *to);
    let mut next = missing.first().map_or(0, |(from, _)| *from);
    // An answer has a limit; the rest is asked for again.
    while next < end {
        let request = PeerRequest::Entries { first_index: next, next_index: end };
        let request = Bytes::from(codec::encode(&request).map_err(|error| error.to_string())?);
        let response = node.group.raft.call_peer(from, request, ANSWER_WITHIN).await;
        let response = response.map_err(|error| error.to_string())?;
        let entries = match codec::decode::<PeerResponse>(&response) {
            Ok(PeerResponse::Entries(entries)) => entries,
            Ok(PeerResponse::Failed(reason)) => return Err(reason),
            Ok(other) => return Err(format!("unexpected answer {other:?}")),
            Err(error) => return Err(format!("unreadable answer: {error}")),
        };
        let last = entries.last().and_then(|entry| StoredEntry::parse(entry.clone()).ok());
        let Some(last) = last.map(|last| last.head.log_index).filter(|last| *last >= next) else { break };
        next = last + 1;
        fetched.extend(entries);
    }
    Ok(fetched)
}

/// Gives another node what is intact here of these entries.
pub async fn give(node: &Node, first_index: u64, next_index: u64) -> PeerResponse {
    let log = node.group.log.clone();
    match tokio::task::spawn_blocking(move || log.intact(first_index, next_index)).await {
        Ok(entries) => PeerResponse::Entries(entries),
        Err(error) => PeerResponse::Failed(error.to_string()),
    }
}

async fn give_up_the_lead(node: &Node) {
    let view = node.group.raft.view();
    if !view.is_leader() {
        return;
    }
    let is_there = |peer: &&raft::PeerView| {
        view.voters.contains(&peer.id) && peer.last_contact_ms.is_some_and(|ms| ms < PEER_SILENT_MS)
    };
    let target = view.peers.iter().filter(is_there).max_by_key(|peer| peer.matched_index);
    let Some(target) = target.map(|peer| peer.id) else { return };
    match node.group.hand_over(target, HAND_OVER_WITHIN).await {
        Ok(()) => info!(to = node_name(target), "lead handed over: a stretch of this node's log is damaged"),
        Err(error) => {
            warn!(to = node_name(target), %error, "lead not handed over, though the log is damaged");
        }
    }
}

/// Reads the whole log again and again, slowly, for damage that nobody has met yet.
pub async fn scrub(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    let share = node.config.storage.scrub_bytes_per_second;
    if share == 0 {
        return;
    }
    let mut next = CommitlogOffset(0);
    let mut pause = SCRUB_PAUSE;
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        let (log, queues) = (node.group.log.clone(), Arc::clone(&node.group.queues));
        let read = tokio::task::spawn_blocking(move || {
            let at = log.scrub(next, share);
            check_queues(&queues, &log, next, at);
            at
        })
        .await;
        match read {
            Ok(Some(at)) => (next, pause) = (at, SCRUB),
            Ok(None) | Err(_) => (next, pause) = (CommitlogOffset(0), SCRUB_PAUSE),
        }
    }
}

/// Holds the queues against the stretch of log that was just read.
fn check_queues(queues: &Queues, log: &LogReader, from: CommitlogOffset, to: Option<CommitlogOffset>) {
    let from = from.max(log.ends().min);
    match store::check_queues(queues, log, from, to.unwrap_or(log.sealed_end())) {
        Ok(0) => {}
        Ok(mended) => warn!(from = from.0, mended, "damaged consume queues are mended from the log"),
        // The log's own damage is told by whoever mends it.
        Err(error) => tracing::debug!(from = from.0, %error, "consume queues not compared with the log"),
    }
}
