//! A simulated group, its clients, and whoever breaks its machines and links; in the end all is mended, and the group has
//! to be whole.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use platform::sim::{SimNet, Trace};
use platform::{RngSource, SeededRng};
use raft::{NodeId, Proposal, View};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use store::{CommitlogOffset, FlushMode, LogPoint};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::clients::{Client, Nodes};
use super::ledger::Ledger;
use super::machine::{End, Machine, SEGMENT_BYTES, SEGMENTS, ip};
use crate::group::State;

/// Machines of the group.
const COUNT: u64 = 3;
const CLIENTS: u64 = 3;
/// A piece of bytes mostly takes up to so long from host to host, in milliseconds.
const LATENCY_MS_MAX: u64 = 4;
/// Things go wrong for so long.
const TROUBLE: Duration = Duration::from_secs(20);
/// Between two troubles, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 20..900;
/// Within so long after the last trouble the group is whole.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(90);
/// Between two looks at a group that recovers.
const LOOK: Duration = Duration::from_millis(50);

/// What a run is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Story {
    /// The disks say that they sync the log, and do not.
    pub lying_disks: bool,
    /// Nodes acknowledge what is in memory only, and sync some time later.
    pub early_acknowledgements: bool,
    /// Nothing goes wrong but this: the power of one machine goes off at its so-manyth write, sync or change of a name, and
    /// some time later the power of all.
    pub cut: Option<(NodeId, u64)>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub trace: u64,
    pub events: u64,
    pub acknowledged: usize,
    /// Starts of nodes.
    pub starts: u64,
    pub violations: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, events, acknowledged, starts, violations } = self;
        write!(
            f,
            "trace {trace:016x} of {events} events, {acknowledged} acknowledged, {starts} starts, {} violations",
            violations.len()
        )
    }
}

struct World {
    seed: u64,
    rng: StdRng,
    net: SimNet,
    trace: Trace,
    ledger: Ledger,
    machines: BTreeMap<NodeId, Machine>,
    nodes: Nodes,
    begun: Instant,
}

/// Runs one story from its seed, on a runtime of its own.
pub fn run(seed: u64, story: Story) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed);
        world.live(story).await;
        let (trace, events) = world.trace.digest();
        Outcome {
            trace,
            events,
            acknowledged: world.ledger.acknowledged_count(),
            starts: world.machines.values().map(|machine| machine.starts).sum(),
            violations: world.ledger.violations(),
        }
    })
}

impl World {
    fn new(seed: u64) -> Self {
        let rngs = SeededRng(seed);
        let trace = Trace::default();
        Self {
            seed,
            rng: rngs.rng("trouble"),
            net: SimNet::new(rngs.rng("net"), LATENCY_MS_MAX, trace.clone()),
            trace,
            ledger: Ledger::default(),
            machines: (1..=COUNT).map(|id| (id, Machine::new(id, seed))).collect(),
            nodes: Arc::new(Mutex::new(BTreeMap::new())),
            begun: Instant::now(),
        }
    }

    async fn live(&mut self, story: Story) {
        for id in 1..=COUNT {
            if story.lying_disks {
                self.machines[&id].disk.lie_about_syncs_in(Path::new(SEGMENTS));
            }
            if story.early_acknowledgements {
                self.machine(id).flush = FlushMode::Async { interval_ms: 500 };
            }
            if let Some((_, steps)) = story.cut.filter(|(cut, _)| *cut == id) {
                self.machine(id).disk.cut_after(steps);
            }
            self.start(id).await;
        }
        let (stop, clients) = self.start_clients();
        match story.cut {
            Some((id, _)) => self.lose_power_once(id).await,
            None => self.be_in_trouble().await,
        }
        stop.send_replace(true);
        self.mend().await;
        for client in clients {
            client.await.unwrap();
        }
        if self.ledger.violations().is_empty() {
            self.settle().await;
        }
        for id in 1..=COUNT {
            self.end(id, End::Kill).await;
        }
    }

