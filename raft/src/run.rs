//! A node's life: opens everything, runs it on one single-threaded runtime, and takes it apart again.
//!
//! Log, raft, proposer and peer sockets share the thread on purpose: one entry's way through them then
//! needs no locks held apart and no wake-up of another thread but the flusher's. The runtime is the node's own
//! ([`run`]), and all of it ends with that, or its caller's ([`run_here`]), where a group of tasks does the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use openraft::Raft;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::storage::RaftLogStorage;
use platform::{Platform, TaskGroup, Worker, spawn};
use rand::Rng;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info};

use crate::apply::Apply;
use crate::checkpoints::CheckpointWriter;
use crate::config::{NodeConfig, raft_settings};
use crate::error::StartError;
use crate::fence::Fence;
use crate::files::Files;
use crate::halt;
use crate::identity::{GroupId, Standing};
use crate::keeper::Keeper;
use crate::level::Caretaker;
use crate::log_store::LogStore;
use crate::network::{self, Alarm, Network};
use crate::node::{PeerHandler, Shared};
use crate::observer::Observer;
use crate::proposer::{self, Proposer};
use crate::state_machine::{Chosen, RaftHandle, StateMachine};
use crate::told::Told;
use crate::types::founders;
use crate::view::View;

/// How a node is told to stop.
pub(crate) enum Stop {
    /// With a checkpoint and the mark of a clean shutdown; the sender hears how it went.
    Clean(oneshot::Sender<Result<(), String>>),
    /// As a crash would.
    AtOnce,
}

/// The last checkpoint of a shutdown may take this long; without it the next start only has more to do.
const LAST_CHECKPOINT_TIME_MAX: Duration = Duration::from_secs(10);

/// Runs a node on this thread until it is told to stop. Says on `started` how the start went.
pub(crate) fn run(
    config: NodeConfig,
    platform: &Platform,
    apply: Box<dyn Apply>,
    handler: Arc<dyn PeerHandler>,
    gone: watch::Receiver<bool>,
    started: &std::sync::mpsc::Sender<Result<Shared, StartError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(StartError::Thread(error))); // the starter waits for this
            return;
        }
    };
    let running = runtime.block_on(start(config, platform, apply, handler, gone));
    match running {
        Err(error) => {
            let _ = started.send(Err(error)); // the starter waits for this
        }
        Ok((shared, running)) => {
            let _ = started.send(Ok(shared)); // without a starter the channel to stop is closed
            let Running { raft, files, stop, writer, checkpointer } = running;
            let answer = runtime.block_on(stay(&raft, &files, stop));
            drop((raft, writer));
            // Every task, and with them every use of the log.
            drop(runtime);
            finish(answer, files, checkpointer);
        }
    }
}

/// Starts a node on the caller's runtime, where it runs until it is told to stop. `gone` becomes true when nothing of it
/// is left.
pub(crate) async fn run_here(
    config: NodeConfig,
    platform: Platform,
    apply: Box<dyn Apply>,
    handler: Arc<dyn PeerHandler>,
    gone: watch::Sender<bool>,
) -> Result<Shared, StartError> {
    let group = TaskGroup::new(platform.rng.rng("tasks"));
    let started = group.run(start(config, &platform, apply, handler, gone.subscribe())).await;
    let (shared, running) = match started {
        Ok(started) => started,
        Err(error) => {
            group.end().await;
            return Err(error);
        }
    };
    tokio::spawn(async move {
        let Running { raft, files, stop, writer, checkpointer } = running;
        let answer = group.run(stay(&raft, &files, stop)).await;
        drop((raft, writer));
        group.end().await;
        finish(answer, files, checkpointer);
        gone.send_replace(true);
    });
    Ok(shared)
}

/// How a stop goes so far, and who wants to know; `None` if it is as a crash would be.
type Answer = Option<(oneshot::Sender<Result<(), String>>, Result<(), String>)>;

/// What remains to be done when no task is left.
fn finish(answer: Answer, files: Arc<Files>, checkpointer: Worker) {
    let is_written = checkpointer.join();
    if let Some((done, mut outcome)) = answer {
        outcome = outcome.and(files.close_log().map_err(|error| error.to_string()));
        if !is_written {
            outcome = Err("the checkpoint thread panicked".into());
        }
        drop(files);
        let _ = done.send(outcome); // whoever asked may be gone
    }
}

/// Returns once openraft's metrics tell what the disk told it; before, they are empty.
async fn core_has_spoken(raft: &RaftHandle, voted_term: u64) {
    let mut metrics = raft.metrics();
    loop {
        let is_told = {
            let told = metrics.borrow_and_update();
            told.current_term >= voted_term || told.running_state.is_err()
        };
        // An error says that the core is gone, of which the observer tells.
        if is_told || metrics.changed().await.is_err() {
            return;
        }
    }
}

/// What a started node consists of.
struct Running {
    raft: RaftHandle,
    files: Arc<Files>,
    stop: mpsc::UnboundedReceiver<Stop>,
    writer: CheckpointWriter,
    checkpointer: Worker,
}

