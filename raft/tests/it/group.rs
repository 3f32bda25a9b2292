//! A group of nodes in this process, and how to wait for something in it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use platform::{Platform, PortBlock};
use raft::{
    Apply, ApplyError, BoxFuture, Halt, Node, NodeConfig, NodeId, PeerHandler, Proposal, ProposeError,
    Receipt, Reply, View, WriteSections,
};
use store::codec::Record;
use store::{Checkpoint, EntryKind, LogPoint, LogReader, SealState, StoredEntry};
use tempfile::TempDir;

use crate::disk::TestDisk;

/// Waits at most this long for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again until `look` finds something; then says what it waited for and what it saw last.
pub async fn wait_for<T, S: Debug>(what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        tick.tick().await;
        match look() {
            Ok(found) => return found,
            Err(saw) if tokio::time::Instant::now() > deadline => {
                panic!("waited for {what}, saw last {saw:?}")
            }
            Err(_) => {}
        }
    }
}

/// What a node has applied: a list of commands, and of units their queue offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub commands: Vec<(u64, Vec<u8>)>,
    pub queue_ends: BTreeMap<(String, u32), u64>,
    pub last_store_timestamp_ms: u64,
    pub last: LogPoint,
    pub installs: usize,
}

/// A command that begins so is not taken in by a node that fears it.
pub const POISON: &[u8] = b"poison";

/// An [`Apply`] that keeps everything, and fears [`POISON`] if told so.
#[derive(Clone, Default)]
pub struct Recorder(pub Arc<Mutex<State>>, pub bool);

impl Recorder {
    pub fn state(&self) -> State {
        self.0.lock().unwrap().clone()
    }

    pub fn commands(&self) -> Vec<Vec<u8>> {
        self.state().commands.into_iter().map(|(_, command)| command).collect()
    }
}

/// The application's one table.
#[derive(serde::Serialize, serde::Deserialize)]
struct Commands(Vec<(u64, Vec<u8>)>);

impl Record for Commands {
    const KIND: u16 = 0x0fff;
    const NAME: &'static str = "test-commands";
    const BYTES_MAX: usize = 1 << 30;
}

impl Apply for Recorder {
    fn apply(&mut self, entry: &StoredEntry) -> Result<Reply, Halt> {
        let mut state = self.0.lock().unwrap();
        assert!(
            state.last.log_index < entry.head.log_index,
            "{:?} applied after {:?}",
            entry.head,
            state.last
        );
        let effects = entry.effects().unwrap();
        if effects.iter().any(|effect| effect.record.starts_with(POISON)) && self.1 {
            return Err(Halt::Entry("this build knows no poison".into()));
        }
        state.last = entry.head.point();
        assert!(matches!(entry.head.kind, EntryKind::Command | EntryKind::Units), "{:?}", entry.head);
        let mut reply = Reply::default();
        for effect in effects {
            state.commands.push((entry.head.log_index, effect.record.to_vec()));
            reply.values.push(Bytes::from([b"did ", &effect.record[..]].concat()));
        }
        for unit in crate::units::walk(&entry.units().unwrap()) {
            let end = state.queue_ends.entry((unit.topic.clone(), unit.queue_id)).or_default();
            assert_eq!(unit.queue_offset, *end, "a gap or a repeat in {} {}", unit.topic, unit.queue_id);
            *end += 1;
            state.last_store_timestamp_ms = unit.store_timestamp_ms;
            reply.units.push((unit.queue_offset, unit.commitlog_offset));
        }
        Ok(reply)
    }

    fn checkpoint(&mut self) -> (SealState, WriteSections) {
        let state = self.0.lock().unwrap();
        let queue_ends =
            state.queue_ends.iter().map(|((topic, id), end)| (topic.clone(), *id, *end)).collect();
        let commands = Commands(state.commands.clone());
        let last_store_timestamp_ms = state.last_store_timestamp_ms;
        (SealState { queue_ends, last_store_timestamp_ms }, Box::new(move |sections| sections.put(&commands)))
    }

    fn restore(&mut self, checkpoint: Option<&Checkpoint>, _log: &LogReader) -> Result<(), ApplyError> {
        *self.0.lock().unwrap() = State::default();
        checkpoint.map_or(Ok(()), |checkpoint| self.take(checkpoint))
    }

