//! What a node tells about itself and its group.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::Instant as _;
use openraft::{AsyncRuntime, RaftTypeConfig};

use crate::NodeId;
use crate::identity::GroupId;
use crate::member::Member;
use crate::types::Types;

/// An instant of the clock that openraft reads.
type RaftInstant = <<Types as RaftTypeConfig>::AsyncRuntime as AsyncRuntime>::Instant;

/// What a node is in its term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It alone takes proposals.
    Leader,
    /// It copies the leader's log and may vote.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It copies the leader's log and has no vote; also a node that belongs to no group yet.
    #[default]
    Learner,
}

/// One peer as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerView {
    /// Which node.
    pub id: NodeId,
    /// `host:port` of its raft socket.
    pub addr: String,
    /// Last log index it is known to hold, inclusive. Only the leader knows; `None` before the first answer.
    pub matched_index: Option<u64>,
    /// Milliseconds since anything valid came from it; `None` if nothing ever did.
    pub last_contact_ms: Option<u64>,
    /// What it told about itself in its handshake; empty before.
    pub about: Bytes,
}

/// One moment of a node. Indexes are inclusive, 0 where there is nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The newest term this node knows.
    pub term: u64,
    /// What it is in that term.
    pub role: Role,
    /// Who leads that term and was heard lately; the node itself if it leads.
    pub leader: Option<NodeId>,
    /// Last entry in its log.
    pub last_log_index: u64,
    /// Last entry it knows to be committed.
    pub commit_index: u64,
    /// Last entry it knows to be committed, though it may not have it yet.
    pub known_commit_index: u64,
    /// Last entry it has applied.
    pub applied_index: u64,
    /// Last entry it has dropped from the front of its log.
    pub purged_index: u64,
    /// Until when it may serve, were it alone to decide; see [`View::is_ready`].
    pub(crate) serving: Serving,
    /// The others, by id.
    pub peers: Vec<PeerView>,
    /// Those with a vote, this node perhaps among them.
    pub voters: Vec<NodeId>,
    /// It may have forgotten entries it once acknowledged, and neither votes nor campaigns until it has
    /// caught up.
    pub fenced: bool,
    /// Why it applies nothing any more, though it runs: a committed entry that this build or this node cannot
    /// take in. It keeps its log and votes, but does not lead or serve.
    pub halted: Option<String>,
    /// What it waits for before it goes on applying: a part of its log that is damaged, and is fetched from another node.
    /// It does not serve meanwhile.
    pub waits_for: Option<String>,
    /// Why the newest checkpoint is not on disk; it is tried again. Until then a restart has more to do, and nothing
    /// behind the last one can be purged.
    pub checkpoint_error: Option<String>,
    /// The group's random id; `None` before this node belongs to one.
    pub group_id: Option<GroupId>,
    /// What a person has to look at, one sentence each, until it is over.
    pub alarms: Vec<String>,
    /// How this node's configuration differs from the group's membership, which counts.
    pub configuration_differs: Option<String>,
    /// What this build can write and read.
    pub feature_level: u16,
    /// What all members can, and the group therefore writes.
    pub group_feature_level: u16,
    /// The members as the log has them.
    pub members: BTreeMap<NodeId, Member>,
    /// Why it stopped for good: a failed write, a broken promise. The process should end. Also set after a
    /// shutdown, which whoever asked for it knows.
    pub fatal: Option<String>,
}

/// What a node's readiness is computed from, at the moment somebody asks.
///
/// An answer kept as a plain "ready" would be wrong in the one case that matters: a leader that was stopped past
/// its lease and goes on finds the old view, and the requests that waited in its sockets, before it hears of the
/// new term.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Serving {
    /// It does not lead, or has not applied the first entry of its term.
    #[default]
    No,
    /// It is the only voter and needs nobody's word.
    Alone,
    /// It leads, as of the sending of what a majority last answered.
    Since {
        /// When that was sent, by this machine's monotonic clock.
        quorum_acked: RaftInstant,
        /// Nobody else can have been elected for so long after it.
        lease: Duration,
    },
}

impl View {
    /// Whether it may serve and announce itself: it leads, its first entry of this term is applied, and a majority
    /// answered within the lease, as of now. Time alone ends it, so ask anew for each request.
    pub fn is_ready(&self) -> bool {
        self.is_ready_at(RaftInstant::now())
    }

    fn is_ready_at(&self, now: RaftInstant) -> bool {
        match self.serving {
            Serving::No => false,
            Serving::Alone => true,
            Serving::Since { quorum_acked, lease } => now <= quorum_acked + lease,
        }
    }

    /// The term in which it may serve, as of now; `None` if it may not. See [`View::is_ready`].
    pub fn serving_term(&self) -> Option<u64> {
        self.is_ready().then_some(self.term)
    }

    /// Milliseconds since a majority last answered, as of now; only a leader that serves knows.
    pub fn quorum_ack_age_ms(&self) -> Option<u64> {
        match self.serving {
            Serving::No => None,
            Serving::Alone => Some(0),
            Serving::Since { quorum_acked, .. } => Some(quorum_acked.elapsed().as_millis() as u64),
        }
    }

    /// Ends its service for good.
    pub(crate) fn fail(&mut self, reason: String) {
        (self.fatal, self.serving) = (Some(reason), Serving::No);
    }

    /// Whether this node holds the leader's role, ready or not.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leading(serving: Serving) -> View {
        View { role: Role::Leader, serving, ..View::default() }
    }

    /// S9: nothing looks at the node between the stop of its process and the request that waited in the socket.
    #[test]
    fn a_view_stops_being_ready_by_the_passing_of_time_alone() {
        let (quorum_acked, lease) = (RaftInstant::now(), Duration::from_millis(400));
        let view = leading(Serving::Since { quorum_acked, lease });
        assert!(view.is_ready_at(quorum_acked + lease));
        assert!(!view.is_ready_at(quorum_acked + lease + Duration::from_millis(1)));
        assert!(leading(Serving::Alone).is_ready());
        assert!(!leading(Serving::No).is_ready());
        assert_eq!(leading(Serving::No).quorum_ack_age_ms(), None);
    }
}
