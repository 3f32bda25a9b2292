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
mod proof;
mod server;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use platform::{Connection, Platform, Spawner};
use store::{LogPoint, codec};
use tokio::io::AsyncWrite;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::config::{NodeConfig, PeerSecret};
use crate::fence::{Fence, Heard};
use crate::files::Files;
use crate::identity::{GroupId, Memory, Standing, StepBack};
use crate::level::Level;
use crate::member::Member;
use crate::state_machine::RaftHandle;
use crate::types::{Vote, log_point};
use crate::{NodeId, node_name, watch};
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
    spawner: Spawner,
    group: String,
    node: NodeId,
    segment_bytes: u64,
    about: Bytes,
    secret: Option<PeerSecret>,
    member: Member,
    level: Level,
    /// Closed while this node may have forgotten entries; told to peers.
    fence: Mutex<Fence>,
    /// Who last sent something as a leader.
    led_by: Mutex<Option<LedBy>>,
    /// It cannot apply what is committed, and must not lead.
    is_halted: AtomicBool,
    /// Why it could not serve as the leader just now, as its user says.
    unfit: Mutex<Option<String>>,
    /// Who this node is, and what it remembers of its peers. Gone when the node is.
    files: Weak<Files>,
    /// Something raised the fence.
    fence_raised: Notify,
    /// The operator has said that members which are not there may be left out when the group is founded.
    is_forced: AtomicBool,
    /// What a person has to look at, until it is over.
    alarms: Mutex<BTreeMap<Alarm, String>>,
    /// Raised when this node has something new to say of itself in its greetings.
    greetings: watch::Sender<u64>,
    /// Set once raft is built; a leader has to be told of a peer that may have forgotten entries.
    raft: OnceLock<RaftHandle>,
    peers: RwLock<BTreeMap<NodeId, Arc<Peer>>>,
    complaints: Mutex<BTreeMap<String, Duration>>,
}