async fn start(
    config: NodeConfig,
    platform: &Platform,
    apply: Box<dyn Apply>,
    handler: Arc<dyn PeerHandler>,
    gone: watch::Receiver<bool>,
) -> Result<(Shared, Running), StartError> {
    let (group, node) = (config.group.clone(), config.node_id);
    let listen = config.listen;
    let listener =
        platform.net.listen(listen).await.map_err(|source| StartError::Listen { addr: listen, source })?;
    let local_addr = listener.local_addr();
    let (files, recovery) = Files::open(&config, platform)?;
    info!(
        %group, node, %local_addr, last = ?recovery.last, purged = ?recovery.purged, committed = ?recovery.committed,
        checkpoint = ?recovery.checkpoint.as_ref().map(|checkpoint| checkpoint.last),
        cut_bytes = recovery.cut_bytes, maybe_forgot = recovery.maybe_forgot, "log recovered"
    );
    let (views_tx, views) = watch::channel(View::default());
    let told = Told::default();
    let (writer, checkpointer) = CheckpointWriter::start(&platform.tasks, Arc::clone(&files), told.clone())
        .map_err(StartError::Thread)?;

    let network = Network::new(platform.clone(), &config, &files);
    // An empty log beside a vote: the log was taken away, with all it had promised.
    let lost_log = recovery.last.is_none() && files.vote().is_some() && config.members.len() > 1;
    let standing = files.standing();
    let fenced = recovery.maybe_forgot || standing != Standing::Whole || lost_log;
    if fenced {
        network.set_fence(Fence::Closed);
    }
    for (id, addr) in &config.members {
        network.set_addr(*id, addr.clone());
    }

    let chosen = Chosen::default();
    let (halted_tx, halted) = watch::channel(None);
    let machine = StateMachine::new(
        apply,
        Arc::clone(&files),
        recovery.checkpoint,
        chosen.clone(),
        writer.clone(),
        halted_tx,
    )?;
    let is_pending = machine.is_pending();
    let mut log_store = LogStore::new(Arc::clone(&files));
    let state = log_store.get_log_state().await.map_err(|error| StartError::Raft(error.to_string()))?;
    let is_new = state.last_log_id.is_none() && files.vote().is_none();
    let settings = Arc::new(raft_settings(&config, !fenced));
    info!(
        %group, node, heartbeat_ms = settings.heartbeat_interval, election_timeout_ms_min = settings.election_timeout_min,
        election_timeout_ms_max = settings.election_timeout_max, flush = ?config.flush, one_leader_per_term = true,
        leader_restore = false, pre_vote = true, log_reversion = false, "consensus settings"
    );
    let factory = network::Factory(Arc::clone(&network));
    let raft: RaftHandle = Raft::build(node, Arc::clone(&settings), factory, log_store, machine)
        .await
        .map_err(|error| StartError::Raft(error.to_string()))?;
    let (proposer, queue) = Proposer::new(config.entry_bytes_max);
    network.set_raft(raft.clone());
    raft.run();
    files.waits().set_running();
    if is_pending {
        spawn(finish_restoring(raft.clone(), Arc::clone(&files)));
    }
    let voted_term = files.vote().map_or(0, |vote| vote.leader_id.term);
    core_has_spoken(&raft, voted_term).await;

    spawn(network::serve(
        Arc::clone(&network),
        listener,
        raft.clone(),
        files.reader().clone(),
        files.checkpoints().dir(),
        handler,
    ));
    spawn(proposer::run(queue, raft.clone(), views.clone()));
    let observer = Observer {
        node,
        group: group.clone(),
        network: Arc::clone(&network),
        lease: Duration::from_millis(config.timing.election_timeout_ms_max),
        tick: Duration::from_millis(config.timing.heartbeat_ms),
        views: views_tx,
        was_ready: AtomicBool::new(false),
        halted: halted.clone(),
        told: told.clone(),
        level: files.level().clone(),
        waits: files.waits().clone(),
    };
    // Before anybody can look: a view without anything in it would tell of a term that went back.
    observer.look(&raft);
    spawn(observer.run(raft.clone()));
    spawn(halt::keep(halted.clone(), Arc::clone(&network), raft.clone()));
    spawn(halt::lead_without_waiting(files.waits().clone(), Arc::clone(&network), raft.clone()));
    let members: BTreeSet<_> = config.members.keys().copied().collect();
    let may_form = is_new && config.bootstrap;
    let rng = platform.rng.clone();
    let new_group_id = move || GroupId(rng.rng("group").random());
    if fenced {
        if let Some(reason) = why_fenced(standing, recovery.maybe_forgot || lost_log) {
            network.raise_alarm(Alarm::Fence, reason.into());
        } else {
            info!(%group, node, "a new directory: hears of every other member before it votes");
        }
    } else if may_form {
        files.place(new_group_id(), 1).map_err(trouble_with_identity)?;
        raft.initialize(founders(members.clone()))
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
    } else if files.group_id().is_none() && config.bootstrap && members.len() == 1 {
        // Its identity was lost, and there is nobody else who would know.
        files.place(new_group_id(), 1).map_err(trouble_with_identity)?;
    }
    spawn(remember(Arc::clone(&network), Arc::clone(&files), raft.clone()));
    let keeper = Keeper {
        network: Arc::clone(&network),
        files: Arc::clone(&files),
        raft: raft.clone(),
        members,
        may_form: may_form && fenced,
        new_group_id: Box::new(new_group_id),
    };
    spawn(keeper.run());

    let caretaker = Caretaker {
        node,
        own: config.own_member(),
        configured: config.members.clone(),
        hold_level: config.hold_feature_level,
        network: Arc::clone(&network),
        raft: raft.clone(),
        level: files.level().clone(),
        views: views.clone(),
        told,
    };
    spawn(caretaker.run());

    let (stop_tx, stop) = mpsc::unbounded_channel();
    let shared = Shared {
        node,
        raft: raft.clone(),
        network,
        proposer,
        views,
        reader: files.reader().clone(),
        files: Arc::downgrade(&files),
        chosen,
        halted,
        local_addr,
        stop: stop_tx,
        gone,
    };
    Ok((shared, Running { raft, files, stop, writer, checkpointer }))
}

