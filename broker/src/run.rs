//! From a configuration to a serving node, and back to nothing: the order of start and stop.

use std::sync::Arc;
use std::time::Duration;

use platform::Platform;
use raft::node_name;
use remoting::{Server, ServerConfig};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::config::BrokerConfig;
use crate::delay;
use crate::door::http;
use crate::door::remoting::ClientDoor;
use crate::events::follow;
use crate::group::SUBMIT_WITHIN;
use crate::housekeeping::watchdog::{Watchdog, is_there, successor};
use crate::housekeeping::{disk, fitness, registration, repair, rounds, system_topics, write_out};
use crate::leader::submit;
use crate::node::Node;
use crate::open::{Opened, RunError, open};
use crate::pull::wake;

/// How long a leader that is told to stop looks for somebody to lead instead.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);

/// Runs one node until `shutdown` says true. Returns when everything is stopped and on disk.
///
/// # Errors
/// As [`RunError`] says.
pub async fn run(
    config: BrokerConfig,
    platform: Platform,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), RunError> {
    // The lock is held to the end, whoever else still knows the node then: the next one may start on the same store.
    let Opened { node, woken, topics, lock: _lock } = open(config, &platform)?;
    let client = Arc::clone(&node.client);
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(wake::wake_pulls(Arc::clone(&node), woken));
    tasks.spawn(wake::expire_pulls(Arc::clone(&node), stopping.clone()));
    tasks.spawn(write_out::write_out(Arc::clone(&node), stopping.clone()));
    tasks.spawn(write_out::follow_the_beginning(Arc::clone(&node), stopping.clone()));
    tasks.spawn(rounds::keep(Arc::clone(&node), stopping.clone()));
    tasks.spawn(disk::watch(Arc::clone(&node), stopping.clone()));
    tasks.spawn(fitness::keep(Arc::clone(&node), stopping.clone()));
    tasks.spawn(repair::mend(Arc::clone(&node), stopping.clone()));
    tasks.spawn(repair::scrub(Arc::clone(&node), stopping.clone()));
    tasks.spawn(system_topics::create(Arc::clone(&node), stopping.clone()));
    tasks.spawn(delay::deliver(Arc::clone(&node), stopping.clone()));
    node.events.booted();
    tasks.spawn(follow::run(Arc::clone(&node), stopping.clone()));
    tasks.spawn(store_offsets(Arc::clone(&node)));
    tasks.spawn(register_on_topics(Arc::clone(&node), topics));
    let registration =
        tokio::spawn(registration::run(Arc::clone(&node), Arc::clone(&client), stopping.clone()));
    let servers = match serve(&node, &mut tasks, stopping).await {
        Ok(servers) => servers,
        Err(error) => {
            stop.send_replace(true);
            tasks.shutdown().await;
            if let Err(error) = node.group.raft.shutdown().await {
                error!(%error, "the log was not closed cleanly");
            }
            return Err(error);
        }
    };
    // Without it the node serves as well as with it, as long as nothing hangs.
    let watchdog = Watchdog::start(&node);
    if let Err(error) = &watchdog {
        warn!(%error, "no watchdog: a broker that hangs would keep the lead");
    }
    print_boot_line(&node.config);

    let mut views = node.group.raft.views();
    let fatal = tokio::select! {
        _ = shutdown.wait_for(|stop| *stop) => None,
        fatal = views.wait_for(|view| view.fatal.is_some()) => {
            Some(fatal.map_or_else(|_| "its thread is gone".to_owned(), |view| view.fatal.clone().unwrap_or_default()))
        }
    };
    info!(group = node.group.name(), node = node_name(node.group.node_id()), "stopping");
    drop(watchdog);
    if fatal.is_none() {
        hand_over(&node).await;
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
    if let Err(error) = node.group.queues.flush().and_then(|()| node.group.index.flush()) {
        warn!(%error, "consume queues not flushed; they are built from the log at the next start");
    }
    if let Err(error) = node.group.raft.shutdown().await {
        error!(%error, "the log was not closed cleanly");
    }
    node.events.ended(fatal.as_deref().unwrap_or("stopped as it was told to"));
    info!(group = node.group.name(), node = node_name(node.group.node_id()), "stopped");
    fatal.map_or(Ok(()), |reason| Err(RunError::Fatal(reason)))
}

/// Opens the node's sockets and serves clients and HTTP on them.
async fn serve(
    node: &Arc<Node>,
    tasks: &mut JoinSet<()>,
    stopping: watch::Receiver<bool>,
) -> Result<Vec<Server>, RunError> {
    let network = &node.config.network;
    let net = &node.platform.net;
    if let Some(addr) = network.http_listen {
        let listener = net.listen(addr).await;
        let listener =
            listener.map_err(|source| RunError::Listen { addr, what: "HTTP, httpPort", source })?;
        let node = Arc::clone(node);
        tasks.spawn(async move {
            if let Err(error) = http::serve(listener, node, stopping).await {
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
        let door = Arc::new(ClientDoor(Arc::clone(node)));
        let server = Server::start(&**net, addr, door, config.clone()).await;
        servers.push(server.map_err(|source| RunError::Listen { addr, what, source })?);
    }
    Ok(servers)
}

/// Consumer offsets into the log, batch after batch.
async fn store_offsets(node: Arc<Node>) {
    let clock = Arc::clone(&node.platform.clock);
    let submitter = Arc::clone(&node);
    let submit = move |term, change| {
        let node = Arc::clone(&submitter);
        async move { submit::submit_in_term(&node.group.raft, term, &change, SUBMIT_WITHIN).await }
    };
    node.group.offsets.clone().run(move || clock.wall_ms(), submit).await;
}

/// A change of topics is told to the name servers at once, by the leader.
async fn register_on_topics(node: Arc<Node>, mut topics: watch::Receiver<u64>) {
    while topics.changed().await.is_ok() {
        if node.group.is_ready() {
            node.registrar.now();
        }
    }
}

/// A leader that stops hands over first, so that nobody waits for an election.
async fn hand_over(node: &Node) {
    let view = node.group.raft.view();
    if !view.is_leader() {
        return;
    }
    let Some(target) = successor(&view) else { return };
    // A whole group may be on its way down: nobody is waited for who was just stopped as well.
    let mut views = node.group.raft.views();
    let silent =
        views.wait_for(|view| !view.peers.iter().any(|peer| peer.id == target && is_there(view, peer)));
    tokio::select! {
        done = node.group.hand_over(target, HAND_OVER_WITHIN) => if let Err(error) = done {
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
