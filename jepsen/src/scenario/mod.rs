//! Scenario files: which cluster, which load, which faults when, and what the run must have seen.
//!
//! A scenario is TOML (`docs` of the format: the shipped ones, with comments). Everything that this
//! version cannot do is refused when the file is read, all of it by name: an attack that silently does
//! not happen is a pass that means nothing.

pub mod plan;
mod shipped;
mod spans;
mod target;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use crate::history::Function;

pub use shipped::{SHIPPED, Shipped};
pub use spans::{Jump, Span};
pub use target::Target;

/// A scenario that cannot be run.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// Not TOML, an unknown key, a value of the wrong kind. The message shows the line.
    #[error("{file} is not a scenario: {message}")]
    Syntax {
        /// Where it came from.
        file: String,
        /// The reader's message, with the line.
        message: String,
    },
    /// Everything that is well-formed and still impossible.
    #[error("{file} cannot be run:\n  {}", .problems.join("\n  "))]
    Impossible {
        /// Where it came from.
        file: String,
        /// One sentence each.
        problems: Vec<String>,
    },
}

/// A whole scenario, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, which is also its file's.
    pub name: String,
    /// What it shows, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Of every random choice; 0 picks one and records it.
    #[serde(default)]
    pub seed: u64,
    /// What is started.
    #[serde(default)]
    pub cluster: ClusterSpec,
    /// What it is loaded with.
    pub workload: Vec<Workload>,
    /// What happens when, one after the other.
    pub phase: Vec<Phase>,
    /// What must have been seen for the verdict to count; otherwise it is *unknown*.
    #[serde(default)]
    pub require: Require,
    /// What the figures must not exceed; otherwise the verdict is *invalid*.
    #[serde(default)]
    pub limits: Limits,
}

/// The group under test.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSpec {
    /// Nodes of the broker group.
    pub nodes: usize,
    /// Name servers.
    pub namesrv: usize,
    /// When an acknowledged message is on disk.
    pub flush: Flush,
    /// Where the processes run.
    pub backend: Backend,
    /// What the stores lie on.
    pub disk: DiskKind,
    /// Size of each store's disk in MiB, unless it is a directory.
    pub disk_mib: u32,
    /// Properties of every node, beside the harness's own.
    pub properties: BTreeMap<String, String>,
}

/// What the stores lie on. Everything but a directory needs root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskKind {
    /// A directory under the run's own.
    Dir,
    /// Memory, of a certain size.
    Tmpfs,
    /// An ext4 image on a loop device.
    Ext4,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            nodes: 3,
            namesrv: 1,
            flush: Flush::Sync,
            backend: Backend::Proxy,
            disk: DiskKind::Dir,
            disk_mib: 512,
            properties: BTreeMap::new(),
        }
    }
}

/// `flushDiskType`, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flush {
    /// `SYNC_FLUSH`
    Sync,
    /// `ASYNC_FLUSH`
    Async,
}

impl Flush {
    /// The word of the property file.
    pub fn property(self) -> &'static str {
        match self {
            Self::Sync => "SYNC_FLUSH",
            Self::Async => "ASYNC_FLUSH",
        }
    }
}

/// Where the processes run. The other backends of the design need namespaces or loop devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Child processes on the loopback address.
    Proxy,
}

/// One load.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Which.
    #[serde(rename = "use")]
    pub kind: WorkloadKind,
    /// Topics written to. `offsets` and `leader` have none of their own.
    #[serde(default = "one")]
    pub topics: usize,
    /// Queues a topic.
    #[serde(default = "four")]
    pub queues: usize,
    /// Consumer groups, each reading everything.
    #[serde(default = "one")]
    pub groups: usize,
    /// Operations a second, over all workers.
    pub rate: u32,
    /// Sends under way at the same time, at most.
    #[serde(default = "four")]
    pub concurrency: usize,
    /// Bytes a body, at least; the value and its checksum need about 60.
    #[serde(default = "default_body_bytes")]
    pub body_bytes: usize,
    /// How long one send may take until its outcome is unknown.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Delay levels used, each of RocketMQ's own.
    #[serde(default = "default_levels")]
    pub levels: Vec<u8>,
}

