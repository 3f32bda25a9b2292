//! The load `log`: unique messages to the queues of some topics, and consumers that read them back.

mod drain;
mod poller;
mod sender;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster_tests::raw_client::{Queue, RawClient};
use platform::RngSource;
use tokio::task::JoinSet;

use crate::recorder::Recorder;
use crate::scenario::Workload;

pub use drain::{drain, send_sentinels};

/// What every client of a run shares.
#[derive(Clone)]
pub struct Clients {
    /// Takes the history down.
    pub recorder: Recorder,
    /// Sends and pulls.
    pub client: RawClient,
    /// Client address of each node, by number.
    pub addrs: Arc<[String]>,
    /// Written to and read from.
    pub queues: Arc<[Queue]>,
    /// Seeds every choice.
    pub rng: Arc<dyn RngSource>,
    /// What the scenario asks for.
    pub spec: Workload,
}

impl Clients {
    /// The queues of a scenario's topics.
    pub fn queues(spec: &Workload) -> Vec<Queue> {
        let topics = (0..spec.topics).map(|topic| Arc::<str>::from(format!("t{topic}")));
        let queue_ids = 0..spec.queues as u32;
        topics
            .flat_map(|topic| queue_ids.clone().map(move |queue_id| Queue { topic: topic.clone(), queue_id }))
            .collect()
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
    /// Starts them; the senders are held until told to send.
    pub fn start(clients: &Clients) -> Self {
        let switches = Arc::new(Switches::default());
        let mut tasks = JoinSet::new();
        for number in 0..clients.spec.concurrency {
            tasks.spawn(sender::run(clients.clone(), switches.clone(), number));
        }
        for group in 0..clients.spec.groups {
            for queue in clients.queues.iter() {
                tasks.spawn(poller::run(clients.clone(), switches.clone(), group, queue.clone()));
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
