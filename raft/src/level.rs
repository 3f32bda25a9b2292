//! The group's feature level, and what a leader sees to besides entries: that it rises once every member can read what
//! is new, and that the membership in the log tells where its members are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use serde::{Deserialize, Serialize};
use store::codec::{self, Record};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::member::Member;
use crate::network::Network;
use crate::state_machine::RaftHandle;
use crate::told::Told;
use crate::types::{CommittedLeaderId, Membership, Proposed};
use crate::view::View;
use crate::{NodeId, node_name};

/// Between two looks at the members.
const ROUND: Duration = Duration::from_millis(500);
/// A change that finds no majority is given up after this time, and made again.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(5);
/// From this level on the membership in the log has names and addresses.
pub(crate) const MEMBERS_HAVE_ADDRESSES: u16 = 2;

/// The level that the group has, as far as this node has applied its log.
#[derive(Clone, Debug)]
pub(crate) struct Level(Arc<AtomicU16>);

impl Default for Level {
    /// Of every group before it first rises.
    fn default() -> Self {
        Self(Arc::new(AtomicU16::new(1)))
    }
}

impl Level {
    pub(crate) fn group(&self) -> u16 {
        self.0.load(Ordering::Relaxed)
    }

    /// It never falls.
    pub(crate) fn raise(&self, level: u16) {
        self.0.fetch_max(level, Ordering::Relaxed);
    }
}

/// A change of the group's own state, in an entry of its own kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum GroupChange {
    /// All members can read what this level brings.
    RaiseLevel(u16),
}

impl Record for GroupChange {
    const KIND: u16 = 0x020f;
    const NAME: &'static str = "group-change";
    const BYTES_MAX: usize = 4096;
}

/// Why this build cannot belong to a group of that level.
pub(crate) fn check(level: u16) -> Result<(), String> {
    let ours = codec::feature_level();
    if level <= ours {
        return Ok(());
    }
    Err(format!("the group's feature level is {level}, this build has {ours}; it takes a newer build"))
}

/// Looks after the members as long as the node runs.
pub(crate) struct Caretaker {
    pub(crate) node: NodeId,
    /// As this node's own configuration says.
    pub(crate) own: Member,
    /// `dLegerPeers`: the first membership.
    pub(crate) configured: BTreeMap<NodeId, String>,
    pub(crate) hold_level: bool,
    pub(crate) network: Arc<Network>,
    pub(crate) raft: RaftHandle,
    pub(crate) level: Level,
    pub(crate) views: watch::Receiver<View>,
    pub(crate) told: Told,
}

impl Caretaker {
    /// Until the node's runtime ends.
    pub(crate) async fn run(self) {
        loop {
            sleep(ROUND).await;
            let membership = self.raft.metrics().borrow_watched().membership_config.membership().clone();
            self.compare(&membership);
            self.learn_members(&membership);
            let (ready, term) = {
                let view = self.views.borrow();
                (view.is_ready(), view.term)
            };
            if ready {
                self.raise_level(&membership, term).await;
                self.tell_addresses(&membership).await;
            }
        }
    }

    /// The log counts, whatever the configuration says.
    fn compare(&self, membership: &Membership) {
        let members: Vec<NodeId> = membership.nodes().map(|(id, _)| *id).collect();
        let configured: Vec<NodeId> = self.configured.keys().copied().collect();
        let differs = !members.is_empty() && members != configured && self.configured.len() > 1;
        let words = differs.then(|| {
            format!(
                "dLegerPeers names {}, the group's log {}: the log counts",
                names(&configured),
                names(&members)
            )
        });
        if self.told.set_configuration(words.clone())
            && let Some(words) = words
        {
            warn!(node = node_name(self.node), "{words}");
        }
    }

    /// Where a member is that only the log names. One that the configuration names is looked for where that says.
    fn learn_members(&self, membership: &Membership) {
        for (id, member) in membership.nodes() {
            if *id != self.node && !self.configured.contains_key(id) && !member.raft.is_empty() {
                self.network.set_addr(*id, member.raft.clone());
            }
        }
    }

    async fn raise_level(&self, membership: &Membership, term: u64) {
        let told = membership.nodes().map(|(id, _)| match self.network.peer(*id) {
            _ if *id == self.node => codec::feature_level(),
            Some(peer) => peer.feature_level(),
            None => 0,
        });
        let (all, now) = (told.min().unwrap_or(0), self.level.group());
        if all <= now || self.hold_level {
            return;
        }
        let change = match codec::encode(&GroupChange::RaiseLevel(all)) {
            Ok(change) => Bytes::from(change),
            Err(error) => return warn!(%error, "the feature level does not rise"),
        };
        info!(
            node = node_name(self.node),
            from = now,
            to = all,
            "every member can: raising the group's feature level"
        );
        // Only as the leader that heard all of them.
        let leader = CommittedLeaderId::new(term);
        let written = self.raft.write(Proposed::Group(change)).with_leader(leader).await;
        if let Err(error) = written {
            debug!(%error, "the feature level was not raised");
        }
    }

    /// Every member says itself where it is.
    async fn tell_addresses(&self, membership: &Membership) {
        if self.level.group() < MEMBERS_HAVE_ADDRESSES {
            return;
        }
        let changed: BTreeMap<NodeId, Member> = membership
            .nodes()
            .filter_map(|(id, known)| {
                let told =
                    if *id == self.node { Some(self.own.clone()) } else { self.network.peer(*id)?.member() };
                told.filter(|told| told != known).map(|told| (*id, told))
            })
            .collect();
        if changed.is_empty() {
            return;
        }
        info!(
            node = node_name(self.node),
            members = names(&changed.keys().copied().collect::<Vec<_>>()),
            "new addresses of members"
        );
        let change = self.raft.change_membership(ChangeMembers::SetNodes(changed), true);
        if let Ok(Err(error)) = timeout(CHANGE_TIME_MAX, change).await {
            debug!(%error, "the addresses of members were not written");
        }
    }
}

fn names(ids: &[NodeId]) -> String {
    let names: Vec<_> = ids.iter().map(|id| format!("n{}", id.saturating_sub(1))).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_group_change_stay_what_they_are() {
        crate::suite::golden(&[GroupChange::RaiseLevel(2)], &[]);
    }

    #[test]
    fn a_level_above_this_build_is_told_with_both_numbers() {
        check(codec::feature_level()).unwrap();
        let words = check(900).unwrap_err();
        assert!(words.contains("feature level is 900, this build has 3"), "{words}");
    }
}
