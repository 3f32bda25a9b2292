//! The fence of a node that may have forgotten what it once acknowledged: it was in async mode when its
//! machine lost power, its log ends before something it knew, or its directory is a new one.
//!
//! Without the fence, such a node and one lagging follower could elect a leader that misses acknowledged
//! entries. So a fenced node starts no election and grants no vote until one of these holds:
//!
//! 1. It has taken in what a leader of its term has committed, or has become that leader by 2. It may then do everything again.
//! 2. It has heard the last entry and the term of every other voter. It may then vote, but only for a
//!    candidate that has at least the highest entry of them, in a term that none of them has seen yet, and
//!    campaign if it has that entry itself. This is for the day on which all nodes are fenced, and the
//!    first election needs all of them; the very first start of a group is such a day.
//!
//! A node with a new directory has forgotten its votes too. Another leader than the one it follows may have
//! been elected with one of them, and may have committed entries that only the two of them had. So it is not
//! let out by 1 before 2 holds as well, and it forms no group before it knows that there is none. Nor does it
//! *acknowledge* an entry before 2 holds, and then none of a term below the highest it heard of
//! ([`Network::may_acknowledge`]): a deposed leader and it would be a majority. `tests/it/model.rs` searches these
//! rules in full, and shows what goes wrong without each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use openraft::RaftMetrics;
use openraft::async_runtime::watch::WatchReceiver;
use store::LogPoint;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::NodeId;
use crate::files::Files;
use crate::network::Network;
use crate::state_machine::RaftHandle;
use crate::types::{LogId, Types};

/// Between two looks at the leader and two rounds of questions.
const ROUND: Duration = Duration::from_millis(100);
/// How long a member may take to answer; it may have to be connected to first.
const ANSWER: Duration = Duration::from_secs(1);
/// So many rounds the very first start waits for members that are late.
const PATIENCE_ROUNDS: u32 = 20;
/// Who is still missing is told every so many rounds.
const ROUNDS_A_REMINDER: u32 = 25;

/// Who may be voted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Whoever raft allows.
    Open,
    /// Nobody.
    Closed,
    /// A candidate whose last entry is at or above `last`, in a term above `term`.
    Above { last: Option<LogPoint>, term: u64 },
}

/// What a peer told of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) last: Option<LogPoint>,
    pub(crate) term: u64,
    pub(crate) is_newborn: bool,
}

impl Fence {
    /// Whether a candidate for `term` with this last entry may be voted for.
    pub(crate) fn admits(self, candidate_term: u64, candidate_last: Option<LogPoint>) -> bool {
        match self {
            Self::Open => true,
            Self::Closed => false,
            Self::Above { last, term } => candidate_last >= last && candidate_term > term,
        }
    }
}

/// Once every other voter has told its last entry and its term: who may be voted for then.
fn after_hearing(voters: &BTreeSet<NodeId>, this: NodeId, heard: &BTreeMap<NodeId, Heard>) -> Option<Fence> {
    let others = voters.iter().filter(|id| **id != this);
    let heard_all = !voters.is_empty() && others.clone().all(|id| heard.contains_key(id));
    heard_all.then(|| {
        let none = Fence::Above { last: None, term: 0 };
        others.map(|id| heard[id]).fold(none, |fence, heard| match fence {
            Fence::Above { last, term } => {
                Fence::Above { last: last.max(heard.last), term: term.max(heard.term) }
            }
            Fence::Open | Fence::Closed => fence,
        })
    })
}

/// At the very first start some members may be late, or wrongly configured. Once a majority is there, all of
/// them new, they need not wait for the rest: a member that holds anything would have to be the only one ever
/// to have done so.
fn after_patience(voters: &BTreeSet<NodeId>, this: NodeId, heard: &BTreeMap<NodeId, Heard>) -> Option<Fence> {
    let are_new =
        heard.values().all(|heard| heard.is_newborn && heard.last.is_none_or(|last| last.log_index == 0));
    let is_majority = (heard.len() + 1) * 2 > voters.len();
    let there = heard.keys().copied().chain([this]).collect();
    (are_new && is_majority).then(|| after_hearing(&there, this, heard)).flatten()
}

