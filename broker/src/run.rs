//! From a configuration to a serving node, and back to nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use platform::{DiskLock, Platform};
use protocol::message::id::UniqueKeys;
use raft::{Member, Node, NodeConfig, Timing};
use rand::Rng;
use remoting::{Client, ClientConfig, Server, ServerConfig};
use store::{FlushMode, KeyIndex, QueueOptions, Queues};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::apply::{BrokerApply, Signals};
use crate::config::{BrokerConfig, FlushDiskType, LiveConfig};
use crate::consumer_offset::OffsetBuffer;
use crate::events::{Events, follow};
use crate::fitness;
use crate::handler::ClientDoor;
use crate::http::{self, node_name};
use crate::long_poll::LongPolls;
use crate::maintenance;
use crate::metrics::LagAges;
use crate::peer::About;
use crate::peers::PeerDoor;
use crate::registration::{self, Registrar};
use crate::repair;
use crate::rpc_times::RpcTimes;
use crate::schedule;
use crate::server::{Broker, Clients, SUBMIT_WITHIN};
use crate::stats::Stats;
use crate::submit;
use crate::tables::Tables;
use crate::watchdog::{Watchdog, is_there, successor};

/// Keeps a second process off the store. Source: RocketMQ `StorePathConfigHelper.getLockFile`.
const LOCK_FILE: &str = "lock";
/// What a segment holds beside its largest entry's payload.
const SEGMENT_REST_BYTES: usize = 4_096;
/// Pulls held at once, over all clients.
const HELD_PULLS_MAX: usize = 100_000;
/// How long a leader that is told to stop looks for somebody to lead instead.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);

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

