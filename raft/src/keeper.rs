//! Watches over the fence: asks the other members, founds or joins the group, and lifts the fence once this node is
//! whole. The rules are in [`crate::fence`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use openraft::RaftMetrics;
use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::fence::{Conclusion, Fence, Heard, Inquiry, conclude, next_generation, voters_of};
use crate::files::Files;
use crate::identity::{GroupId, Standing};
use crate::network::{Alarm, Network};
use crate::state_machine::RaftHandle;
use crate::types::{LogId, Types, founders};
use crate::{NodeId, node_name, node_names};

/// Between two looks at the leader and two rounds of questions.
const ROUND: Duration = Duration::from_millis(100);
/// How long a member may take to answer; it may have to be connected to first.
const ANSWER: Duration = Duration::from_secs(1);
/// At first it is only found out who is not there at all, so that this is told within a second of the start.
const FIRST_ANSWER: Duration = Duration::from_millis(500);
/// What is waited for is told again every so many rounds.
const ROUNDS_A_REMINDER: u32 = 100;

/// What the watch over the fence needs.
pub(crate) struct Keeper {
    pub(crate) network: Arc<Network>,
    pub(crate) files: Arc<Files>,
    pub(crate) raft: RaftHandle,
    /// The members in the configuration, for a node whose log names none yet.
    pub(crate) members: BTreeSet<NodeId>,
    /// This node is new and empty, and one of those who form the group.
    pub(crate) may_form: bool,
    /// Makes the id of a group.
    pub(crate) new_group_id: Box<dyn Fn() -> GroupId + Send + Sync>,
}

/// Whether this node has everything that a leader of its term has committed; that leader may be itself.
fn has_caught_up(metrics: &RaftMetrics<Types>) -> bool {
    let is_led = metrics.current_leader.is_some() && metrics.vote.committed;
    let of_this_term = |id: &LogId| id.leader_id.term == metrics.current_term;
    is_led
        && metrics.cluster_committed.as_ref().is_some_and(of_this_term)
        && metrics.local_committed >= metrics.cluster_committed
}

impl Keeper {
    /// Keeps the fence whenever it is raised, until the node ends.
    pub(crate) async fn run(mut self) {
        loop {
            if self.network.is_fenced() {
                self.keep().await;
            }
            self.network.fence_is_raised().await;
        }
    }

    /// Watches over a closed fence until it is lifted.
    async fn keep(&mut self) {
        let mut heard = BTreeMap::new();
        let mut rounds = 0_u32;
        let mut told = None;
        loop {
            let metrics = self.raft.metrics().borrow_watched().clone();
            let is_placed = matches!(self.network.fence(), Fence::Above { .. });
            if (is_placed || self.files.standing() == Standing::Whole) && has_caught_up(&metrics) {
                match self.lift().await {
                    Ok(()) => return self.opened(metrics.current_term),
                    Err(error) => {
                        return error!(node = node_name(self.this()), %error, "cannot lift the fence");
                    }
                }
            }
            if !is_placed {
                let voters: BTreeSet<NodeId> = metrics.membership_config.voter_ids().collect();
                let known = if voters.is_empty() { self.members.clone() } else { voters };
                let within = if rounds == 0 { FIRST_ANSWER } else { ANSWER };
                self.ask(&voters_of(&known, &heard), &mut heard, within).await;
                let voters = voters_of(&known, &heard);
                let conclusion = self.conclude(&voters, &heard);
                if !matches!(conclusion, Conclusion::Missing(_)) {
                    self.network.clear_alarm(Alarm::Missing);
                }
                let is_news = told.as_ref() != Some(&conclusion);
                if is_news || rounds.is_multiple_of(ROUNDS_A_REMINDER) {
                    self.tell(&conclusion, rounds);
                }
                if let Err(error) = self.follow(&conclusion, &voters, &heard).await {
                    error!(node = node_name(self.this()), %error, "cannot write down whose directory this is");
                }
                told = Some(conclusion);
            }
            rounds = rounds.wrapping_add(1);
            sleep(ROUND).await;
        }
    }

    fn this(&self) -> NodeId {
        *self.raft.node_id()
    }

