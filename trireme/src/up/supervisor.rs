//! Starts the children, keeps them running, tells who leads, and stops them in order.

use std::io;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, bail};
use platform::Platform;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;

use super::child::Child;
use super::plan::Plan;
use super::stop::Stop;
use super::watch::{self, Leader};
use super::{files, state, tell};

/// The name server is up in milliseconds; brokers that register with it must not come first.
const NAMESRV_STARTS_WITHIN: Duration = Duration::from_secs(10);
/// A child that was asked to stop and has not by then is killed.
const STOPS_WITHIN: Duration = Duration::from_secs(15);
/// Without a leader for this long, something is wrong, and said so again after as long.
const LEADERLESS_TOLD_AFTER: Duration = Duration::from_secs(5);
/// A child whose program or log cannot be opened is tried again after this long.
const START_AGAIN: Duration = Duration::from_secs(1);
/// Lines of a dead child's log that are shown.
const LOG_LINES: usize = 5;

/// The place of the name server among the children; node `k` stands at `k + 1`.
const NAMESRV: usize = 0;

type Ended = (usize, io::Result<ExitStatus>);

/// Owner of all children.
pub(crate) struct Supervisor {
    platform: Platform,
    plan: Plan,
    restarts: bool,
    /// The name server, then the nodes.
    children: Vec<Child>,
    ends: JoinSet<Ended>,
    /// The last leader there was.
    leader: Option<Leader>,
    /// Since when there is none; monotonic.
    leaderless_since: Option<Duration>,
    /// When that was last said.
    leaderless_told: Duration,
    started: Duration,
}

impl Supervisor {
    /// Nothing runs yet.
    pub(crate) fn new(platform: Platform, plan: Plan, restarts: bool) -> Self {
        let nodes = plan.nodes.iter().map(|node| Child::node(node.process.clone()));
        let children = std::iter::once(Child::namesrv(plan.namesrv.clone())).chain(nodes).collect();
        let started = platform.clock.monotonic();
        Self {
            platform,
            plan,
            restarts,
            children,
            ends: JoinSet::new(),
            leader: None,
            leaderless_since: Some(started),
            leaderless_told: started,
            started,
        }
    }

    /// Runs the group until a signal ends it.
    ///
    /// # Errors
    /// A child that cannot be started, or ends by itself before the group ever had a leader: then all are stopped.
    pub(crate) async fn run(mut self) -> anyhow::Result<ExitCode> {
        let mut stop = Stop::new()?;
        self.write_state()?;
        let ended = self.live(&mut stop).await;
        tell::line("");
        self.stop_all(&mut stop).await;
        self.note_state();
        ended.map(|()| ExitCode::SUCCESS)
    }

    /// Everything between the start and the wish to stop.
    async fn live(&mut self, stop: &mut Stop) -> anyhow::Result<()> {
        let count = self.plan.nodes.len();
        let nodes = if count == 1 { "one node".to_owned() } else { format!("{count} nodes") };
        tell::line(&format!("starting a name server and {nodes} in {} ...", self.plan.dir.display()));
        self.start(NAMESRV)?;
        tokio::select! {
            up = self.namesrv_is_up() => up?,
            () = stop.asked() => return Ok(()),
        }
        for at in NAMESRV + 1..self.children.len() {
            self.start(at)?;
            self.write_state()?;
        }
        let (leader, mut leaders) = channel::channel(None);
        let follow = watch::follow(self.platform.net.clone(), self.plan.clone(), leader);
        let _follower = AbortOnDrop(tokio::spawn(follow));
        loop {
            let wake = self.next_wake();
            tokio::select! {
                () = stop.asked() => return Ok(()),
                Some(ended) = self.ends.join_next() => {
                    let (at, status) = ended.expect("a task that only waits neither panics nor is cancelled");
                    self.on_end(at, &status)?;
                }
                Ok(()) = leaders.changed() => {
                    let leader = *leaders.borrow_and_update();
                    self.on_leader(leader);
                }
                () = tokio::time::sleep(wake) => self.on_wake(),
            }
        }
    }