/// Runs one node until `shutdown` says true. Returns when everything is stopped and on disk.
///
/// # Errors
/// As [`RunError`] says.
pub async fn run(
    config: BrokerConfig,
    platform: Platform,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), RunError> {
    // Held to the end, whoever else still knows the broker then: the next one may start on the same store.
    let (broker, woken, topics, _lock) = start(config, &platform)?;
    let client = Arc::clone(&broker.client);
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(maintenance::wake_pulls(Arc::clone(&broker), woken));
    tasks.spawn(maintenance::expire_pulls(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(maintenance::write_out(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(maintenance::housekeeping(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(maintenance::follow_the_beginning(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(maintenance::disk(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(fitness::keep(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(repair::mend(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(repair::scrub(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(maintenance::create_system_tables(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(schedule::deliver(Arc::clone(&broker), stopping.clone()));
    broker.events.booted();
    tasks.spawn(follow::run(Arc::clone(&broker), stopping.clone()));
    tasks.spawn(store_offsets(Arc::clone(&broker)));
    tasks.spawn(register_on_topics(Arc::clone(&broker), topics));
    let registration =
        tokio::spawn(registration::run(Arc::clone(&broker), Arc::clone(&client), stopping.clone()));
    let servers = match serve(&broker, &mut tasks, stopping).await {
        Ok(servers) => servers,
        Err(error) => {
            stop.send_replace(true);
            tasks.shutdown().await;
            if let Err(error) = broker.node.shutdown().await {
                error!(%error, "the log was not closed cleanly");
            }
            return Err(error);
        }
    };
    // Without it the node serves as well as with it, as long as nothing hangs.
    let watchdog = Watchdog::start(&broker);
    if let Err(error) = &watchdog {
        warn!(%error, "no watchdog: a broker that hangs would keep the lead");
    }
    print_boot_line(&broker.config);

    let mut views = broker.node.views();
    let fatal = tokio::select! {
        _ = shutdown.wait_for(|stop| *stop) => None,
        fatal = views.wait_for(|view| view.fatal.is_some()) => {
            Some(fatal.map_or_else(|_| "its thread is gone".to_owned(), |view| view.fatal.clone().unwrap_or_default()))
        }
    };
    info!(group = broker.name(), node = node_name(broker.node_id()), "stopping");
    drop(watchdog);
    if fatal.is_none() {
        hand_over(&broker).await;
    }
    stop.send_replace(true);
    // First out of the routes, then no more requests, then the log.
    if let Err(error) = registration.await {
        warn!(%error, "registration task ended badly");
    }
    for server in servers {
        server.shutdown().await;
    }
    client.shutdown().await;
    tasks.shutdown().await;
    if let Err(error) = broker.queues.flush().and_then(|()| broker.index.flush()) {
        warn!(%error, "consume queues not flushed; they are built from the log at the next start");
    }
    if let Err(error) = broker.node.shutdown().await {
        error!(%error, "the log was not closed cleanly");
    }
    broker.events.ended(fatal.as_deref().unwrap_or("stopped as it was told to"));
    info!(group = broker.name(), node = node_name(broker.node_id()), "stopped");
    fatal.map_or(Ok(()), |reason| Err(RunError::Fatal(reason)))
}

/// Opens the node's sockets and serves clients and HTTP on them.
async fn serve(
    broker: &Arc<Broker>,
    tasks: &mut JoinSet<()>,
    stopping: watch::Receiver<bool>,
) -> Result<Vec<Server>, RunError> {
    let network = &broker.config.network;
    let net = &broker.platform.net;
    if let Some(addr) = network.http_listen {
        let listener = net.listen(addr).await;
        let listener =
            listener.map_err(|source| RunError::Listen { addr, what: "HTTP, httpPort", source })?;
        let broker = Arc::clone(broker);
        tasks.spawn(async move {
            if let Err(error) = http::serve(listener, broker, stopping).await {
                error!(%error, "HTTP ended");
            }
        });
    }
    let config =
        ServerConfig { idle_close: Duration::from_secs(network.idle_close_s), ..ServerConfig::default() };
    let mut servers = Vec::new();
    for (addr, what) in
        [(network.listen, "clients, listenPort"), (network.vip_listen, "old clients, listenPort - 2")]
    {
        let door = Arc::new(ClientDoor(Arc::clone(broker)));
        let server = Server::start(&**net, addr, door, config.clone()).await;
        servers.push(server.map_err(|source| RunError::Listen { addr, what, source })?);
    }
    Ok(servers)
}

type Started = (
    Arc<Broker>,
    mpsc::UnboundedReceiver<crate::processor::pull::HeldPull>,
    watch::Receiver<u64>,
    Box<dyn DiskLock>,
);

/// Opens the store, recovers, and starts the Raft node.
fn start(config: BrokerConfig, platform: &Platform) -> Result<Started, RunError> {
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
    let node = Node::start(node_config(&config), platform.clone(), apply, Arc::clone(&peers) as Arc<_>)?;
    let run = platform.rng.rng("unique-key").random();
    let broker = Arc::new(Broker {
        log: node.log(),
        views: node.views(),
        node,
        queues,
        index,
        holds,
        offsets: OffsetBuffer::default(),
        stats: Stats::default(),
        rpc_times: Arc::new(RpcTimes::new(Arc::clone(&platform.clock))),
        lag_ages: LagAges::default(),
        events: Events::open(disk, Arc::clone(&platform.clock), &storage.root),
        registrar: Registrar::new(config.network.namesrv_addrs.len()),
        unique_keys: UniqueKeys::new(config.network.store_host.ip(), std::process::id(), run),
        rng: Mutex::new(platform.rng.rng("queue-choice")),
        started_ms: platform.clock.wall_ms(),
        memory_bytes: platform::memory_bytes(),
        tables,
        room: Mutex::default(),
        is_disk_full: AtomicBool::new(false),
        clock_jumped_ms: AtomicI64::new(0),
        clients: Mutex::new(Clients::default()),
        connections: Mutex::default(),
        platform: platform.clone(),
        live,
        client: Arc::new(Client::new(platform.clone(), ClientConfig::default(), None)),
        config,
    });
    peers.open(&broker);
    Ok((broker, woken_rx, topics_rx, lock))
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

/// Consumer offsets into the log, batch after batch.
async fn store_offsets(broker: Arc<Broker>) {
    let clock = Arc::clone(&broker.platform.clock);
    let submitter = Arc::clone(&broker);
    let submit = move |term, change| {
        let broker = Arc::clone(&submitter);
        async move { submit::submit_in_term(&broker.node, term, &change, SUBMIT_WITHIN).await }
    };
    broker.offsets.clone().run(move || clock.wall_ms(), submit).await;
}

/// A change of topics is told to the name servers at once, by the leader.
async fn register_on_topics(broker: Arc<Broker>, mut topics: watch::Receiver<u64>) {
    while topics.changed().await.is_ok() {
        if broker.is_ready() {
            broker.registrar.now();
        }
    }
}

/// A leader that stops hands over first, so that nobody waits for an election.
async fn hand_over(broker: &Broker) {
    let view = broker.node.view();
    if !view.is_leader() {
        return;
    }
    let Some(target) = successor(&view) else { return };
    // A whole group may be on its way down: nobody is waited for who was just stopped as well.
    let mut views = broker.node.views();
    let silent =
        views.wait_for(|view| !view.peers.iter().any(|peer| peer.id == target && is_there(view, peer)));
    tokio::select! {
        done = broker.hand_over(target, HAND_OVER_WITHIN) => if let Err(error) = done {
            warn!(to = node_name(target), %error, "lead not handed over; the others will elect");
        },
        _ = silent => info!(
            to = node_name(target), "lead not handed over: that node is not heard of any more"
        ),
    }
}

/// The line that scripts wait for, word for word as RocketMQ prints it.
fn print_boot_line(config: &BrokerConfig) {
    let name_servers = config.network.namesrv_addrs.join(";");
    let known =
        if name_servers.is_empty() { String::new() } else { format!(" and name server is {name_servers}") };
    platform::Sink::stdout().line(&format!(
        "The broker[{}, {}] boot success. serializeType=JSON{known}",
        config.identity.broker_name,
        config.network.advertised_addr()
    ));
}
