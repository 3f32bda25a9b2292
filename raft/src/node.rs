//! The node: its thread, its door, its end.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::raft::ReadPolicy;
use openraft::raft::linearizable_read::LinearizerOption;
use openraft::{ChangeMembers, RaftMetrics};
use platform::Platform;
use store::{CommitlogOffset, EFFECT_HEAD_BYTES, LogPoint, LogReader};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::NodeId;
use crate::apply::{Apply, Reply};
use crate::config::{self, NodeConfig};
use crate::error::{CallError, ChangeError, ProposeError, ReadIndexError, ShutdownError, StartError};
use crate::fence::Fence;
use crate::files::Files;
use crate::member::Member;
use crate::network::frame::Kind;
use crate::network::{LaneError, Network};
use crate::proposer::Proposer;
use crate::run::{self, Stop};
use crate::state_machine::{Chosen, Halted, RaftHandle};
use crate::types::{LogId, Types};
use crate::view::View;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Answers calls from the application on other nodes.
pub trait PeerHandler: Send + Sync + 'static {
    /// Called on the node's own thread: what takes long belongs on another runtime. The future may be
    /// dropped when the caller hangs up.
    fn call(&self, from: NodeId, request: Bytes) -> BoxFuture<'static, Bytes>;
}

/// What is to be agreed on, in one entry: messages and what they change. May be merged with others into one entry.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Units of the log's stored layout, one after the other, without offsets.
    pub units: BytesMut,
    /// How many they are.
    pub unit_count: u32,
    /// What changes with them, in order: records of the application.
    pub effects: Vec<Bytes>,
}

impl Proposal {
    /// `count` units that change nothing else.
    pub fn units(units: BytesMut, count: u32) -> Self {
        Self { units, unit_count: count, effects: Vec::new() }
    }

    /// One effect without units.
    pub fn command(record: impl Into<Bytes>) -> Self {
        Self::default().with_effect(record)
    }

    /// The same with one more effect.
    #[must_use]
    pub fn with_effect(mut self, record: impl Into<Bytes>) -> Self {
        self.effects.push(record.into());
        self
    }

    /// Payload bytes that it takes in an entry, at most.
    pub(crate) fn bytes(&self) -> usize {
        let effects = self.effects.iter().map(|record| record.len() + EFFECT_HEAD_BYTES);
        self.units.len() + effects.sum::<usize>()
    }
}

/// A proposal that is committed and applied here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Term of the entry.
    pub term: u64,
    /// Log index of the entry.
    pub log_index: u64,
    /// What applying gave, for this proposal's own units only.
    pub reply: Reply,
}

/// A point that every read may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadIndex {
    /// The term confirmed.
    pub term: u64,
    /// Its leader: this node.
    pub leader: NodeId,
    /// Everything acknowledged before the call is at or below this log index, and applied here.
    pub log_index: u64,
}

/// A running node. Clones are handles to the same one; without any left it stops as if it had crashed.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

/// What all handles have in common.
pub(crate) struct Shared {
    pub(crate) node: NodeId,
    pub(crate) raft: RaftHandle,
    pub(crate) network: Arc<Network>,
    pub(crate) proposer: Proposer,
    pub(crate) views: watch::Receiver<View>,
    pub(crate) reader: LogReader,
    pub(crate) files: std::sync::Weak<Files>,
    pub(crate) chosen: Chosen,
    pub(crate) halted: watch::Receiver<Option<Halted>>,
    pub(crate) local_addr: SocketAddr,
    pub(crate) stop: mpsc::UnboundedSender<Stop>,
    /// Becomes true when the thread holds nothing any more.
    pub(crate) gone: watch::Receiver<bool>,
}

/// A purge that followers hold up is reported after this time; it goes on all the same.
const PURGE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a node may take to say whether it would take the lead, and how soon it is asked again.
const MAY_LEAD_WITHIN: Duration = Duration::from_secs(1);
const MAY_LEAD_AGAIN: Duration = Duration::from_millis(10);
/// A change of members that finds no majority is given up after this time.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(10);

