//! A name server and the nodes of one broker group, as real processes under one directory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex as StdMutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use platform::{Disk, OsDisk, OsRng, RngSource};
use rand::Rng;
use rustix::process::Signal;
use tokio::sync::Mutex;
use tokio::time::timeout;

mod ask;
mod faults;

use crate::files;
use crate::hang::Hang;
use crate::process::{Process, Surroundings};
use crate::proxy::Links;
use crate::rig::{Rig, StoreDisk};
use crate::slow::SlowReads;
use crate::view::{NodeView, Run, Silence, View, node_name};
use crate::wait::{self, WaitError};
use platform::{BLOCK_PORTS, PortBlock};

/// How long a wait lasts unless said otherwise: far above anything healthy, below a reader's patience.
pub const WAIT: Duration = Duration::from_secs(20);
/// How long a process may take to end after SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// The broker cluster's name in every group that this harness starts.
pub const CLUSTER_NAME: &str = "RaftCluster";
/// The group's name.
pub const GROUP_NAME: &str = "RaftNode00";

/// What to start.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// What the group is for; part of its directory's name.
    pub name: String,
    /// How many nodes.
    pub nodes: usize,
    /// Whether the nodes reach each other through proxies that a test can cut.
    pub proxied: bool,
    /// Properties of every node, beside or instead of the harness's own.
    pub properties: Vec<(String, String)>,
    /// Nodes that are to behave as older builds, and their feature level.
    pub old: Vec<(usize, u16)>,
    /// The program: `None` builds this workspace's.
    pub binary: Option<PathBuf>,
    /// Where the directory is made: `None` for the system's place for temporary files.
    pub parent: Option<PathBuf>,
    /// What the stores lie on.
    pub disk: StoreDisk,
    /// Whether the nodes' wall clocks can be set.
    pub clocks: bool,
    /// Whether another process reads what the nodes log, which can be held.
    pub logs_are_read: bool,
}

impl ClusterOptions {
    /// Three nodes behind proxies.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nodes: 3,
            proxied: true,
            properties: Vec::new(),
            old: Vec::new(),
            binary: None,
            parent: None,
            disk: StoreDisk::Dir,
            clocks: false,
            logs_are_read: false,
        }
    }

    /// The same with one more property for every node.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are both given directly")]
    pub fn with(mut self, property: &str, value: impl ToString) -> Self {
        self.properties.push((property.to_owned(), value.to_string()));
        self
    }
}

/// A process and what we did to it.
struct Member {
    name: String,
    verb: &'static str,
    config: PathBuf,
    /// Held while it is started, signalled or waited for.
    process: Mutex<Option<Process>>,
    state: StdMutex<MemberState>,
}

struct MemberState {
    run: Run,
    starts: u32,
    level_max: Option<u16>,
    pid: Option<i32>,
    ending: Option<String>,
}