/// The loads that this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadKind {
    /// Unique messages to queues, read back by several consumers.
    Log,
    /// Consumer offsets of `groups` groups in the queues of `log`, stored, asked for and reset.
    Offsets,
    /// Questions for the leader at every node and at the name server.
    Leader,
    /// Messages that are to be delivered later, to topics of their own.
    Delay,
}

impl WorkloadKind {
    /// Its word in scenario files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Offsets => "offsets",
            Self::Leader => "leader",
            Self::Delay => "delay",
        }
    }
}

/// How long RocketMQ's first delay levels hold a message back, in milliseconds: level 1 and on.
pub const DELAY_LEVELS_MS: [u64; 5] = [1_000, 5_000, 10_000, 30_000, 60_000];

/// A stretch of the run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// What it is called in the report. `drain` is the final reading.
    pub name: String,
    /// How long it lasts; for `drain`, how long it may last.
    pub secs: Option<u64>,
    /// Whether messages are sent.
    #[serde(default = "yes")]
    pub sends: bool,
    /// Heals everything and waits, at most this long, until the group serves again.
    pub recover_within: Option<Span>,
    /// What happens in it.
    #[serde(default)]
    pub fault: Vec<FaultSpec>,
}

/// One kind of fault, once or again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Which.
    #[serde(rename = "do")]
    pub kind: FaultKind,
    /// Whom it hits.
    pub target: Option<Target>,
    /// Again and again, this long apart.
    pub every: Option<Span>,
    /// Once, this long after the phase began.
    pub at: Option<Span>,
    /// How long a killed node stays down.
    pub down: Option<Span>,
    /// How long a pause lasts.
    #[serde(rename = "for")]
    pub lasts: Option<Span>,
    /// How far a clock jumps.
    pub by: Option<Jump>,
}

/// The faults that this version can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// SIGKILL, and a restart after `down`.
    Kill,
    /// SIGKILL of all nodes at the same moment, and their restart after `down`.
    KillAll,
    /// SIGSTOP, and SIGCONT after `for`.
    Pause,
    /// SIGTERM and restart of each node in turn, the next one when the group is whole again.
    RollingRestart,
    /// `POST /leader/transfer` to another node, again and again for `for`.
    TransferStorm,
    /// A kill, the store deleted, a restart after `down`. The next disk fault waits until all is whole again.
    Wipe,
    /// A copy of the store of a stopped node, put back `for` later while the node is down. One at a time as well.
    DiskRollback,
    /// One bit of the log changed while the node is down. One at a time as well.
    BitFlip,
    /// The wall clock goes wrong by `by` (`-600s`), for `for`.
    ClockJump,
    /// Nobody reads what the node logs, for `for`.
    StuckLog,
    /// No space left on the disk, for `for`. Needs `cluster.disk = "tmpfs"` or `"ext4"`.
    FullDisk,
    /// Reads take long, for `for`.
    SlowRead,
    /// What was not synced is gone; restart after `down`. Needs `cluster.disk = "ext4"`.
    PowerCut,
}

impl FaultKind {
    /// What the history calls it.
    pub fn function(self) -> Function {
        match self {
            Self::Kill => Function::Kill,
            Self::KillAll => Function::KillAll,
            Self::Pause => Function::Pause,
            Self::RollingRestart => Function::RollingRestart,
            Self::TransferStorm => Function::TransferStorm,
            Self::Wipe => Function::Wipe,
            Self::DiskRollback => Function::DiskRollback,
            Self::BitFlip => Function::BitFlip,
            Self::ClockJump => Function::ClockJump,
            Self::StuckLog => Function::StuckLog,
            Self::FullDisk => Function::FullDisk,
            Self::SlowRead => Function::SlowRead,
            Self::PowerCut => Function::PowerCut,
        }
    }

