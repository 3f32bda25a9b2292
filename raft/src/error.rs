//! What the calls of a [`crate::Node`] can answer instead of a result.

use std::net::SocketAddr;
use std::time::Duration;

use crate::apply::ApplyError;
use crate::config::ConfigError;
use crate::{NodeId, known_name, node_name};

/// A proposal was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Nothing was proposed: another node leads, or none does.
    #[error("not the leader (leader: {})", known_name(*.leader))]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// Nothing was proposed: too much is waiting already.
    #[error("too many proposals are waiting")]
    Overloaded,
    /// It may be committed or lost; nobody here knows.
    #[error("outcome unknown: it may still be committed")]
    Unknown,
    /// Nothing was proposed: the payload is larger than an entry may be.
    #[error("payload of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Size of the payload.
        bytes: usize,
        /// Largest allowed.
        limit: usize,
    },
    /// Nothing was proposed: the disk has no room for the next segment of the log.
    #[error("{needed} bytes are on their way or proposed, and the log has room for {left} only")]
    NoRoom {
        /// What is on its way, with this proposal.
        needed: u64,
        /// What the log still takes.
        left: u64,
    },
    /// Nothing was proposed: messages that change something besides, in a group whose members do not all read that yet.
    #[error("messages with effects are of feature level {needed}, the group has {group}")]
    Level {
        /// The level it needs.
        needed: u16,
        /// The group's.
        group: u16,
    },
    /// Nothing was proposed: the node is stopped.
    #[error("the node is stopped")]
    Stopped,
    /// Nothing was proposed: the node cannot apply what is committed.
    #[error("the node applies nothing any more: {0}")]
    Halted(String),
}

/// No linearizable answer could be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadIndexError {
    /// Another node leads, or none does.
    #[error("not the leader (leader: {})", known_name(*.leader))]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// A majority did not confirm in time.
    #[error("a majority did not confirm within {0:?}")]
    NoQuorum(Duration),
    /// The node is stopped.
    #[error("the node is stopped")]
    Stopped,
    /// The node cannot apply what is committed.
    #[error("the node applies nothing any more: {0}")]
    Halted(String),
}

/// A call to a peer's application gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No address is known for that node.
    #[error("{} is not known", node_name(*.0))]
    UnknownPeer(NodeId),
    /// It was never sent.
    #[error("{} is not reachable: {reason}", node_name(*.node))]
    NotSent {
        /// The peer.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// It was sent, and the peer may have acted on it.
    #[error("no answer from {}: {reason}", node_name(*.node))]
    NoAnswer {
        /// The peer.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// The request is larger than a call may be.
    #[error("call of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Size of the request.
        bytes: usize,
        /// Largest allowed.
        limit: usize,
    },
    /// The node is stopped.
    #[error("the node is stopped")]
    Stopped,
}

/// A change of leader, members or retention was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Another node leads, or none does.
    #[error("not the leader (leader: {})", known_name(*.leader))]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// The target of a transfer has no vote or no address.
    #[error("{} is not a voter of this group", node_name(*.0))]
    NotAVoter(NodeId),
    /// The group refused; the text says why.
    #[error("refused: {0}")]
    Refused(String),
    /// It was asked for, and not seen to happen in time.
    #[error("not done within {0:?}")]
    TimedOut(Duration),
    /// The node is stopped.
    #[error("the node is stopped")]
    Stopped,
}

/// A node could not start. Nothing of it runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting would break a promise.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address for peers cannot be had.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The commitlog cannot be opened or is damaged.
    #[error("cannot open the log")]
    Open(#[from] store::OpenError),
    /// A small file beside the log cannot be read or written, or is damaged.
    #[error("cannot use {what}")]
    File {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The directory belongs to another node or group.
    #[error(
        "the directory belongs to {} of group {found_group}, not to {} of group {group}", node_name(*.found_node), node_name(*.node)
    )]
    Identity {
        /// The node written there.
        found_node: NodeId,
        /// The group written there.
        found_group: String,
        /// This node.
        node: NodeId,
        /// This group.
        group: String,
    },
    /// The application's state cannot be restored.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Raft itself did not start; the text says why.
    #[error("raft did not start: {0}")]
    Raft(String),
    /// The thread could not be made.
    #[error("cannot start the node's thread")]
    Thread(#[source] std::io::Error),
}

/// A node did not stop cleanly. It is stopped all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node did not stop cleanly: {0}")]
pub struct ShutdownError(pub String);
