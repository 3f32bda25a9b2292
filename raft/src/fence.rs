//! The fence of a node that may have forgotten entries it once acknowledged: it was in async mode when
//! its machine lost power, or its log ends before something it knew.
//!
//! Term and vote are never forgotten, only entries. Without the fence, such a node and one lagging
//! follower could elect a leader that misses acknowledged entries. So a fenced node starts no election
//! and grants no vote until one of these holds:
//!
//! 1. It has taken in what a leader of its term has committed, or has become that leader by 2. It may then do everything again.
//! 2. It has heard the last entry of every other voter. It may then vote, but only for a candidate that
//!    has at least the highest of them, and campaign if it has that itself. This is for the day on which
//!    all nodes are fenced, and the first election needs all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::RaftMetrics;
use openraft::async_runtime::watch::WatchReceiver;
use store::LogPoint;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::{error, info};

use crate::NodeId;
use crate::files::Files;
use crate::network::Network;
use crate::state_machine::RaftHandle;
use crate::types::{LogId, Types};

/// Between two looks at the leader and two rounds of questions.
const ROUND: Duration = Duration::from_millis(100);

/// Who may be voted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Whoever raft allows.
    Open,
    /// Nobody.
    Closed,
    /// A candidate whose last entry is at or above this one.
    Above(Option<LogPoint>),
}

impl Fence {
    /// Whether a candidate with this last entry may be voted for.
    pub(crate) fn admits(self, candidate_last: Option<LogPoint>) -> bool {
        match self {
            Self::Open => true,
            Self::Closed => false,
            Self::Above(bound) => candidate_last >= bound,
        }
    }
}

/// Once every other voter has told its last entry: who may be voted for then.
fn after_hearing(
    voters: &BTreeSet<NodeId>,
    this: NodeId,
    heard: &BTreeMap<NodeId, Option<LogPoint>>,
) -> Option<Fence> {
    let others = voters.iter().filter(|id| **id != this);
    let heard_all = !voters.is_empty() && others.clone().all(|id| heard.contains_key(id));
    heard_all.then(|| Fence::Above(others.fold(None, |highest, id| highest.max(heard[id]))))
}

/// Whether this node has everything that a leader of its term has committed; that leader may be itself.
fn has_caught_up(metrics: &RaftMetrics<Types>) -> bool {
    let is_led = metrics.current_leader.is_some() && metrics.vote.committed;
    let of_this_term = |id: &LogId| id.leader_id.term == metrics.current_term;
    is_led
        && metrics.cluster_committed.as_ref().is_some_and(of_this_term)
        && metrics.local_committed >= metrics.cluster_committed
}

/// Watches over a closed fence until it is lifted.
pub(crate) async fn keep(
    network: Arc<Network>,
    files: Arc<Files>,
    raft: RaftHandle,
    members: BTreeSet<NodeId>,
) {
    let mut heard = BTreeMap::new();
    let this = *raft.node_id();
    loop {
        let metrics = raft.metrics().borrow_watched().clone();
        if has_caught_up(&metrics) {
            match lift(&files).await {
                Ok(()) => {
                    network.set_fence(Fence::Open);
                    raft.runtime_config().elect(true);
                    info!(node = this, term = metrics.current_term, "fence lifted: caught up with a leader");
                    return;
                }
                Err(error) => return error!(node = this, %error, "cannot lift the fence"),
            }
        }
        let voters: BTreeSet<NodeId> = metrics.membership_config.voter_ids().collect();
        let voters = if voters.is_empty() { members.clone() } else { voters };
        for id in voters.iter().filter(|id| **id != this) {
            if let Ok(last) = network.ask_last(*id, ROUND).await {
                heard.insert(*id, last);
            }
        }
        if let Some(fence) = after_hearing(&voters, this, &heard)
            && network.fence() != fence
        {
            network.set_fence(fence);
            let may_campaign = fence.admits(files.reader().last());
            raft.runtime_config().elect(may_campaign);
            info!(node = this, ?fence, may_campaign, "heard of every other voter");
        }
        sleep(ROUND).await;
    }
}

/// Takes down the mark on disk, after everything taken in is there too.
async fn lift(files: &Files) -> std::io::Result<()> {
    let (done, flushed) = oneshot::channel();
    files.with_log(|log| {
        log.flush_barrier(Box::new(move |outcome| {
            let _ = done.send(outcome); // the receiver waits below
        }));
        Ok(())
    })?;
    flushed.await.map_err(|_| std::io::Error::other("the log's flusher is gone"))??;
    files.with_log(store::CommitLog::fence_lifted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "every use wants an option")]
    fn point(term: u64, log_index: u64) -> Option<LogPoint> {
        Some(LogPoint { term, log_index })
    }

    #[test]
    fn a_fenced_node_votes_for_nobody_and_then_only_for_the_highest() {
        assert!(Fence::Open.admits(None));
        assert!(!Fence::Closed.admits(point(9, 9)));
        let fence = Fence::Above(point(2, 7));
        assert!(fence.admits(point(2, 7)) && fence.admits(point(3, 1)));
        assert!(!fence.admits(point(2, 6)) && !fence.admits(point(1, 9)) && !fence.admits(None));
    }

    #[test]
    fn nothing_follows_before_every_other_voter_was_heard() {
        let voters = BTreeSet::from([1, 2, 3]);
        let mut heard = BTreeMap::from([(2, point(1, 5))]);
        assert_eq!(after_hearing(&voters, 1, &heard), None);
        heard.insert(3, point(2, 1));
        assert_eq!(after_hearing(&voters, 1, &heard), Some(Fence::Above(point(2, 1))));
        assert_eq!(after_hearing(&BTreeSet::from([1]), 1, &BTreeMap::new()), Some(Fence::Above(None)));
        assert_eq!(after_hearing(&BTreeSet::new(), 1, &heard), None);
    }
}