impl Member {
    fn new(name: String, verb: &'static str, config: PathBuf) -> Self {
        let state = MemberState { run: Run::Down, starts: 0, level_max: None, pid: None, ending: None };
        Self { name, verb, config, process: Mutex::new(None), state: StdMutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, MemberState> {
        self.state.lock().expect("nothing panics under this lock")
    }

    /// Looks whether it ended without our doing.
    fn look(&self) -> Run {
        if let Ok(mut process) = self.process.try_lock()
            && let Some(status) = process.as_mut().and_then(Process::exited)
        {
            *process = None;
            let mut state = self.state();
            state.run = Run::Ended;
            state.ending = Some(status.to_string());
        }
        self.state().run
    }
}

/// A running group. Dropping it kills everything; [`Cluster::finish`] also removes its directory.
pub struct Cluster {
    dir: PathBuf,
    binary: PathBuf,
    ports: PortBlock,
    namesrv: Member,
    nodes: Vec<Member>,
    links: Option<Links>,
    rig: Rig,
    slow: StdMutex<BTreeMap<usize, SlowReads>>,
    hangs: StdMutex<BTreeMap<usize, Hang>>,
    logs_are_read: bool,
    finished: bool,
}

/// Ports of one node, and what each is for.
#[derive(Clone, Copy)]
enum Port {
    /// Two above the VIP channel's, which is `Remoting - 2`.
    Remoting = 2,
    Http = 4,
    Raft = 5,
}

const PORTS_A_NODE: u16 = 8;
const NAMESRV_PORT: u16 = 1;
const NAMESRV_HTTP_PORT: u16 = 2;
const FIRST_NODE_PORT: u16 = 8;
const FIRST_LINK_PORT: u16 = 80;
const NODES_MAX: usize = 6;
const _: () = assert!(FIRST_NODE_PORT + NODES_MAX as u16 * PORTS_A_NODE <= FIRST_LINK_PORT);
const _: () = assert!(FIRST_LINK_PORT as usize + NODES_MAX * NODES_MAX < BLOCK_PORTS as usize);

impl Cluster {
    /// Starts everything and waits until a leader serves and all nodes follow it.
    ///
    /// # Errors
    /// If something does not start, or no leader is there in time. The directory stays then.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        let cluster = Self::prepare(options).await?;
        cluster.start_namesrv().await?;
        for id in 0..cluster.nodes.len() {
            cluster.start_node(id).await?;
        }
        cluster.try_wait_for("a first leader that all follow", WAIT, View::whole).await?;
        Ok(cluster)
    }

    /// Makes directory, configuration and links, and starts no process.
    ///
    /// # Errors
    /// If there is no program, no room or no port.
    pub async fn prepare(options: ClusterOptions) -> Result<Self> {
        ensure!((1..=NODES_MAX).contains(&options.nodes), "{} nodes; 1 to {NODES_MAX}", options.nodes);
        let binary = match options.binary.clone() {
            Some(binary) => binary,
            None => tokio::task::spawn_blocking(crate::binary::built).await??,
        };
        let ports = PortBlock::claim()?;
        let number: u32 = OsRng.rng("directory").random();
        let parent = options.parent.clone().unwrap_or_else(std::env::temp_dir);
        let dir = parent.join(format!("trireme-{}-{number:08x}", options.name));
        OsDisk.create_dir_all(&dir).with_context(|| format!("directory {}", dir.display()))?;
        let links = if options.proxied && options.nodes > 1 {
            let nodes = options.nodes;
            let listen = |from, to| ports.port(link_port(nodes, from, to));
            Some(Links::start(nodes, listen, |to| ports.port(node_port(to, Port::Raft))).await?)
        } else {
            None
        };
        let namesrv = Member::new("namesrv".to_owned(), "namesrv", dir.join("namesrv.conf"));
        files::write(&namesrv.config, &namesrv_properties(&dir, &ports))?;
        let mut nodes = Vec::new();
        for id in 0..options.nodes {
            let name = node_name(id);
            let config = dir.join(format!("broker-{name}.conf"));
            files::write(&config, &node_properties(&options, &dir, &ports, id))?;
            nodes.push(Member::new(name, "broker", config));
            nodes[id].state().level_max =
                options.old.iter().find(|(old, _)| *old == id).map(|(_, level)| *level);
        }
        let stores: Vec<_> = (0..options.nodes).map(|id| store_dir(&dir, id)).collect();
        let rig = Rig::new(&dir, &stores, options.disk, options.clocks).await;
        let logs_are_read = options.logs_are_read;
        let (slow, hangs) = (StdMutex::default(), StdMutex::default());
        Ok(Self {
            dir,
            binary,
            ports,
            namesrv,
            nodes,
            links,
            rig,
            slow,
            hangs,
            logs_are_read,
            finished: false,
        })
    }

    /// How many nodes it has.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Everything of this group: configuration, logs, stores.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the node keeps its data.
    pub fn store_dir(&self, id: usize) -> PathBuf {
        store_dir(&self.dir, id)
    }

    /// `host:port` of the name server.
    pub fn namesrv_addr(&self) -> String {
        format!("127.0.0.1:{}", self.ports.port(NAMESRV_PORT))
    }

    /// `host:port` where the node serves clients.
    pub fn broker_addr(&self, id: usize) -> String {
        format!("127.0.0.1:{}", self.ports.port(node_port(id, Port::Remoting)))
    }

    /// The client addresses of all nodes.
    pub fn broker_addrs(&self) -> Vec<String> {
        (0..self.nodes.len()).map(|id| self.broker_addr(id)).collect()
    }

    /// `host:port` of the node's HTTP views.
    pub fn http_addr(&self, id: usize) -> String {
        format!("127.0.0.1:{}", self.ports.port(node_port(id, Port::Http)))
    }

    /// The links between the nodes.
    ///
    /// # Panics
    /// If the group was started without proxies.
    pub fn links(&self) -> &Links {
        self.links.as_ref().expect("the group was started with `proxied`")
    }

    /// Process id of a running node.
    pub fn pid(&self, id: usize) -> Option<i32> {
        self.nodes[id].state().pid
    }
    /// From its next start on the node, a debug build, behaves as one of this feature level.
    pub fn set_feature_level_max(&self, id: usize, level: Option<u16>) {
        self.nodes[id].state().level_max = level;
    }
    /// Starts a node that is down.
    ///
    /// # Errors
    /// If it runs already, or cannot be started. Whether it *serves* is for a wait to find out.
    pub async fn start_node(&self, id: usize) -> Result<()> {
        let env = self.rig.env(id);
        self.spawn(&self.nodes[id], Surroundings { env, log_is_read: self.logs_are_read }).await
    }

    /// Starts the name server.
    ///
    /// # Errors
    /// As [`Cluster::start_node`].
    pub async fn start_namesrv(&self) -> Result<()> {
        self.spawn(&self.namesrv, Surroundings::default()).await
    }

    async fn spawn(&self, member: &Member, mut surroundings: Surroundings) -> Result<()> {
        let mut process = member.process.lock().await;
        ensure!(process.is_none(), "{} runs already", member.name);
        member.state().starts += 1;
        let starts = member.state().starts;
        let level_max = member.state().level_max;
        let args: [OsString; 3] = [member.verb.into(), "-c".into(), member.config.clone().into()];
        let log = self.dir.join(format!("{}.{starts}.log", member.name));
        surroundings
            .env
            .extend(level_max.map(|level| ("TRIREME_FEATURE_LEVEL_MAX", PathBuf::from(level.to_string()))));
        let started = Process::spawn(&self.binary, &args, &log, surroundings)?;
        let mut state = member.state();
        (state.run, state.pid, state.ending) = (Run::Up, Some(started.pid()), None);
        *process = Some(started);
        Ok(())
    }

    /// `kill -9`, and waits for the end.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill(&self, id: usize) -> Result<()> {
        end(&self.nodes[id], Signal::KILL).await
    }

