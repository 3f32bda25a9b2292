//! The end of a run: a sentinel to every queue, then every queue of every node from its start.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::node_name;
use harness::outcome::Outcome;
use harness::raw_client::Queue;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::clients::{Clients, failed};
use super::poller::facts_of;
use super::sender::attempt;
use crate::history::{Facts, Function, Kind, Process};

/// Pause before what did not work is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Messages a page.
const PAGE_MESSAGES: u32 = 32;
/// How long a page may take.
const PAGE_WITHIN: Duration = Duration::from_secs(5);

/// Sends a message to every queue until each has acknowledged one, for at most `within`. Gives back the
/// sentinel's offset of each queue that did.
pub async fn send_sentinels(clients: &Clients, within: Duration) -> BTreeMap<Queue, u64> {
    let deadline = Instant::now() + within;
    let mut offsets = BTreeMap::new();
    let mut ticks = interval(AGAIN_AFTER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for queue in clients.queues.iter() {
        let mut to = 0;
        while Instant::now() < deadline {
            // Each try is another message of another process: the one before may still come to pass.
            let process = clients.recorder.new_process();
            let value = format!("{process}-sentinel");
            match attempt(clients, process, queue, &value, to, true).await {
                (Outcome::Acked, Some(sent)) => {
                    offsets.insert(queue.clone(), sent.queue_offset);
                    break;
                }
                _ => to = (to + 1) % clients.addrs.len(),
            }
            ticks.tick().await;
        }
    }
    offsets
}

/// Reads every queue at every node from its start past its sentinel to its end, for at most `within`.
pub async fn drain(clients: &Clients, sentinels: &BTreeMap<Queue, u64>, within: Duration) {
    let deadline = Instant::now() + within;
    let mut nodes = JoinSet::new();
    for node in 0..clients.addrs.len() {
        let (clients, sentinels) = (clients.clone(), sentinels.clone());
        nodes.spawn(async move {
            for queue in clients.queues.iter() {
                if let Some(&sentinel) = sentinels.get(queue) {
                    drain_queue(&clients, node, queue, sentinel, deadline).await;
                }
            }
        });
    }
    while nodes.join_next().await.is_some() {}
}

async fn drain_queue(clients: &Clients, node: usize, queue: &Queue, sentinel: u64, deadline: Instant) {
    let process = clients.recorder.new_process();
    let who = Process::Worker(process);
    let mut ticks = interval(AGAIN_AFTER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut from = 0;
    while Instant::now() < deadline {
        let facts = Facts {
            queue: Some(queue.to_string().into()),
            node: Some(node_name(node).into()),
            from: Some(from),
            ..Facts::default()
        };
        clients.recorder.record(who, Kind::Invoke, Function::Drain, facts);
        let addr = &clients.addrs[node];
        match clients.client.pull(addr, queue, from, PAGE_MESSAGES, PAGE_WITHIN).await {
            Ok(page) => {
                let progress = page.messages.last().map(|last| last.queue_offset + 1);
                from = progress.unwrap_or(from);
                // A node that is behind has an end too, but no sentinel before it.
                let done = from > sentinel && from >= page.max;
                clients.recorder.record(who, Kind::Ok, Function::Drain, facts_of(&page, done));
                if done {
                    return;
                }
                if progress.is_some() {
                    continue;
                }
                // Nothing at `from`, though the queue goes on behind it: a hole, which the checkers shall
                // see from both sides.
                if page.next > from && page.max > page.next {
                    from = page.next;
                }
            }
            Err(error) => {
                let facts = failed(&format!("{error:#}"));
                clients.recorder.record(who, Kind::Fail, Function::Drain, facts);
            }
        }
        ticks.tick().await;
    }
}
