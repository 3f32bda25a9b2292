//! What a node is told at start, and what of it is refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use store::FlushMode;

use crate::NodeId;

/// When a silent leader is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The leader shows itself this often, in milliseconds.
    pub heartbeat_ms: u64,
    /// Lower end of the random part of a follower's patience, in milliseconds.
    pub election_timeout_ms_min: u64,
    /// Upper end of it, and the length of a leader's lease, in milliseconds.
    pub election_timeout_ms_max: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat_ms: 100, election_timeout_ms_min: 200, election_timeout_ms_max: 400 }
    }
}

/// Everything a node needs to know before it starts.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The group's name. Nodes of another group are refused.
    pub group: String,
    /// Which node this is; one of `members` unless it joins as a learner.
    pub node_id: NodeId,
    /// The group's nodes and their `host:port` for peers.
    pub members: BTreeMap<NodeId, String>,
    /// Where to listen for peers. Port 0 takes a free one, see `Node::local_addr`.
    pub listen: SocketAddr,
    /// Where log, votes and checkpoints live. Locked while the node runs.
    pub dir: PathBuf,
    /// Size of one segment in bytes; the same on every node of a group.
    pub segment_bytes: u64,
    /// When an appended entry counts as flushed.
    pub flush: FlushMode,
    /// Heartbeat and patience.
    pub timing: Timing,
    /// Told to peers in the handshake; this crate does not look into it. At most 64 KiB.
    pub about: Bytes,
    /// Largest payload of one entry in bytes: a bigger proposal is refused.
    pub entry_bytes_max: usize,
    /// Whether an empty node forms the group of `members`. `false` for a node that waits to be added.
    pub bootstrap: bool,
}

impl NodeConfig {
    /// With defaults for all the rest: 1 GiB segments, sync flush, 16 MiB entries.
    pub fn new(
        group: impl Into<String>,
        node_id: NodeId,
        members: BTreeMap<NodeId, String>,
        listen: SocketAddr,
        dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            group: group.into(),
            node_id,
            members,
            listen,
            dir: dir.into(),
            segment_bytes: 1 << 30,
            flush: FlushMode::Sync,
            timing: Timing::default(),
            about: Bytes::new(),
            entry_bytes_max: 16 << 20,
            bootstrap: true,
        }
    }
}

/// A setting that would break a promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The timing does not leave room for a heartbeat to be late.
    #[error(
        "heartbeat of {heartbeat_ms} ms needs an election timeout above {} ms and a maximum above the \
         minimum, not {min_ms} to {max_ms} ms", heartbeat_ms + heartbeat_ms / 2
    )]
    Timing {
        /// The heartbeat interval asked for.
        heartbeat_ms: u64,
        /// The lower end asked for.
        min_ms: u64,
        /// The upper end asked for.
        max_ms: u64,
    },
    /// This node is not in the list of members it is to form a group of.
    #[error("node {node_id} is not among the members {members:?}")]
    NotAMember {
        /// This node.
        node_id: NodeId,
        /// The list.
        members: Vec<NodeId>,
    },
    /// The bytes about this node are too many for a handshake.
    #[error("about of {bytes} bytes exceeds the limit of {limit} bytes")]
    About {
        /// How many there are.
        bytes: usize,
        /// How many there may be.
        limit: usize,
    },
    /// An entry of the largest size does not fit into a segment.
    #[error("entry limit of {entry_bytes_max} bytes does not fit into a segment of {segment_bytes} bytes")]
    EntryBytes {
        /// The entry limit asked for.
        entry_bytes_max: usize,
        /// The segment size asked for.
        segment_bytes: u64,
    },
}