    fn install(&mut self, checkpoint: &Checkpoint) -> Result<(), ApplyError> {
        let installs = self.state().installs + 1;
        *self.0.lock().unwrap() = State { installs, ..State::default() };
        self.take(checkpoint)
    }
}

impl Recorder {
    fn take(&self, checkpoint: &Checkpoint) -> Result<(), ApplyError> {
        let mut state = self.0.lock().unwrap();
        state.last = checkpoint.last;
        state.last_store_timestamp_ms = checkpoint.seal.last_store_timestamp_ms;
        let ends = &checkpoint.seal.queue_ends;
        state.queue_ends = ends.iter().map(|(topic, id, end)| ((topic.clone(), *id), *end)).collect();
        let commands = checkpoint.sections.read::<Commands>().map_err(ApplyError::new)?;
        state.commands = commands.ok_or_else(|| ApplyError::new("no commands"))?.0;
        Ok(())
    }
}

/// Answers a call with its own words.
pub struct Echo;

impl PeerHandler for Echo {
    fn call(&self, from: NodeId, request: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async move { Bytes::from([format!("{from} said ").as_bytes(), &request].concat()) })
    }
}

/// One node's place: its directory outlives the node.
struct Member {
    dir: TempDir,
    addr: String,
    running: Option<(Node, Recorder)>,
}

/// How long stories wait for all members of a new group.
const FIRST_START: Duration = Duration::from_secs(8);

/// A group of nodes, some of them running.
pub struct Group {
    members: BTreeMap<NodeId, Member>,
    adjust: Box<dyn Fn(&mut NodeConfig) + Send + Sync>,
    /// Whether a leader was asked for before.
    has_led: AtomicBool,
    /// Machines that are not like the one this runs on.
    disks: BTreeMap<NodeId, TestDisk>,
    /// Nodes that fear [`POISON`] from their next start on.
    pub fearful: std::collections::BTreeSet<NodeId>,
    /// A node that is started again must find its port free.
    _ports: PortBlock,
}

impl Group {
    /// Starts `count` nodes with small segments; `adjust` may change each one's configuration.
    pub fn start_with(count: u64, adjust: impl Fn(&mut NodeConfig) + Send + Sync + 'static) -> Self {
        let mut group = Self::stopped_with(count, adjust);
        for id in 1..=count {
            group.run(id);
        }
        group
    }

    /// None of them runs yet.
    pub fn stopped(count: u64) -> Self {
        Self::stopped_with(count, |_| {})
    }

    fn stopped_with(count: u64, adjust: impl Fn(&mut NodeConfig) + Send + Sync + 'static) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let ports = PortBlock::claim().unwrap();
        let mut members = BTreeMap::new();
        for id in 1..=count {
            let addr = format!("127.0.0.1:{}", ports.port(id as u16));
            members.insert(id, Member { dir: tempfile::tempdir().unwrap(), addr, running: None });
        }
        Self {
            members,
            adjust: Box::new(adjust),
            has_led: AtomicBool::new(false),
            disks: BTreeMap::new(),
            fearful: std::collections::BTreeSet::new(),
            _ports: ports,
        }
    }

    pub fn start(count: u64) -> Self {
        Self::start_with(count, |_| {})
    }

    pub fn config(&self, id: NodeId) -> NodeConfig {
        let addrs = self.members.iter().map(|(id, member)| (*id, member.addr.clone())).collect();
        let member = &self.members[&id];
        let mut config = NodeConfig::new("group", id, addrs, member.addr.parse().unwrap(), member.dir.path());
        config.segment_bytes = 1 << 20;
        config.entry_bytes_max = 512 << 10;
        config.about = Bytes::from(format!("node {id}"));
        (self.adjust)(&mut config);
        config
    }

    /// Starts a node that does not run.
    pub fn run(&mut self, id: NodeId) {
        let config = self.config(id);
        let recorder = Recorder(Arc::default(), self.fearful.contains(&id));
        let mut platform = Platform::os();
        if let Some(disk) = self.disks.get(&id) {
            platform.disk = Arc::new(disk.clone());
        }
        let node = Node::start(config, platform, recorder.clone(), Arc::new(Echo)).unwrap();
        let before = self.members.get_mut(&id).unwrap().running.replace((node, recorder));
        assert!(before.is_none(), "node {id} runs already");
    }

