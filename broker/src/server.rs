//! The broker's parts in one place, and how they are wired.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use platform::Platform;
use protocol::message::id::UniqueKeys;
use protocol::route::MessageQueue;
use raft::{ChangeError, Node, NodeId, View};
use rand::rngs::StdRng;
use remoting::{Client, Connection};
use store::codec;
use store::{KeyIndex, LogReader, Queues};
use tokio::sync::watch;
use tracing::info;

use crate::clients::{ConnectionId, ConsumerGroups, ProducerGroups, PullOffsets};
use crate::config::{BrokerConfig, LiveConfig};
use crate::consumer_offset::OffsetBuffer;
use crate::events::Events;
use crate::http::node_name;
use crate::long_poll::LongPolls;
use crate::metrics::LagAges;
use crate::peer::About;
use crate::processor::pull::HeldPull;
use crate::registration::Registrar;
use crate::room::Room;
use crate::rpc_times::RpcTimes;
use crate::stats::Stats;
use crate::submit::{self, SubmitError};
use crate::tables::{BYTES_MAX, Change, OffsetRow, Outcome, Tables};

/// How long a change of the tables may take before whoever asked for it is told that the outcome is unknown.
pub const SUBMIT_WITHIN: Duration = Duration::from_secs(3);

/// One node's broker. Everything that requests are answered from.
pub struct Broker {
    /// What the operator set at the start: what cannot change while the node runs is read from here.
    pub config: BrokerConfig,
    /// What is in force now; see [`Broker::live`].
    pub(crate) live: Arc<LiveConfig>,
    /// Asks name servers.
    pub client: Arc<Client>,
    /// Disk, clock, network, randomness.
    pub platform: Platform,
    /// The Raft node below.
    pub node: Node,
    /// Its newest view, to be looked at without a copy.
    pub(crate) views: watch::Receiver<View>,
    /// Reads the commitlog.
    pub log: LogReader,
    /// Consume queues, as applied.
    pub queues: Arc<Queues>,
    /// Key index, as applied.
    pub index: Arc<KeyIndex>,
    /// Pulls that wait for messages.
    pub holds: Arc<LongPolls<HeldPull>>,
    /// Consumer offsets on their way into the log.
    pub offsets: OffsetBuffer,
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
    /// What is known of the tables' size.
    pub(crate) room: Mutex<Room>,
    /// No room for messages any more: sends are refused until old segments went or somebody made room.
    pub(crate) is_disk_full: AtomicBool,
    /// By how many milliseconds the wall clock has jumped; 0 while it is believed.
    pub(crate) clock_jumped_ms: AtomicI64,
    pub(crate) tables: Arc<RwLock<Tables>>,
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

impl Broker {
    /// The replicated tables, for reading. Never held over an await.
    pub fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().expect("nothing panics while it holds this lock")
    }

    /// The clients of this node. Never held over an await.
    pub fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().expect("nothing panics while it holds this lock")
    }

    /// The configuration in force now: for what may be set while the node runs.
    pub fn live(&self) -> arc_swap::Guard<Arc<BrokerConfig>> {
        self.live.current()
    }

    /// This node's number.
    pub fn node_id(&self) -> NodeId {
        self.config.quorum.node_id
    }

    /// The broker group's name, RocketMQ's `brokerName`.
    pub fn name(&self) -> &str {
        &self.config.identity.broker_name
    }

    /// A queue of this group as clients name it.
    pub fn message_queue(&self, topic: impl Into<String>, queue_id: i32) -> MessageQueue {
        MessageQueue { topic: topic.into(), broker_name: self.name().to_owned(), queue_id }
    }

    /// Wall time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.platform.clock.wall_ms()
    }

    /// Monotonic time since the process started.
    pub fn monotonic(&self) -> Duration {
        self.platform.clock.monotonic()
    }

    /// Whether this node leads and may answer for the group.
    pub fn is_ready(&self) -> bool {
        self.views.borrow().is_ready()
    }

    /// The term in which this node leads and may answer for the group, if it may.
    pub fn serving_term(&self) -> Option<u64> {
        self.views.borrow().serving_term()
    }

    /// The newest offset that a consumer stored at this leader and that is not in the tables yet.
    pub fn offset_on_its_way(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.offsets.get(self.serving_term()?, group, topic, queue_id)
    }

    /// Whether the disk has no room for messages any more.
    pub fn is_disk_full(&self) -> bool {
        self.is_disk_full.load(Ordering::Relaxed) || self.log.room_left().is_some() || self.queues.is_stuck()
    }

    /// Where clients reach a node of the group, as far as this node knows.
    pub fn remoting_addr_of(&self, node: NodeId) -> Option<String> {
        if node == self.node_id() {
            return Some(self.config.network.advertised_addr());
        }
        let about: About = codec::decode(&self.node.about(node)?).ok()?;
        Some(about.remoting)
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

    /// Whether the tables have room for what `change` would add to them; counts it in if so.
    ///
    /// # Errors
    /// `Refused`, with both numbers.
    pub fn check_room(&self, change: &Change) -> Result<(), SubmitError> {
        let wanted = self.tables().growth(change);
        self.take_room(wanted)
    }

    /// Whether the tables have room for an offset of a queue that they have none of; counts it in if so.
    ///
    /// # Errors
    /// `Refused`, with both numbers.
    pub fn check_room_for_offset(&self, row: &OffsetRow) -> Result<(), SubmitError> {
        let wanted = self.tables().offset_growth(row);
        self.take_room(wanted)
    }

    fn take_room(&self, wanted: u64) -> Result<(), SubmitError> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let promised = room.promise(wanted, BYTES_MAX, self.monotonic(), || self.tables().bytes());
        promised.map_err(|bytes| {
            SubmitError::Refused(format!(
                "topics, groups and offsets take {bytes} bytes, {wanted} more would exceed the limit of {BYTES_MAX} bytes"
            ))
        })
    }

    /// Gets a change of the tables committed, here or at the leader.
    ///
    /// # Errors
    /// As [`SubmitError`] says.
    pub async fn submit(&self, change: Change) -> Result<Outcome, SubmitError> {
        if self.is_ready() {
            self.check_room(&change)?;
        }
        submit::submit(&self.node, change, SUBMIT_WITHIN).await
    }

    /// Hands the lead to `target`. Sends that come meanwhile wait and then go to the new leader.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    pub async fn hand_over(&self, target: NodeId, within: Duration) -> Result<(), ChangeError> {
        let (from, to) = (node_name(self.node_id()), node_name(target));
        info!(group = self.name(), from, to, "handing the lead over");
        self.node.transfer_leader(target, within).await
    }
}
