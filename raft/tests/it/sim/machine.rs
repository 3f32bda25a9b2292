//! One simulated machine: a disk that outlives its node, and how the node on it begins and ends.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use platform::sim::{SimClock, SimNet, SimTasks};
use platform::{Platform, RngSource, SeededRng, Tasks};
use raft::{Node, NodeConfig, NodeId, StartError};
use store::FlushMode;
use store::sim::SimDisk;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::ledger::{Ledger, Witness};
use crate::group::{Echo, Recorder};

/// Small, so that a few hundred proposals roll over several.
pub const SEGMENT_BYTES: u64 = 64 << 10;
/// Steps of a disk and of what waits for it mostly take up to so long, in milliseconds.
const STEP_MS_MAX: u64 = 3;
/// A start takes less than this.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// Where a node keeps its files, and where of these the log is.
const DIR: &str = "/node";
pub const SEGMENTS: &str = "/node/commitlog/commitlog";
/// Some day in 2023: nothing depends on which.
const WALL_MS: u64 = 1_700_000_000_000;

/// How a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The power goes off: what is not synced is lost or torn.
    PowerLoss,
    /// The process is killed: what it wrote is there.
    Kill,
    /// In order.
    Shutdown,
}

/// What runs on a machine.
pub struct Running {
    pub node: Node,
    pub recorder: Recorder,
    tasks: SimTasks,
    watcher: JoinHandle<()>,
}

/// One machine.
pub struct Machine {
    pub id: NodeId,
    pub disk: SimDisk,
    pub flush: FlushMode,
    pub running: Option<Running>,
    /// Something was done to its disk that may end the node.
    pub has_fault: bool,
    /// There is next to no room on it, which may keep the node from starting, and from a checkpoint at its end.
    pub is_full: bool,
    /// Its node was seen to know that there is no room.
    pub knows_no_room: bool,
    seed: u64,
    pub starts: u64,
}

/// Where a node is.
pub fn ip(id: NodeId) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, id as u8).into()
}

fn addr(id: NodeId) -> SocketAddr {
    SocketAddr::new(ip(id), 10_911)
}

impl Machine {
    pub fn new(id: NodeId, seed: u64) -> Self {
        Self {
            id,
            disk: SimDisk::new(),
            flush: FlushMode::Sync,
            running: None,
            has_fault: false,
            is_full: false,
            knows_no_room: false,
            seed,
            starts: 0,
        }
    }

    /// The disk is no longer full.
    pub fn give_room(&mut self) {
        self.is_full = false;
        self.disk.set_capacity(None);
    }

    /// Whether its node may have given up, as far as the disk is concerned.
    pub fn is_excused(&self, reason: &str) -> bool {
        // The segments are small: one may be filled before it is known that the next one cannot be made.
        let is_surprise = self.is_full && !self.knows_no_room && reason.contains("cannot make the segment");
        self.has_fault || self.disk.is_cut() || is_surprise
    }

    /// Randomness of this start of this machine.
    fn rng(&self) -> SeededRng {
        SeededRng(self.seed ^ (self.id << 32) ^ (self.starts << 40))
    }

    fn config(&self, count: u64) -> NodeConfig {
        let members: BTreeMap<_, _> = (1..=count).map(|id| (id, addr(id).to_string())).collect();
        let mut config = NodeConfig::new("group", self.id, members, addr(self.id), PathBuf::from(DIR));
        config.segment_bytes = SEGMENT_BYTES;
        config.entry_bytes_max = 16 << 10;
        config.flush = self.flush;
        config
    }

    /// Starts the node in a group of `count`.
    pub async fn start(&mut self, count: u64, net: &SimNet, ledger: &Ledger) -> Result<(), StartError> {
        self.starts += 1;
        self.knows_no_room = false;
        net.set_down(ip(self.id), false);
        let rng = self.rng();
        let tasks = SimTasks::new(rng.rng("steps"), STEP_MS_MAX);
        let platform = Platform {
            disk: Arc::new(self.disk.clone()),
            clock: Arc::new(SimClock::at(WALL_MS + self.id)),
            net: Arc::new(net.host(ip(self.id))),
            rng: Arc::new(rng),
            tasks: Tasks::Simulated(tasks.clone()),
        };
        let recorder = Recorder::default();
        let witness = Witness { node: self.id, recorder: recorder.clone(), ledger: ledger.clone() };
        let opening = Node::open_here(self.config(count), platform, witness, Arc::new(Echo));
        let node = timeout(START_TIME_MAX, opening).await.expect("a start comes to an end")?;
        let (id, ledger, mut views) = (self.id, ledger.clone(), node.views());
        let watcher = tokio::spawn(async move {
            while views.changed().await.is_ok() {
                ledger.saw(id, &views.borrow_and_update());
            }
        });
        self.running = Some(Running { node, recorder, tasks, watcher });
        Ok(())
    }

    /// Ends what runs; `seed` decides what a loss of power leaves.
    pub async fn end(&mut self, how: End, net: &SimNet, seed: u64) -> Result<(), String> {
        let mut outcome = Ok(());
        if how == End::PowerLoss {
            net.set_down(ip(self.id), true);
        }
        if let Some(running) = self.running.take() {
            match how {
                End::Shutdown => outcome = running.node.shutdown().await.map_err(|error| error.to_string()),
                End::PowerLoss | End::Kill => {
                    running.tasks.stop();
                    self.disk.cut_after(0);
                    running.node.crash().await;
                }
            }
            running.watcher.abort();
        }
        let disk = match how {
            End::PowerLoss => self.disk.crash(seed),
            End::Kill => self.disk.kill(seed),
            End::Shutdown => return outcome,
        };
        (self.disk, self.has_fault) = (disk, false);
        outcome
    }
}