    /// Asks those who were not heard yet, or who knew of no group or held nothing of it. Once is enough for the rest: what
    /// this node promised before, it promised before they answered. Later terms are none of its old votes, and a bound that
    /// rose with them would refuse every candidate.
    async fn ask(&self, voters: &BTreeSet<NodeId>, heard: &mut BTreeMap<NodeId, Heard>, within: Duration) {
        heard.retain(|_, heard| heard.group_id.is_some() && !heard.holds_nothing());
        let silent = voters.iter().filter(|id| **id != self.this() && !heard.contains_key(*id));
        let asked = silent.map(|id| async { (*id, self.network.ask_last(*id, within).await) });
        for (id, told) in join_all(asked).await {
            if let Ok(told) = told {
                heard.insert(id, told);
            }
        }
    }

    fn conclude(&self, voters: &BTreeSet<NodeId>, heard: &BTreeMap<NodeId, Heard>) -> Conclusion {
        conclude(&Inquiry {
            this: self.this(),
            group_id: self.files.group_id(),
            may_form: self.may_form,
            is_forced: self.network.is_forced(),
            voters,
            heard,
        })
    }

    /// Does what follows from what was heard.
    async fn follow(
        &mut self,
        conclusion: &Conclusion,
        voters: &BTreeSet<NodeId>,
        heard: &BTreeMap<NodeId, Heard>,
    ) -> std::io::Result<()> {
        let (group_id, fence, founds) = match conclusion {
            Conclusion::Found { group_id, fence } => {
                (group_id.unwrap_or_else(|| (self.new_group_id)()), *fence, true)
            }
            Conclusion::Join(group_id, fence) => (*group_id, *fence, false),
            Conclusion::Missing(_) | Conclusion::AwaitFounder(_) | Conclusion::Strangers(_) => return Ok(()),
        };
        self.may_form = false;
        self.files.place(group_id, next_generation(heard))?;
        self.network.clear_alarm(Alarm::Group);
        self.network.set_fence(fence);
        // What peers know of this node is older than its place among them.
        self.network.greet_again();
        if founds && let Err(error) = self.raft.initialize(founders(voters.clone())).await {
            error!(node = node_name(self.this()), %error, "cannot form the group");
        }
        let may_campaign = fence.admits(u64::MAX, self.files.reader().last());
        self.raft.runtime_config().elect(may_campaign);
        info!(node = node_name(self.this()), %group_id, founds, ?fence, may_campaign, "heard of every other voter");
        Ok(())
    }

    fn tell(&self, conclusion: &Conclusion, rounds: u32) {
        let node = node_name(self.this());
        match conclusion {
            // Right after the first round: whoever starts one node alone is told why nothing happens.
            Conclusion::Missing(missing) => {
                let missing = node_names(missing);
                let text = format!(
                    "waits for {missing}: has no vote before every member was heard of once; start them"
                );
                warn!(node, missing, "{text}");
                self.network.raise_alarm(Alarm::Missing, text);
            }
            Conclusion::AwaitFounder(founder) if rounds > 0 => {
                let founder = node_name(*founder);
                warn!(node, founder, "there is no group yet, and this member is to found it");
            }
            Conclusion::Strangers(groups) => {
                let ids: Vec<_> = groups.iter().map(ToString::to_string).collect();
                let text = format!(
                    "the members in dLegerPeers belong to different groups ({}): one address or one disk is of another \
                     cluster; this node does nothing before that is put right",
                    ids.join(", ")
                );
                self.network.raise_alarm(Alarm::Group, text);
            }
            _ => {}
        }
    }

    /// Takes down the mark on disk, after everything taken in is there too.
    async fn lift(&self) -> std::io::Result<()> {
        let (done, flushed) = oneshot::channel();
        self.files.with_log(|log| {
            log.flush_barrier(Box::new(move |outcome| {
                let _ = done.send(outcome); // the receiver waits below
            }));
            Ok(())
        })?;
        flushed.await.map_err(|_| std::io::Error::other("the log's flusher is gone"))??;
        self.files.set_whole()?;
        self.files.with_log(store::CommitLog::fence_lifted)
    }

    fn opened(&self, term: u64) {
        self.network.set_fence(Fence::Open);
        self.network.set_forced(false);
        self.network.clear_alarm(Alarm::Fence);
        self.network.clear_alarm(Alarm::Missing);
        self.raft.runtime_config().elect(true);
        info!(node = node_name(self.this()), term, "fence lifted: caught up with a leader");
    }
}
