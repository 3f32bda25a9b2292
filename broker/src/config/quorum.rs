//! The Raft group of a node, from RocketMQ's DLedger names.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use raft::PeerSecret;
use settings::Reader;

use super::endpoint::{Endpoint, HOST_AND_PORT};

/// Longest time that may be asked for between two heartbeats or elections, in milliseconds.
const TIMING_MS_MAX: u64 = 60_000;

/// Who replicates with whom, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// `enableDLegerCommitLog`: whether this node belongs to a configured group. If not it is a group of its own,
    /// for development: nothing survives the loss of its disk. Default false.
    pub is_group: bool,
    /// `dLegerGroup`: the group's name between its nodes. Default `brokerName`.
    pub group: String,
    /// `dLegerSelfId` n`<k>` is k + 1, also the broker id of this node as a follower; 1 without a group.
    pub node_id: u64,
    /// `dLegerSelfId` as written; `n0` without a group.
    pub self_id: String,
    /// `dLegerPeers`: node id to `host:port` for peers, this node included.
    pub members: BTreeMap<u64, String>,
    /// Where this node listens for its peers: the port of its own entry, on the address of its entry; on all addresses
    /// where that is a name, or where peers have to prove themselves. Without a group a free port of the loopback.
    pub listen: SocketAddr,
    /// `peerSecret`, or the first line of the file `peerSecretFile`, our own names: the members of a group prove to each
    /// other that they know it, before anything is said. At least 16 characters, the same on all nodes. Default none.
    pub peer_secret: Option<PeerSecret>,
    /// `preferredLeaderId`: the node that leads when it can. Default none.
    pub preferred_leader: Option<u64>,
    /// `holdFeatureLevel`, our own name: while this node leads, the group goes on writing what its older builds read, so
    /// that they can be gone back to. Default false.
    pub hold_feature_level: bool,
    /// `raftHeartbeatMs`, our own name: the leader shows itself this often. Default 60.
    pub heartbeat_ms: u64,
    /// `raftElectionTimeoutMsMin`, our own name: lower end of a follower's random patience, at least two
    /// heartbeats. Default 160.
    pub election_timeout_ms_min: u64,
    /// `raftElectionTimeoutMsMax`, our own name: its upper end, above the lower one. Default 320.
    pub election_timeout_ms_max: u64,
}

impl Quorum {
    pub(super) fn read(reader: &mut Reader, broker_name: &str) -> Self {
        let is_group = reader.strict_bool("enableDLegerCommitLog", false);
        let group = reader.text("dLegerGroup", broker_name);
        let peers = read_peers(reader);
        let self_id = reader.text("dLegerSelfId", "");
        let preferred = reader.optional_text("preferredLeaderId");
        if reader.bool("enableControllerMode", false) {
            let why =
                if is_group { "these exclude each other" } else { "controller mode does not exist here" };
            reader.refuse(
                &["enableControllerMode", "enableDLegerCommitLog"],
                format!("{why}; a group elects its leader by itself with enableDLegerCommitLog=true"),
            );
        }
        reader.bool("enableBatchPush", false);
        reader.has_no_effect("enableBatchPush");
        let timing = read_timing(reader);
        let peer_secret = reader.secret("peerSecret", "peerSecretFile").map(PeerSecret::new);
        let hold_feature_level = reader.bool("holdFeatureLevel", false);
        if is_group {
            check_group(reader, &peers, &self_id, preferred.as_deref());
        } else {
            if reader.is_set("dLegerPeers") && reader.is_set("enableDLegerCommitLog") {
                reader.warn(
                    "dLegerPeers is set but enableDLegerCommitLog is false: NOTHING IS REPLICATED, this node runs alone",
                );
            } else if reader.is_set("dLegerPeers") {
                reader.refuse(
                    &["dLegerPeers"],
                    "enableDLegerCommitLog is not set, so nothing would be replicated; set it to true, or to false for a \
                     node that is to run alone",
                );
            }
            let alone = Peer { id: "n0".to_owned(), node_id: 1, endpoint: None };
            return Self::of(false, group, &[alone], "n0", None, timing);
        }
        let mut quorum = Self::of(true, group, &peers, &self_id, preferred.as_deref(), timing);
        match peer_secret {
            // Whoever cannot prove himself is not heard, on whatever address.
            Some(_) if !quorum.listen.ip().is_loopback() => {
                quorum.listen = SocketAddr::new(everywhere(quorum.listen.ip()), quorum.listen.port());
            }
            Some(_) => {}
            None if peers.len() < 2 || peers.iter().all(Peer::is_on_loopback) => {}
            None => reader.warn(
                "peerSecret is not set: whoever reaches the peers' ports is taken for a member of the group. Set the same \
                 peerSecret, or peerSecretFile, on all of its nodes",
            ),
        }
        quorum.peer_secret = peer_secret;
        quorum.hold_feature_level = hold_feature_level;
        quorum
    }