    async fn be_in_trouble(&mut self) {
        if self.rng.random_ratio(7, 8) {
            // Else the group is founded in the midst of trouble.
            self.wait_for_leader().await;
        }
        let until = Instant::now() + TROUBLE;
        while Instant::now() < until && self.ledger.violations().is_empty() {
            self.make_trouble().await;
            let pause = self.rng.random_range(PAUSE_MS);
            sleep(Duration::from_millis(pause)).await;
            self.look().await;
        }
    }

    /// Waits until the power of a machine goes off, starts its node again, and cuts the power of all.
    async fn lose_power_once(&mut self, id: NodeId) {
        let deadline = Instant::now() + TROUBLE;
        let starts = self.machines[&id].starts;
        while self.machines[&id].running.is_some()
            && self.machines[&id].starts == starts
            && Instant::now() < deadline
        {
            sleep(LOOK).await;
            self.look().await;
        }
        if self.machines[&id].running.is_none() {
            self.start(id).await;
        }
        let pause = self.rng.random_range(PAUSE_MS);
        sleep(Duration::from_millis(pause)).await;
        self.lose_all_power().await;
    }

    async fn wait_for_leader(&self) {
        let deadline = Instant::now() + RECOVERY_TIME_MAX;
        while !self.views().values().any(View::is_ready) && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }

    fn start_clients(&self) -> (watch::Sender<bool>, Vec<JoinHandle<()>>) {
        let (stop, stopped) = watch::channel(false);
        let clients = (0..CLIENTS).map(|number| {
            let name = format!("c{number}");
            let client = Client {
                rng: SeededRng(self.seed).rng(&name),
                name,
                nodes: Arc::clone(&self.nodes),
                ledger: self.ledger.clone(),
                trace: self.trace.clone(),
                stop: stopped.clone(),
            };
            tokio::spawn(client.run())
        });
        (stop, clients.collect())
    }

    fn note(&self, what: &str) {
        let at_ms = self.begun.elapsed().as_millis();
        tracing::info!(seed = self.seed, at_ms, "{what}");
        self.trace.note(what, &at_ms.to_be_bytes());
    }

    fn machine(&mut self, id: NodeId) -> &mut Machine {
        self.machines.get_mut(&id).unwrap()
    }

    fn pick(&mut self, is_running: bool) -> Option<NodeId> {
        let ids = self.machines.values().filter(|machine| machine.running.is_some() == is_running);
        ids.map(|machine| machine.id).choose(&mut self.rng)
    }

    async fn start(&mut self, id: NodeId) {
        self.note(&format!("start {id}"));
        let (net, ledger) = (self.net.clone(), self.ledger.clone());
        let machine = self.machine(id);
        match machine.start(COUNT, &net, &ledger).await {
            Ok(()) => {
                let node = machine.running.as_ref().unwrap().node.clone();
                self.nodes.lock().unwrap().insert(id, node);
            }
            Err(_) if machine.disk.is_cut() || machine.has_fault || machine.is_full => {
                self.end(id, End::PowerLoss).await;
            }
            Err(error) => {
                let why = anyhow::Error::from(error);
                self.ledger.violation(format!("node {id} does not start: {why:#}"));
            }
        }
    }

    async fn end(&mut self, id: NodeId, how: End) {
        self.note(&format!("end {id} {how:?}"));
        self.nodes.lock().unwrap().remove(&id);
        let (seed, net) = (self.rng.random(), self.net.clone());
        let machine = self.machine(id);
        let outcome = machine.end(how, &net, seed).await;
        let is_cut = machine.disk.is_cut();
        if is_cut {
            // In the midst of the shutdown.
            machine.disk = machine.disk.crash(seed);
        }
        if let Err(error) = outcome
            && !is_cut
            && !machine.has_fault
            && !machine.is_full
        {
            self.ledger.violation(format!("node {id} does not shut down: {error}"));
        }
    }

