//! One run: starts the group, drives load and nemesis through the phases, heals, drains, judges.
//!
//! A failure of the harness itself is never an operation's outcome: it ends the run, which is then
//! *unknown* unless what was seen before is already invalid.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::raw_client::RawClient;
use harness::{Cluster, ClusterOptions, StoreDisk, View, files, node_name};
use platform::{Disk, OsDisk, RngSource, SeededRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::checker::{Validity, Verdict, check_all, overall};
use crate::history::{Event, Facts, Function, History, Kind, Named, Process, Start, to_jsonl};
use crate::nemesis::Nemesis;
use crate::recorder::Recorder;
use crate::report::{Results, coverage, limits, stats};
use crate::scenario::plan::plan;
use crate::scenario::{DELAY_LEVELS_MS, DiskKind, FaultKind, Phase, Scenario, Span, WorkloadKind};
use crate::watch::Watch;
use crate::workload::{
    Clients, Load, drain, finish_delayed, finish_leader, read_all_offsets, send_sentinels, wait_for_delayed,
};

/// How long healing may take where the scenario does not say.
const RECOVER_WITHIN: Duration = Duration::from_secs(60);
/// How long the drain may take where the scenario does not say.
const DRAIN_WITHIN: Duration = Duration::from_secs(120);
/// How long the drain may take where somebody waits for the end.
const LAST_DRAIN_WITHIN: Duration = Duration::from_secs(20);
/// How long the sentinels may take.
const SENTINELS_WITHIN: Duration = Duration::from_secs(30);
/// How long all nodes may take to come to rest before their digests are compared.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// How often the last reading of a delayed message's queue is tried at a node.
const DELAYED_TRIES: u32 = 10;
/// How long a topic may take to be made.
const TOPIC_WITHIN: Duration = Duration::from_secs(10);

/// What to run, and where.
pub struct RunOptions {
    /// The scenario.
    pub scenario: Scenario,
    /// Its text, kept beside the results.
    pub scenario_text: String,
    /// The seed; never 0.
    pub seed: u64,
    /// Where everything of this run goes; must not exist.
    pub dir: PathBuf,
    /// The program under test.
    pub binary: PathBuf,
    /// Whether the nodes' stores and logs stay although all went well.
    pub keep: bool,
    /// Told what happens, a line at a time.
    pub tell: fn(&str),
    /// Becomes true when somebody has seen enough: no more faults then, and the verdict on what there was.
    pub stop: watch::Receiver<bool>,
}

/// Runs a scenario and judges it. Everything about it is in its directory then.
///
/// # Errors
/// If the directory cannot be written, or the group not even started.
pub async fn run(options: RunOptions) -> Result<Results> {
    let RunOptions { scenario, scenario_text, seed, dir, binary, keep, tell, stop } = options;
    ensure!(!OsDisk.exists(&dir), "{} exists already", dir.display());
    OsDisk.create_dir_all(&dir)?;
    files::write(&dir.join("scenario.toml"), &scenario_text)?;
    files::write(&dir.join("seed"), &format!("{seed}\n"))?;
    let mut cluster_options =
        ClusterOptions::new("nodes").with("flushDiskType", scenario.cluster.flush.property());
    cluster_options.nodes = scenario.cluster.nodes;
    cluster_options.proxied = false;
    cluster_options.binary = Some(binary);
    cluster_options.parent = Some(dir.clone());
    equip(&mut cluster_options, &scenario);
    let recorder = Recorder::create(&dir.join("history.jsonl"))?;
    let rng: Arc<dyn RngSource> = Arc::new(SeededRng(seed));
    tell(&format!("starting {} nodes in {}", scenario.cluster.nodes, dir.display()));
    let cluster = Arc::new(Cluster::start(cluster_options).await?);
    let spec = scenario.workload_of(WorkloadKind::Log).context("no `log` workload")?.clone();
    let clients = Clients {
        recorder: recorder.clone(),
        client: RawClient::new("chaos"),
        addrs: cluster.broker_addrs().into(),
        http_addrs: (0..cluster.size()).map(|node| cluster.http_addr(node)).collect(),
        namesrv: cluster.namesrv_addr().into(),
        delayed_until: Arc::default(),
        queues: Clients::queues(&spec).into(),
        rng: rng.clone(),
        spec,
    };
    record_start(&recorder, &scenario, seed, &cluster, &clients)?;
    let run = Run { scenario, cluster, clients, recorder, rng, dir, tell, stop };
    let (digests, failure) = match run.drive().await {
        Ok(digests) if run.is_stopped() => {
            (digests, Some("interrupted: judged by what had happened until then".to_owned()))
        }
        Ok(digests) => (digests, None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    run.judge(seed, digests, failure, keep).await
}

/// What the faults of the scenario need.
fn equip(options: &mut ClusterOptions, scenario: &Scenario) {
    let spec = &scenario.cluster;
    options.disk = match spec.disk {
        DiskKind::Dir => StoreDisk::Dir,
        DiskKind::Tmpfs => StoreDisk::Tmpfs(spec.disk_mib),
        DiskKind::Ext4 => StoreDisk::Ext4(spec.disk_mib),
    };
    options.properties.extend(spec.properties.clone());
    let does = |kind| scenario.phase.iter().flat_map(|phase| &phase.fault).any(|fault| fault.kind == kind);
    options.clocks = does(FaultKind::ClockJump);
    options.logs_are_read = does(FaultKind::StuckLog);
}

struct Run {
    scenario: Scenario,
    cluster: Arc<Cluster>,
    clients: Clients,
    recorder: Recorder,
    rng: Arc<dyn RngSource>,
    dir: PathBuf,
    tell: fn(&str),
    stop: watch::Receiver<bool>,
}

impl Run {
    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Through all phases. Gives back each node's digest, if they came to rest.
    async fn drive(&self) -> Result<Option<Vec<Value>>> {
        let watch = Watch::start(self.cluster.clone(), self.recorder.clone());
        let nemesis = Nemesis {
            cluster: self.cluster.clone(),
            recorder: self.recorder.clone(),
            views: watch.views(),
            rng: self.rng.clone(),
            disk_turn: Arc::default(),
        };
        self.create_topics().await?;
        let load = Load::start(&self.clients, &self.scenario.workload);
        let (mut healed, mut drain_within) = (false, DRAIN_WITHIN);
        for phase in &self.scenario.phase {
            if phase.is_drain() {
                drain_within = phase.secs.map_or(DRAIN_WITHIN, Duration::from_secs);
                break;
            }
            if self.is_stopped() {
                healed = false;
                break;
            }
            self.begin(&phase.name);
            load.send(phase.sends && phase.recover_within.is_none());
            if let Some(within) = phase.recover_within {
                self.heal(within.mean).await?;
            } else {
                self.pass(phase, &nemesis).await;
            }
            healed = phase.recover_within.is_some();
        }
        load.send(false);
        if !healed {
            self.begin("heal");
            self.heal(RECOVER_WITHIN).await?;
        }
        let delay = self.scenario.workload_of(WorkloadKind::Delay).map(|spec| self.clients.with(spec));
        if let Some(clients) = &delay {
            self.begin("wait for delayed messages");
            wait_for_delayed(clients).await;
        }
        load.stop().await;
        self.begin("drain");
        if self.is_stopped() {
            drain_within = drain_within.min(LAST_DRAIN_WITHIN);
        }
        let sentinels = send_sentinels(&self.clients, SENTINELS_WITHIN).await;
        drain(&self.clients, &sentinels, drain_within).await;
        if let Some(clients) = &delay {
            finish_delayed(clients, DELAYED_TRIES).await;
        }
        if let Some(spec) = self.scenario.workload_of(WorkloadKind::Offsets) {
            let clients = self.clients.with(spec);
            read_all_offsets(&clients).await;
            self.begin("restart all");
            self.restart_all().await?;
            read_all_offsets(&clients).await;
        }
        if self.scenario.workload_of(WorkloadKind::Leader).is_some() {
            finish_leader(&self.clients).await;
        }
        watch.stop().await;
        self.digests().await.map(Some)
    }

    fn begin(&self, name: &str) {
        (self.tell)(&format!("{:6.1} s  phase {name}", self.recorder.now().as_secs_f64()));
        let facts = Facts { value: Some(name.into()), ..Facts::default() };
        self.recorder.record(Process::Named(Named::Harness), Kind::Info, Function::Phase, facts);
    }

    /// A phase that lasts its time, or until its last fault is healed.
    async fn pass(&self, phase: &Phase, nemesis: &Nemesis) {
        let end = Instant::now() + Duration::from_secs(phase.secs.unwrap_or(0));
        let faults = plan(phase, &phase.name, &*self.rng);
        let passed = async {
            nemesis.run(&phase.name, &faults).await;
            sleep_until(end).await;
        };
        let mut stop = self.stop.clone();
        // What it had broken is healed next.
        tokio::select! {
            () = passed => {}
            Ok(_) = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn heal(&self, within: Duration) -> Result<()> {
        self.cluster.heal().await?;
        let what = "the healed group to serve with all nodes";
        self.cluster.try_wait_for(what, within, View::whole).await?;
        Ok(())
    }

    async fn restart_all(&self) -> Result<()> {
        let all: Vec<usize> = (0..self.cluster.size()).collect();
        self.cluster.kill_together(&all).await?;
        self.heal(RECOVER_WITHIN).await
    }

    /// Topics of those loads that have some, and consumer groups of `offsets`.
    async fn create_topics(&self) -> Result<()> {
        let leader =
            self.cluster.try_wait_for("a leader to make topics at", TOPIC_WITHIN, View::leader).await?;
        let (client, addr) = (&self.clients.client, &self.clients.addrs[leader]);
        for spec in &self.scenario.workload {
            match spec.kind {
                WorkloadKind::Log | WorkloadKind::Delay => {
                    for topic in 0..spec.topics {
                        let name = Clients::topic(spec.kind, topic);
                        client.create_topic(addr, &name, spec.queues as u32, TOPIC_WITHIN).await?;
                    }
                }
                WorkloadKind::Offsets => {
                    for group in 0..spec.groups {
                        client.create_group(addr, &Clients::group(group), TOPIC_WITHIN).await?;
                    }
                }
                WorkloadKind::Leader => {}
            }
        }
        Ok(())
    }

    /// Fingerprints of the same range of log entries at every node, of its queues and tables.
    async fn digests(&self) -> Result<Vec<Value>> {
        let what = "all nodes to have applied everything";
        self.cluster.try_wait_for(what, REST_WITHIN, View::at_rest).await?;
        let view = self.cluster.view().await;
        let from =
            view.statuses().map(|(_, status)| status.purged_index + 1).max().context("no node answers")?;
        let upto =
            view.statuses().map(|(_, status)| status.applied_index).min().context("no node answers")?;
        let mut digests = Vec::new();
        for node in 0..self.cluster.size() {
            digests.push(self.cluster.digest(node, from, upto).await?);
        }
        files::write(&self.dir.join("digests.json"), &format!("{:#}\n", json!(digests)))?;
        Ok(digests)
    }

    async fn judge(
        self,
        seed: u64,
        digests: Option<Vec<Value>>,
        harness_failure: Option<String>,
        keep: bool,
    ) -> Result<Results> {
        let events = self.recorder.finish().context("write the history")?;
        files::write(&self.dir.join("schedule.jsonl"), &schedule(&events)?)?;
        let history = History::new(&events)?;
        let stats = stats(&history);
        let mut verdicts = check_all(&history);
        verdicts.push(replicas(digests.as_deref()));
        verdicts.push(limits(&self.scenario, &verdicts, &stats));
        verdicts.push(coverage(&self.scenario, &history, &stats));
        let mut validity = overall(&verdicts);
        if harness_failure.is_some() {
            validity = validity.max(Validity::Unknown);
        }
        let scenario = self.scenario.name.clone();
        let results = Results { scenario, seed, validity, harness_failure, verdicts, stats };
        let text = serde_json::to_string_pretty(&results)?;
        files::write(&self.dir.join("results.json"), &format!("{text}\n"))?;
        let is_of_use = keep || validity == Validity::Invalid;
        if validity == Validity::Valid && !keep || *self.stop.borrow() && !is_of_use {
            let cluster = alone(self.cluster).await.context("the group is still in use")?;
            cluster.finish().await?;
        }
        Ok(results)
    }
}

/// The group, once tasks that were just given up have let go of it.
async fn alone(mut cluster: Arc<Cluster>) -> Option<Cluster> {
    let deadline = Instant::now() + RECOVER_WITHIN;
    while Instant::now() < deadline {
        match Arc::try_unwrap(cluster) {
            Ok(cluster) => return Some(cluster),
            Err(shared) => cluster = shared,
        }
        tokio::task::yield_now().await;
    }
    None
}

fn record_start(
    recorder: &Recorder,
    scenario: &Scenario,
    seed: u64,
    cluster: &Cluster,
    clients: &Clients,
) -> Result<()> {
    let start = Start {
        nodes: (0..cluster.size()).map(|node| node_name(node).into()).collect(),
        queues: clients.queues.iter().map(|queue| queue.to_string().into()).collect(),
        retries: false,
        scenario: scenario.name.clone(),
        seed,
    };
    let facts = Facts { value: Some(serde_json::to_value(start)?), ..Facts::default() };
    recorder.record(Process::Named(Named::Harness), Kind::Info, Function::Start, facts);
    Ok(())
}

/// What the nemesis did in truth, and when.
fn schedule(events: &[Event]) -> Result<String> {
    let faults: Vec<Event> = events
        .iter()
        .filter(|event| event.process == Process::Named(Named::Nemesis) || event.function == Function::Phase)
        .cloned()
        .collect();
    Ok(to_jsonl(&faults)?)
}

/// C18, replica agreement: at rest all nodes hold the same log, queues and tables.
fn replicas(digests: Option<&[Value]>) -> Verdict {
    let mut verdict = Verdict::new("C18", "replica-agreement");
    let Some(digests) = digests else {
        verdict.doubt("the nodes did not come to rest, or one did not answer".to_owned());
        return verdict;
    };
    for part in ["digest", "queues", "tables"] {
        for (node, digest) in digests.iter().enumerate().skip(1) {
            if digest[part] != digests[0][part] {
                let what = format!(
                    "{part} of entries {} to {} at {} and {} differ: {} and {}",
                    digest["from"],
                    digest["upto"],
                    node_name(0),
                    node_name(node),
                    digests[0][part],
                    digest[part]
                );
                verdict.reject(what, []);
            }
        }
    }
    verdict
}

/// The seed of a run: the one asked for, else the scenario's, else a fresh one.
pub fn pick_seed(asked: Option<u64>, scenario: &Scenario) -> u64 {
    asked.or(Some(scenario.seed)).filter(|seed| *seed != 0).unwrap_or_else(fresh_seed)
}

fn fresh_seed() -> u64 {
    use rand::Rng;
    // Small enough to be exact in every JSON reader.
    platform::OsRng.rng("seed").random_range(1..1 << 53)
}

/// The directory of a run unless told otherwise.
pub fn default_dir(scenario: &Scenario, seed: u64) -> PathBuf {
    Path::new("trireme-chaos").join(format!("{}-{seed}", scenario.name))
}

/// How long the run will take, roughly, for whoever waits.
pub fn about_secs(scenario: &Scenario) -> u64 {
    let recovering = scenario.phase.iter().filter_map(|phase| phase.recover_within);
    let recovering: Duration = recovering.map(|span: Span| span.mean / 4).sum();
    let delays = scenario.workload_of(WorkloadKind::Delay).into_iter().flat_map(|spec| &spec.levels);
    let longest = delays.map(|level| DELAY_LEVELS_MS[usize::from(*level) - 1]).max();
    let waiting = longest.map_or(Duration::ZERO, Duration::from_millis);
    (scenario.duration() + recovering + waiting).as_secs() + 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_differ_in_any_part_are_told() {
        let node = |digest: &str, tables: &str| json!({"from": 1, "upto": 9, "digest": digest, "queues": [], "tables": tables});
        let same = [node("a", "t"), node("a", "t"), node("a", "t")];
        assert_eq!(replicas(Some(&same)).validity, Validity::Valid);
        let verdict = replicas(Some(&[node("a", "t"), node("a", "t"), node("b", "u")]));
        assert_eq!((verdict.validity, verdict.anomalies), (Validity::Invalid, 2));
        assert_eq!(
            verdict.witnesses[0].what,
            "digest of entries 1 to 9 at n0 and n2 differ: \"a\" and \"b\""
        );
        assert_eq!(replicas(None).validity, Validity::Unknown);
    }
}
