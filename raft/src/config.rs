//! What a node is told at start, and what of it is refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use store::FlushMode;

use crate::NodeId;
use crate::member::Member;

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

/// What only the members of a group know. Never shown, not even in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerSecret(String);

impl PeerSecret {
    /// Shortest secret: 16 random characters cannot be guessed over a network.
    pub const CHARS_MIN: usize = 16;

    /// Takes a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for PeerSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerSecret")
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
    /// Told to peers in the handshake and, by the leader, in the log: where this node is to be reached.
    pub member: Member,
    /// Whether this node, while it leads, leaves the group's feature level as it is.
    pub hold_feature_level: bool,
    /// Largest payload of one entry in bytes: a bigger proposal is refused.
    pub entry_bytes_max: usize,
    /// Peers prove that they know it before anything is said. `None`: whoever reaches the port is believed.
    pub peer_secret: Option<PeerSecret>,
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
            member: Member::default(),
            hold_feature_level: false,
            entry_bytes_max: 16 << 20,
            peer_secret: None,
            bootstrap: true,
        }
    }
}

impl NodeConfig {
    /// Where this node is, with the address for its peers that they know it by.
    pub(crate) fn own_member(&self) -> Member {
        let raft = self.members.get(&self.node_id).cloned().unwrap_or_else(|| self.member.raft.clone());
        Member { raft, ..self.member.clone() }
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
    #[error("{} is not among the members {}", crate::node_name(*.node_id), crate::node_names(.members))]
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
    /// A secret that can be guessed.
    #[error("peer secret of {chars} characters is shorter than {min} characters")]
    PeerSecret {
        /// How many it has.
        chars: usize,
        /// How many it needs.
        min: usize,
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

/// Largest `about`: it travels in every handshake.
const ABOUT_BYTES_MAX: usize = 64 << 10;

/// Refuses what would break a promise.
pub(crate) fn check(config: &NodeConfig) -> Result<(), ConfigError> {
    let Timing { heartbeat_ms, election_timeout_ms_min: min_ms, election_timeout_ms_max: max_ms } =
        config.timing;
    if heartbeat_ms == 0 || min_ms <= heartbeat_ms + heartbeat_ms / 2 || max_ms <= min_ms {
        return Err(ConfigError::Timing { heartbeat_ms, min_ms, max_ms });
    }
    if config.bootstrap && !config.members.contains_key(&config.node_id) {
        let members = config.members.keys().copied().collect();
        return Err(ConfigError::NotAMember { node_id: config.node_id, members });
    }
    if let Some(chars) = config.peer_secret.as_ref().map(|secret| secret.0.chars().count())
        && chars < PeerSecret::CHARS_MIN
    {
        return Err(ConfigError::PeerSecret { chars, min: PeerSecret::CHARS_MIN });
    }
    if config.about.len() > ABOUT_BYTES_MAX {
        return Err(ConfigError::About { bytes: config.about.len(), limit: ABOUT_BYTES_MAX });
    }
    // A payload at the limit needs its header and pad, and a call over the wire.
    let entry_bytes_max = config.entry_bytes_max;
    let room = config.segment_bytes.min(ENTRY_BYTES_CEILING).saturating_sub(ENTRY_BYTES_SPARE);
    if entry_bytes_max as u64 > room {
        return Err(ConfigError::EntryBytes { entry_bytes_max, segment_bytes: config.segment_bytes });
    }
    Ok(())
}

/// What one frame between nodes can carry.
const ENTRY_BYTES_CEILING: u64 = 32 << 20;
/// Header and pad of an entry, and more.
const ENTRY_BYTES_SPARE: u64 = 1 << 10;

/// openraft's settings. Those that promises rest on are the same for every node and not configurable.
pub(crate) fn raft_settings(config: &NodeConfig, may_campaign: bool) -> openraft::Config {
    let settings = openraft::Config {
        cluster_name: config.group.clone(),
        heartbeat_interval: config.timing.heartbeat_ms,
        election_timeout_min: config.timing.election_timeout_ms_min,
        election_timeout_max: config.timing.election_timeout_ms_max,
        enable_elect: may_campaign,
        enable_pre_vote: Some(true),
        enable_leader_restore: Some(false),
        quorum_loss_probe_interval: None,
        max_payload_entries: 64,
        max_append_entries: Some(64),
        api_channel_size: Some(1024),
        api_batch_linger_ms: 0,
        // Retention alone purges: a policy would purge up to the last applied entry.
        snapshot_policy: openraft::SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        replication_lag_threshold: 1000,
        backoff: "50ms 100ms 200ms 350ms ...500ms".into(),
        install_snapshot_timeout: 5000,
        allow_log_reversion: None,
        ..openraft::Config::default()
    };
    assert_safe(&settings);
    settings
}

/// Promises that openraft's own defaults do not keep.
fn assert_safe(settings: &openraft::Config) {
    assert_eq!(settings.enable_pre_vote, Some(true), "a node that comes back must not raise the term");
    assert_eq!(
        settings.enable_leader_restore,
        Some(false),
        "a leader that restarts must win an election again"
    );
    assert_eq!(settings.snapshot_policy, openraft::SnapshotPolicy::Never, "only retention takes snapshots");
    assert_eq!(settings.max_in_snapshot_log_to_keep, u64::MAX, "only retention purges");
    assert_ne!(settings.allow_log_reversion, Some(true), "only a declared node may lose entries");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> NodeConfig {
        let members = BTreeMap::from([(1, "127.0.0.1:1".to_string())]);
        NodeConfig::new("group", 1, members, "127.0.0.1:0".parse().unwrap(), "nowhere")
    }

    #[test]
    fn what_would_break_a_promise_is_refused() {
        assert_eq!(check(&config()), Ok(()));
        let timing = Timing { heartbeat_ms: 100, election_timeout_ms_min: 120, election_timeout_ms_max: 400 };
        assert!(matches!(check(&NodeConfig { timing, ..config() }), Err(ConfigError::Timing { .. })));
        assert!(matches!(check(&NodeConfig { node_id: 2, ..config() }), Err(ConfigError::NotAMember { .. })));
        assert_eq!(check(&NodeConfig { node_id: 2, bootstrap: false, ..config() }), Ok(()));
        let about = vec![0; ABOUT_BYTES_MAX + 1].into();
        assert!(matches!(check(&NodeConfig { about, ..config() }), Err(ConfigError::About { .. })));
        let short = NodeConfig { peer_secret: Some(PeerSecret::new("oars")), ..config() };
        assert_eq!(check(&short), Err(ConfigError::PeerSecret { chars: 4, min: 16 }));
        assert_eq!(format!("{:?}", short.peer_secret), "Some(PeerSecret)");
        let small = NodeConfig { segment_bytes: 1 << 20, ..config() };
        assert!(matches!(check(&small), Err(ConfigError::EntryBytes { .. })));
    }

    #[test]
    fn the_settings_are_valid_and_safe() {
        raft_settings(&config(), true).validate().unwrap();
        let unsafe_ones = [
            openraft::Config { enable_pre_vote: None, ..raft_settings(&config(), true) },
            openraft::Config { enable_leader_restore: None, ..raft_settings(&config(), true) },
            openraft::Config { allow_log_reversion: Some(true), ..raft_settings(&config(), true) },
        ];
        for settings in unsafe_ones {
            assert!(std::panic::catch_unwind(|| assert_safe(&settings)).is_err());
        }
    }
}
