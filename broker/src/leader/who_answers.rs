//! Who answers what only the leader may answer: this node, another one, or nobody now.

use std::time::Duration;

use raft::{NodeId, Role};

use crate::group::Group;

/// How long a node without a leader looks for one before it says so: a planned handover takes a few
/// milliseconds, and a client's retry costs more than this.
pub const LEADER_WITHIN: Duration = Duration::from_millis(400);

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This node: it leads and is ready.
    Here,
    /// That node leads.
    There(NodeId),
    /// No leader is known.
    Nobody,
}

/// Who answers now; waits up to `within` for a leader where there is none.
pub async fn who_answers(group: &Group, within: Duration) -> Verdict {
    let mut views = group.raft.views();
    let knows =
        |view: &raft::View| view.is_ready() || view.leader.is_some_and(|leader| leader != group.node_id());
    let seen = tokio::time::timeout(within, views.wait_for(knows)).await;
    match seen {
        Ok(Ok(view)) if view.is_ready() => Verdict::Here,
        Ok(Ok(view)) => view.leader.map_or(Verdict::Nobody, Verdict::There),
        // No leader in time, or the node is stopped.
        Ok(Err(_)) | Err(_) => Verdict::Nobody,
    }
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