    /// `kill -9` of several nodes, signalled one right after the other before any is waited for.
    ///
    /// # Errors
    /// If one of them does not run.
    pub async fn kill_together(&self, ids: &[usize]) -> Result<()> {
        let mut processes = Vec::new();
        for id in ids {
            let member = &self.nodes[*id];
            let process = member.process.lock().await;
            ensure!(process.is_some(), "{} does not run", member.name);
            processes.push((member, process));
        }
        for (_, process) in &processes {
            if let Some(process) = process.as_ref() {
                process.signal(Signal::KILL)?;
            }
        }
        for (member, process) in &mut processes {
            if let Some(mut process) = process.take() {
                process.wait().await?;
            }
            let mut state = member.state();
            (state.run, state.pid) = (Run::Down, None);
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// If it does not run, or does not end in time.
    pub async fn stop(&self, id: usize) -> Result<()> {
        end(&self.nodes[id], Signal::TERM).await
    }

    /// `kill -9` of the name server.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill_namesrv(&self) -> Result<()> {
        end(&self.namesrv, Signal::KILL).await
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn pause(&self, id: usize) -> Result<()> {
        self.hold(id, Signal::STOP, Run::Paused).await
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn resume(&self, id: usize) -> Result<()> {
        self.hold(id, Signal::CONT, Run::Up).await
    }

    async fn hold(&self, id: usize, signal: Signal, run: Run) -> Result<()> {
        let member = &self.nodes[id];
        let process = member.process.lock().await;
        process.as_ref().with_context(|| format!("{} does not run", member.name))?.signal(signal)?;
        member.state().run = run;
        Ok(())
    }

    /// Brings everything back: links healed, paused nodes woken, all processes running. Does not wait.
    ///
    /// # Errors
    /// If something cannot be started.
    pub async fn heal(&self) -> Result<()> {
        if let Some(links) = &self.links {
            links.heal();
        }
        for id in 0..self.nodes.len() {
            match self.nodes[id].look() {
                Run::Paused => self.resume(id).await?,
                Run::Down | Run::Ended => self.start_node(id).await?,
                Run::Up => {}
            }
        }
        if matches!(self.namesrv.look(), Run::Down | Run::Ended) {
            self.start_namesrv().await?;
        }
        Ok(())
    }

    /// Nodes that ended without our doing, with how. Each is told until it is started again.
    pub fn ended(&self) -> Vec<(usize, String)> {
        let ended = self.nodes.iter().enumerate().filter(|(_, member)| member.look() == Run::Ended);
        ended.map(|(id, member)| (id, member.state().ending.clone().unwrap_or_default())).collect()
    }

    /// What the nodes say now.
    pub async fn view(&self) -> View {
        let nodes = self.nodes.iter().enumerate();
        let mut view = View::take(nodes.map(|(id, member)| (id, member.look(), self.http_addr(id)))).await;
        for NodeView { id, run, status } in &mut view.nodes {
            if let (Run::Ended, Some(ending)) = (*run, &self.nodes[*id].state().ending) {
                *status = Err(Silence::Ended { ending: ending.clone() });
            }
        }
        view
    }

    /// Looks again and again until `condition` has an answer, for at most [`WAIT`].
    ///
    /// # Panics
    /// At the deadline, telling what was waited for, what was seen last and where the logs are.
    pub async fn wait_for<T>(&self, what: &str, condition: impl FnMut(&View) -> Option<T>) -> T {
        match self.try_wait_for(what, WAIT, condition).await {
            Ok(found) => found,
            Err(error) => panic!("{error}"),
        }
    }

    /// The same with a deadline of one's own, and an error instead of a panic.
    ///
    /// # Errors
    /// The deadline.
    pub async fn try_wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        condition: impl FnMut(&View) -> Option<T>,
    ) -> Result<T, WaitError> {
        wait::until(what, within, self.dir.clone(), || self.view(), condition).await
    }

    /// Waits until the group is whole again and every node has applied everything.
    ///
    /// # Panics
    /// As [`Cluster::wait_for`].
    pub async fn wait_for_rest(&self) -> usize {
        self.wait_for("all nodes to follow one leader and to have applied everything", View::at_rest).await
    }

    /// Stops everything and removes the directory: for a story that went well.
    ///
    /// # Errors
    /// If the directory cannot be removed.
    pub async fn finish(mut self) -> Result<()> {
        if let Some((id, ending)) = self.ended().into_iter().next() {
            bail!("{} ended by itself: {ending}; logs: {}", node_name(id), self.dir.display());
        }
        for member in self.nodes.iter().chain([&self.namesrv]) {
            if let Some(mut process) = member.process.lock().await.take() {
                process.signal(Signal::KILL)?;
                process.wait().await?;
            }
        }
        self.rig.dismantle();
        OsDisk.remove_dir_all(&self.dir).with_context(|| format!("remove {}", self.dir.display()))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.finished {
            self.rig.dismantle();
            println!("logs and stores are kept in {}", self.dir.display());
        }
    }
}

async fn end(member: &Member, signal: Signal) -> Result<()> {
    let mut slot = member.process.lock().await;
    let Some(process) = slot.as_mut() else { bail!("{} does not run", member.name) };
    process.signal(signal)?;
    // A held process acts on SIGTERM only once it is let go.
    if signal != Signal::KILL {
        process.signal(Signal::CONT)?;
    }
    let ended = timeout(STOP_WITHIN, process.wait()).await;
    ended.with_context(|| format!("{} still runs {STOP_WITHIN:?} after {signal:?}", member.name))??;
    *slot = None;
    let mut state = member.state();
    (state.run, state.pid) = (Run::Down, None);
    Ok(())
}

fn store_dir(dir: &Path, id: usize) -> PathBuf {
    dir.join(format!("store-{}", node_name(id)))
}

fn node_port(id: usize, port: Port) -> u16 {
    FIRST_NODE_PORT + id as u16 * PORTS_A_NODE + port as u16
}

fn link_port(nodes: usize, from: usize, to: usize) -> u16 {
    FIRST_LINK_PORT + (from * nodes + to) as u16
}

fn text(properties: &[(String, String)]) -> String {
    properties.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name} = {value}");
        text
    })
}