impl Node {
    /// Starts a node on a thread of its own, and returns when it listens and its log is recovered,
    /// which may take seconds. May be called from inside any runtime.
    ///
    /// # Errors
    /// As [`StartError`] says; nothing runs then.
    pub fn start(
        config: NodeConfig,
        platform: Platform,
        apply: impl Apply,
        peers: Arc<dyn PeerHandler>,
    ) -> Result<Self, StartError> {
        config::check(&config)?;
        let (started, outcome) = std::sync::mpsc::channel();
        let (gone, gone_rx) = watch::channel(false);
        std::thread::Builder::new()
            .name(format!("raft-{}", config.node_id))
            .spawn(move || {
                run::run(config, &platform, Box::new(apply), peers, gone_rx, &started);
                gone.send_replace(true);
            })
            .map_err(StartError::Thread)?;
        let shared =
            outcome.recv().unwrap_or_else(|_| Err(StartError::Raft("its thread panicked".into())))?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts a node on the caller's runtime, where its tasks take turns with all others, and returns when it listens and
    /// its log is recovered. For simulations: on a `platform` of theirs nothing of it leaves the caller's thread, and what
    /// happens follows from their seed. What recovers or applies much holds up the runtime meanwhile.
    ///
    /// # Errors
    /// As [`StartError`] says; nothing runs then.
    pub async fn open_here(
        config: NodeConfig,
        platform: Platform,
        apply: impl Apply,
        peers: Arc<dyn PeerHandler>,
    ) -> Result<Self, StartError> {
        config::check(&config)?;
        let (gone, _) = watch::channel(false);
        let shared = run::run_here(config, platform, Box::new(apply), peers, gone).await?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Proposes, and waits until it is committed and applied here. The place in the order of proposals
    /// is taken at the call, before the first await. Dropping the future does not take it back.
    ///
    /// Without a majority the wait has no end: it is the caller who sets a time.
    ///
    /// # Errors
    /// As [`ProposeError`] says; only `Unknown` leaves open whether it will be committed.
    pub fn propose(
        &self,
        proposal: Proposal,
    ) -> impl Future<Output = Result<Receipt, ProposeError>> + Send + use<> {
        self.propose_decided(proposal, None)
    }

    /// As [`Node::propose`], for what was decided from the state as this node had it while it led `term`: in any
    /// other term the proposal is refused as `NotLeader`, even if this node leads again. Another leader may have
    /// decided the same meanwhile, or something newer.
    ///
    /// # Errors
    /// As [`ProposeError`] says. After `Unknown` the term is over, or the node stopped.
    pub fn propose_in_term(
        &self,
        term: u64,
        proposal: Proposal,
    ) -> impl Future<Output = Result<Receipt, ProposeError>> + Send + use<> {
        self.propose_decided(proposal, Some(term))
    }

    fn propose_decided(
        &self,
        proposal: Proposal,
        decided_in: Option<u64>,
    ) -> impl Future<Output = Result<Receipt, ProposeError>> + Send + use<> {
        let room_left = self.shared.reader.room_left();
        let views = self.shared.views.borrow();
        let enqueued = self.shared.proposer.propose(proposal, decided_in, &views, room_left);
        drop(views);
        let node = self.shared.node;
        async move {
            match enqueued?.await {
                // A term that has passed refuses as "not the leader" even if this node leads again.
                Ok(Err(ProposeError::NotLeader { leader })) => {
                    Err(ProposeError::NotLeader { leader: leader.filter(|leader| *leader != node) })
                }
                Ok(outcome) => outcome,
                Err(_) => Err(ProposeError::Unknown),
            }
        }
    }

    /// The most payload bytes that one proposal may have.
    pub fn entry_bytes_max(&self) -> usize {
        self.shared.proposer.entry_bytes_max()
    }

    /// Follows the node. Every change of leader, term and readiness becomes visible, though a slow
    /// reader sees only the newest.
    pub fn views(&self) -> watch::Receiver<View> {
        self.shared.views.clone()
    }

    /// The newest view.
    pub fn view(&self) -> View {
        self.shared.views.borrow().clone()
    }

    /// Confirms with a majority that this node leads, and waits until it has applied all that was
    /// acknowledged before the call.
    ///
    /// # Errors
    /// As [`ReadIndexError`] says.
    pub async fn read_index(&self, within: Duration) -> Result<ReadIndex, ReadIndexError> {
        let raft = &self.shared.raft;
        let option = LinearizerOption::from(ReadPolicy::ReadIndex).with_wait_timeout(within);
        let confirmed = match timeout(within, raft.ensure_linearizable(option)).await {
            Err(_) => return Err(ReadIndexError::NoQuorum(within)),
            Ok(Ok(confirmed)) => confirmed,
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
                return Err(ReadIndexError::NotLeader {
                    leader: forward.leader_id.filter(|id| *id != self.shared.node),
                });
            }
            Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => {
                return Err(ReadIndexError::NoQuorum(within));
            }
            Ok(Err(RaftError::Fatal(_))) => return Err(ReadIndexError::Stopped),
        };
        // raft counts what was passed over as applied.
        if let Some(halted) = &*self.shared.halted.borrow() {
            return Err(ReadIndexError::Halted(halted.reason.clone()));
        }
        let term = confirmed.committed_leader_id().term;
        Ok(ReadIndex { term, leader: self.shared.node, log_index: confirmed.index() })
    }

    /// Calls the application on another node.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn call_peer(&self, to: NodeId, request: Bytes, within: Duration) -> Result<Bytes, CallError> {
        let (bytes, limit) = (request.len(), Kind::AppCall.body_bytes_max());
        if bytes > limit {
            return Err(CallError::TooLarge { bytes, limit });
        }
        let peer = self.shared.network.peer(to).ok_or(CallError::UnknownPeer(to))?;
        peer.call_app(request, within).await.map_err(|error| match error {
            LaneError::NotSent(reason) => CallError::NotSent { node: to, reason },
            LaneError::NoAnswer(reason) => CallError::NoAnswer { node: to, reason },
        })
    }