/// Whether nothing but the group's first membership was ever written anywhere.
fn is_no_group_yet(fence: Fence) -> bool {
    matches!(fence, Fence::Above { last, .. } if last.is_none_or(|last| last.log_index == 0))
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
    mut may_form: bool,
) {
    let mut heard = BTreeMap::new();
    let mut rounds = 0_u32;
    let this = *raft.node_id();
    let is_newborn = files.is_newborn();
    loop {
        let metrics = raft.metrics().borrow_watched().clone();
        let may_leave = !is_newborn || matches!(network.fence(), Fence::Above { .. });
        if may_leave && has_caught_up(&metrics) {
            match lift(&files).await {
                Ok(()) => {
                    network.set_fence(Fence::Open);
                    network.set_newborn(false);
                    raft.runtime_config().elect(true);
                    info!(node = this, term = metrics.current_term, "fence lifted: caught up with a leader");
                    return;
                }
                Err(error) => return error!(node = this, %error, "cannot lift the fence"),
            }
        }
        let voters: BTreeSet<NodeId> = metrics.membership_config.voter_ids().collect();
        let voters = if voters.is_empty() { members.clone() } else { voters };
        // Once is enough: what this node promised before, it promised before the others answered. Later terms
        // are none of its old votes, and a bound that rose with them would refuse every candidate.
        if network.fence() == Fence::Closed {
            let silent = voters.iter().filter(|id| **id != this && !heard.contains_key(*id));
            let asked = silent.map(|id| async { (*id, network.ask_last(*id, ANSWER).await) });
            for (id, told) in join_all(asked).await {
                if let Ok(told) = told {
                    heard.insert(id, told);
                }
            }
        }
        let fence = after_hearing(&voters, this, &heard).or_else(|| {
            let is_late = may_form && rounds >= PATIENCE_ROUNDS;
            is_late.then(|| after_patience(&voters, this, &heard)).flatten()
        });
        if let Some(fence) = fence
            && network.fence() == Fence::Closed
        {
            network.set_fence(fence);
            if may_form && is_no_group_yet(fence) {
                may_form = false;
                // The same members on every node, and only where nothing was ever written: then any number
                // of nodes may do it.
                if let Err(error) = raft.initialize(voters.clone()).await {
                    error!(node = this, %error, "cannot form the group");
                }
            }
            let may_campaign = fence.admits(u64::MAX, files.reader().last());
            raft.runtime_config().elect(may_campaign);
            info!(node = this, ?fence, may_campaign, "heard of every other voter");
        }
        if network.fence() == Fence::Closed && rounds.is_multiple_of(ROUNDS_A_REMINDER) && rounds > 0 {
            let missing: Vec<_> =
                voters.iter().filter(|id| **id != this && !heard.contains_key(id)).collect();
            warn!(node = this, ?missing, "cannot vote before these members were heard of once: start them");
        }
        rounds = rounds.wrapping_add(1);
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
    files.set_grown()?;
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
        assert!(Fence::Open.admits(1, None));
        assert!(!Fence::Closed.admits(10, point(9, 9)));
        let fence = Fence::Above { last: point(2, 7), term: 4 };
        assert!(fence.admits(5, point(2, 7)) && fence.admits(9, point(3, 1)));
        assert!(!fence.admits(5, point(2, 6)) && !fence.admits(5, point(1, 9)) && !fence.admits(5, None));
        assert!(!fence.admits(4, point(2, 7)), "in that term it may have voted for another");
    }

    #[test]
    fn nothing_follows_before_every_other_voter_was_heard() {
        let voters = BTreeSet::from([1, 2, 3]);
        let mut heard = BTreeMap::from([(2, Heard { last: point(1, 5), term: 4, is_newborn: false })]);
        assert_eq!(after_hearing(&voters, 1, &heard), None);
        heard.insert(3, Heard { last: point(2, 1), term: 2, is_newborn: false });
        let fence = Fence::Above { last: point(2, 1), term: 4 };
        assert_eq!(after_hearing(&voters, 1, &heard), Some(fence));
        let nobody = Fence::Above { last: None, term: 0 };
        assert_eq!(after_hearing(&BTreeSet::from([1]), 1, &BTreeMap::new()), Some(nobody));
        assert_eq!(after_hearing(&BTreeSet::new(), 1, &heard), None);
        assert!(is_no_group_yet(nobody) && !is_no_group_yet(fence) && !is_no_group_yet(Fence::Closed));
        let new = |last| Heard { last, term: 0, is_newborn: true };
        assert!(after_patience(&voters, 1, &BTreeMap::from([(2, new(None))])).is_some());
        assert!(after_patience(&voters, 1, &BTreeMap::from([(2, new(point(1, 5)))])).is_none());
        assert!(after_patience(&voters, 1, &BTreeMap::new()).is_none(), "alone it is no majority");
        assert!(after_patience(&voters, 1, &heard).is_none(), "the others are not new");
        assert!(is_no_group_yet(Fence::Above { last: point(0, 0), term: 1 }));
    }
}