fn namesrv_properties(dir: &Path, ports: &PortBlock) -> String {
    text(&[
        ("bindAddress".to_owned(), "127.0.0.1".to_owned()),
        ("listenPort".to_owned(), ports.port(NAMESRV_PORT).to_string()),
        ("httpPort".to_owned(), ports.port(NAMESRV_HTTP_PORT).to_string()),
        ("kvConfigPath".to_owned(), dir.join("namesrv").join("kvConfig.json").display().to_string()),
    ])
}

/// Each node knows its own address, and the others' by the proxies that lead to them.
fn node_properties(options: &ClusterOptions, dir: &Path, ports: &PortBlock, id: usize) -> String {
    let nodes = options.nodes;
    let raft_port = |to: usize| {
        let direct = to == id || !options.proxied;
        ports.port(if direct { node_port(to, Port::Raft) } else { link_port(nodes, id, to) })
    };
    let peers: Vec<String> = (0..nodes).map(|to| format!("n{to}-127.0.0.1:{}", raft_port(to))).collect();
    let own = [
        ("brokerClusterName", CLUSTER_NAME.to_owned()),
        ("brokerName", GROUP_NAME.to_owned()),
        ("brokerIP1", "127.0.0.1".to_owned()),
        // A machine whose disk is nearly full would make the nodes drop what a story still asks for.
        ("cleanFileForciblyEnable", "false".to_owned()),
        ("bindAddress", "127.0.0.1".to_owned()),
        ("listenPort", ports.port(node_port(id, Port::Remoting)).to_string()),
        ("httpPort", ports.port(node_port(id, Port::Http)).to_string()),
        ("namesrvAddr", format!("127.0.0.1:{}", ports.port(NAMESRV_PORT))),
        ("storePathRootDir", store_dir(dir, id).display().to_string()),
        ("enableDLegerCommitLog", "true".to_owned()),
        ("dLegerGroup", GROUP_NAME.to_owned()),
        ("dLegerPeers", peers.join(";")),
        ("dLegerSelfId", node_name(id)),
        // Tests write little: small files come up fast and are quickly gone again.
        ("mappedFileSizeCommitLog", (64 << 20).to_string()),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    text(&own.into_iter().chain(options.properties.iter().cloned()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_reaches_itself_directly_and_the_others_by_its_own_proxies() {
        let ports = PortBlock::claim().unwrap();
        let options = ClusterOptions::new("x").with("flushDiskType", "ASYNC_FLUSH");
        let properties = node_properties(&options, Path::new("d"), &ports, 1);
        let (n0, n1, n2) = (
            ports.port(link_port(3, 1, 0)),
            ports.port(node_port(1, Port::Raft)),
            ports.port(link_port(3, 1, 2)),
        );
        let peers = format!("dLegerPeers = n0-127.0.0.1:{n0};n1-127.0.0.1:{n1};n2-127.0.0.1:{n2}\n");
        assert!(properties.contains(&peers), "{properties}");
        assert!(properties.ends_with("flushDiskType = ASYNC_FLUSH\n"), "the test's own come last and win");
    }

    #[test]
    fn no_two_things_share_a_port() {
        let mut places = vec![NAMESRV_PORT, NAMESRV_HTTP_PORT];
        for id in 0..NODES_MAX {
            let remoting = node_port(id, Port::Remoting);
            places.extend([remoting - 2, remoting, node_port(id, Port::Http), node_port(id, Port::Raft)]);
            places.extend((0..NODES_MAX).map(|to| link_port(NODES_MAX, id, to)));
        }
        let all = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), all);
    }
}
