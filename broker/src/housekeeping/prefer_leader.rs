//! The lead goes back to the node that the operator prefers.

use std::time::Duration;

use raft::node_name;
use tracing::warn;

use crate::node::Node;

/// How long a handover to the preferred node may take.
const PREFER_WITHIN: Duration = Duration::from_secs(2);

/// Hands the lead to the node that the operator prefers, once it has all that this one has.
pub async fn prefer_leader(node: &Node) {
    let view = node.group.raft.view();
    let Some(preferred) = node.config.quorum.preferred_leader.filter(|id| *id != node.group.node_id()) else {
        return;
    };
    let peer = view.peers.iter().find(|peer| peer.id == preferred);
    let has_all =
        peer.and_then(|peer| peer.matched_index).is_some_and(|matched| matched >= view.commit_index);
    let may_lead = view.is_ready() && has_all && view.voters.contains(&preferred);
    if may_lead && let Err(error) = node.group.hand_over(preferred, PREFER_WITHIN).await {
        warn!(to = node_name(preferred), %error, "lead not handed to the preferred node");
    }
}
