//! Messages that are to come later: senders of all levels, and one reader a queue that sees when they come.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use harness::outcome::Outcome;
use harness::raw_client::Queue;
use harness::{body, node_name};
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::clients::{Clients, Switches, every, failed, told_of};
use super::poller::facts_of;
use crate::checker::delay::{LATE_NS, RECOVERY_NS};
use crate::history::{Facts, Function, Kind, Process};
use crate::scenario::DELAY_LEVELS_MS;

/// How often a reader asks; being late is measured by it.
const LOOK: Duration = Duration::from_millis(100);
/// Messages a page.
const PAGE_MESSAGES: u32 = 32;
/// How long a page may take.
const PAGE_WITHIN: Duration = Duration::from_secs(3);

pub(super) fn start(clients: &Clients, switches: &Arc<Switches>, tasks: &mut JoinSet<()>) {
    for number in 0..clients.spec.concurrency {
        tasks.spawn(send(clients.clone(), switches.clone(), number));
    }
    for queue in Clients::queues(&clients.spec) {
        tasks.spawn(poll(clients.clone(), switches.clone(), queue));
    }
}

async fn send(clients: Clients, switches: Arc<Switches>, number: usize) {
    let mut rng = clients.rng.rng(&format!("delay sender {number}"));
    let queues = Clients::queues(&clients.spec);
    let (mut process, mut sent) = (clients.recorder.new_process(), 0_u64);
    let mut node = number % clients.addrs.len();
    let mut ticks = interval(every(clients.spec.rate, clients.spec.concurrency));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !switches.stopped() {
        ticks.tick().await;
        if !switches.may_send() {
            continue;
        }
        let (Some(queue), Some(&level)) = (queues.choose(&mut rng), clients.spec.levels.choose(&mut rng))
        else {
            return;
        };
        if rng.random_range(0..4) == 0 {
            node = rng.random_range(0..clients.addrs.len());
        }
        let value = format!("{process}-{sent}");
        sent += 1;
        match attempt(&clients, process, queue, &value, level, node).await {
            Outcome::Acked => {}
            Outcome::Failed(_) => node = (node + 1) % clients.addrs.len(),
            Outcome::Unknown(_) => {
                node = (node + 1) % clients.addrs.len();
                (process, sent) = (clients.recorder.new_process(), 0);
            }
        }
    }
}

async fn attempt(
    clients: &Clients,
    process: u64,
    queue: &Queue,
    value: &str,
    level: u8,
    node: usize,
) -> Outcome {
    let attempt = format!("{value}.0");
    let body = body::encode(value, &attempt, clients.spec.body_bytes);
    let delay_ms = DELAY_LEVELS_MS[usize::from(level) - 1];
    let facts = Facts {
        queue: Some(queue.to_string().into()),
        value: Some(value.into()),
        attempt: Some(attempt.into()),
        node: Some(node_name(node).into()),
        delay_ms: Some(delay_ms),
        ..Facts::default()
    };
    let who = Process::Worker(process);
    clients.recorder.record(who, Kind::Invoke, Function::DelaySend, facts);
    let (addr, within) = (&clients.addrs[node], clients.spec.timeout.mean);
    let outcome = clients.client.send_delayed(addr, queue, body, level, within).await;
    let (kind, facts) = told_of(outcome.clone());
    let at = clients.recorder.record(who, kind, Function::DelaySend, facts);
    if outcome == Outcome::Acked {
        let due = at.as_nanos() as u64 + delay_ms * 1_000_000;
        clients.delayed_until.fetch_max(due, Ordering::Relaxed);
    }
    outcome
}

async fn poll(clients: Clients, switches: Arc<Switches>, queue: Queue) {
    let mut rng = clients.rng.rng(&format!("delay reader {queue}"));
    let process = clients.recorder.new_process();
    let (mut node, mut from) = (rng.random_range(0..clients.addrs.len()), 0);
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !switches.stopped() {
        ticks.tick().await;
        match page(&clients, process, &queue, node, from).await {
            Some((next, _)) => {
                if next == from {
                    node = rng.random_range(0..clients.addrs.len());
                }
                from = next;
            }
            None => node = (node + 1) % clients.addrs.len(),
        }
    }
}

/// One page: where to go on, and whether that is the end.
async fn page(clients: &Clients, process: u64, queue: &Queue, node: usize, from: u64) -> Option<(u64, bool)> {
    let facts = Facts {
        queue: Some(queue.to_string().into()),
        node: Some(node_name(node).into()),
        from: Some(from),
        ..Facts::default()
    };
    let who = Process::Worker(process);
    clients.recorder.record(who, Kind::Invoke, Function::DelayPoll, facts);
    match clients.client.pull(&clients.addrs[node], queue, from, PAGE_MESSAGES, PAGE_WITHIN).await {
        Ok(page) => {
            let next = page.messages.last().map_or(from, |last| last.queue_offset + 1);
            let done = next >= page.max;
            clients.recorder.record(who, Kind::Ok, Function::DelayPoll, facts_of(&page, done));
            Some((next, done))
        }
        Err(error) => {
            clients.recorder.record(who, Kind::Fail, Function::DelayPoll, failed(&format!("{error:#}")));
            None
        }
    }
}

/// Waits until every delayed message must have come.
pub async fn wait_for_all(clients: &Clients) {
    let now = clients.recorder.now().as_nanos() as u64;
    let due = clients.delayed_until.load(Ordering::Relaxed) + LATE_NS;
    // A fault that was healed just now excuses being late for this long.
    let excused = now + RECOVERY_NS + LATE_NS;
    sleep(Duration::from_nanos(due.max(excused) - now) + LOOK).await;
}

/// Reads every queue at every node to its end, for at most `within` each.
pub async fn finish(clients: &Clients, tries: u32) {
    for queue in Clients::queues(&clients.spec) {
        for node in 0..clients.addrs.len() {
            let process = clients.recorder.new_process();
            let (mut from, mut failures) = (0, 0);
            while failures < tries {
                match page(clients, process, &queue, node, from).await {
                    Some((_, true)) => break,
                    Some((next, false)) => from = next,
                    None => failures += 1,
                }
            }
        }
    }
}
