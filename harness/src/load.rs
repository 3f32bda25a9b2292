//! Load for stories: some workers that send unique messages one after the other, and write down what
//! became of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use platform::{Clock, OsClock};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::body;
use crate::outcome::Outcome;
use crate::raw_client::{Queue, RawClient, Sent};

/// How long one attempt may take.
const SEND_WITHIN: Duration = Duration::from_secs(3);
/// How long load may take to bring an expected number of acknowledgements.
const ACKS_WITHIN: Duration = Duration::from_secs(20);
/// Bytes a body.
const BODY_BYTES: usize = 300;

/// One attempt to send one message.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// To where.
    pub queue: Queue,
    /// The message, unique in its load.
    pub value: String,
    /// Which worker sent it: one worker's attempts follow each other.
    pub worker: usize,
    /// When it began, on the load's clock.
    pub begun: Duration,
    /// When its outcome was known.
    pub ended: Duration,
    /// What became of it.
    pub outcome: Outcome,
    /// Where it lies, if acknowledged.
    pub sent: Option<Sent>,
}

/// Everything that was attempted.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// In no particular order but each worker's own.
    pub attempts: Vec<Attempt>,
}

impl Ledger {
    /// The acknowledged attempts and their places.
    pub fn acked(&self) -> impl Iterator<Item = (&Attempt, Sent)> {
        let acked = self.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Acked);
        acked.filter_map(|attempt| Some((attempt, attempt.sent?)))
    }

    /// The attempts that were not acknowledged.
    pub fn not_acked(&self) -> Vec<&Attempt> {
        self.attempts.iter().filter(|attempt| attempt.outcome != Outcome::Acked).collect()
    }

    /// From `at` to the first acknowledgement of an attempt that began after it.
    pub fn next_ack(&self, at: Duration) -> Option<Duration> {
        let later = self.acked().filter(|(attempt, _)| attempt.begun >= at);
        later.map(|(attempt, _)| attempt.ended.saturating_sub(at)).min()
    }

    /// Takes over what another load did.
    pub fn append(&mut self, mut other: Self) {
        self.attempts.append(&mut other.attempts);
    }
}

/// What to load a group with.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// Set before every value, so that several loads of one story do not meet.
    pub name: String,
    /// Written to in turn.
    pub queues: Vec<Queue>,
    /// How many send at the same time.
    pub workers: usize,
    /// Pause of a worker between two sends, at least.
    pub every: Duration,
    /// The level of delay that every message asks for. Where it will lie is unknown then.
    pub delay_level: Option<u8>,
}

/// Running workers.
pub struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<Vec<Attempt>>,
}

struct Shared {
    spec: LoadSpec,
    addrs: Vec<String>,
    client: RawClient,
    clock: OsClock,
    stopped: AtomicBool,
    acked: AtomicU64,
}

impl Load {
    /// Starts the workers against the nodes at `addrs`; each begins at another one, and goes to the next
    /// when one fails.
    pub fn start(client: &RawClient, addrs: Vec<String>, spec: LoadSpec) -> Self {
        let shared = Arc::new(Shared {
            spec,
            addrs,
            client: client.clone(),
            clock: OsClock::new(),
            stopped: AtomicBool::new(false),
            acked: AtomicU64::new(0),
        });
        let mut workers = JoinSet::new();
        for worker in 0..shared.spec.workers {
            workers.spawn(work(shared.clone(), worker));
        }
        Self { shared, workers }
    }

    /// Time on the clock of the ledger.
    pub fn now(&self) -> Duration {
        self.shared.clock.monotonic()
    }

    /// Waits until this many more messages are acknowledged than are now.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn wait_for_acks(&self, more: u64) {
        let wanted = self.shared.acked.load(Ordering::Relaxed) + more;
        let reached = async {
            let mut ticks = interval(Duration::from_millis(2));
            while self.shared.acked.load(Ordering::Relaxed) < wanted {
                ticks.tick().await;
            }
        };
        let reached = timeout(ACKS_WITHIN, reached).await;
        let acked = self.shared.acked.load(Ordering::Relaxed);
        assert!(
            reached.is_ok(),
            "waited {ACKS_WITHIN:?} for {wanted} acknowledged messages; there are {acked}"
        );
    }

    /// Ends the workers, each after the attempt it has under way.
    pub async fn stop(self) -> Ledger {
        self.shared.stopped.store(true, Ordering::Relaxed);
        Ledger { attempts: self.workers.join_all().await.into_iter().flatten().collect() }
    }
}

async fn work(shared: Arc<Shared>, worker: usize) -> Vec<Attempt> {
    let Shared { spec, addrs, client, clock, .. } = &*shared;
    let mut attempts = Vec::new();
    let mut node = worker % addrs.len();
    let mut ticks = interval(spec.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shared.stopped.load(Ordering::Relaxed) {
        ticks.tick().await;
        let number = attempts.len();
        let queue = spec.queues[(worker + number) % spec.queues.len()].clone();
        let value = format!("{}-{worker}-{number}", spec.name);
        let body = body::encode(&value, &format!("{value}.0"), BODY_BYTES);
        let begun = clock.monotonic();
        let (outcome, sent) = match spec.delay_level {
            Some(level) => (client.send_delayed(&addrs[node], &queue, body, level, SEND_WITHIN).await, None),
            None => client.send(&addrs[node], &queue, body, SEND_WITHIN).await,
        };
        let ended = clock.monotonic();
        if outcome == Outcome::Acked {
            shared.acked.fetch_add(1, Ordering::Relaxed);
        } else {
            node = (node + 1) % addrs.len();
        }
        attempts.push(Attempt { queue, value, worker, begun, ended, outcome, sent });
    }
    attempts
}