    /// Its word in scenario files.
    pub fn word(self) -> &'static str {
        self.function().word()
    }

    /// Which of `target`, `down`, `for` and `by` mean something for it.
    fn members(self) -> [bool; 4] {
        match self {
            Self::Kill | Self::Wipe | Self::BitFlip | Self::PowerCut => [true, true, false, false],
            Self::KillAll | Self::RollingRestart => [false, true, false, false],
            Self::Pause | Self::DiskRollback | Self::StuckLog | Self::FullDisk | Self::SlowRead => {
                [true, false, true, false]
            }
            Self::ClockJump => [true, false, true, true],
            Self::TransferStorm => [false, false, true, false],
        }
    }
}

/// What a run must have seen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Require {
    /// How often each fault was installed, at least.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Acknowledged messages, at least.
    pub acked: u64,
    /// Operations of each function that took effect, at least.
    pub ops: BTreeMap<String, u64>,
    /// Changes of who leads, counted with the first leader, at least.
    pub leaders_seen: u64,
}

/// What the figures must not exceed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Lost messages.
    pub lost: u64,
    /// Messages duplicated by the broker.
    pub duplicated: u64,
    /// The longest time without an acknowledgement while sends were running.
    pub unavailable_max: Option<Span>,
    /// The longest time from a fault to the next acknowledgement.
    pub recovery_max: Option<Span>,
}

/// What `require.ops` may name.
const OPS: [&str; 12] = [
    "send",
    "poll",
    "drain",
    "max",
    "commit",
    "query",
    "reset",
    "delay-send",
    "delay-poll",
    "leader",
    "local-leader",
    "route",
];

fn one() -> usize {
    1
}

fn four() -> usize {
    4
}

fn yes() -> bool {
    true
}

fn default_body_bytes() -> usize {
    256
}

fn default_levels() -> Vec<u8> {
    (1..=DELAY_LEVELS_MS.len() as u8).collect()
}

fn default_timeout() -> Span {
    // Shorter than clients' 3 s: a worker that waits for a node that stands still sees nothing of the others.
    Span { mean: Duration::from_secs(1), jitter: Duration::ZERO }
}

impl Scenario {
    /// Reads and checks the text of `file`.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once where the syntax allows.
    pub fn parse(text: &str, file: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)
            .map_err(|error| ScenarioError::Syntax { file: file.to_owned(), message: error.to_string() })?;
        let problems = scenario.problems();
        if problems.is_empty() {
            Ok(scenario)
        } else {
            Err(ScenarioError::Impossible { file: file.to_owned(), problems })
        }
    }

    /// The load of that kind, if it has one.
    pub fn workload_of(&self, kind: WorkloadKind) -> Option<&Workload> {
        self.workload.iter().find(|workload| workload.kind == kind)
    }

    /// How long it takes without recovering and draining.
    pub fn duration(&self) -> Duration {
        let timed = self.phase.iter().filter(|phase| !phase.is_drain());
        Duration::from_secs(timed.filter_map(|phase| phase.secs).sum())
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let nodes = self.cluster.nodes;
        if !(1..=9).contains(&nodes) {
            problems.push(format!("cluster.nodes is {nodes}; between 1 and 9 are possible"));
        }
        if self.cluster.namesrv != 1 {
            problems.push(format!("cluster.namesrv is {}; this version starts one", self.cluster.namesrv));
        }
        for workload in &self.workload {
            workload.problems(&mut problems);
        }
        for kind in [WorkloadKind::Log, WorkloadKind::Offsets, WorkloadKind::Leader, WorkloadKind::Delay] {
            let count = self.workload.iter().filter(|workload| workload.kind == kind).count();
            // Without ordinary messages nothing tells whether the group served at all.
            if count > 1 || (kind == WorkloadKind::Log && count == 0) {
                problems.push(format!("workload `{}` stands there {count} times", kind.word()));
            }
        }
        for op in self.require.ops.keys().filter(|op| !OPS.contains(&op.as_str())) {
            problems.push(format!("require.ops wants `{op}`; there are {}", OPS.join(", ")));
        }
        if self.phase.is_empty() {
            problems.push("no phase: nothing would happen".to_owned());
        }
        for (at, phase) in self.phase.iter().enumerate() {
            phase.problems(nodes, at + 1 == self.phase.len(), &mut problems);
        }
        for kind in self.require.faults.keys() {
            let planned = self.phase.iter().flat_map(|phase| &phase.fault).any(|fault| fault.kind == *kind);
            if !planned {
                problems.push(format!("require.faults wants `{}`, which no phase does", kind.word()));
            }
        }
        problems
    }
}