    fn of(
        is_group: bool,
        group: String,
        peers: &[Peer],
        self_id: &str,
        preferred: Option<&str>,
        timing: [u64; 3],
    ) -> Self {
        let me = peers.iter().find(|peer| peer.id == self_id);
        Self {
            is_group,
            group,
            node_id: me.map_or(1, |me| me.node_id),
            self_id: self_id.to_owned(),
            members: peers.iter().map(|peer| (peer.node_id, peer.addr())).collect(),
            listen: listen_addr(me.and_then(|me| me.endpoint.as_ref())),
            peer_secret: None,
            preferred_leader: peers
                .iter()
                .find(|peer| Some(peer.id.as_str()) == preferred)
                .map(|peer| peer.node_id),
            hold_feature_level: false,
            heartbeat_ms: timing[0],
            election_timeout_ms_min: timing[1],
            election_timeout_ms_max: timing[2],
        }
    }
}

/// One entry of `dLegerPeers`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Peer {
    id: String,
    node_id: u64,
    /// `None` for a node that needs no peers.
    endpoint: Option<Endpoint>,
}

impl Peer {
    /// `n0-host:port`: the id ends at the first `-`, for the host may hold more of them.
    fn parse(text: &str) -> Option<Self> {
        let (id, endpoint) = text.split_once('-')?;
        let endpoint = Some(Endpoint::parse(endpoint)?);
        Some(Self { id: id.to_owned(), node_id: node_id(id)?, endpoint })
    }

    fn is_on_loopback(&self) -> bool {
        let ip = self.endpoint.as_ref().and_then(literal);
        self.endpoint.is_none() || ip.is_some_and(|ip| ip.is_loopback())
    }

    fn addr(&self) -> String {
        self.endpoint.as_ref().map_or_else(|| "127.0.0.1:0".to_owned(), ToString::to_string)
    }
}

/// One letter and a number, as RocketMQ reads it: `n0` is node 1.
fn node_id(self_id: &str) -> Option<u64> {
    let number = self_id.strip_prefix(|c: char| c.is_ascii_alphabetic())?;
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    number.parse::<u32>().ok().map(|number| u64::from(number) + 1)
}

fn read_peers(reader: &mut Reader) -> Vec<Peer> {
    let allowed = format!("n0-{HOST_AND_PORT};n1-{HOST_AND_PORT};n2-{HOST_AND_PORT}");
    let parse = |text: &str| {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts.map(Peer::parse).collect::<Option<Vec<_>>>()
    };
    let write = |peers: &Vec<Peer>| {
        let parts: Vec<_> = peers.iter().map(|peer| format!("{}-{}", peer.id, peer.addr())).collect();
        parts.join(";")
    };
    let peers = reader.parsed("dLegerPeers", Vec::new(), &allowed, parse, write);
    for (at, peer) in peers.iter().enumerate() {
        if peers[..at].iter().any(|other| other.node_id == peer.node_id) {
            reader.refuse_value("dLegerPeers", format!("each number once, but {} is there again", peer.id));
        }
        if peers[..at].iter().any(|other| other.endpoint == peer.endpoint) {
            reader.refuse_value(
                "dLegerPeers",
                format!("each address once, but {} is there again", peer.addr()),
            );
        }
    }
    peers
}

fn read_timing(reader: &mut Reader) -> [u64; 3] {
    let heartbeat = reader.integer("raftHeartbeatMs", 60, 10..=TIMING_MS_MAX, "ms");
    let min = reader.integer("raftElectionTimeoutMsMin", 160, 20..=TIMING_MS_MAX, "ms");
    let max = reader.integer("raftElectionTimeoutMsMax", 320, 21..=TIMING_MS_MAX, "ms");
    if heartbeat * 2 > min || min >= max {
        reader.refuse(
            &["raftHeartbeatMs", "raftElectionTimeoutMsMin", "raftElectionTimeoutMsMax"],
            format!(
                "twice the heartbeat ({heartbeat} ms) must not exceed the lower election timeout ({min} ms), \
                 which must be below the upper one ({max} ms)"
            ),
        );
    }
    [heartbeat, min, max]
}

fn check_group(reader: &mut Reader, peers: &[Peer], self_id: &str, preferred: Option<&str>) {
    for name in ["dLegerPeers", "dLegerSelfId"] {
        if !reader.is_set(name) {
            reader.refuse(&["enableDLegerCommitLog"], format!("a group needs {name} too"));
        }
    }
    if peers.is_empty() {
        return; // told above, or refused when it was read
    }
    let ids: Vec<_> = peers.iter().map(|peer| peer.id.as_str()).collect();
    let allowed = format!("an id of dLegerPeers: {}", ids.join(", "));
    if reader.is_set("dLegerSelfId") && !ids.contains(&self_id) {
        reader.refuse_value("dLegerSelfId", allowed.as_str());
    }
    if preferred.is_some_and(|preferred| !ids.contains(&preferred)) {
        reader.refuse_value("preferredLeaderId", allowed);
    }
    if peers.len().is_multiple_of(2) {
        let (nodes, fewer) = (peers.len(), peers.len() - 1);
        reader.warn(format!("a group of {nodes} nodes survives no more failures than one of {fewer}"));
    }
}

/// The address that a host is, if it is not a name.
fn literal(endpoint: &Endpoint) -> Option<IpAddr> {
    if endpoint.host == "localhost" {
        Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
    } else {
        endpoint.host.parse().ok()
    }
}

fn everywhere(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// On the address that the others know; a name may stand for any address of this machine.
fn listen_addr(me: Option<&Endpoint>) -> SocketAddr {
    match me {
        None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        Some(endpoint) => {
            let ip = literal(endpoint).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            SocketAddr::new(ip, endpoint.port)
        }
    }
}
