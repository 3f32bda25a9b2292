//! Node-to-node connections: four per peer, by what they carry ([`Lane`]), each opened by the node that
//! has something to say.
//!
//! This side knows how to reach a peer and how long it may be silent; what is said is in [`forms`], how
//! it is framed in [`frame`].

mod bulk;
mod client;
pub(crate) mod forms;
pub(crate) mod frame;
mod lane;
mod server;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use platform::{Connection, Platform};
use store::codec;
use tokio::io::AsyncWrite;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::NodeId;
use crate::config::NodeConfig;
use crate::fence::{Fence, Heard};
use crate::state_machine::RaftHandle;
use crate::types::Vote;
use forms::{Hello, Lane, PROTOCOL_VERSION, Request, Response};
use frame::{FrameError, Kind, Parts, Reader};
use lane::LaneCall;

pub(crate) use client::Factory;
pub(crate) use lane::LaneError;
pub(crate) use server::serve;

/// Connecting and the handshake may take this long together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A peer that owes answers may be silent for this long.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Calls that may wait on one lane.
const LANE_CALLS_MAX: usize = 1024;
/// The same complaint about a peer is logged again after this time.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// What every connection of this node has in common.
pub(crate) struct Network {
    platform: Platform,
    runtime: tokio::runtime::Handle,
    group: String,
    node: NodeId,
    segment_bytes: u64,
    about: Bytes,
    /// Closed while this node may have forgotten entries; told to peers.
    fence: Mutex<Fence>,
    /// Who last sent something as a leader.
    led_by: Mutex<Option<LedBy>>,
    is_newborn: AtomicBool,
    /// It cannot apply what is committed, and must not lead.
    is_halted: AtomicBool,
    /// Set once raft is built; a leader has to be told of a peer that may have forgotten entries.
    raft: OnceLock<RaftHandle>,
    peers: RwLock<BTreeMap<NodeId, Arc<Peer>>>,
    complaints: Mutex<BTreeMap<String, Duration>>,
}

/// Why a node with a new directory does not acknowledge a leader's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AckRefusal {
    #[error("this node has a new directory, and acknowledges nothing before it has heard every member")]
    NotHeardAll,
    #[error(
        "this node has a new directory, and acknowledges nothing of term {term} since it heard of term {heard}"
    )]
    OldTerm { term: u64, heard: u64 },
}

/// A leader was heard.
#[derive(Clone, Copy)]
struct LedBy {
    term: u64,
    node: NodeId,
    at: Duration,
}

/// One other node.
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    addr: watch::Sender<String>,
    about: Mutex<Option<Bytes>>,
    /// Monotonic milliseconds, plus one, of the last valid frame from it; 0 for never.
    last_contact: AtomicU64,
    /// It said that it may have forgotten entries.
    fenced: AtomicBool,
    control: mpsc::Sender<LaneCall>,
    app: mpsc::Sender<LaneCall>,
    snapshot: mpsc::Sender<LaneCall>,
}

impl Network {
    /// Must be called inside the node's runtime.
    pub(crate) fn new(platform: Platform, config: &NodeConfig) -> Arc<Self> {
        Arc::new(Self {
            platform,
            runtime: tokio::runtime::Handle::current(),
            group: config.group.clone(),
            node: config.node_id,
            segment_bytes: config.segment_bytes,
            about: config.about.clone(),
            fence: Mutex::new(Fence::Open),
            led_by: Mutex::new(None),
            is_newborn: AtomicBool::new(false),
            is_halted: AtomicBool::new(false),
            raft: OnceLock::new(),
            peers: RwLock::new(BTreeMap::new()),
            complaints: Mutex::new(BTreeMap::new()),
        })
    }

    /// Whether this node may have forgotten entries.
    pub(crate) fn is_fenced(&self) -> bool {
        self.fence() != Fence::Open
    }