impl Workload {
    fn problems(&self, problems: &mut Vec<String>) {
        let bounds = [
            ("topics", self.topics as u64, 1, 100),
            ("queues", self.queues as u64, 1, 64),
            ("groups", self.groups as u64, 0, 8),
            ("rate", self.rate.into(), 1, 100_000),
            ("concurrency", self.concurrency as u64, 1, 256),
            ("body_bytes", self.body_bytes as u64, 0, 1 << 20),
        ];
        for (name, value, min, max) in bounds {
            if !(min..=max).contains(&value) {
                problems.push(format!("workload.{name} is {value}; between {min} and {max} are possible"));
            }
        }
        let highest = DELAY_LEVELS_MS.len() as u8;
        if self.levels.is_empty() || self.levels.iter().any(|level| !(1..=highest).contains(level)) {
            problems
                .push(format!("workload.levels is {:?}; levels 1 to {highest} are possible", self.levels));
        }
    }
}

impl Phase {
    /// Whether it is the final reading.
    pub fn is_drain(&self) -> bool {
        self.name == "drain"
    }

    fn problems(&self, nodes: usize, last: bool, problems: &mut Vec<String>) {
        let name = &self.name;
        match (self.secs, self.recover_within) {
            (None, None) => problems.push(format!("phase `{name}` has neither `secs` nor `recover_within`")),
            (Some(_), Some(_)) => {
                problems.push(format!("phase `{name}` has both `secs` and `recover_within`"));
            }
            _ => {}
        }
        if self.is_drain() && !last {
            problems.push("phase `drain` is not the last one".to_owned());
        }
        if (self.is_drain() || self.recover_within.is_some()) && !self.fault.is_empty() {
            problems.push(format!("phase `{name}` heals, and has faults"));
        }
        for fault in &self.fault {
            let problem = fault.problem(nodes);
            problems
                .extend(problem.map(|problem| format!("phase `{name}`, `{}`: {problem}", fault.kind.word())));
        }
    }
}

impl FaultSpec {
    fn problem(&self, nodes: usize) -> Option<String> {
        if self.every.is_some() == self.at.is_some() {
            return Some("give `every` or `at`, one of them".to_owned());
        }
        if self
            .every
            .is_some_and(|every| every.mean.saturating_sub(every.jitter) < Duration::from_millis(100))
        {
            return Some("`every` may come within less than 100ms".to_owned());
        }
        let [target, down, lasts, by] = self.kind.members();
        let members = [
            ("target", target, self.target.is_some()),
            ("down", down, self.down.is_some()),
            ("for", lasts, self.lasts.is_some()),
            ("by", by, self.by.is_some()),
        ];
        for (member, wanted, given) in members {
            // A node comes back at once where nothing else is said.
            if wanted && !given && member != "down" {
                return Some(format!("`{member}` is missing"));
            }
            if !wanted && given {
                return Some(format!("`{member}` means nothing here"));
            }
        }
        self.target.as_ref().and_then(|target| target.problem(nodes))
    }
}

#[cfg(test)]
mod tests;
