//! How the node stands in its group.

use std::fmt;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use raft::{Role, View};
use web::metrics::{Families, NO_LABELS};

use super::words::flag;
use crate::events::peers;
use crate::events::peers::lag_entries;
use crate::leader::who_answers::role_name;
use crate::node::Node;
use ::raft::node_name;

pub(super) fn tell(node: &Node, view: &View, out: &mut Families<'_>) -> fmt::Result {
    let leads = view.leader == Some(node.group.node_id());
    out.gauge("rocketmq_raft_term", "Newest term known.", view.term)?;
    out.gauge("rocketmq_raft_leader", "1 if this node leads.", flag(leads))?;
    out.gauge("rocketmq_raft_ready", "1 if this node leads and serves.", flag(view.is_ready()))?;
    let roles = [Role::Leader, Role::Follower, Role::Candidate, Role::Learner];
    let roles = roles.map(|role| ([("role", role_name(role))], flag(view.role == role)));
    out.gauges("rocketmq_raft_role", "1 for the role this node has.", roles)?;
    out.gauge("rocketmq_raft_commit_index", "Last committed log index.", view.commit_index)?;
    out.gauge("rocketmq_raft_applied_index", "Last applied log index.", view.applied_index)?;
    out.gauge("rocketmq_raft_last_log_index", "Last log index.", view.last_log_index)?;
    let lags = view.peers.iter().filter_map(|peer| {
        Some(([("peer", node_name(peer.id))], lag_entries(&node.events.peers, view, peer)?))
    });
    out.gauges("rocketmq_raft_peer_lag_entries", "Entries a follower lacks, as the leader knows.", lags)?;
    let answering = view
        .peers
        .iter()
        .filter_map(|peer| Some(([("peer", node_name(peer.id))], flag(peers::answers(view, peer.id)?))));
    let help = "1 if the leader hears of this peer, 0 if not.";
    out.gauges("rocketmq_raft_peer_connected", help, answering)?;
    if let Some(ms) = view.quorum_ack_age_ms() {
        let help = "Since a majority last answered, as the leader knows.";
        out.gauge("rocketmq_raft_quorum_ack_age_milliseconds", help, ms)?;
    }
    out.gauge("rocketmq_raft_fenced", "1 if this node has no vote yet.", flag(view.fenced))?;
    let help = "Elections that this node won.";
    out.counter("rocketmq_raft_elections", help, node.stats.elections_won.load(Ordering::Relaxed))?;
    let help = "Until an append of log entries counts as flushed.";
    let times = [(NO_LABELS, node.group.log.append_times())];
    out.histograms("rocketmq_raft_append_latency_milliseconds", help, 1_000, times)?;
    let split = *node.events.last_failover.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(split) = split {
        let parts = [
            ("detect", Some(split.detect)),
            ("elect", Some(split.elect)),
            ("ready", Some(split.ready)),
            ("registered", Some(split.registered)),
            ("first_ack", split.first_ack),
        ];
        let rows =
            parts.into_iter().filter_map(|(part, took)| Some(([("part", part)], took?.as_millis() as u64)));
        let help = "How the last change of leader went, told by the node that took over; the last two from ready on.";
        out.gauges("rocketmq_raft_last_failover_milliseconds", help, rows)?;
    }
    let help = "1 if this node applies nothing any more; /status tells why.";
    out.gauge("rocketmq_raft_halted", help, flag(view.halted.is_some()))
}