    pub(crate) fn fence(&self) -> Fence {
        *self.fence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_fence(&self, fence: Fence) {
        *self.fence.lock().unwrap_or_else(PoisonError::into_inner) = fence;
    }

    /// A peer sent something under this vote.
    fn note_leader(&self, vote: &Vote) {
        if vote.committed {
            let (term, node) = (vote.leader_id.term, vote.leader_id.voted_for);
            let led_by = LedBy { term, node, at: self.platform.clock.monotonic() };
            *self.led_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(led_by);
        }
    }

    /// Whether `node` was heard as the leader of `term` within the last `time`.
    pub(crate) fn was_led_by(&self, node: NodeId, term: u64, time: Duration) -> bool {
        let led_by = *self.led_by.lock().unwrap_or_else(PoisonError::into_inner);
        led_by.is_some_and(|led_by| {
            let age = self.platform.clock.monotonic().saturating_sub(led_by.at);
            led_by.node == node && led_by.term == term && age <= time
        })
    }

    /// Whether this node's directory is a new one that has not caught up with its group yet.
    pub(crate) fn is_newborn(&self) -> bool {
        self.is_newborn.load(Ordering::Relaxed)
    }

    /// Tells the network so.
    pub(crate) fn set_newborn(&self, is_newborn: bool) {
        self.is_newborn.store(is_newborn, Ordering::Relaxed);
    }

    /// Whether this node may acknowledge, and follow, what a leader of `term` sends.
    ///
    /// A node with a new directory has forgotten its term: a deposed leader and such a node would be a majority that
    /// acknowledges what the real one contradicts. So it acknowledges nothing before it has heard every member, and
    /// then nothing below the highest term it heard of. A node that lost only the end of its log still has its term.
    ///
    /// # Errors
    /// With the reason, if it may not.
    pub(crate) fn may_acknowledge(&self, term: u64) -> Result<(), AckRefusal> {
        if !self.is_newborn() {
            return Ok(());
        }
        match self.fence() {
            Fence::Closed => Err(AckRefusal::NotHeardAll),
            Fence::Above { term: heard, .. } if term < heard => Err(AckRefusal::OldTerm { term, heard }),
            Fence::Open | Fence::Above { .. } => Ok(()),
        }
    }

    /// Whether this node cannot apply what is committed.
    pub(crate) fn is_halted(&self) -> bool {
        self.is_halted.load(Ordering::Relaxed)
    }

    /// Tells the network so; for good.
    pub(crate) fn set_halted(&self) {
        self.is_halted.store(true, Ordering::Relaxed);
    }

    /// Tells the network whom it works for.
    pub(crate) fn set_raft(&self, raft: RaftHandle) {
        assert!(self.raft.set(raft).is_ok(), "a network works for one raft");
    }

    /// The last entry in a peer's log, and its term.
    pub(crate) async fn ask_last(&self, id: NodeId, within: Duration) -> Result<Heard, LaneError> {
        let no_answer = |reason: String| LaneError::NoAnswer(reason);
        let peer = self.peer(id).ok_or_else(|| no_answer(format!("node {id} is not known")))?;
        let question = codec::encode(&Request::LastLog).map_err(|error| no_answer(error.to_string()))?;
        let answer = lane::call(&peer.control, Kind::Call, vec![Bytes::from(question)], within).await?;
        match codec::decode(&answer).map_err(|error| no_answer(error.to_string()))? {
            Response::LastLog { last, term, is_newborn } => Ok(Heard { last, term, is_newborn }),
            other => Err(no_answer(other.into_surprise())),
        }
    }

    /// Whether a peer would take the lead now; `Err` says why not.
    pub(crate) async fn ask_may_lead(&self, id: NodeId, within: Duration) -> Result<(), String> {
        let peer = self.peer(id).ok_or("it is not known")?;
        let question = codec::encode(&Request::MayLead).map_err(|error| error.to_string())?;
        let answer = lane::call(&peer.control, Kind::Call, vec![Bytes::from(question)], within).await;
        match codec::decode(&answer.map_err(|error| error.to_string())?).map_err(|error| error.to_string())? {
            Response::MayLead => Ok(()),
            other => Err(other.into_surprise()),
        }
    }

    /// Learns where a peer listens.
    pub(crate) fn set_addr(self: &Arc<Self>, id: NodeId, addr: String) {
        if id == self.node {
            return;
        }
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get(&id) {
            peer.addr.send_if_modified(|current| std::mem::replace(current, addr.clone()) != addr);
            return;
        }
        let lane = || mpsc::channel(LANE_CALLS_MAX);
        let ((control, control_rx), (app, app_rx), (snapshot, snapshot_rx)) = (lane(), lane(), lane());
        let peer = Arc::new(Peer {
            id,
            addr: watch::Sender::new(addr),
            about: Mutex::new(None),
            last_contact: AtomicU64::new(0),
            fenced: AtomicBool::new(false),
            control,
            app,
            snapshot,
        });
        for (lane, calls) in [(Lane::Control, control_rx), (Lane::App, app_rx), (Lane::Snapshot, snapshot_rx)]
        {
            self.runtime.spawn(lane::run(Arc::downgrade(self), Arc::downgrade(&peer), lane, calls));
        }
        peers.insert(id, peer);
    }

    pub(crate) fn peer(&self, id: NodeId) -> Option<Arc<Peer>> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(crate) fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Milliseconds since something valid came from `peer`.
    pub(crate) fn contact_age_ms(&self, peer: &Peer) -> Option<u64> {
        let last = peer.last_contact.load(Ordering::Relaxed).checked_sub(1)?;
        Some((self.platform.clock.monotonic().as_millis() as u64).saturating_sub(last))
    }

    fn note_contact(&self, peer: &Peer) {
        peer.last_contact.store(self.platform.clock.monotonic().as_millis() as u64 + 1, Ordering::Relaxed);
    }

    fn hello(&self, to: NodeId, lane: Lane) -> Hello {
        Hello {
            protocol_version: PROTOCOL_VERSION,
            layout_version: u32::from(store::LAYOUT_VERSION),
            segment_bytes: self.segment_bytes,
            group: self.group.clone(),
            from: self.node,
            to,
            lane,
            fenced: self.is_fenced(),
            about: self.about.to_vec(),
        }
    }

    /// Takes in what a peer said of itself.
    async fn met(&self, peer: &Peer, hello: &Hello) {
        self.note_contact(peer);
        *peer.about.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Bytes::copy_from_slice(&hello.about));
        let was_fenced = peer.fenced.swap(hello.fenced, Ordering::Relaxed);
        if let Some(raft) = self.raft.get()
            && (hello.fenced || was_fenced)
        {
            // Before anything is sent on this connection: a leader that finds a log shorter than it was
            // takes that for a bug, and is right except for a declared fenced node. Whoever does not lead
            // refuses this, and need not know.
            let _ = raft.trigger().allow_next_revert(&peer.id, hello.fenced).await;
        }
    }

