//! Consumer offsets: one writer a register, which never stores a value twice, and readers at all nodes.

use std::sync::Arc;
use std::time::Duration;

use harness::node_name;
use harness::outcome::Outcome;
use harness::raw_client::{Queue, RawClient};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::clients::{Clients, Switches, every, failed, operate, told_of};
use crate::history::{Facts, Function, Kind};

/// One of this many stores is the operator's.
const RESET_ONE_IN: u32 = 30;
/// One of this many operations of a writer asks for the end of the queue.
const MAX_ONE_IN: u32 = 4;
/// How long the last reading of one register at one node may take.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// One register, and a client of its group.
#[derive(Clone)]
struct Register {
    client: RawClient,
    group: Arc<str>,
    queue: Queue,
}

fn registers(clients: &Clients) -> Vec<Register> {
    let groups = (0..clients.spec.groups).map(Clients::group);
    let of_group = |group: String| {
        let client = RawClient::new(&group);
        let group: Arc<str> = group.into();
        clients.queues.iter().map(move |queue| Register {
            client: client.clone(),
            group: group.clone(),
            queue: queue.clone(),
        })
    };
    groups.flat_map(of_group).collect()
}

pub(super) fn start(clients: &Clients, switches: &Arc<Switches>, tasks: &mut JoinSet<()>) {
    let registers = registers(clients);
    let workers = registers.len() + clients.spec.concurrency;
    let every = every(clients.spec.rate, workers);
    for register in &registers {
        tasks.spawn(write(clients.clone(), switches.clone(), register.clone(), every));
    }
    let registers: Arc<[Register]> = registers.into();
    for number in 0..clients.spec.concurrency {
        tasks.spawn(read(clients.clone(), switches.clone(), registers.clone(), number, every));
    }
}

/// What a writer knows.
struct Writer {
    process: u64,
    /// The highest value stored so far.
    highest: u64,
    /// Values below it that were never stored: an operator may go back to them.
    unused: Vec<u64>,
    /// The end of the queue, as last told.
    end: u64,
}

async fn write(clients: Clients, switches: Arc<Switches>, register: Register, every: Duration) {
    let mut rng = clients.rng.rng(&format!("offsets {} {}", register.group, register.queue));
    let mut writer =
        Writer { process: clients.recorder.new_process(), highest: 0, unused: Vec::new(), end: 0 };
    let mut node = 0;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !switches.stopped() {
        ticks.tick().await;
        if !switches.may_send() {
            continue;
        }
        let step = rng.random_range(1..=3);
        if writer.highest + step > writer.end || rng.random_range(0..MAX_ONE_IN) == 0 {
            writer.end = max(&clients, &register, writer.process, node).await.unwrap_or(writer.end);
        }
        let back = rng.random_range(0..RESET_ONE_IN) == 0 && !writer.unused.is_empty();
        let (function, value) = if back {
            let at = rng.random_range(0..writer.unused.len());
            (Function::Reset, writer.unused.swap_remove(at))
        } else if writer.highest + step <= writer.end {
            writer.unused.extend(writer.highest + 1..writer.highest + step);
            writer.highest += step;
            (Function::Commit, writer.highest)
        } else {
            node = (node + 1) % clients.addrs.len();
            continue;
        };
        let outcome = store(&clients, &register, writer.process, node, function, value).await;
        if function == Function::Reset || matches!(&outcome, Outcome::Failed(why) if why.contains("reset")) {
            take_reset(&clients, &register, node).await;
        }
        if outcome != Outcome::Acked {
            node = (node + 1) % clients.addrs.len();
        }
        if matches!(outcome, Outcome::Unknown(_)) {
            writer.process = clients.recorder.new_process();
        }
    }
}

async fn store(
    clients: &Clients,
    register: &Register,
    process: u64,
    node: usize,
    function: Function,
    value: u64,
) -> Outcome {
    let (addr, within) = (&clients.addrs[node], clients.spec.timeout.mean);
    let asked = Facts { number: Some(value), ..of(register, node) };
    let mut outcome = Outcome::Acked;
    let work = async {
        outcome = match function {
            Function::Reset => register.client.reset_offset(addr, &register.queue, value, within).await,
            _ => register.client.commit_offset(addr, &register.queue, value, within).await,
        };
        told_of(outcome.clone())
    };
    operate(clients, process, function, asked, work).await;
    outcome
}

/// A reset stands against every consumer until one has been told of it. Whether this one was matters to nobody: the
/// next store is refused if not, and it is tried again.
async fn take_reset(clients: &Clients, register: &Register, node: usize) {
    let (addr, within) = (&clients.addrs[node], clients.spec.timeout.mean);
    let _ = register.client.pull(addr, &register.queue, 0, 1, within).await;
}

async fn max(clients: &Clients, register: &Register, process: u64, node: usize) -> Option<u64> {
    let asked = Facts { group: None, ..of(register, node) };
    let mut end = None;
    let work = async {
        let told =
            register.client.max_offset(&clients.addrs[node], &register.queue, clients.spec.timeout.mean);
        match told.await {
            Ok(told) => {
                end = Some(told);
                (Kind::Ok, Facts { number: end, ..Facts::default() })
            }
            Err(error) => (Kind::Fail, failed(&format!("{error:#}"))),
        }
    };
    operate(clients, process, Function::Max, asked, work).await;
    end
}

async fn read(
    clients: Clients,
    switches: Arc<Switches>,
    registers: Arc<[Register]>,
    number: usize,
    every: Duration,
) {
    let mut rng: StdRng = clients.rng.rng(&format!("offset reader {number}"));
    let process = clients.recorder.new_process();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !switches.stopped() {
        ticks.tick().await;
        let register = &registers[rng.random_range(0..registers.len())];
        let node = rng.random_range(0..clients.addrs.len());
        query(&clients, register, process, node, clients.spec.timeout.mean).await;
    }
}

async fn query(clients: &Clients, register: &Register, process: u64, node: usize, within: Duration) -> Kind {
    let work = async {
        match register.client.stored_offset(&clients.addrs[node], &register.queue, within).await {
            Ok(number) => (Kind::Ok, Facts { number, ..Facts::default() }),
            Err(error) => (Kind::Fail, failed(&format!("{error:#}"))),
        }
    };
    operate(clients, process, Function::Query, of(register, node), work).await
}

fn of(register: &Register, node: usize) -> Facts {
    Facts {
        queue: Some(register.queue.to_string().into()),
        group: Some(register.group.clone()),
        node: Some(node_name(node).into()),
        ..Facts::default()
    }
}

/// Asks every node for every register, and for the end of its queue.
pub async fn read_all(clients: &Clients) {
    let process = clients.recorder.new_process();
    for register in registers(clients) {
        for node in 0..clients.addrs.len() {
            query(clients, &register, process, node, READ_WITHIN).await;
        }
        max(clients, &register, process, 0).await;
    }
}