    /// Ends nodes whose disk has failed them; no other may fail.
    async fn look(&mut self) {
        let mut failed = Vec::new();
        for machine in self.machines.values_mut() {
            let Some(running) = &machine.running else { continue };
            let view = running.node.view();
            let has_no_room = running.node.log().room_left().is_some();
            let reason = view.fatal.or(view.halted);
            if reason.is_some() || machine.disk.is_cut() {
                failed.push(machine.id);
            }
            if let Some(reason) = reason.filter(|reason| !machine.is_excused(reason)) {
                self.ledger.violation(format!("node {} gave up: {reason}", machine.id));
            }
            machine.knows_no_room = has_no_room;
        }
        for id in failed {
            // After a failed sync the machine may go on, with a page cache that knows more than the disk.
            let goes_on =
                self.machines[&id].has_fault && !self.machines[&id].disk.is_cut() && self.rng.random();
            self.end(id, if goes_on { End::Kill } else { End::PowerLoss }).await;
        }
    }

    async fn make_trouble(&mut self) {
        if self.rng.random() {
            self.restart_one().await;
        }
        match self.rng.random_range(0..16) {
            0 | 1 => {
                if let Some(id) = self.pick(true) {
                    self.end(id, End::PowerLoss).await;
                }
            }
            2 | 3 => {
                // In the middle of one of the next writes or syncs.
                let more = self.rng.random_range(1..60);
                if let Some(id) = self.pick(true) {
                    self.note(&format!("cut {id} after {more}"));
                    self.machine(id).disk.cut_after(more);
                }
            }
            4 => {
                if let Some(id) = self.pick(true) {
                    self.end(id, End::Kill).await;
                }
            }
            5 => {
                if let Some(id) = self.pick(true) {
                    self.end(id, End::Shutdown).await;
                }
            }
            6 => self.lose_all_power().await,
            7 | 8 => self.cut_links(),
            9..=11 => {
                self.note("heal");
                self.net.heal();
            }
            12 => {
                let (a, b) = (self.rng.random_range(1..=COUNT), self.rng.random_range(1..=COUNT));
                self.note(&format!("reset {a} {b}"));
                self.net.reset(ip(a), ip(b));
            }
            13 => self.break_disk(),
            _ => {
                if let Some(id) = self.pick(true) {
                    self.purge(id).await;
                }
            }
        }
    }

    /// Starts a node that does not run; sometimes the power goes off again meanwhile.
    async fn restart_one(&mut self) {
        let Some(id) = self.pick(false) else { return };
        if self.rng.random_ratio(1, 5) {
            let more = self.rng.random_range(1..60);
            self.machine(id).disk.cut_after(more);
        }
        self.start(id).await;
    }

    /// Cuts a node off, one way or both.
    fn cut_links(&mut self) {
        let id = self.rng.random_range(1..=COUNT);
        let (to, from) = (self.rng.random_ratio(2, 3), self.rng.random_ratio(2, 3));
        self.note(&format!("cut off {id}: to {to}, from {from}"));
        for other in (1..=COUNT).filter(|other| *other != id) {
            self.net.set_cut(ip(id), ip(other), to);
            self.net.set_cut(ip(other), ip(id), from);
        }
    }

    fn break_disk(&mut self) {
        let Some(id) = self.pick(true) else { return };
        let (kind, more) = (self.rng.random_range(0..3), self.rng.random_range(0..20));
        self.note(&format!("disk {id} {kind} {more}"));
        let machine = self.machine(id);
        match kind {
            0 => {
                machine.has_fault = true;
                machine.disk.fail_sync_after(more);
            }
            // A full disk refuses, and ends nobody.
            1 => {
                machine.is_full = true;
                machine.disk.set_capacity(Some(machine.disk.used_bytes() + more * 1024));
            }
            _ => machine.give_room(),
        }
    }

