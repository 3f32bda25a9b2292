//! Measures a group of three nodes in this process, on this disk: proposals a second by number of
//! proposers, and the time from a leader's crash to the next acknowledged proposal.
//!
//! `cargo run --release -p raft --example measure -- [DIR]`. All nodes, their fsyncs and the load share
//! this machine, so the figures are for comparing one build with another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use platform::{Clock, OsClock, Platform};
use raft::{
    Apply, ApplyError, BoxFuture, Halt, Node, NodeConfig, NodeId, PeerHandler, Proposal, ProposeError, Reply,
    WriteSections,
};
use store::{Checkpoint, FlushMode, LogReader, SealState, StoredEntry};

struct Nothing;

impl Apply for Nothing {
    fn apply(&mut self, _entry: &StoredEntry) -> Result<Reply, Halt> {
        Ok(Reply::default())
    }

    fn checkpoint(&mut self) -> (SealState, WriteSections) {
        (SealState::default(), Box::new(|_| Ok(())))
    }

    fn restore(&mut self, _checkpoint: Option<&Checkpoint>, _log: &LogReader) -> Result<(), ApplyError> {
        Ok(())
    }

    fn install(&mut self, _checkpoint: &Checkpoint) -> Result<(), ApplyError> {
        Ok(())
    }
}

impl PeerHandler for Nothing {
    fn call(&self, _from: NodeId, request: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async move { request })
    }
}

struct Group {
    dir: PathBuf,
    addrs: BTreeMap<NodeId, String>,
    flush: FlushMode,
    nodes: BTreeMap<NodeId, Node>,
}

impl Group {
    fn start(dir: &Path, flush: FlushMode) -> anyhow::Result<Self> {
        let sockets = (1..=3)
            .map(|id| Ok((id, std::net::TcpListener::bind("127.0.0.1:0")?)))
            .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        let addrs = sockets
            .iter()
            .map(|(id, socket)| Ok((*id, socket.local_addr()?.to_string())))
            .collect::<anyhow::Result<_>>()?;
        drop(sockets);
        let mut group = Self { dir: dir.into(), addrs, flush, nodes: BTreeMap::new() };
        for id in 1..=3 {
            group.run(id)?;
        }
        Ok(group)
    }

    fn run(&mut self, id: NodeId) -> anyhow::Result<()> {
        let listen = self.addrs[&id].parse()?;
        let mut config =
            NodeConfig::new("measure", id, self.addrs.clone(), listen, self.dir.join(id.to_string()));
        config.segment_bytes = 256 << 20;
        config.flush = self.flush;
        self.nodes.insert(id, Node::start(config, Platform::os(), Nothing, Arc::new(Nothing))?);
        Ok(())
    }

    async fn leader(&self) -> NodeId {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        loop {
            tick.tick().await;
            if let Some((id, _)) = self.nodes.iter().find(|(_, node)| node.view().is_ready()) {
                return *id;
            }
        }
    }

    async fn load(&self, clock: &OsClock, proposers: usize, time: Duration) -> u64 {
        let leader = self.nodes[&self.leader().await].clone();
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks: Vec<_> = (0..proposers)
            .map(|_| {
                let (node, stop, done) = (leader.clone(), Arc::clone(&stop), Arc::clone(&done));
                tokio::spawn(async move {
                    let command = Bytes::from(vec![7; 1024]);
                    while !stop.load(Ordering::Relaxed) {
                        if node.propose(Proposal::command(command.clone())).await.is_ok() {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        let begin = clock.monotonic();
        tokio::time::sleep(time).await;
        let (count, took) = (done.load(Ordering::Relaxed), clock.monotonic().saturating_sub(begin));
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            let _ = task.await; // a panic has been printed
        }
        (count as f64 / took.as_secs_f64()) as u64
    }

    async fn failover(&mut self, clock: &OsClock) -> anyhow::Result<Duration> {
        let leader = self.leader().await;
        let node = self.nodes.remove(&leader).expect("the leader runs");
        let begin = clock.monotonic();
        node.crash().await;
        loop {
            let next = self.leader().await;
            match self.nodes[&next].propose(Proposal::command(Bytes::from_static(b"after"))).await {
                Ok(_) => break,
                Err(ProposeError::NotLeader { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let took = clock.monotonic().saturating_sub(begin);
        self.run(leader)?;
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        let leader_node = self.nodes[&self.leader().await].clone();
        while self.nodes[&leader].view().applied_index < leader_node.view().applied_index {
            tick.tick().await;
        }
        Ok(took)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let base = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let clock = OsClock::new();
    for (name, flush) in [("sync", FlushMode::Sync), ("async", FlushMode::Async { interval_ms: 500 })] {
        let dir = tempfile::tempdir_in(&base)?;
        let mut group = Group::start(dir.path(), flush)?;
        for proposers in [1, 64, 1024] {
            let rate = group.load(&clock, proposers, Duration::from_secs(4)).await;
            println!("{name}, commands of 1 KiB, {proposers} proposers: {rate} a second");
        }
        let mut times = Vec::new();
        for _ in 0..10 {
            times.push(group.failover(&clock).await?.as_millis());
        }
        times.sort_unstable();
        println!("{name}, crash to next acknowledgement, ms: {times:?}");
        for node in group.nodes.values() {
            node.shutdown().await?;
        }
    }
    Ok(())
}
