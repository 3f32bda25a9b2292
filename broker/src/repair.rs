//! Damage in this node's log: looked for in the background, told, and mended with what the other nodes have.
//!
//! Whoever reads damaged bytes tells the log of it; this takes it from there. As long as something is damaged the lead
//! is given to another node. What is damaged on every node is served by none: its messages are refused with a sentence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::NodeId;
use store::{CommitlogOffset, LogReader, Queues, Stretch, codec};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::http::node_name;
use crate::peer::{PeerRequest, PeerResponse};
use crate::server::Broker;

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
}

/// Mends what is damaged until shutdown.
pub async fn mend(broker: Arc<Broker>, mut shutdown: watch::Receiver<bool>) {
    let mut open: BTreeMap<Stretch, Open> = BTreeMap::new();
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        let damage = broker.log.damage();
        open.retain(|stretch, _| damage.iter().any(|damage| damage.stretch == *stretch));
        let mut wants_another_leader = false;
        for damage in damage {
            let now = broker.monotonic();
            let state = open.entry(damage.stretch).or_default();
            if state.tried.is_some_and(|tried| now.saturating_sub(tried) < AGAIN_AFTER) {
                continue;
            }
            state.tried = Some(now);
            let Err(failure) = mend_one(&broker, damage.stretch).await else { continue };
            wants_another_leader |= !failure.is_everywhere;
            if state.told.is_none_or(|told| now.saturating_sub(told) >= TELL_AGAIN_AFTER) {
                state.told = Some(now);
                let (from, to) = (damage.stretch.start.0, damage.stretch.end.0);
                if failure.is_everywhere {
                    error!(
                        from,
                        to,
                        reasons = failure.reasons,
                        "damaged on every node: what lies there is refused"
                    );
                } else {
                    error!(from, to, reasons = failure.reasons, "damaged, and not mended yet");
                }
            }
        }
        if wants_another_leader {
            give_up_the_lead(&broker).await;
        }
    }
}

/// Why a stretch is still damaged.
struct Failure {
    reasons: String,
    /// Every other node has answered that its own is damaged too.
    is_everywhere: bool,
}

async fn mend_one(broker: &Arc<Broker>, stretch: Stretch) -> Result<(), Failure> {
    let view = broker.node.view();
    let peers: Vec<NodeId> = view.peers.iter().map(|peer| peer.id).collect();
    let mut reasons = Vec::new();
    let mut refused = 0;
    for peer in &peers {
        match fetch(broker, *peer, stretch).await {
            Err(Unfetched::Refused(reason)) => {
                refused += 1;
                reasons.push(format!("{}: {reason}", node_name(*peer)));
            }
            Err(Unfetched::Silent(reason)) => reasons.push(format!("{}: {reason}", node_name(*peer))),
            Ok(bytes) => {
                let log = broker.log.clone();
                let mended = tokio::task::spawn_blocking(move || log.repair(&stretch, &bytes)).await;
                match mended {
                    Ok(Ok(())) => {
                        info!(from = stretch.start.0, to = stretch.end.0, with = node_name(*peer), "mended");
                        return Ok(());
                    }
                    Ok(Err(error)) => reasons.push(format!("{}: {error}", node_name(*peer))),
                    Err(error) => reasons.push(error.to_string()),
                }
            }
        }
    }
    Err(Failure { reasons: reasons.join("; "), is_everywhere: refused == peers.len() })
}

enum Unfetched {
    /// It has answered, and does not have it.
    Refused(String),
    /// It has not answered.
    Silent(String),
}

async fn fetch(broker: &Broker, from: NodeId, stretch: Stretch) -> Result<Vec<u8>, Unfetched> {
    let request = codec::encode(&PeerRequest::Stretch(stretch));
    let request = Bytes::from(request.map_err(|error| Unfetched::Silent(error.to_string()))?);
    let response = broker.node.call_peer(from, request, ANSWER_WITHIN).await;
    let response = response.map_err(|error| Unfetched::Silent(error.to_string()))?;
    match codec::decode::<PeerResponse>(&response) {
        Ok(PeerResponse::Stretch(bytes)) => Ok(bytes),
        Ok(PeerResponse::Failed(reason)) => Err(Unfetched::Refused(reason)),
        Ok(other) => Err(Unfetched::Silent(format!("unexpected answer {other:?}"))),
        Err(error) => Err(Unfetched::Silent(format!("unreadable answer: {error}"))),
    }
}

/// Gives another node the bytes of a stretch, if they are intact here.
pub async fn give(broker: &Broker, stretch: Stretch) -> PeerResponse {
    let log = broker.log.clone();
    match tokio::task::spawn_blocking(move || log.stretch(&stretch)).await {
        Ok(Ok(bytes)) => PeerResponse::Stretch(bytes.to_vec()),
        Ok(Err(error)) => PeerResponse::Failed(error.to_string()),
        Err(error) => PeerResponse::Failed(error.to_string()),
    }
}

async fn give_up_the_lead(broker: &Broker) {
    let view = broker.node.view();
    if !view.is_leader() {
        return;
    }
    let is_there = |peer: &&raft::PeerView| {
        view.voters.contains(&peer.id) && peer.last_contact_ms.is_some_and(|ms| ms < PEER_SILENT_MS)
    };
    let target = view.peers.iter().filter(is_there).max_by_key(|peer| peer.matched_index);
    let Some(target) = target.map(|peer| peer.id) else { return };
    match broker.hand_over(target, HAND_OVER_WITHIN).await {
        Ok(()) => info!(to = node_name(target), "lead handed over: a stretch of this node's log is damaged"),
        Err(error) => {
            warn!(to = node_name(target), %error, "lead not handed over, though the log is damaged");
        }
    }
}

/// Reads the whole log again and again, slowly, for damage that nobody has met yet.
pub async fn scrub(broker: Arc<Broker>, mut shutdown: watch::Receiver<bool>) {
    let share = broker.config.storage.scrub_bytes_per_second;
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
        let (log, queues) = (broker.log.clone(), Arc::clone(&broker.queues));
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
