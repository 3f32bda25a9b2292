//! Turns openraft's metrics into views, and lifts the fence of a node that may have forgotten entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{RaftMetrics, ServerState};
use store::codec;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::info;

use crate::fence::Fence;
use crate::level::Level;
use crate::network::Network;
use crate::state_machine::{Halted, RaftHandle};
use crate::told::Told;
use crate::types::Types;
use crate::view::{PeerView, Role, Serving, View};
use crate::waits::Waits;
use crate::{NodeId, node_name};

/// Changes closer together than this are shown as one.
const PAUSE: Duration = Duration::from_millis(1);

/// What a view is made of besides the metrics.
pub(crate) struct Observer {
    pub(crate) node: NodeId,
    pub(crate) group: String,
    pub(crate) network: Arc<Network>,
    /// A leader that heard no majority for this long is not ready.
    pub(crate) lease: Duration,
    /// Time makes a leader unready without anything happening, so look this often.
    pub(crate) tick: Duration,
    pub(crate) views: watch::Sender<View>,
    /// The readiness that was published last: time ends it without any change in the view.
    pub(crate) was_ready: AtomicBool,
    /// Where applying stopped, if it did.
    pub(crate) halted: watch::Receiver<Option<Halted>>,
    pub(crate) told: Told,
    pub(crate) level: Level,
    /// What applying waits for.
    pub(crate) waits: Waits,
}

impl Observer {
    /// Publishes views until raft is gone, and then the reason for good.
    pub(crate) async fn run(self, raft: RaftHandle) {
        let mut metrics = raft.metrics();
        drop(raft);
        let mut tick = interval(self.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let view = self.view(&metrics.borrow_and_update());
            let stopped = view.fatal.is_some();
            self.publish(view);
            if stopped {
                return;
            }
            tokio::select! {
                biased;
                changed = metrics.changed() => if changed.is_err() {
                    // A panic in openraft's core takes the sender with it, without a last word.
                    let mut view = self.view(&metrics.borrow_and_update());
                    let reason = view.fatal.take().unwrap_or_else(|| "raft stopped unexpectedly".into());
                    view.fail(reason);
                    return self.publish(view);
                },
                _ = tick.tick() => {}
            }
            sleep(PAUSE).await;
        }
    }

    /// Publishes what there is now.
    pub(crate) fn look(&self, raft: &RaftHandle) {
        self.publish(self.view(&raft.metrics().borrow_watched()));
    }

    fn publish(&self, view: View) {
        let is_ready = view.is_ready();
        let flipped = self.was_ready.swap(is_ready, Ordering::Relaxed) != is_ready;
        if flipped {
            info!(group = %self.group, node = node_name(self.node), term = view.term, ready = is_ready, "readiness changed");
        }
        self.views.send_if_modified(|current| {
            self.tell(current, &view);
            // What made it fatal first stays.
            let fatal = current.fatal.take();
            let changed = flipped || *current != view || fatal.is_some();
            *current = view;
            if let Some(fatal) = fatal {
                current.fail(fatal);
            }
            changed
        });
    }

    fn tell(&self, before: &View, after: &View) {
        let (group, node) = (&self.group, node_name(self.node));
        if before.role != after.role || (before.term != after.term && after.role == Role::Leader) {
            info!(%group, node, term = after.term, role = ?after.role, leader = after.leader.map(node_name), "role changed");
        } else if before.leader != after.leader {
            info!(%group, node, term = after.term, leader = after.leader.map(node_name), "leader changed");
        }
    }

    fn view(&self, metrics: &RaftMetrics<Types>) -> View {
        let index = |id: &Option<crate::types::LogId>| id.map_or(0, |id| id.index);
        let role = match metrics.state {
            ServerState::Leader => Role::Leader,
            ServerState::Candidate => Role::Candidate,
            ServerState::Follower => Role::Follower,
            ServerState::Learner | ServerState::Shutdown => Role::Learner,
        };
        let voters: Vec<NodeId> = metrics.membership_config.voter_ids().collect();
        let applied_own_term =
            metrics.last_applied.is_some_and(|applied| applied.leader_id.term == metrics.current_term);
        // openraft names whoever its vote on disk was for, though that one may be long gone.
        let silence_max = 2 * self.lease;
        let leader = metrics.current_leader.filter(|leader| match role {
            Role::Leader => *leader == self.node,
            _ => self.network.was_led_by(*leader, metrics.current_term, silence_max),
        });
        let words = self.told.words();
        let fatal = metrics.running_state.as_ref().err().map(ToString::to_string);
        let halted = self.halted.borrow().clone();
        let leads = role == Role::Leader && metrics.current_leader == Some(self.node);
        let waits_for = self.waits.words();
        let is_closed = self.network.fence() == Fence::Closed;
        let serving = match metrics.last_quorum_acked {
            _ if !leads
                || !applied_own_term
                || is_closed
                || waits_for.is_some()
                || halted.is_some()
                || fatal.is_some() =>
            {
                Serving::No
            }
            _ if voters == [self.node] => Serving::Alone,
            Some(at) => Serving::Since { quorum_acked: at.into_inner(), lease: self.lease },
            None => Serving::No,
        };
        View {
            term: metrics.current_term,
            role,
            leader,
            serving,
            last_log_index: metrics.last_log_index.unwrap_or(0),
            commit_index: index(&metrics.local_committed),
            known_commit_index: index(&metrics.local_committed.max(metrics.cluster_committed)),
            // raft counts what was passed over as applied.
            applied_index: halted
                .as_ref()
                .map_or_else(|| index(&metrics.last_applied), |halted| halted.applied_index),
            purged_index: index(&metrics.purged),
            peers: self.peers(metrics),
            voters,
            fenced: self.network.is_fenced(),
            halted: halted.map(|halted| halted.reason),
            waits_for,
            checkpoint_error: words.checkpoint,
            group_id: self.network.group_id(),
            alarms: self.network.alarms(),
            configuration_differs: words.configuration,
            feature_level: codec::feature_level(),
            group_feature_level: self.level.group(),
            members: metrics.membership_config.nodes().map(|(id, member)| (*id, member.clone())).collect(),
            fatal,
        }
    }

    fn peers(&self, metrics: &RaftMetrics<Types>) -> Vec<PeerView> {
        let matched = |id| metrics.replication.as_ref()?.get(&id)?.as_ref().map(|id| id.index);
        let peers = self.network.peers().into_iter().map(|peer| PeerView {
            id: peer.id,
            addr: peer.addr(),
            matched_index: matched(peer.id),
            last_contact_ms: self.network.contact_age_ms(&peer),
            about: peer.about().unwrap_or_default(),
        });
        peers.collect()
    }
}
