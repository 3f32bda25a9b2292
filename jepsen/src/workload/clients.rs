//! What the clients of all loads share: connections, addresses, the recorder, and the switches of a running load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::outcome::Outcome;
use harness::raw_client::{Queue, RawClient};
use platform::RngSource;

use crate::history::{Facts, Function, Kind, Process};
use crate::recorder::Recorder;
use crate::scenario::{Workload, WorkloadKind};

/// What every client of a run shares.
#[derive(Clone)]
pub struct Clients {
    /// Takes the history down.
    pub recorder: Recorder,
    /// Sends and pulls.
    pub client: RawClient,
    /// Client address of each node, by number.
    pub addrs: Arc<[String]>,
    /// HTTP address of each node, by number.
    pub http_addrs: Arc<[String]>,
    /// The name server.
    pub namesrv: Arc<str>,
    /// The queues of `log`.
    pub queues: Arc<[Queue]>,
    /// When the last delayed message is due, in nanoseconds of the run; 0 without any.
    pub delayed_until: Arc<AtomicU64>,
    /// Seeds every choice.
    pub rng: Arc<dyn RngSource>,
    /// What the scenario asks of this load.
    pub spec: Workload,
}

/// Takes down an operation and what came of it.
pub(super) async fn operate(
    clients: &Clients,
    process: u64,
    function: Function,
    asked: Facts,
    work: impl Future<Output = (Kind, Facts)>,
) -> Kind {
    clients.recorder.record(Process::Worker(process), Kind::Invoke, function, asked);
    let (kind, told) = work.await;
    clients.recorder.record(Process::Worker(process), kind, function, told);
    kind
}

/// What a history says of an operation that did not take effect, or may not have.
pub(super) fn failed(cause: &str) -> Facts {
    Facts { error: Some(cause.to_owned()), ..Facts::default() }
}

/// What a history says of the outcome of a mutation.
pub(super) fn told_of(outcome: Outcome) -> (Kind, Facts) {
    match outcome {
        Outcome::Acked => (Kind::Ok, Facts::default()),
        Outcome::Failed(why) => (Kind::Fail, failed(&why)),
        Outcome::Unknown(why) => (Kind::Info, failed(&why)),
    }
}

/// Time between two operations of each of `workers`, so that all of them together make `rate` a second.
pub(super) fn every(rate: u32, workers: usize) -> Duration {
    (Duration::from_secs(1) * workers as u32 / rate).max(Duration::from_micros(100))
}

impl Clients {
    /// The queues of a load's topics: `t0` and on of `log`, `d0` and on of `delay`.
    pub fn queues(spec: &Workload) -> Vec<Queue> {
        let topics = (0..spec.topics).map(|topic| Arc::<str>::from(Self::topic(spec.kind, topic)));
        let queue_ids = 0..spec.queues as u32;
        topics
            .flat_map(|topic| queue_ids.clone().map(move |queue_id| Queue { topic: topic.clone(), queue_id }))
            .collect()
    }
}

impl Clients {
    /// The name of a load's topic.
    pub fn topic(kind: WorkloadKind, number: usize) -> String {
        format!("{}{number}", if kind == WorkloadKind::Delay { 'd' } else { 't' })
    }

    /// The name of a consumer group of `offsets`.
    pub fn group(number: usize) -> String {
        format!("og{number}")
    }

    /// The same clients with another load.
    #[must_use]
    pub fn with(&self, spec: &Workload) -> Self {
        Self { spec: spec.clone(), ..self.clone() }
    }
}

/// Switches of a running load.
#[derive(Default)]
pub struct Switches {
    sending: AtomicBool,
    stopped: AtomicBool,
}

impl Switches {
    /// Lets the senders send, or holds them.
    pub fn send(&self, on: bool) {
        self.sending.store(on, Ordering::Relaxed);
    }

    pub(super) fn may_send(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    /// Has every client end after the operation it has under way.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