fn trouble_with_identity(source: std::io::Error) -> StartError {
    StartError::File { what: "the identity of this directory".into(), source }
}

/// What a person should know of a fence that stands at the start; a new directory is no surprise.
fn why_fenced(standing: Standing, maybe_forgot: bool) -> Option<&'static str> {
    match standing {
        Standing::SteppedBack => Some(
            "this directory was copied, put back to an older state, or lost its newest vote: it is fenced and filled again from the others, \
             once it has heard all of them",
        ),
        _ if maybe_forgot => Some(
            "this node may have forgotten entries it once acknowledged: it neither votes nor campaigns before it has \
             caught up with a leader, or heard all others",
        ),
        Standing::Newborn | Standing::Whole => None,
    }
}

/// Between two attempts to restore what the log could not give before.
const RESTORE_AGAIN: Duration = Duration::from_millis(200);

/// Restores the state of the checkpoint once what is damaged in the log below it was mended, whether or not there is
/// something to apply.
async fn finish_restoring(raft: RaftHandle, files: Arc<Files>) {
    let mut seen = files.reader().damage_news();
    while files.waits().words().is_some() {
        tokio::time::sleep(RESTORE_AGAIN).await;
        let news = files.reader().damage_news();
        if seen == news {
            continue;
        }
        seen = news;
        let again = raft.with_state_machine(|machine: &mut StateMachine| {
            Box::pin(async move {
                if let Err(error) = machine.restore_again().await {
                    error!(%error, "the state cannot be restored");
                }
            })
        });
        if again.await.is_err() {
            return; // raft has stopped, of which others tell
        }
    }
}

/// How often it is written down what peers acknowledged. A disk that is put back to a state of less than this time ago
/// may go unseen by a leader that was killed meanwhile.
const REMEMBER_INTERVAL: Duration = Duration::from_millis(500);

/// Remembers what the peers acknowledged, as long as this node leads.
async fn remember(network: Arc<Network>, files: Arc<Files>, raft: RaftHandle) {
    let mut tick = tokio::time::interval(REMEMBER_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = files.acknowledged(Network::acknowledged(&raft)) {
            network.raise_alarm(
                Alarm::Memory,
                format!("cannot write down what the peers acknowledged: {error}"),
            );
        }
    }
}

/// Runs until told to stop. `Some` if the stop is to be a clean one, with how it went so far.
async fn stay(raft: &RaftHandle, files: &Files, mut stop: mpsc::UnboundedReceiver<Stop>) -> Answer {
    let done = match stop.recv().await {
        None | Some(Stop::AtOnce) => return None,
        Some(Stop::Clean(done)) => done,
    };
    let (written, checkpoint) = oneshot::channel();
    let ask = raft.with_state_machine(move |machine: &mut StateMachine| {
        machine.checkpoint_now(written);
        Box::pin(async {})
    });
    // Who applies waits for something that may never come.
    let asked = match files.waits().words() {
        Some(_) => Ok(()),
        None => match tokio::time::timeout(LAST_CHECKPOINT_TIME_MAX, ask).await {
            Ok(asked) => asked,
            Err(_) => Ok(()), // nothing comes of it below
        },
    };
    let outcome = match asked {
        Ok(()) if files.waits().words().is_some() => Ok(()),
        // It stopped for a reason of its own, which everybody has seen.
        Err(fatal) => Err(fatal.to_string()),
        Ok(()) => match tokio::time::timeout(LAST_CHECKPOINT_TIME_MAX, checkpoint).await {
            Ok(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
            Ok(Err(_)) => Err("the last checkpoint was not written".into()),
            Err(_) => Err(format!("the last checkpoint was not written within {LAST_CHECKPOINT_TIME_MAX:?}")),
        },
    };
    if let Err(error) = raft.shutdown().await {
        error!(%error, "raft did not stop in order");
    }
    Some((done, outcome))
}
