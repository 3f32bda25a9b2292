//! What all stories share: a turn, a group with a topic, load, and the audit at the end.

use std::time::Duration;

use harness::audit::audit;
use harness::load::{Ledger, Load, LoadSpec};
use harness::raw_client::{Queue, RawClient};
use harness::{Cluster, ClusterOptions, View, seed};
use platform::{RngSource, SeededRng};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long one request may take.
pub const ASK_WITHIN: Duration = Duration::from_secs(5);
/// The topic of every story.
pub const TOPIC: &str = "story";
/// The group of every story's client.
pub const GROUP: &str = "story";
const QUEUES: u32 = 3;

static TURN: Semaphore = Semaphore::const_new(1);

/// A group at work.
pub struct Story {
    pub cluster: Cluster,
    pub client: RawClient,
    ledger: Ledger,
    rng: StdRng,
    _turn: SemaphorePermit<'static>,
}

impl Story {
    /// A group of three behind proxies, with a topic.
    pub async fn begin(name: &str) -> Self {
        Self::begin_with(ClusterOptions::new(name)).await
    }

    /// The same as `options` say.
    pub async fn begin_with(options: ClusterOptions) -> Self {
        let turn = TURN.acquire().await.unwrap();
        println!("story {}", options.name);
        let rng = SeededRng(seed::pick()).rng("story");
        let cluster = Cluster::start(options).await.unwrap();
        let client = RawClient::new(GROUP);
        let story = Self { cluster, client, ledger: Ledger::default(), rng, _turn: turn };
        story.client.create_topic(&story.leader_addr().await, TOPIC, QUEUES, ASK_WITHIN).await.unwrap();
        story
    }

    /// The queues of the story's topic.
    pub fn queues() -> Vec<Queue> {
        (0..QUEUES).map(|queue_id| Queue { topic: TOPIC.into(), queue_id }).collect()
    }

    /// Waits for a leader, and gives back its number.
    pub async fn leader(&self) -> usize {
        self.cluster.wait_for("a leader", View::leader).await
    }

    /// Waits for a leader, and gives back where it serves clients.
    pub async fn leader_addr(&self) -> String {
        self.cluster.broker_addr(self.leader().await)
    }

    /// The followers of `leader`, in an order that the seed decides.
    pub fn followers(&mut self, leader: usize) -> [usize; 2] {
        let (one, other) = ((leader + 1) % 3, (leader + 2) % 3);
        if self.rng.random() { [one, other] } else { [other, one] }
    }

    /// Waits until somebody else than `old` leads.
    pub async fn another_leader(&self, old: usize) -> usize {
        self.cluster.wait_for("another leader", |view| view.leader().filter(|leader| *leader != old)).await
    }

    /// Waits until all nodes follow one leader.
    pub async fn whole(&self) -> usize {
        self.cluster.wait_for("all nodes to follow one leader", View::whole).await
    }

    /// Sends to all nodes, from four workers.
    pub fn load(&self, name: &str) -> Load {
        self.load_to(name, self.cluster.broker_addrs())
    }

    /// Sends to some nodes only.
    pub fn load_to(&self, name: &str, addrs: Vec<String>) -> Load {
        let spec = LoadSpec {
            name: name.to_owned(),
            queues: Self::queues(),
            workers: 4,
            every: Duration::from_millis(5),
            delay_level: None,
        };
        Load::start(&self.client, addrs, spec)
    }

    /// Ends a load; what it did counts in the audit.
    pub async fn stop(&mut self, load: Load) -> Ledger {
        let ledger = load.stop().await;
        self.ledger.append(ledger.clone());
        ledger
    }

    /// A little load, to see that the group takes messages and to have some.
    pub async fn send_some(&mut self, name: &str) {
        let load = self.load(name);
        load.wait_for_acks(60).await;
        self.stop(load).await;
    }

    /// Everything that was attempted so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Counts everything, and ends the group.
    pub async fn end(self) {
        audit(&self.cluster, &self.client, &self.ledger).await.unwrap();
        self.cluster.finish().await.unwrap();
    }
}
