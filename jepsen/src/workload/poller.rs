//! One consumer of one queue: reads on from where it is, at whichever node answers, and now and then goes
//! back on purpose.

use std::sync::Arc;
use std::time::Duration;

use harness::node_name;
use harness::raw_client::{Page, Queue};
use rand::Rng;
use tokio::time::{MissedTickBehavior, interval};

use super::clients::{Clients, Switches, failed};
use crate::history::{Facts, Function, Kind, Process, Record};

/// How often an idle consumer asks.
const IDLE: Duration = Duration::from_millis(200);
/// How often a consumer asks that has just been given something.
const BUSY: Duration = Duration::from_millis(20);
/// Messages a page, at most. RocketMQ gives no more at once.
const PAGE_MESSAGES: u32 = 32;
/// One of this many polls is followed by going back.
const SEEK_ONE_IN: u32 = 50;
/// How far back it goes, at most.
const SEEK_BACK_MAX: u64 = 100;
/// How long a page may take.
const PAGE_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn run(clients: Clients, switches: Arc<Switches>, group: usize, queue: Queue) {
    let mut rng = clients.rng.rng(&format!("consumer {group} {queue}"));
    let process = clients.recorder.new_process();
    let mut node = rng.random_range(0..clients.addrs.len());
    let mut position = 0;
    let mut idle_ticks = interval(IDLE);
    let mut busy_ticks = interval(BUSY);
    idle_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    busy_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut busy = false;
    while !switches.stopped() {
        if busy {
            busy_ticks.tick().await
        } else {
            idle_ticks.tick().await
        };
        let page = read(&clients, Function::Poll, process, group, &queue, node, position).await;
        busy = false;
        match page {
            // Where the broker says to go on matters only with messages: a follower that is behind would
            // send the reader back.
            Ok(page) => {
                if let Some(last) = page.messages.last() {
                    position = last.queue_offset + 1;
                    busy = true;
                } else {
                    node = rng.random_range(0..clients.addrs.len());
                }
            }
            Err(()) => node = (node + 1) % clients.addrs.len(),
        }
        if rng.random_range(0..SEEK_ONE_IN) == 0 && position > 0 {
            position -= rng.random_range(1..=position.min(SEEK_BACK_MAX));
            let facts =
                Facts { queue: Some(queue.to_string().into()), from: Some(position), ..Facts::default() };
            clients.recorder.record(Process::Worker(process), Kind::Info, Function::Seek, facts);
        }
    }
}

/// Pulls one page and takes it down.
async fn read(
    clients: &Clients,
    function: Function,
    process: u64,
    group: usize,
    queue: &Queue,
    node: usize,
    from: u64,
) -> Result<Page, ()> {
    let facts = Facts {
        queue: Some(queue.to_string().into()),
        node: Some(node_name(node).into()),
        group: Some(format!("g{group}").into()),
        from: Some(from),
        ..Facts::default()
    };
    let who = Process::Worker(process);
    clients.recorder.record(who, Kind::Invoke, function, facts);
    match clients.client.pull(&clients.addrs[node], queue, from, PAGE_MESSAGES, PAGE_WITHIN).await {
        Ok(page) => {
            clients.recorder.record(who, Kind::Ok, function, facts_of(&page, false));
            Ok(page)
        }
        Err(error) => {
            clients.recorder.record(who, Kind::Fail, function, failed(&format!("{error:#}")));
            Err(())
        }
    }
}

/// A page as a history tells it.
pub(super) fn facts_of(page: &Page, done: bool) -> Facts {
    let records = page.messages.iter().map(|message| {
        let (value, attempt, damage) = match &message.body {
            Ok(body) => (body.value.as_str().into(), body.attempt.as_str().into(), None),
            Err(damage) => ("".into(), "".into(), Some(damage.to_string())),
        };
        let (queue_offset, commitlog_offset) = (message.queue_offset, message.commitlog_offset);
        Record { queue_offset, commitlog_offset, value, attempt, damage }
    });
    Facts {
        records: Some(records.collect()),
        next: Some(page.next),
        min: Some(page.min),
        max: Some(page.max),
        term: page.term,
        done,
        ..Facts::default()
    }
}
