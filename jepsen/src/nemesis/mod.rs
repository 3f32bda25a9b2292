//! Does to the nodes what the plan of a phase says, and takes down what came of it.

mod disk;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::{Cluster, Run, View, node_name};
use platform::RngSource;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::history::{Facts, FaultState, Function, Kind, Named, Process};
use crate::recorder::Recorder;
use crate::scenario::plan::Planned;
use crate::scenario::{FaultKind, Target};

/// How long a fault waits for somebody to lead whom it needs.
const LEADER_WITHIN: Duration = Duration::from_secs(5);
/// How soon the next transfer of a storm comes, at the latest.
const TRANSFER_EVERY: Duration = Duration::from_millis(300);
/// How long the group may take between two nodes of a rolling restart.
const WHOLE_WITHIN: Duration = Duration::from_secs(30);

/// Whoever installs and heals faults. Cloning gives another handle.
#[derive(Clone)]
pub struct Nemesis {
    /// Its victims.
    pub cluster: Arc<Cluster>,
    /// Takes down what it does.
    pub recorder: Recorder,
    /// What is known of the nodes.
    pub views: watch::Receiver<Option<View>>,
    /// Seeds its choices.
    pub rng: Arc<dyn RngSource>,
    /// Whoever takes or changes data on a disk holds it.
    pub disk_turn: Arc<Mutex<()>>,
}

impl Nemesis {
    /// Carries out the faults of a phase that begins now, and returns when the last of them is healed.
    pub async fn run(&self, phase: &str, faults: &[Planned]) {
        let start = Instant::now();
        let mut running = JoinSet::new();
        for (number, fault) in faults.iter().copied().enumerate() {
            let (nemesis, name) = (self.clone(), format!("target {phase} {number}"));
            running.spawn(async move {
                sleep_until(start + fault.at).await;
                let rng = nemesis.rng.rng(&name);
                nemesis.fault(fault, rng).await;
            });
        }
        while running.join_next().await.is_some() {}
    }

    async fn fault(&self, fault: Planned, rng: StdRng) {
        let function = fault.kind.function();
        let nodes = match self.resolve(fault, rng.clone()).await {
            Ok(nodes) => nodes,
            Err(why) => {
                self.record(function, &[], FaultState::Skipped, Some(format!("{why:#}")));
                return;
            }
        };
        let done = match fault.kind {
            FaultKind::Kill | FaultKind::KillAll => self.kill(function, &nodes, fault.lasts).await,
            FaultKind::Pause => self.pause(&nodes, fault.lasts).await,
            FaultKind::RollingRestart => self.rolling_restart(&nodes, fault.lasts).await,
            FaultKind::TransferStorm => self.transfer_storm(&nodes, fault.lasts, rng).await,
            FaultKind::Wipe => self.wipe(&nodes, fault.lasts).await,
            FaultKind::DiskRollback => self.roll_back(&nodes, fault.lasts).await,
            FaultKind::BitFlip => self.flip_bit(&nodes, fault.lasts, rng).await,
            FaultKind::ClockJump => self.jump(&nodes, fault.lasts, fault.by_ms).await,
            FaultKind::StuckLog => self.stick_log(&nodes, fault.lasts).await,
            FaultKind::FullDisk => self.fill_disk(&nodes, fault.lasts).await,
            FaultKind::PowerCut => self.cut_power(&nodes, fault.lasts).await,
            FaultKind::SlowRead => self.slow_reads(&nodes, fault.lasts).await,
        };
        if let Err(why) = done {
            self.record(function, &nodes, FaultState::Indeterminate, Some(format!("{why:#}")));
        }
    }

    async fn kill(&self, function: Function, nodes: &[usize], down: Duration) -> Result<()> {
        self.cluster.kill_together(nodes).await?;
        self.record(function, nodes, FaultState::Installed, None);
        sleep(down).await;
        for node in nodes {
            self.cluster.start_node(*node).await?;
        }
        self.record(function, nodes, FaultState::Healed, None);
        Ok(())
    }

    async fn pause(&self, nodes: &[usize], lasts: Duration) -> Result<()> {
        for node in nodes {
            self.cluster.pause(*node).await?;
        }
        self.record(Function::Pause, nodes, FaultState::Installed, None);
        sleep(lasts).await;
        for node in nodes {
            self.cluster.resume(*node).await?;
        }
        self.record(Function::Pause, nodes, FaultState::Healed, None);
        Ok(())
    }