    /// From its next start on, a node's files lie on this disk.
    pub fn set_disk(&mut self, id: NodeId, disk: TestDisk) {
        self.disks.insert(id, disk);
    }

    pub fn running(&self) -> Vec<NodeId> {
        self.members.iter().filter(|(_, member)| member.running.is_some()).map(|(id, _)| *id).collect()
    }

    pub fn node(&self, id: NodeId) -> Node {
        self.members[&id].running.as_ref().expect("the node runs").0.clone()
    }

    pub fn recorder(&self, id: NodeId) -> Recorder {
        self.members[&id].running.as_ref().expect("the node runs").1.clone()
    }

    pub fn view(&self, id: NodeId) -> View {
        self.node(id).view()
    }

    pub fn dir(&self, id: NodeId) -> &std::path::Path {
        self.members[&id].dir.path()
    }

    /// Ends a node as a crash would.
    pub async fn crash(&mut self, id: NodeId) {
        let (node, _) = self.members.get_mut(&id).unwrap().running.take().expect("the node runs");
        node.crash().await;
    }

    /// Ends a node in order.
    pub async fn shut_down(&mut self, id: NodeId) {
        let (node, _) = self.members.get_mut(&id).unwrap().running.take().expect("the node runs");
        node.shutdown().await.unwrap();
    }

    /// The node that is ready to serve.
    pub async fn leader(&self) -> NodeId {
        // At its first start a node votes once it has heard of all others: stories begin after that, unless one
        // of them never comes.
        let begun = tokio::time::Instant::now();
        let is_first = !self.has_led.swap(true, Ordering::Relaxed);
        wait_for("a leader that is ready", || {
            let views: BTreeMap<_, _> = self.running().into_iter().map(|id| (id, self.view(id))).collect();
            if is_first && begun.elapsed() < FIRST_START && views.values().any(|view| view.fenced) {
                return Err(views);
            }
            let ready = views.iter().filter(|(_, view)| view.is_ready()).max_by_key(|(_, view)| view.term);
            ready.map(|(id, _)| *id).ok_or(views)
        })
        .await
    }

    /// Proposes a command to whoever leads, again whenever it was certainly not proposed.
    pub async fn command(&self, command: &str) -> Receipt {
        loop {
            let leader = self.leader().await;
            match self.node(leader).propose(Proposal::command(Bytes::from(command.to_string()))).await {
                Ok(receipt) => return receipt,
                Err(ProposeError::NotLeader { .. } | ProposeError::Overloaded) => {}
                Err(error) => panic!("{command}: {error}"),
            }
        }
    }

    /// Waits until all running nodes have applied the same, without a look at what their logs hold.
    pub async fn settle_unread(&self) {
        let ids = self.running();
        wait_for("all nodes to have applied the same", || {
            let views: Vec<_> = ids.iter().map(|id| self.view(*id)).collect();
            let last = views.iter().map(|view| view.last_log_index).max();
            let is_same = views.iter().all(|view| Some(view.applied_index) == last);
            if is_same { Ok(()) } else { Err(views) }
        })
        .await;
    }

    /// Waits until all running nodes have applied the same, and checks that their logs are the same.
    pub async fn settle(&self) -> State {
        let ids = self.running();
        // From the logs and states themselves: a view may be a moment old.
        wait_for("equal logs, applied to their ends, on all nodes", || {
            let lasts: Vec<_> = ids.iter().map(|id| self.node(*id).log().last()).collect();
            let views: Vec<_> = ids.iter().map(|id| self.view(*id)).collect();
            let last = lasts.iter().max().copied().flatten();
            let is_same = lasts.iter().all(|other| *other == last)
                && views.iter().all(|view| Some(view.applied_index) == last.map(|last| last.log_index));
            if is_same { Ok(()) } else { Err((lasts, views)) }
        })
        .await;
        let first = ids.iter().map(|id| self.node(*id).log().first_index().unwrap()).max().unwrap();
        let last = ids.iter().map(|id| self.node(*id).log().last().unwrap().log_index).min().unwrap();
        let digests: Vec<_> =
            ids.iter().map(|id| self.node(*id).log().digest(first, last).unwrap()).collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
        let states: Vec<_> =
            ids.iter().map(|id| State { installs: 0, ..self.recorder(*id).state() }).collect();
        assert!(states.iter().all(|state| *state == states[0]), "states differ: {states:?}");
        states[0].clone()
    }
}
