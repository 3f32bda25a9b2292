//! From a configuration to a node whose log is open: store, queues, tables, the Raft node.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, RwLock};

use platform::{DiskLock, Platform};
use protocol::message::id::UniqueKeys;
use raft::{Member, NodeConfig, Timing, node_name};
use rand::Rng;
use remoting::{Client, ClientConfig};
use store::{FlushMode, KeyIndex, QueueOptions, Queues};
use tokio::sync::{mpsc, watch};

use crate::config::{BrokerConfig, FlushDiskType, LiveConfig};
use crate::consumer::offset_buffer::OffsetBuffer;
use crate::door::peer::PeerDoor;
use crate::events::Events;
use crate::group::Group;
use crate::housekeeping::registrar::Registrar;
use crate::leader::peer_call::About;
use crate::metrics::lag_ages::LagAges;
use crate::node::{Clients, Node};
use crate::pull::held::HeldPull;
use crate::pull::long_poll::LongPolls;
use crate::pull::readers::Readers;
use crate::state::Tables;
use crate::state::apply::{BrokerApply, Signals};
use crate::stats::Stats;
use crate::stats::rpc_times::RpcTimes;

/// Keeps a second process off the store. Source: RocketMQ `StorePathConfigHelper.getLockFile`.
const LOCK_FILE: &str = "lock";
/// What a segment holds beside its largest entry's payload.
const SEGMENT_REST_BYTES: usize = 4_096;
/// Pulls held at once, over all clients.
const HELD_PULLS_MAX: usize = 100_000;

/// Why a broker did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A directory or file of the store cannot be used.
    #[error("cannot use {path}")]
    Store {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the store.
    #[error("{path} is in use by another process")]
    InUse {
        /// The store's directory.
        path: String,
    },
    /// An address cannot be had.
    #[error("cannot listen on {addr} ({what})")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What for.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The Raft node did not start.
    #[error("cannot start the node")]
    Node(#[from] raft::StartError),
    /// The node stopped because it could not keep its word any more.
    #[error("the node stopped: {0}")]
    Fatal(String),
}

/// A node whose log is open, before anybody is served.
pub struct Opened {
    /// The node.
    pub node: Arc<Node>,
    /// Pulls whose message has come.
    pub woken: mpsc::UnboundedReceiver<HeldPull>,
    /// Counts the changes of the topic table.
    pub topics: watch::Receiver<u64>,
    /// Keeps a second process off the store while it is held.
    pub lock: Box<dyn DiskLock>,
}

/// Opens the store, recovers, and starts the Raft node.
///
/// # Errors
/// As [`RunError`] says.
pub fn open(config: BrokerConfig, platform: &Platform) -> Result<Opened, RunError> {
    let storage = &config.storage;
    let disk = &platform.disk;
    let in_store = |path: &std::path::Path| {
        let path = path.display().to_string();
        move |source| RunError::Store { path, source }
    };
    disk.create_dir_all(&storage.root).map_err(in_store(&storage.root))?;
    let lock = disk.lock(&storage.root.join(LOCK_FILE)).map_err(in_store(&storage.root))?;
    let Some(lock) = lock else {
        return Err(RunError::InUse { path: storage.root.display().to_string() });
    };
    let options = QueueOptions { units_per_file: storage.units_per_file, ..QueueOptions::default() };
    let queues = Queues::open(Arc::clone(disk), &storage.consume_queues, options)
        .map_err(in_store(&storage.consume_queues))?;
    let index = KeyIndex::open(Arc::clone(disk), &storage.key_index).map_err(in_store(&storage.key_index))?;
    let (queues, index) = (Arc::new(queues), Arc::new(index));
    let tables = Arc::new(RwLock::new(Tables::default()));
    let holds = Arc::new(LongPolls::new(HELD_PULLS_MAX));
    let (woken, woken_rx) = mpsc::unbounded_channel();
    let (topics_changed, topics_rx) = watch::channel(0);
    let live = Arc::new(LiveConfig::new(config.clone()));
    let apply = BrokerApply::new(
        Arc::clone(&queues),
        Arc::clone(&index),
        Arc::clone(&tables),
        Arc::clone(&holds),
        Signals { woken, topics_changed, live: Arc::clone(&live) },
    );
    let peers = Arc::new(PeerDoor::new(tokio::runtime::Handle::current()));
    let node_config = node_config(&config);
    let raft = raft::Node::start(node_config, platform.clone(), apply, Arc::clone(&peers) as Arc<_>)?;
    let group = Group {
        name: config.identity.broker_name.clone(),
        clock: Arc::clone(&platform.clock),
        log: raft.log(),
        views: raft.views(),
        raft,
        queues,
        index,
        tables,
        holds,
        offsets: OffsetBuffer::default(),
        room: Mutex::default(),
        is_disk_full: AtomicBool::new(false),
    };
    let run = platform.rng.rng("unique-key").random();
    let node = Arc::new(Node {
        group,
        stats: Stats::default(),
        rpc_times: Arc::new(RpcTimes::new(Arc::clone(&platform.clock))),
        lag_ages: LagAges::default(),
        events: Events::open(disk, Arc::clone(&platform.clock), &storage.root),
        registrar: Registrar::new(config.network.namesrv_addrs.len()),
        unique_keys: UniqueKeys::new(config.network.store_host.ip(), std::process::id(), run),
        rng: Mutex::new(platform.rng.rng("queue-choice")),
        started_ms: platform.clock.wall_ms(),
        memory_bytes: platform::memory_bytes(),
        clock_jumped_ms: AtomicI64::new(0),
        readers: Readers::default(),
        lookups: Readers::default(),
        clients: Mutex::new(Clients::default()),
        connections: Mutex::default(),
        platform: platform.clone(),
        live,
        client: Arc::new(Client::new(platform.clone(), ClientConfig::default(), None)),
        config,
    });
    peers.open(&node);
    Ok(Opened { node, woken: woken_rx, topics: topics_rx, lock })
}

fn node_config(config: &BrokerConfig) -> NodeConfig {
    let (quorum, storage) = (&config.quorum, &config.storage);
    let about = About {
        name: node_name(quorum.node_id),
        remoting: config.network.advertised_addr(),
        http: config
            .network
            .http_listen
            .map_or_else(String::new, |addr| format!("{}:{}", config.network.advertised_host, addr.port())),
    };
    let mut node = NodeConfig::new(
        &quorum.group,
        quorum.node_id,
        quorum.members.clone(),
        quorum.listen,
        &storage.commitlog,
    );
    node.segment_bytes = storage.segment_bytes;
    node.flush = match storage.flush {
        FlushDiskType::Sync => FlushMode::Sync,
        FlushDiskType::Async => FlushMode::Async { interval_ms: storage.flush_interval_ms },
    };
    node.timing = Timing {
        heartbeat_ms: quorum.heartbeat_ms,
        election_timeout_ms_min: quorum.election_timeout_ms_min,
        election_timeout_ms_max: quorum.election_timeout_ms_max,
    };
    node.member = Member {
        name: about.name.clone(),
        raft: String::new(),
        remoting: about.remoting.clone(),
        http: about.http.clone(),
    };
    node.about = about.to_bytes();
    node.peer_secret.clone_from(&quorum.peer_secret);
    node.hold_feature_level = quorum.hold_feature_level;
    // One message may fill a segment, but for the head of its entry.
    node.entry_bytes_max = node.entry_bytes_max.min(storage.segment_bytes as usize - SEGMENT_REST_BYTES);
    node
}
