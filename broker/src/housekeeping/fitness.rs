//! Keeps the lead with a node that can serve: one whose disk is full gives it up, and takes it from nobody.
//!
//! The group needs room on a majority of its disks. While the leader's own has none, it would refuse every send
//! although two others could store it. What has no room on any node keeps its leader, which refuses sends and says why.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::housekeeping::watchdog::is_there;
use crate::node::Node;
use raft::node_name;

/// How often this node looks whether it is fit to lead.
const LOOK: Duration = Duration::from_millis(100);
/// Nobody could take the lead: they are asked again after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long a node may take to say whether it would lead.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// How long a handover may take.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);

/// Tells the Raft node whether it is fit to lead, and gives the lead up while it is not, until shutdown.
pub async fn keep(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    let mut tried: Option<Duration> = None;
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        let why = unfit(&node);
        node.group.raft.set_unfit(why.clone());
        let Some(why) = why.filter(|_| node.group.raft.view().is_leader()) else {
            tried = None;
            continue;
        };
        let now = node.monotonic();
        if tried.is_none_or(|at| now.saturating_sub(at) >= AGAIN_AFTER) {
            let is_first = tried.replace(now).is_none();
            give_up_the_lead(&node, &why, is_first).await;
        }
    }
}

/// Why this node could not serve as the leader just now.
fn unfit(node: &Node) -> Option<String> {
    node.group.is_disk_full().then(|| format!("the disk of {} is full", node_name(node.group.node_id())))
}

/// Hands the lead to the node that lacks the least of those that would take it.
async fn give_up_the_lead(node: &Node, why: &str, is_first: bool) {
    let view = node.group.raft.view();
    let mut peers: Vec<_> = view.peers.iter().filter(|peer| is_there(&view, peer)).collect();
    peers.sort_by_key(|peer| std::cmp::Reverse(peer.matched_index));
    let mut refusals = Vec::new();
    for peer in peers {
        let to = node_name(peer.id);
        if let Err(refusal) = node.group.raft.may_lead(peer.id, ANSWER_WITHIN).await {
            refusals.push(format!("{to}: {refusal}"));
            continue;
        }
        match node.group.hand_over(peer.id, HAND_OVER_WITHIN).await {
            Ok(()) => return info!(group = node.group.name(), to, why, "lead given up"),
            Err(error) => refusals.push(format!("{to}: {error}")),
        }
    }
    if is_first {
        let refusals = refusals.join("; ");
        warn!(group = node.group.name(), why, refusals, "lead kept: no other node takes it");
    }
}