    fn now(&self) -> Duration {
        self.platform.clock.monotonic()
    }

    fn say(&self, text: &str) {
        tell::event(self.now().saturating_sub(self.started), text);
    }

    fn name(&self, at: usize) -> &str {
        &self.children[at].process().name
    }

    fn pids(&self) -> Vec<Option<u32>> {
        self.children[NAMESRV + 1..].iter().map(Child::pid).collect()
    }

    fn write_state(&self) -> anyhow::Result<()> {
        let wrote = state::write(&*self.platform.disk, &self.plan, &self.pids());
        wrote.with_context(|| format!("cannot write {}", self.plan.dir.join("up.json").display()))
    }

    /// As [`Self::write_state`]; a disk that is full just now does not end a group that runs.
    fn note_state(&self) {
        if let Err(error) = self.write_state() {
            self.say(&format!("{error:#}"));
        }
    }

    fn start(&mut self, at: usize) -> anyhow::Result<()> {
        let now = self.now();
        let log = self.children[at].process().log.clone();
        let ended = self.children[at].start(now).with_context(|| {
            format!(
                "cannot start {} with its log in {}",
                self.children[at].process().command.join(" "),
                log.display()
            )
        })?;
        self.ends.spawn(async move { (at, ended.await) });
        Ok(())
    }

