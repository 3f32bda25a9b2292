//! Faults of disks: a store taken, put back, changed by a bit; room and power.
//!
//! What takes or changes data comes one at a time: the next such fault waits until all nodes hold the same again and
//! none is fenced, because the group promises to survive one of them and not two.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use harness::{Run, View, node_name};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::Nemesis;
use crate::history::{FaultState, Function};

/// What a disk with slow reads gives a second: a segment of a test takes 17 s.
const SLOW_BYTES_PER_SECOND: u64 = 1 << 20;
/// How long a node may take until it holds again what the others hold.
const EQUAL_WITHIN: Duration = Duration::from_secs(60);

impl Nemesis {
    pub(super) async fn wipe(&self, nodes: &[usize], down: Duration) -> Result<()> {
        let _turn = self.disk_turn.lock().await;
        for node in nodes {
            self.everybody_equal().await?;
            self.cluster.kill(*node).await?;
            self.cluster.wipe(*node).await?;
            self.record(Function::Wipe, nodes, FaultState::Installed, None);
            sleep(down).await;
            self.cluster.start_node(*node).await?;
            self.everybody_equal().await?;
        }
        self.record(Function::Wipe, nodes, FaultState::Healed, None);
        Ok(())
    }

    pub(super) async fn roll_back(&self, nodes: &[usize], age: Duration) -> Result<()> {
        let _turn = self.disk_turn.lock().await;
        for node in nodes {
            self.everybody_equal().await?;
            self.cluster.kill(*node).await?;
            let copy = self.cluster.copy_store(*node).await;
            self.cluster.start_node(*node).await?;
            let copy = copy?;
            self.everybody_equal().await?;
            sleep(age).await;
            self.cluster.kill(*node).await?;
            self.cluster.put_back(*node, &copy).await?;
            self.record(Function::DiskRollback, nodes, FaultState::Installed, None);
            self.cluster.start_node(*node).await?;
            self.everybody_equal().await?;
        }
        self.record(Function::DiskRollback, nodes, FaultState::Healed, None);
        Ok(())
    }

    pub(super) async fn flip_bit(&self, nodes: &[usize], down: Duration, mut rng: StdRng) -> Result<()> {
        let _turn = self.disk_turn.lock().await;
        for node in nodes {
            self.everybody_equal().await?;
            self.cluster.kill(*node).await?;
            let (cluster, node, choice) = (self.cluster.clone(), *node, rng.random());
            let flipped = tokio::task::spawn_blocking(move || cluster.flip_bit(node, choice)).await?;
            let state = if flipped.is_ok() { FaultState::Installed } else { FaultState::Skipped };
            self.record(
                Function::BitFlip,
                nodes,
                state,
                Some(flipped.unwrap_or_else(|why| format!("{why:#}"))),
            );
            sleep(down).await;
            self.cluster.start_node(node).await?;
            self.everybody_equal().await?;
        }
        self.record(Function::BitFlip, nodes, FaultState::Healed, None);
        Ok(())
    }

    pub(super) async fn cut_power(&self, nodes: &[usize], down: Duration) -> Result<()> {
        self.cluster.cut_power(nodes).await?;
        self.record(Function::PowerCut, nodes, FaultState::Installed, None);
        sleep(down).await;
        for node in nodes {
            self.cluster.start_node(*node).await?;
        }
        self.record(Function::PowerCut, nodes, FaultState::Healed, None);
        Ok(())
    }

    /// Nodes that start with nothing in the page cache, on a disk that reads slowly. Only a node that starts can have that:
    /// what a running one has mapped stays in memory.
    pub(super) async fn slow_reads(&self, nodes: &[usize], lasts: Duration) -> Result<()> {
        for node in nodes {
            self.cluster.kill(*node).await?;
            let (cluster, node) = (self.cluster.clone(), *node);
            tokio::task::spawn_blocking(move || cluster.evict_store(node)).await??;
            self.cluster.start_node(node).await?;
            if let Err(why) = self.cluster.slow_reads(node, SLOW_BYTES_PER_SECOND) {
                self.record(Function::SlowRead, nodes, FaultState::Skipped, Some(format!("{why:#}")));
                return Ok(());
            }
        }
        self.record(Function::SlowRead, nodes, FaultState::Installed, None);
        sleep(lasts).await;
        for node in nodes {
            self.cluster.end_slow_reads(*node);
        }
        self.record(Function::SlowRead, nodes, FaultState::Healed, None);
        Ok(())
    }

    /// Waits until every node holds what all the others hold, and may vote.
    async fn everybody_equal(&self) -> Result<()> {
        let cluster = &self.cluster;
        let mut goal = None;
        let what = "every node to hold what the others hold, and to be unfenced";
        let (from, upto) = cluster
            .try_wait_for(what, EQUAL_WITHIN, |view| {
                // It comes back when everything is healed, and not before.
                if let Some(gone) = view.nodes.iter().find(|node| node.run == Run::Ended) {
                    return Some(Err(anyhow!("{} has ended by itself", node_name(gone.id))));
                }
                let leader = view.whole()?;
                let goal = *goal.get_or_insert(view.status(leader)?.commit_index);
                let there = |status: &harness::views::Status| !status.fenced && status.applied_index >= goal;
                view.statuses().all(|(_, status)| there(status)).then(|| range(view)).flatten().map(Ok)
            })
            .await??;
        let first = cluster.digest(0, from, upto).await?;
        for node in 1..cluster.size() {
            let other = cluster.digest(node, from, upto).await?;
            ensure!(
                other["digest"] == first["digest"],
                "entries {from} to {upto} at {} and {} differ: {} and {}",
                node_name(0),
                node_name(node),
                first["digest"],
                other["digest"]
            );
        }
        Ok(())
    }
}

/// The log indexes that every node holds and has applied, both inclusive.
fn range(view: &View) -> Option<(u64, u64)> {
    let from = view.statuses().map(|(_, status)| status.purged_index + 1).max()?;
    let upto = view.statuses().map(|(_, status)| status.applied_index).min()?;
    (from <= upto).then_some((from, upto))
}

impl Nemesis {
    pub(super) async fn fill_disk(&self, nodes: &[usize], lasts: Duration) -> Result<()> {
        for node in nodes {
            let (cluster, node) = (self.cluster.clone(), *node);
            let filled = tokio::task::spawn_blocking(move || cluster.fill_disk(node)).await?;
            if let Err(why) = filled {
                self.record(Function::FullDisk, nodes, FaultState::Skipped, Some(format!("{why:#}")));
                return Ok(());
            }
        }
        self.record(Function::FullDisk, nodes, FaultState::Installed, None);
        sleep(lasts).await;
        for node in nodes {
            self.cluster
                .unfill_disk(*node)
                .with_context(|| format!("empty the disk of {}", node_name(*node)))?;
        }
        self.record(Function::FullDisk, nodes, FaultState::Healed, None);
        Ok(())
    }
}