    /// A checkpoint, and what lies two segments behind goes.
    async fn purge(&mut self, id: NodeId) {
        self.note(&format!("purge {id}"));
        let node = self.machine(id).running.as_ref().unwrap().node.clone();
        let end = node.log().ends().committed.0.saturating_sub(SEGMENT_BYTES);
        let before = CommitlogOffset(end - end % SEGMENT_BYTES);
        // However it goes: the node may be cut off, or without anything to purge.
        let purged = timeout(Duration::from_secs(1), async {
            (node.checkpoint_now().await, node.purge_before(before).await)
        });
        let purged = purged.await;
        self.note(&format!("purged {purged:?}"));
    }

    async fn lose_all_power(&mut self) {
        for id in 1..=COUNT {
            if self.machines[&id].running.is_some() {
                self.end(id, End::PowerLoss).await;
            }
        }
    }

    /// All is well from now on.
    async fn mend(&mut self) {
        self.note("mend");
        self.net.heal();
        for id in 1..=COUNT {
            let machine = self.machine(id);
            machine.give_room();
            let is_broken = machine.has_fault || machine.disk.is_cut();
            if machine.running.is_some() && is_broken {
                self.end(id, End::PowerLoss).await;
            }
            if self.machines[&id].running.is_none() {
                self.start(id).await;
            }
        }
    }

    fn views(&self) -> BTreeMap<NodeId, View> {
        let running = |machine: &Machine| Some((machine.id, machine.running.as_ref()?.node.view()));
        self.machines.values().filter_map(running).collect()
    }

    /// The group elects a leader, which serves; all nodes come to hold the same.
    async fn settle(&mut self) {
        let deadline = Instant::now() + RECOVERY_TIME_MAX;
        let mut has_served = false;
        loop {
            // A cut of the power may still be to come.
            self.look().await;
            for id in 1..=COUNT {
                if self.machines[&id].running.is_none() {
                    self.start(id).await;
                }
            }
            if !self.ledger.violations().is_empty() {
                return;
            }
            has_served = has_served || self.serves().await;
            if has_served && let Some(state) = self.agreed() {
                self.ledger.check_end(&state);
                return;
            }
            if Instant::now() > deadline {
                let views = self.views();
                return self.ledger.violation(format!("not whole after {RECOVERY_TIME_MAX:?}: {views:?}"));
            }
            sleep(LOOK).await;
        }
    }

    async fn serves(&mut self) -> bool {
        let leader = self.views().into_iter().find(|(_, view)| view.is_ready()).map(|(id, _)| id);
        let Some(leader) = leader else { return false };
        let node = self.machine(leader).running.as_ref().unwrap().node.clone();
        let last = Proposal::command(Bytes::from(format!("end.{} ", self.rng.random::<u64>())));
        matches!(timeout(Duration::from_secs(2), node.propose(last)).await, Ok(Ok(_)))
    }

    /// What all nodes have applied, if all have applied all there is.
    fn agreed(&self) -> Option<State> {
        let running: Vec<_> = self.machines.values().filter_map(|machine| machine.running.as_ref()).collect();
        let lasts: Vec<Option<LogPoint>> = running.iter().map(|running| running.node.log().last()).collect();
        let last = lasts[0]?;
        let is_applied = |view: View| view.applied_index == last.log_index && !view.fenced;
        if lasts.iter().any(|other| *other != Some(last))
            || !running.iter().all(|running| is_applied(running.node.view()))
        {
            return None;
        }
        let first = running.iter().filter_map(|running| running.node.log().first_index()).max()?;
        let digests: Vec<_> =
            running.iter().map(|running| running.node.log().digest(first, last.log_index)).collect();
        for (running, digest) in running.iter().zip(&digests) {
            match (digest, &digests[0]) {
                (Ok(digest), Ok(one)) if digest == one => {}
                _ => self.ledger.violation(format!("logs differ at node {}: {digests:?}", running.node.id())),
            }
        }
        let state = |at: usize| State { installs: 0, ..running[at].recorder.state() };
        for at in 1..running.len() {
            if state(at) != state(0) {
                self.ledger.violation(format!("states differ: {:?} and {:?}", state(0), state(at)));
            }
        }
        Some(state(0))
    }
}