    /// Waits until the name server accepts connections.
    async fn namesrv_is_up(&mut self) -> anyhow::Result<()> {
        const TRY_AGAIN: Duration = Duration::from_millis(20);
        let deadline = self.now() + NAMESRV_STARTS_WITHIN;
        let addr = self.plan.namesrv_addr.to_string();
        loop {
            if self.platform.net.connect(&addr).await.is_ok() {
                return Ok(());
            }
            if let Some(Ok((at, status))) = self.ends.try_join_next() {
                self.on_end(at, &status)?;
            }
            if self.now() >= deadline {
                bail!("the name server does not answer at {addr} after {NAMESRV_STARTS_WITHIN:?}");
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    fn last_lines(&self, at: usize) -> String {
        let log = &self.children[at].process().log;
        let lines = files::last_lines(&*self.platform.disk, log, LOG_LINES);
        lines.iter().flat_map(|line| ["\n             | ", line]).collect()
    }

    fn on_end(&mut self, at: usize, status: &io::Result<ExitStatus>) -> anyhow::Result<()> {
        let now = self.now();
        let death = self.children[at].died(now);
        self.note_state();
        let how = tell::how(status);
        let by_itself = status.as_ref().is_ok_and(|status| status.code().is_some());
        if by_itself && self.leader.is_none() {
            bail!("{} does not start: it {how}; the end of its log is{}", self.name(at), self.last_lines(at));
        }
        let leads =
            self.leader.is_some_and(|leader| leader.node + 1 == at) && self.leaderless_since.is_none();
        let who = format!("{}{}", self.name(at), if leads { ", the leader," } else { "" });
        let lived = death.lived.as_secs_f64();
        // Whoever killed it knows why; its log would only be in the way.
        let log = if by_itself || death.is_repeated { self.last_lines(at) } else { String::new() };
        if self.restarts {
            self.children[at].restart_at = Some(death.restart_at);
            let pause = death.restart_at.saturating_sub(now);
            let again = if pause.is_zero() { "back at once".into() } else { format!("back in {pause:?}") };
            self.say(&format!("{who} is gone ({how} after {lived:.1} s), {again}{log}"));
            if pause.is_zero() {
                self.restart(at);
            }
        } else {
            self.say(&format!("{who} is gone ({how} after {lived:.1} s), and stays so (--no-restart){log}"));
        }
        Ok(())
    }

    /// Starts a dead child again, or says why not and tries later.
    fn restart(&mut self, at: usize) {
        match self.start(at) {
            Ok(()) => {
                let pid = self.children[at].pid().expect("it was just started");
                self.say(&format!("{} is back with pid {pid}", self.name(at)));
            }
            Err(error) => {
                self.children[at].restart_at = Some(self.now() + START_AGAIN);
                self.say(&format!("{error:#}; trying again in {START_AGAIN:?}"));
            }
        }
        self.note_state();
    }

    fn on_leader(&mut self, leader: Option<Leader>) {
        let now = self.now();
        let Some(leader) = leader else {
            self.leaderless_since.get_or_insert(now);
            self.leaderless_told = now;
            return;
        };
        let since = self.leaderless_since.take();
        match self.leader.replace(leader) {
            None => {
                let took = now.saturating_sub(self.started);
                tell::line(&tell::welcome(&self.plan, &self.pids(), leader, took));
            }
            Some(last) if last != leader => {
                let gap = since.map_or_else(String::new, |since| {
                    format!(
                        ", {:.2} s after the last one was missed",
                        now.saturating_sub(since).as_secs_f64()
                    )
                });
                self.say(&format!("{} leads now, in term {}{gap}", self.name(leader.node + 1), leader.term));
            }
            Some(_) => {}
        }
    }

    /// How long until something is due by itself.
    fn next_wake(&self) -> Duration {
        let now = self.now();
        let restarts = self.children.iter().filter_map(|child| child.restart_at);
        let told = self.leaderless_since.map(|_| self.leaderless_told + LEADERLESS_TOLD_AFTER);
        let next = restarts.chain(told).min();
        next.map_or(Duration::from_secs(3_600), |next| next.saturating_sub(now))
    }

    fn on_wake(&mut self) {
        let now = self.now();
        for at in 0..self.children.len() {
            if self.children[at].restart_at.is_some_and(|due| due <= now) {
                self.restart(at);
            }
        }
        if let Some(since) = self.leaderless_since
            && now >= self.leaderless_told + LEADERLESS_TOLD_AFTER
        {
            self.leaderless_told = now;
            let down: Vec<_> =
                self.plan.nodes.iter().zip(self.pids()).filter(|(_, pid)| pid.is_none()).collect();
            let down: Vec<_> = down.iter().map(|(node, _)| node.process.name.as_str()).collect();
            let why =
                if down.is_empty() { "all nodes run".into() } else { format!("down: {}", down.join(", ")) };
            let (since, logs) = (now.saturating_sub(since).as_secs_f64(), self.plan.dir.join("logs"));
            self.say(&format!("no leader for {since:.0} s ({why}); see {}", logs.display()));
        }
    }

    /// Followers first, so that nobody stands for election on the way down; then the leader, then the name server.
    async fn stop_all(&mut self, stop: &mut Stop) {
        let leader = self.leader.map(|leader| leader.node + 1);
        let followers: Vec<_> = (NAMESRV + 1..self.children.len()).filter(|at| Some(*at) != leader).collect();
        for group in [followers, leader.into_iter().collect(), vec![NAMESRV]] {
            let group: Vec<_> = group.into_iter().filter(|at| self.children[*at].pid().is_some()).collect();
            if group.is_empty() {
                continue;
            }
            let names: Vec<_> = group.iter().map(|at| self.name(*at)).collect();
            self.say(&format!("stopping {}", names.join(" and ")));
            for at in &group {
                self.children[*at].terminate();
            }
            let in_time = tokio::select! {
                in_time = tokio::time::timeout(STOPS_WITHIN, self.ended(&group)) => in_time.is_ok(),
                () = stop.asked() => false,
            };
            if !in_time {
                self.kill_all().await;
                return;
            }
        }
        self.say("all stopped");
    }

    async fn kill_all(&mut self) {
        let alive: Vec<_> =
            (0..self.children.len()).filter(|at| self.children[*at].pid().is_some()).collect();
        for at in &alive {
            self.say(&format!("killing {}", self.name(*at)));
            self.children[*at].kill();
        }
        self.ended(&alive).await;
    }

    /// Waits until none of `group` runs.
    async fn ended(&mut self, group: &[usize]) {
        while group.iter().any(|at| self.children[*at].pid().is_some()) {
            let Some(ended) = self.ends.join_next().await else { return };
            let (at, _) = ended.expect("a task that only waits neither panics nor is cancelled");
            let now = self.now();
            self.children[at].died(now);
        }
    }
}

/// Ends a task with its owner.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
