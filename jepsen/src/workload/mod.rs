//! The loads. `log`: unique messages to the queues of some topics, and consumers that read them back. `offsets`:
//! consumer offsets in those queues. `delay`: messages that are to come later. `leader`: questions for the leader.

mod delay;
mod drain;
mod leader;
mod offsets;
mod poller;
mod sender;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cluster_tests::outcome::Outcome;
use cluster_tests::raw_client::{Queue, RawClient};
use platform::RngSource;
use tokio::task::JoinSet;

use crate::history::{Facts, Function, Kind, Process};
use crate::recorder::Recorder;
use crate::scenario::{Workload, WorkloadKind};

pub use delay::{finish as finish_delayed, wait_for_all as wait_for_delayed};
pub use drain::{drain, send_sentinels};
pub use leader::finish as finish_leader;
pub use offsets::read_all as read_all_offsets;

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
async fn operate(
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

/// What a history says of the outcome of a mutation.
fn told_of(outcome: Outcome) -> (Kind, Facts) {
    match outcome {
        Outcome::Acked => (Kind::Ok, Facts::default()),
        Outcome::Failed(why) => (Kind::Fail, sender::failed(&why)),
        Outcome::Unknown(why) => (Kind::Info, sender::failed(&why)),
    }
}

/// Time between two operations of each of `workers`, so that all of them together make `rate` a second.
fn every(rate: u32, workers: usize) -> Duration {
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

    fn may_send(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// The running senders and consumers.
pub struct Load {
    switches: Arc<Switches>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts the loads; whoever changes something is held until told to send.
    pub fn start(clients: &Clients, loads: &[Workload]) -> Self {
        let switches = Arc::new(Switches::default());
        let mut tasks = JoinSet::new();
        for spec in loads {
            let clients = clients.with(spec);
            match spec.kind {
                WorkloadKind::Log => {
                    for number in 0..spec.concurrency {
                        tasks.spawn(sender::run(clients.clone(), switches.clone(), number));
                    }
                    for group in 0..spec.groups {
                        for queue in clients.queues.iter() {
                            tasks.spawn(poller::run(clients.clone(), switches.clone(), group, queue.clone()));
                        }
                    }
                }
                WorkloadKind::Offsets => offsets::start(&clients, &switches, &mut tasks),
                WorkloadKind::Leader => leader::start(&clients, &switches, &mut tasks),
                WorkloadKind::Delay => delay::start(&clients, &switches, &mut tasks),
            }
        }
        Self { switches, tasks }
    }

    /// Lets the senders send, or holds them.
    pub fn send(&self, on: bool) {
        self.switches.send(on);
    }

    /// Ends all clients, each after the operation it has under way.
    pub async fn stop(mut self) {
        self.switches.stopped.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}
