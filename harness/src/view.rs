//! What the nodes of a group say of themselves, all at one moment: the thing that stories wait on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use platform::TokioNet;
use web::views::{Status, ViewError};

/// How long a node may take to answer before it counts as silent.
const ANSWER_WITHIN: Duration = Duration::from_millis(700);

/// What the harness knows of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Never started, killed or stopped by us.
    Down,
    /// Started.
    Up,
    /// Started, and held by SIGSTOP.
    Paused,
    /// Ended without our doing.
    Ended,
}

/// Why a node says nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Silence {
    /// It is held by SIGSTOP: everybody would wait for it.
    #[error("paused")]
    Paused,
    /// It is down.
    #[error("not running")]
    NotRunning,
    /// It ended without our doing.
    #[error("ended by itself: {ending}")]
    Ended {
        /// Exit status or signal.
        ending: String,
    },
    /// It did not answer, or not with a status.
    #[error(transparent)]
    NoAnswer(Arc<ViewError>),
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its number: `n0` is 0.
    pub id: usize,
    /// Its process.
    pub run: Run,
    /// Its word, or why there is none.
    pub status: Result<Status, Silence>,
}

/// All nodes.
#[derive(Clone, Debug)]
pub struct View {
    /// By number.
    pub nodes: Vec<NodeView>,
}

impl View {
    /// Asks those that run, all at once.
    pub async fn take(nodes: impl IntoIterator<Item = (usize, Run, String)>) -> Self {
        let asked = nodes
            .into_iter()
            .map(|(id, run, addr)| async move { NodeView { id, run, status: ask(run, &addr).await } });
        Self { nodes: join_all(asked).await }
    }

    /// The node that leads and is ready; of several that say so, the one of the highest term.
    pub fn leader(&self) -> Option<usize> {
        let leaders = self.statuses().filter(|(_, status)| status.leads());
        leaders.max_by_key(|(_, status)| status.term).map(|(id, _)| id)
    }

    /// The leader, if every node answers and follows it in its term.
    pub fn whole(&self) -> Option<usize> {
        let leader = self.leader()?;
        let term = self.status(leader)?.term;
        let name = node_name(leader);
        let follows = |status: &Status| status.term == term && status.leader.as_deref() == Some(&name);
        let all = self.nodes.iter().all(|node| node.status.as_ref().is_ok_and(follows));
        all.then_some(leader)
    }

    /// The leader, if the group is whole and every node has applied all that any has in its log.
    pub fn at_rest(&self) -> Option<usize> {
        let leader = self.whole()?;
        let last = self.statuses().map(|(_, status)| status.last_log_index).max()?;
        self.statuses().all(|(_, status)| status.applied_index == last).then_some(leader)
    }

    /// A node's word about itself.
    pub fn status(&self, id: usize) -> Option<&Status> {
        self.nodes.get(id)?.status.as_ref().ok()
    }

    /// The words of all nodes that answered.
    pub fn statuses(&self) -> impl Iterator<Item = (usize, &Status)> {
        self.nodes.iter().filter_map(|node| Some((node.id, node.status.as_ref().ok()?)))
    }

    /// The highest term any node is in.
    pub fn term(&self) -> Option<u64> {
        self.statuses().map(|(_, status)| status.term).max()
    }
}

/// `n0` and so on.
pub fn node_name(id: usize) -> String {
    format!("n{id}")
}

async fn ask(run: Run, addr: &str) -> Result<Status, Silence> {
    match run {
        Run::Up => {}
        Run::Paused => return Err(Silence::Paused),
        Run::Down | Run::Ended => return Err(Silence::NotRunning),
    }
    Status::ask(&TokioNet, addr, ANSWER_WITHIN).await.map_err(|error| Silence::NoAnswer(Arc::new(error)))
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            write!(f, "  {} {:?}: ", node_name(node.id), node.run)?;
            match &node.status {
                Ok(status) => writeln!(
                    f,
                    "{} of term {}, leader {}, ready {}, last {}, committed {}, applied {}, purged {}",
                    status.role,
                    status.term,
                    status.leader.as_deref().unwrap_or("unknown"),
                    status.ready,
                    status.last_log_index,
                    status.commit_index,
                    status.applied_index,
                    status.purged_index
                )?,
                Err(error) => writeln!(f, "{error}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: usize, role: &str, term: u64, leader: &str, applied: u64) -> NodeView {
        let status = serde_json::json!({
            "node": node_name(id), "role": role, "term": term, "leader": leader, "ready": role == "leader",
            "commitIndex": applied, "appliedIndex": applied, "lastLogIndex": applied, "purgedIndex": 0,
            "somethingNew": [1, 2],
        });
        NodeView { id, run: Run::Up, status: Ok(serde_json::from_value(status).unwrap()) }
    }

    #[test]
    fn a_deposed_leader_that_does_not_know_yet_is_not_the_leader() {
        let nodes = vec![
            node(0, "leader", 3, "n0", 9),
            node(1, "leader", 4, "n1", 9),
            node(2, "follower", 4, "n1", 9),
        ];
        let view = View { nodes };
        assert_eq!((view.leader(), view.whole(), view.term()), (Some(1), None, Some(4)));
    }

    #[test]
    fn a_group_is_whole_when_all_follow_and_at_rest_when_all_have_applied_everything() {
        let group = |applied| View {
            nodes: vec![
                node(0, "follower", 4, "n1", applied),
                node(1, "leader", 4, "n1", 9),
                node(2, "follower", 4, "n1", 9),
            ],
        };
        assert_eq!((group(8).whole(), group(8).at_rest()), (Some(1), None));
        assert_eq!(group(9).at_rest(), Some(1));
        let mut silent = group(9);
        silent.nodes[2].status = Err(Silence::NotRunning);
        assert_eq!((silent.leader(), silent.whole()), (Some(1), None));
    }
}