/// What an alarm is about; there is one of each at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// This node is fenced for a reason that a person should know.
    Fence,
    /// This node has no vote before members were heard of that are not there.
    Missing,
    /// The members belong to different groups.
    Group,
    /// A leader contradicts what this node knows to be committed.
    Contradiction,
    /// It cannot be written down what the peers acknowledged.
    Memory,
    /// A peer says less of itself than is remembered of it.
    Peer(NodeId),
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
    /// Where it says it is.
    member: Mutex<Option<Member>>,
    /// What its build can, as it said last; 0 before.
    feature_level: AtomicU16,
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
    pub(crate) fn new(platform: Platform, config: &NodeConfig, files: &Arc<Files>) -> Arc<Self> {
        Arc::new(Self {
            platform,
            spawner: Spawner::here(),
            group: config.group.clone(),
            node: config.node_id,
            segment_bytes: config.segment_bytes,
            about: config.about.clone(),
            secret: config.peer_secret.clone(),
            member: config.own_member(),
            level: files.level().clone(),
            fence: Mutex::new(Fence::Open),
            led_by: Mutex::new(None),
            is_halted: AtomicBool::new(false),
            unfit: Mutex::default(),
            files: Arc::downgrade(files),
            fence_raised: Notify::new(),
            is_forced: AtomicBool::new(false),
            alarms: Mutex::default(),
            greetings: watch::Sender::new(0),
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

    /// What this node's directory may be trusted with.
    pub(crate) fn standing(&self) -> Standing {
        self.files.upgrade().map_or(Standing::Whole, |files| files.standing())
    }

    /// The group this node belongs to, if it knows of one.
    pub(crate) fn group_id(&self) -> Option<GroupId> {
        self.files.upgrade()?.group_id()
    }

    /// What this node remembers of a peer.
    pub(crate) fn remembers(&self, peer: NodeId) -> Memory {
        self.files.upgrade().map(|files| files.remember(peer)).unwrap_or_default()
    }

    /// Whether members that are not there may be left out when the group is founded.
    pub(crate) fn is_forced(&self) -> bool {
        self.is_forced.load(Ordering::Relaxed)
    }

    /// The operator says so, or what he said is done with.
    pub(crate) fn set_forced(&self, is_forced: bool) {
        self.is_forced.store(is_forced, Ordering::Relaxed);
    }

    /// Returns when the fence was raised since the last call.
    pub(crate) async fn fence_is_raised(&self) {
        self.fence_raised.notified().await;
    }

    /// Connections are made anew, because this node has something new to say of itself.
    pub(crate) fn greet_again(&self) {
        self.greetings.change(|count| *count += 1);
    }

    /// Tells a person, in the log and in every view, until it is over.
    pub(crate) fn raise_alarm(&self, alarm: Alarm, text: String) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        if alarms.get(&alarm) != Some(&text) {
            if alarm != Alarm::Missing {
                // A member that starts a moment later is nothing to act on; the keeper tells of it by itself.
                error!(group = %self.group, node = node_name(self.node), "{text}");
            }
            alarms.insert(alarm, text);
        }
    }

    pub(crate) fn clear_alarm(&self, alarm: Alarm) {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner).remove(&alarm);
    }

    /// What a person has to look at.
    pub(crate) fn alarms(&self) -> Vec<String> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
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
        if self.standing() == Standing::Whole {
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

    /// What applying waits for on this node.
    pub(crate) fn waits_for(&self) -> Option<String> {
        self.files.upgrade()?.waits().words()
    }

    /// Tells the network so; for good.
    pub(crate) fn set_halted(&self) {
        self.is_halted.store(true, Ordering::Relaxed);
    }

    /// Why the lead must not be handed to this node now.
    pub(crate) fn cannot_lead(&self) -> Option<String> {
        if self.is_fenced() {
            return Some(
                "this node may have forgotten entries and cannot lead before it has caught up".into(),
            );
        }
        if self.is_halted() {
            return Some("this node cannot apply what is committed, and does not lead".into());
        }
        if self.waits_for().is_some() {
            return Some(
                "a part of this node's log is damaged, and it does not lead before that is mended".into(),
            );
        }
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says why this node could not serve as the leader, or that it could again.
    pub(crate) fn set_unfit(&self, why: Option<String>) {
        *self.unfit.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Tells the network whom it works for.
    pub(crate) fn set_raft(&self, raft: RaftHandle) {
        assert!(self.raft.set(raft).is_ok(), "a network works for one raft");
    }

    /// The last entry in a peer's log, and its term.
    pub(crate) async fn ask_last(&self, id: NodeId, within: Duration) -> Result<Heard, LaneError> {
        let no_answer = |reason: String| LaneError::NoAnswer(reason);
        let peer = self.peer(id).ok_or_else(|| no_answer(format!("{} is not known", node_name(id))))?;
        let question = codec::encode(&Request::LastLog).map_err(|error| no_answer(error.to_string()))?;
        let answer = lane::call(&peer.control, Kind::Call, vec![Bytes::from(question)], within).await?;
        match codec::decode(&answer).map_err(|error| no_answer(error.to_string()))? {
            Response::LastLog { last, term, is_newborn, group_id, is_forced, voters, remembers } => {
                Ok(Heard { last, term, is_newborn, group_id, is_forced, voters, remembers })
            }
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
            peer.addr.change_if(|current| std::mem::replace(current, addr.clone()) != addr);
            return;
        }
        let lane = || mpsc::channel(LANE_CALLS_MAX);
        let ((control, control_rx), (app, app_rx), (snapshot, snapshot_rx)) = (lane(), lane(), lane());
        let peer = Arc::new(Peer {
            id,
            addr: watch::Sender::new(addr),
            about: Mutex::new(None),
            member: Mutex::new(None),
            feature_level: AtomicU16::new(0),
            last_contact: AtomicU64::new(0),
            fenced: AtomicBool::new(false),
            control,
            app,
            snapshot,
        });
        for (lane, calls) in [(Lane::Control, control_rx), (Lane::App, app_rx), (Lane::Snapshot, snapshot_rx)]
        {
            self.spawner.spawn(lane::run(Arc::downgrade(self), Arc::downgrade(&peer), lane, calls));
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
        let files = self.files.upgrade();
        let files = files.as_deref();
        if let (Some(files), Some(raft)) = (files, self.raft.get()) {
            // The newest there is; `run::remember` does this now and then, and tells of errors.
            let _ = files.acknowledged(Self::acknowledged(raft));
        }
        Hello {
            protocol_version: PROTOCOL_VERSION,
            layout_version: u32::from(store::LAYOUT_VERSION),
            segment_bytes: self.segment_bytes,
            group: self.group.clone(),
            from: self.node,
            to,
            lane,
            fenced: self.is_fenced(),
            group_id: files.and_then(Files::group_id),
            incarnation: files.map(Files::incarnation).unwrap_or_default(),
            last: files.and_then(|files| files.reader().last()),
            remembers: files.map(|files| files.remember(to)).unwrap_or_default(),
            feature_level: codec::feature_level(),
            group_level: self.level.group(),
            member: self.member.clone(),
            about: self.about.to_vec(),
        }
    }

    /// What the peers have acknowledged and is committed, if this node leads. Whatever is both can never be cut again;
    /// what is only acknowledged can.
    pub(crate) fn acknowledged(raft: &RaftHandle) -> Vec<(NodeId, LogPoint)> {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let matched = metrics.replication.iter().flatten();
        matched
            .filter_map(|(id, matched)| Some((*id, log_point(&(*matched).min(metrics.local_committed)?))))
            .collect()
    }

    /// Holds what both sides said of themselves against what the other one remembers. Each side finds out for itself
    /// that it has stepped back, since what the other remembers is in its greeting.
    ///
    /// # Errors
    /// If one of them has stepped back. Nothing more is said on this connection then.
    fn compare(&self, peer: &Peer, theirs: &Hello, ours: &Hello) -> Result<(), String> {
        if let Err(step_back) = theirs.remembers.check(&ours.said()) {
            self.step_back(peer.id, step_back);
            return Err(format!("{} remembers more of this node: {step_back}", node_name(peer.id)));
        }
        let Some(files) = self.files.upgrade() else { return Err("the node is stopped".into()) };
        if let Err(step_back) = files.remember(peer.id).check(&theirs.said()) {
            let text = format!("{}: {step_back}; it is to be fenced and filled again", node_name(peer.id));
            self.raise_alarm(Alarm::Peer(peer.id), text.clone());
            return Err(text);
        }
        self.clear_alarm(Alarm::Peer(peer.id));
        files
            .learn(peer.id, &theirs.said())
            .map_err(|error| format!("cannot remember {}: {error}", node_name(peer.id)))?;
        match (files.group_id(), theirs.group_id) {
            // A node that waits to be added learns from whoever adds it where it belongs.
            (None, Some(group_id)) if files.standing() == Standing::Whole => {
                files.place(group_id, 1).map_err(|error| format!("cannot join the group: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// This node's disk was put back to an older state: it has forgotten entries and votes, and knows now.
    fn step_back(&self, by: NodeId, step_back: StepBack) {
        let text = format!(
            "{} remembers more of this node than this node does: {step_back}. It is fenced and filled again from the \
             others, once it has heard all of them",
            node_name(by)
        );
        self.raise_alarm(Alarm::Fence, text);
        // Before the mark is on disk, so that nothing is promised meanwhile.
        self.set_fence(Fence::Closed);
        if let Some(raft) = self.raft.get() {
            raft.runtime_config().elect(false);
        }
        if let Some(files) = self.files.upgrade()
            && let Err(error) = files.set_stepped_back()
        {
            self.complain(format!("cannot write down that this node is fenced: {error}"));
        }
        self.fence_raised.notify_one();
    }

    /// Takes in what a peer said of itself.
    async fn met(&self, peer: &Peer, hello: &Hello) {
        self.note_contact(peer);
        *peer.about.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Bytes::copy_from_slice(&hello.about));
        *peer.member.lock().unwrap_or_else(PoisonError::into_inner) = Some(hello.member.clone());
        peer.feature_level.store(hello.feature_level, Ordering::Relaxed);
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
            let mut reader = Reader::new(reader);
            if let Some(secret) = &self.secret {
                let ids = (self.node, peer.id);
                let proved =
                    proof::prove_as_caller(&self.platform, secret, ids, &mut reader, &mut *writer).await;
                if let Err(reason) = proved {
                    self.raise_alarm(
                        Alarm::Peer(peer.id),
                        format!("{} at {addr}: {reason}", node_name(peer.id)),
                    );
                    return Err(reason);
                }
            }
            let ours = self.hello(peer.id, lane);
            let hello = codec::encode(&ours).map_err(|error| error.to_string())?;
            Parts::new(Kind::Hello, 0, [Bytes::from(hello)])
                .write_to(&mut *writer)
                .await
                .map_err(|error| error.to_string())?;
            let frame = reader
                .next(&[Kind::Welcome, Kind::Refusal])
                .await
                .map_err(|error| format!("no welcome: {error}"))?;
            if frame.kind == Kind::Refusal {
                let reason = String::from_utf8_lossy(&frame.body).into_owned();
                let text = format!("{} at {addr} refused this node: {reason}", node_name(peer.id));
                self.raise_alarm(Alarm::Peer(peer.id), text);
                return Err(reason);
            }
            let theirs: Hello = codec::decode(&frame.body).map_err(|error| error.to_string())?;
            theirs
                .check(&Hello { from: self.node, ..ours.clone() })
                .map_err(|mismatch| mismatch.to_string())
                .and_then(|()| {
                    if theirs.from == peer.id {
                        Ok(())
                    } else {
                        Err(format!("{} answered", node_name(theirs.from)))
                    }
                })?;
            self.compare(peer, &theirs, &ours)?;
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
            warn!(group = %self.group, node = node_name(self.node), "{what}");
            complaints.insert(what, now);
        }
    }

    fn connected(&self, peer: &Peer, lane: Lane) {
        if lane == Lane::Control {
            info!(group = %self.group, node = node_name(self.node), peer = node_name(peer.id), addr = %peer.addr(), "connected");
        }
    }
}

impl Peer {
    pub(crate) fn addr(&self) -> String {
        self.addr.borrow().clone()
    }

    /// Returns when it no longer listens at `addr`, or has to be greeted again.
    async fn moved(&self, network: &Network, addr: &str) -> String {
        tokio::select! {
            biased;
            reason = self.moved_from(addr) => reason,
            () = greeted_again(network) => format!("{} is to be greeted again", node_name(self.id)),
        }
    }

    async fn moved_from(&self, addr: &str) -> String {
        let mut addrs = self.addr.follow();
        loop {
            if *addrs.borrow_and_update() != addr {
                return format!("{} moved to {}", node_name(self.id), *self.addr.borrow());
            }
            if !addrs.changes().await {
                return "no longer needed".into();
            }
        }
    }

    /// Where it says it is.
    pub(crate) fn member(&self) -> Option<Member> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What its build can, as it said last; 0 before.
    pub(crate) fn feature_level(&self) -> u16 {
        self.feature_level.load(Ordering::Relaxed)
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

/// Returns when this node has something new to say of itself.
async fn greeted_again(network: &Network) {
    network.greetings.follow().changes().await; // the network outlives its connections
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
