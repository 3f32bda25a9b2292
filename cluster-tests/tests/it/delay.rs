//! Delayed messages through everything that can happen to a leader while they come due.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::eventually;
use harness::load::{Ledger, Load, LoadSpec};
use harness::outcome::Outcome;
use harness::raw_client::{Pulled, Queue};

use crate::story::{ASK_WITHIN, Story};

const QUEUES: u32 = 2;
/// Levels, and the delay of each in milliseconds.
const LEVELS: [(u8, i64); 2] = [(1, 1_000), (2, 5_000)];
/// How long the last message may take to come, once the group is well.
const COMES_WITHIN: Duration = Duration::from_secs(60);

/// Senders of delayed messages, one a level.
pub struct Later {
    topic: String,
    loads: Vec<(u8, Load)>,
}

impl Later {
    /// Starts them, into a topic of their own.
    pub async fn start(story: &Story, name: &str) -> Self {
        let topic = format!("later-{name}");
        story.client.create_topic(&story.leader_addr().await, &topic, QUEUES, ASK_WITHIN).await.unwrap();
        let loads = LEVELS.map(|(level, _)| {
            let spec = spec(format!("{name}-{level}"), &topic, 2, level);
            (level, Load::start(&story.client, story.cluster.broker_addrs(), spec))
        });
        Self { topic, loads: loads.into() }
    }

    /// Waits until this many more are acknowledged at every level.
    async fn wait_for_acks(&self, more: u64) {
        for (_, load) in &self.loads {
            load.wait_for_acks(more).await;
        }
    }

    /// Ends them, and waits for what they sent: each acknowledged message comes once, no other one twice, none early.
    pub async fn end(self, story: &Story) {
        let Self { topic, loads } = self;
        let mut attempts = BTreeMap::new();
        for (level, load) in loads {
            let Ledger { attempts: own } = load.stop().await;
            attempts.extend(own.into_iter().map(|attempt| (attempt.value.clone(), (level, attempt))));
        }
        let acked = attempts.values().filter(|(_, attempt)| attempt.outcome == Outcome::Acked).count();
        // A level delivers in order: whatever was sent before these has come when they have.
        for level in LEVELS.map(|(level, _)| level) {
            let spec = spec(format!("last-{level}"), &topic, 1, level);
            let load = Load::start(&story.client, vec![story.leader_addr().await], spec);
            load.wait_for_acks(1).await;
            attempts.extend(
                load.stop().await.attempts.into_iter().map(|last| (last.value.clone(), (level, last))),
            );
        }
        assert!(acked > 0, "no delayed message was acknowledged");
        let mut reader = Reader::new(&topic);
        eventually(&format!("{acked} delayed messages to come"), COMES_WITHIN, async || {
            reader.read_on(story).await;
            let mut acked = attempts.iter().filter(|(_, (_, attempt))| attempt.outcome == Outcome::Acked);
            acked.all(|(value, _)| reader.came.contains_key(value)).then_some(())
        })
        .await;
        // In the queues that were read before the one in which the last of them was found.
        reader.read_on(story).await;
        let came = reader.came;
        for (value, times) in &came {
            assert_eq!(times.len(), 1, "{value} came {} times: {times:?}", times.len());
            let (level, attempt) = attempts.get(value).unwrap_or_else(|| panic!("nobody sent {value}"));
            let after_ms = times[0].stored_ms - times[0].born_ms;
            let delay_ms = LEVELS[usize::from(*level) - 1].1;
            assert!(after_ms >= delay_ms, "{value} came after {after_ms} of {delay_ms} ms");
            assert!(!matches!(attempt.outcome, Outcome::Failed(_)), "{value} was refused, and came");
        }
        println!("{acked} delayed messages were acknowledged, {} came", came.len());
    }
}

/// Reads what has come.
struct Reader {
    /// Queues, and where to go on in each.
    next: Vec<(Queue, u64)>,
    /// By value.
    came: BTreeMap<String, Vec<Pulled>>,
}

impl Reader {
    fn new(topic: &str) -> Self {
        Self { next: queues(topic).into_iter().map(|queue| (queue, 0)).collect(), came: BTreeMap::new() }
    }

    async fn read_on(&mut self, story: &Story) {
        let addr = story.leader_addr().await;
        for (queue, next) in &mut self.next {
            loop {
                let page = story.client.pull(&addr, queue, *next, 32, ASK_WITHIN).await.unwrap();
                for message in page.messages {
                    let value = message.body.clone().unwrap().value;
                    self.came.entry(value).or_default().push(message);
                }
                *next = page.next;
                if *next >= page.max {
                    break;
                }
            }
        }
    }
}

fn spec(name: String, topic: &str, workers: usize, level: u8) -> LoadSpec {
    let every = Duration::from_millis(10);
    LoadSpec { name, queues: queues(topic), workers, every, delay_level: Some(level) }
}

fn queues(topic: &str) -> Vec<Queue> {
    (0..QUEUES).map(|queue_id| Queue { topic: topic.into(), queue_id }).collect()
}

#[tokio::test]
async fn delayed_messages_come_once_and_not_early_through_twenty_changes_of_leader() {
    let mut story = Story::begin("delay").await;
    let later = Later::start(&story, "story").await;
    for round in 0..20 {
        let old = story.whole().await;
        // As many as take a third of a second at least, in another place of their levels' delays each time.
        later.wait_for_acks(60 + 14 * (round % 7)).await;
        match round % 3 {
            0 => {
                story.cluster.kill(old).await.unwrap();
                story.another_leader(old).await;
                story.cluster.start_node(old).await.unwrap();
            }
            1 => {
                let [to, _] = story.followers(old);
                story.cluster.transfer_leader(old, to).await.unwrap();
            }
            _ => {
                story.cluster.pause(old).await.unwrap();
                story.another_leader(old).await;
                story.cluster.resume(old).await.unwrap();
            }
        }
    }
    story.whole().await;
    later.end(&story).await;
    story.end().await;
}
