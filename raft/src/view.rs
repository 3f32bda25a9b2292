//! What a node tells about itself and its group.

use bytes::Bytes;

use crate::NodeId;

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
    /// It leads, its first entry of this term is applied, and a majority answered within the lease.
    /// Only then may it serve and announce itself.
    pub ready: bool,
    /// Last entry in its log.
    pub last_log_index: u64,
    /// Last entry it knows to be committed.
    pub commit_index: u64,
    /// Last entry it has applied.
    pub applied_index: u64,
    /// Last entry it has dropped from the front of its log.
    pub purged_index: u64,
    /// Milliseconds since a majority last answered; only the leader knows.
    pub quorum_ack_age_ms: Option<u64>,
    /// The others, by id.
    pub peers: Vec<PeerView>,
    /// Those with a vote, this node perhaps among them.
    pub voters: Vec<NodeId>,
    /// It may have forgotten entries it once acknowledged, and neither votes nor campaigns until it has
    /// caught up.
    pub fenced: bool,
    /// Why it stopped for good: a failed write, a broken promise. The process should end. Also set after a
    /// shutdown, which whoever asked for it knows.
    pub fatal: Option<String>,
}

impl View {
    /// Whether this node holds the leader's role, ready or not.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }
}