    /// Connects to a peer and shakes hands.
    async fn connect(&self, peer: &Peer, lane: Lane) -> Result<Link, String> {
        let addr = peer.addr();
        let attempt = async {
            let Connection { reader, mut writer, .. } =
                self.platform.net.connect(&addr).await.map_err(|error| error.to_string())?;
            let hello = codec::encode(&self.hello(peer.id, lane)).map_err(|error| error.to_string())?;
            Parts::new(Kind::Hello, 0, [Bytes::from(hello)])
                .write_to(&mut *writer)
                .await
                .map_err(|error| error.to_string())?;
            let mut reader = Reader::new(reader);
            let frame = reader
                .next(&[Kind::Welcome, Kind::Refusal])
                .await
                .map_err(|error| format!("no welcome: {error}"))?;
            if frame.kind == Kind::Refusal {
                let reason = String::from_utf8_lossy(&frame.body).into_owned();
                self.complain(format!("node {} at {addr} refused us: {reason}", peer.id));
                return Err(reason);
            }
            let theirs: Hello = codec::decode(&frame.body).map_err(|error| error.to_string())?;
            theirs.check(&self.hello(self.node, lane)).map_err(|mismatch| mismatch.to_string()).and_then(
                |()| {
                    if theirs.from == peer.id {
                        Ok(())
                    } else {
                        Err(format!("node {} answered", theirs.from))
                    }
                },
            )?;
            self.met(peer, &theirs).await;
            Ok(Link { reader, writer, addr: addr.clone() })
        };
        timeout(CONNECT_TIMEOUT, attempt)
            .await
            .unwrap_or_else(|_| Err(format!("no connection within {CONNECT_TIMEOUT:?}")))
            .map_err(|reason| format!("{addr}: {reason}"))
    }

    /// Logs what is wrong with a peer, but not the same over and over.
    fn complain(&self, what: String) {
        const COMPLAINTS_MAX: usize = 64;
        let now = self.platform.clock.monotonic();
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        complaints.retain(|_, at| now.saturating_sub(*at) < COMPLAINT_INTERVAL);
        if complaints.len() < COMPLAINTS_MAX && !complaints.contains_key(&what) {
            warn!(group = %self.group, node = self.node, "{what}");
            complaints.insert(what, now);
        }
    }

    fn connected(&self, peer: &Peer, lane: Lane) {
        if lane == Lane::Control {
            info!(group = %self.group, node = self.node, peer = peer.id, addr = %peer.addr(), "connected");
        }
    }
}

impl Peer {
    pub(crate) fn addr(&self) -> String {
        self.addr.borrow().clone()
    }

    /// Returns when it no longer listens at `addr`.
    async fn moved(&self, addr: &str) -> String {
        match self.addr.subscribe().wait_for(|current| current != addr).await {
            Ok(now) => format!("node {} moved to {}", self.id, *now),
            Err(_) => "no longer needed".into(),
        }
    }

    /// What it told about itself.
    pub(crate) fn about(&self) -> Option<Bytes> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls the application on it.
    pub(crate) async fn call_app(&self, request: Bytes, within: Duration) -> Result<Bytes, LaneError> {
        lane::call(&self.app, Kind::AppCall, vec![request], within).await
    }
}

/// A connection after its handshake.
struct Link {
    reader: Reader,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Where it leads.
    addr: String,
}

/// Text of an error that ended a connection.
fn ended(error: &FrameError) -> String {
    match error {
        FrameError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "connection closed".into()
        }
        error => error.to_string(),
    }
}