    async fn transfer_storm(&self, nodes: &[usize], lasts: Duration, mut rng: StdRng) -> Result<()> {
        let end = Instant::now() + lasts;
        let mut views = self.views.clone();
        let mut handed = 0_u32;
        self.record(Function::TransferStorm, nodes, FaultState::Installed, None);
        while Instant::now() < end {
            let leader = views.borrow_and_update().as_ref().and_then(running_leader);
            let to = rng.random_range(0..self.cluster.size());
            // A leader that lost the lead meanwhile refuses: the storm goes on.
            if let Some(from) = leader.filter(|from| *from != to)
                && self.cluster.transfer_leader(from, to).await.is_ok()
            {
                handed += 1;
            }
            let _ = timeout(TRANSFER_EVERY, views.changed()).await; // nothing may have changed
        }
        let told = Some(format!("{handed} times"));
        self.record(Function::TransferStorm, nodes, FaultState::Healed, told);
        Ok(())
    }

    async fn jump(&self, nodes: &[usize], lasts: Duration, by_ms: i64) -> Result<()> {
        for node in nodes {
            if let Err(why) = self.cluster.shift_clock(*node, by_ms) {
                self.record(Function::ClockJump, nodes, FaultState::Skipped, Some(format!("{why:#}")));
                return Ok(());
            }
        }
        self.record(Function::ClockJump, nodes, FaultState::Installed, Some(format!("by {by_ms} ms")));
        // Time goes on from there, so that this excuses nothing for longer than the jump itself.
        sleep(lasts).await;
        for node in nodes {
            self.cluster.shift_clock(*node, 0)?;
        }
        self.record(Function::ClockJump, nodes, FaultState::Healed, None);
        Ok(())
    }

    async fn stick_log(&self, nodes: &[usize], lasts: Duration) -> Result<()> {
        for node in nodes {
            if let Err(why) = self.cluster.hold_log(*node).await {
                self.record(Function::StuckLog, nodes, FaultState::Skipped, Some(format!("{why:#}")));
                return Ok(());
            }
        }
        self.record(Function::StuckLog, nodes, FaultState::Installed, None);
        sleep(lasts).await;
        for node in nodes {
            self.cluster.release_log(*node).await?;
        }
        self.record(Function::StuckLog, nodes, FaultState::Healed, None);
        Ok(())
    }

    async fn rolling_restart(&self, nodes: &[usize], down: Duration) -> Result<()> {
        self.record(Function::RollingRestart, nodes, FaultState::Installed, None);
        for node in nodes {
            self.cluster.stop(*node).await?;
            sleep(down).await;
            self.cluster.start_node(*node).await?;
            let what = format!("the group to be whole after {} came back", node_name(*node));
            self.cluster.try_wait_for(&what, WHOLE_WITHIN, View::whole).await?;
        }
        self.record(Function::RollingRestart, nodes, FaultState::Healed, None);
        Ok(())
    }

    /// Whom the fault hits, as the nodes stand at this moment.
    async fn resolve(&self, fault: Planned, mut rng: StdRng) -> Result<Vec<usize>> {
        let target = fault.target.unwrap_or(Target::All);
        let mut views = self.views.clone();
        let seen = views.wait_for(|view| {
            let leader = view.as_ref().and_then(running_leader);
            view.is_some() && (leader.is_some() || !target.needs_leader())
        });
        let view = match timeout(LEADER_WITHIN, seen).await {
            Ok(view) => view.context("nobody watches any more")?.clone().context("nothing seen")?,
            Err(_) => bail!("nobody led for {LEADER_WITHIN:?}"),
        };
        let up: Vec<bool> = view.nodes.iter().map(|node| node.run == Run::Up).collect();
        let mut nodes = target.resolve(&up, running_leader(&view), &mut rng)?;
        if fault.kind == FaultKind::RollingRestart {
            nodes.sort_unstable();
        }
        Ok(nodes)
    }

    fn record(&self, function: Function, nodes: &[usize], state: FaultState, error: Option<String>) {
        let nodes: Vec<String> = nodes.iter().copied().map(node_name).collect();
        let facts =
            Facts { value: Some(json!({ "nodes": nodes })), state: Some(state), error, ..Facts::default() };
        self.recorder.record(Process::Named(Named::Nemesis), Kind::Info, function, facts);
    }
}

/// The leader, unless it is a view's memory of a process that we hold or killed.
fn running_leader(view: &View) -> Option<usize> {
    view.leader().filter(|leader| view.nodes[*leader].run == Run::Up)
}