    /// What a peer told about itself in its last handshake.
    pub fn about(&self, node: NodeId) -> Option<Bytes> {
        self.shared.network.peer(node)?.about()
    }

    /// Reads the log.
    pub fn log(&self) -> LogReader {
        self.shared.reader.clone()
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.shared.node
    }

    /// Where this node listens for peers.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local_addr
    }

    /// Learns where a peer listens; replaces what was known.
    pub fn set_peer_addr(&self, node: NodeId, addr: impl Into<String>) {
        self.shared.network.set_addr(node, addr.into());
    }

    /// Hands the lead to `to`, and returns when this node sees it lead. No proposal fails because of
    /// it: those on the way are committed, later ones are refused with the new leader's name.
    ///
    /// A target that cannot lead yet, or is not to be reached, is waited for, and the lead stays here meanwhile.
    ///
    /// # Errors
    /// As [`ChangeError`] says. After `Refused` nothing has changed. After `TimedOut` this node may still lead, or
    /// lead again.
    pub async fn transfer_leader(&self, to: NodeId, within: Duration) -> Result<(), ChangeError> {
        let mut views = self.views();
        {
            let view = views.borrow_and_update();
            if view.fatal.is_some() {
                return Err(ChangeError::Stopped);
            }
            if !view.is_leader() {
                return Err(ChangeError::NotLeader { leader: view.leader });
            }
            if to == self.shared.node {
                return Ok(());
            }
            if !view.voters.contains(&to) {
                return Err(ChangeError::NotAVoter(to));
            }
        }
        let deadline = Instant::now() + within;
        self.wait_until_it_may_lead(to, deadline).await?;
        self.shared.raft.trigger().transfer_leader(to).await.map_err(|_| ChangeError::Stopped)?;
        let done = views.wait_for(|view| view.fatal.is_some() || view.leader == Some(to));
        match timeout_at(deadline, done).await {
            Err(_) => Err(ChangeError::TimedOut(within)),
            Ok(Ok(view)) if view.fatal.is_none() => Ok(()),
            Ok(_) => Err(ChangeError::Stopped),
        }
    }

    /// Says why this node could not serve as the leader just now, or `None` that it could: while there is a reason it
    /// refuses the lead when another node would hand it over. Whoever is elected leads all the same.
    pub fn set_unfit(&self, why: Option<String>) {
        self.shared.network.set_unfit(why);
    }

    /// Whether `node` would take the lead if it were handed over now.
    ///
    /// # Errors
    /// Why not, or that it has not answered within `within`.
    pub async fn may_lead(&self, node: NodeId, within: Duration) -> Result<(), String> {
        self.shared.network.ask_may_lead(node, within).await
    }

    /// openraft gives up the leader's lease before it asks the target, so the question comes first: a target that
    /// then refuses would leave the group to an election.
    async fn wait_until_it_may_lead(&self, to: NodeId, deadline: Instant) -> Result<(), ChangeError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Err(error) = self.shared.network.ask_may_lead(to, left.min(MAY_LEAD_WITHIN)).await else {
                return Ok(());
            };
            if Instant::now() + MAY_LEAD_AGAIN >= deadline {
                return Err(ChangeError::Refused(format!(
                    "n{} cannot take the lead: {error}",
                    to.saturating_sub(1)
                )));
            }
            sleep(MAY_LEAD_AGAIN).await;
        }
    }

    /// Says that this node, which waits until it has heard every member once, need not wait for those that are not there:
    /// a majority is enough to found the group, or to join it. If a member that is not there holds something, the first
    /// founds a second group of the same name; the second loses what only that member and this node had.
    ///
    /// # Errors
    /// `Refused` if this node waits for nobody.
    pub fn leave_out_the_missing(&self) -> Result<(), ChangeError> {
        let network = &self.shared.network;
        if network.fence() == Fence::Closed {
            network.set_forced(true);
            return Ok(());
        }
        let of_group =
            network.group_id().map_or_else(String::new, |id| format!(" of the group with id {id}"));
        Err(ChangeError::Refused(format!("this node{of_group} waits for no member")))
    }

    /// Adds a node that copies the log without a vote, and returns when that is committed. The other
    /// nodes must know its address from their configuration, or be told by `set_peer_addr`.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    pub async fn add_learner(&self, node: NodeId, addr: impl Into<String>) -> Result<(), ChangeError> {
        let member = Member { raft: addr.into(), ..Member::default() };
        self.set_peer_addr(node, member.raft.clone());
        let change = self.shared.raft.add_learner(node, member, false);
        changed(timeout(CHANGE_TIME_MAX, change).await)
    }

    /// Makes `voters` the group's voters; each must be a member or a learner already. Those who lose
    /// their vote leave the group.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    pub async fn change_members(&self, voters: BTreeSet<NodeId>) -> Result<(), ChangeError> {
        let change = self.shared.raft.change_membership(ChangeMembers::ReplaceAllVoters(voters), false);
        changed(timeout(CHANGE_TIME_MAX, change).await)
    }

    /// Drops whole segments that lie below `offset`, on this node only, and returns the new first
    /// offset of the log. Never drops what is not applied, nor the segment being written.
    ///
    /// # Errors
    /// As [`ChangeError`] says. After `TimedOut` the purge still happens, once no follower is being
    /// sent what is to go.
    pub async fn purge_before(&self, offset: CommitlogOffset) -> Result<CommitlogOffset, ChangeError> {
        self.refuse_if_halted()?;
        let reader = &self.shared.reader;
        let Some(boundary) = self.boundary_below(offset)? else { return Ok(reader.ends().min) };
        let deadline = Instant::now() + PURGE_TIME_MAX;
        let raft = &self.shared.raft;
        self.shared.chosen.set(boundary);
        raft.trigger().snapshot().await.map_err(|_| ChangeError::Stopped)?;
        let reached = move |id: Option<LogId>| id.is_some_and(|id| id.index >= boundary.log_index);
        self.wait_for_metrics(deadline, |metrics| reached(metrics.snapshot)).await?;
        raft.trigger().purge_log(boundary.log_index).await.map_err(|_| ChangeError::Stopped)?;
        self.wait_for_metrics(deadline, |metrics| reached(metrics.purged)).await?;
        Ok(reader.ends().min)
    }

    async fn wait_for_metrics(
        &self,
        deadline: Instant,
        is_met: impl Fn(&RaftMetrics<Types>) -> bool,
    ) -> Result<(), ChangeError> {
        let mut metrics = self.shared.raft.metrics();
        loop {
            if is_met(&metrics.borrow_and_update()) {
                return Ok(());
            }
            match timeout_at(deadline, metrics.changed()).await {
                Err(_) => return Err(ChangeError::TimedOut(PURGE_TIME_MAX)),
                Ok(Err(_)) => return Err(ChangeError::Stopped),
                Ok(Ok(())) => {}
            }
        }
    }

    /// The newest boundary at or below `offset` that has a checkpoint and is not purged yet.
    fn boundary_below(&self, offset: CommitlogOffset) -> Result<Option<LogPoint>, ChangeError> {
        let files = self.shared.files.upgrade().ok_or(ChangeError::Stopped)?;
        let purged = self.shared.reader.purged();
        let segment_bytes = self.shared.reader.segment_bytes();
        let boundaries = files.checkpoints().list();
        let newest = boundaries.into_iter().rev().find(|checkpoint| {
            checkpoint.next_offset <= offset
                && checkpoint.next_offset.0 % segment_bytes == 0
                && checkpoint.next_offset.0 > 0
                && purged.is_none_or(|purged| purged.log_index < checkpoint.last.log_index)
        });
        Ok(newest.map(|checkpoint| checkpoint.last))
    }

    /// Writes a checkpoint of the applied state now, so that a restart has less to do. On disk on return.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    pub async fn checkpoint_now(&self) -> Result<(), ChangeError> {
        self.refuse_if_halted()?;
        let (done, written) = oneshot::channel();
        let ask = self.shared.raft.with_state_machine(move |machine| {
            machine.checkpoint_now(done);
            Box::pin(async {})
        });
        ask.await.map_err(|_| ChangeError::Stopped)?;
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ChangeError::Refused(error.to_string())),
            Err(_) => Err(ChangeError::Stopped),
        }
    }

    fn refuse_if_halted(&self) -> Result<(), ChangeError> {
        if let Some(waits_for) = self.view().waits_for {
            return Err(ChangeError::Refused(waits_for));
        }
        self.shared.halted.borrow().as_ref().map_or(Ok(()), |halted| {
            Err(ChangeError::Refused(format!("the node applies nothing any more: {}", halted.reason)))
        })
    }

    /// Stops: no more proposals, a last checkpoint, everything on disk, the log marked clean. Handing
    /// over the lead first is the caller's decision. Returns when nothing of the node is left; a second
    /// call waits for the first.
    ///
    /// # Errors
    /// If the last writes failed. The node is stopped all the same.
    pub async fn shutdown(&self) -> Result<(), ShutdownError> {
        let (done, outcome) = oneshot::channel();
        let asked = self.shared.stop.send(Stop::Clean(done)).is_ok();
        let outcome = if asked { outcome.await.unwrap_or(Ok(())) } else { Ok(()) };
        self.wait_until_gone().await;
        outcome.map_err(ShutdownError)
    }

    /// Stops as a crash would, without a checkpoint and without the mark of a clean shutdown; for
    /// tests. Returns when nothing of the node is left.
    pub async fn crash(&self) {
        let _ = self.shared.stop.send(Stop::AtOnce); // it may have stopped already
        self.wait_until_gone().await;
    }

    async fn wait_until_gone(&self) {
        let mut gone = self.shared.gone.clone();
        let _ = gone.wait_for(|gone| *gone).await; // a panicked thread is gone too
    }
}

type Changed = Result<openraft::raft::ClientWriteResponse<Types>, RaftError<Types, ClientWriteError<Types>>>;

fn changed(outcome: Result<Changed, tokio::time::error::Elapsed>) -> Result<(), ChangeError> {
    match outcome {
        Err(_) => Err(ChangeError::TimedOut(CHANGE_TIME_MAX)),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => {
            Err(ChangeError::NotLeader { leader: forward.leader_id })
        }
        Ok(Err(RaftError::APIError(error))) => Err(ChangeError::Refused(error.to_string())),
        Ok(Err(RaftError::Fatal(_))) => Err(ChangeError::Stopped),
    }
}
