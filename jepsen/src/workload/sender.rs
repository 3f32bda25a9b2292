//! One sender: unique messages, one attempt each, at its share of the rate.

use std::sync::Arc;
use std::time::Duration;

use harness::body;
use harness::node_name;
use harness::outcome::Outcome;
use harness::raw_client::{Queue, Sent};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::{MissedTickBehavior, interval};

use super::clients::{Clients, Switches, failed};
use crate::history::{Facts, Function, Kind, Process};

/// This many of a hundred sends go to the first queue: order and offsets break where many meet.
const HOT_PERCENT: u32 = 80;
/// One of this many senders sends to any node, whoever leads: the others must forward.
const STRAY_ONE_IN: usize = 4;

pub(super) async fn run(clients: Clients, switches: Arc<Switches>, number: usize) {
    let mut rng = clients.rng.rng(&format!("sender {number}"));
    let mut process = clients.recorder.new_process();
    let mut sent = 0_u64;
    let mut node = number % clients.addrs.len();
    let stray = number % STRAY_ONE_IN == STRAY_ONE_IN - 1;
    let every = Duration::from_secs(1) * clients.spec.concurrency as u32 / clients.spec.rate;
    let mut ticks = interval(every.max(Duration::from_micros(100)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !switches.stopped() {
        ticks.tick().await;
        if !switches.may_send() {
            continue;
        }
        let queue = pick_queue(&clients.queues, &mut rng);
        let to = if stray { rng.random_range(0..clients.addrs.len()) } else { node };
        let value = format!("{process}-{sent}");
        sent += 1;
        match attempt(&clients, process, queue, &value, to, false).await.0 {
            Outcome::Acked => node = to,
            Outcome::Failed(_) => node = (to + 1) % clients.addrs.len(),
            Outcome::Unknown(_) => {
                node = (to + 1) % clients.addrs.len();
                (process, sent) = (clients.recorder.new_process(), 0);
            }
        }
    }
}

fn pick_queue<'a>(queues: &'a [Queue], rng: &mut StdRng) -> &'a Queue {
    if rng.random_range(0..100) < HOT_PERCENT {
        &queues[0]
    } else {
        &queues[rng.random_range(0..queues.len())]
    }
}

/// Sends one message once and takes down what came of it.
pub(super) async fn attempt(
    clients: &Clients,
    process: u64,
    queue: &Queue,
    value: &str,
    to: usize,
    sentinel: bool,
) -> (Outcome, Option<Sent>) {
    let attempt = format!("{value}.0");
    let body = body::encode(value, &attempt, clients.spec.body_bytes);
    let facts = Facts {
        queue: Some(queue.to_string().into()),
        value: Some(value.into()),
        attempt: Some(attempt.into()),
        node: Some(node_name(to).into()),
        sentinel,
        ..Facts::default()
    };
    let who = Process::Worker(process);
    clients.recorder.record(who, Kind::Invoke, Function::Send, facts);
    let (outcome, sent) =
        clients.client.send(&clients.addrs[to], queue, body, clients.spec.timeout.mean).await;
    let (kind, facts) = match (&outcome, sent) {
        (Outcome::Acked, Some(sent)) => {
            let facts = Facts {
                queue_offset: Some(sent.queue_offset),
                commitlog_offset: Some(sent.commitlog_offset),
                term: sent.term,
                log_index: sent.log_index,
                ..Facts::default()
            };
            (Kind::Ok, facts)
        }
        (Outcome::Acked, None) => (Kind::Info, failed("acknowledged without a place")),
        (Outcome::Failed(cause), _) => (Kind::Fail, failed(cause)),
        (Outcome::Unknown(cause), _) => (Kind::Info, failed(cause)),
    };
    clients.recorder.record(who, kind, Function::Send, facts);
    (outcome, sent)
}
