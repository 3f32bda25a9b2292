//! This process: what it was told at its start, who is connected to it, and the group that it is a member of.

use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use platform::Platform;
use protocol::message::id::UniqueKeys;
use raft::NodeId;
use rand::rngs::StdRng;
use remoting::{Client, Connection};
use store::codec;

use crate::clients::{ConnectionId, ConsumerGroups, ProducerGroups, PullOffsets};
use crate::config::{BrokerConfig, LiveConfig};
use crate::events::Events;
use crate::group::Group;
use crate::housekeeping::registrar::Registrar;
use crate::leader::peer_call::About;
use crate::metrics::lag_ages::LagAges;
use crate::pull::readers::Readers;
use crate::stats::Stats;
use crate::stats::rpc_times::RpcTimes;

/// One process: everything that requests are answered from.
pub struct Node {
    /// The Raft group that it is a member of, with its log and all that is built from it.
    pub group: Group,
    /// What the operator set at the start: what cannot change while the node runs is read from here.
    pub config: BrokerConfig,
    /// What is in force now; see [`Node::live`].
    pub(crate) live: Arc<LiveConfig>,
    /// Asks name servers.
    pub client: Arc<Client>,
    /// Disk, clock, network, randomness.
    pub platform: Platform,
    /// Counters.
    pub stats: Stats,
    /// How long clients' requests take.
    pub(crate) rpc_times: Arc<RpcTimes>,
    /// The age of what consumer groups have not consumed.
    pub(crate) lag_ages: LagAges,
    /// What happened to this node.
    pub(crate) events: Events,
    /// Keeps the name servers informed.
    pub registrar: Registrar,
    /// Makes unique keys for messages that come without.
    pub unique_keys: UniqueKeys,
    /// For choices that need not be the same twice.
    pub rng: Mutex<StdRng>,
    /// Wall time of the start, milliseconds.
    pub started_ms: u64,
    /// Bytes of memory of this machine: decides what counts as "in memory".
    pub memory_bytes: u64,
    /// By how many milliseconds the wall clock has jumped; 0 while it is believed.
    pub(crate) clock_jumped_ms: AtomicI64,
    /// Turns of pulls that may have to wait for a disk.
    pub readers: Readers,
    /// Turns of all other requests that may have to.
    pub lookups: Readers,
    pub(crate) clients: Mutex<Clients>,
    pub(crate) connections: Mutex<HashMap<ConnectionId, Arc<Connection>>>,
}

/// Soft state about clients.
#[derive(Default)]
pub struct Clients {
    /// Who consumes.
    pub consumers: ConsumerGroups,
    /// Who produces.
    pub producers: ProducerGroups,
    /// From where they pulled last.
    pub pulled: PullOffsets,
    /// Consumer group -> fingerprint of its last heartbeat of the second kind.
    pub fingerprints: HashMap<String, i32>,
}

impl Node {
    /// The clients of this node. Never held over an await.
    pub fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().expect("nothing panics while it holds this lock")
    }

    /// The configuration in force now: for what may be set while the node runs.
    pub fn live(&self) -> arc_swap::Guard<Arc<BrokerConfig>> {
        self.live.current()
    }

    /// Wall time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.platform.clock.wall_ms()
    }

    /// Monotonic time since the process started.
    pub fn monotonic(&self) -> Duration {
        self.platform.clock.monotonic()
    }

    /// Where clients reach a node of the group, as far as this node knows.
    pub fn remoting_addr_of(&self, id: NodeId) -> Option<String> {
        if id == self.group.node_id() {
            return Some(self.config.network.advertised_addr());
        }
        let about: About = codec::decode(&self.group.raft.about(id)?).ok()?;
        Some(about.remoting)
    }

    /// Requests that read what may not be in memory, or wait for their turn.
    pub fn cold_reads(&self) -> usize {
        self.readers.waiting() + self.lookups.waiting()
    }

    /// How many clients are connected to this node.
    pub fn connection_count(&self) -> usize {
        self.lock_connections().len()
    }

    /// The connection of that number, while it is open.
    pub fn connection(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        self.lock_connections().get(&id).map(Arc::clone)
    }

    pub(crate) fn lock_connections(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Connection>>> {
        self.connections.lock().expect("nothing panics while it holds this lock")
    }
}
