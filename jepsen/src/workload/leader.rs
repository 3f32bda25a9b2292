//! Questions for the leader: at every node, confirmed and not, and at the name server.

use std::sync::Arc;
use std::time::Duration;

use harness::node_name;
use harness::views::{Ask, Leader};
use platform::TokioNet;
use rand::Rng;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::clients::{Clients, Switches, every, failed, operate};
use crate::history::{Facts, Function, Kind};

/// How long a question at rest may take.
const AT_REST_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn start(clients: &Clients, switches: &Arc<Switches>, tasks: &mut JoinSet<()>) {
    for number in 0..clients.spec.concurrency {
        tasks.spawn(run(clients.clone(), switches.clone(), number));
    }
}

async fn run(clients: Clients, switches: Arc<Switches>, number: usize) {
    let mut rng = clients.rng.rng(&format!("leader reader {number}"));
    let process = clients.recorder.new_process();
    let mut ticks = interval(every(clients.spec.rate, clients.spec.concurrency));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !switches.stopped() {
        ticks.tick().await;
        let node = rng.random_range(0..clients.addrs.len());
        let within = clients.spec.timeout.mean;
        match rng.random_range(0..10) {
            0..6 => leader(&clients, process, node, Function::Leader, within).await,
            6..9 => leader(&clients, process, node, Function::LocalLeader, within).await,
            _ => route(&clients, process, within, false).await,
        }
    }
}

async fn leader(clients: &Clients, process: u64, node: usize, function: Function, within: Duration) {
    let ask = if function == Function::LocalLeader { Ask::Local } else { Ask::Majority };
    let asked = Facts { node: Some(node_name(node).into()), ..Facts::default() };
    let work = async {
        match Leader::ask(&TokioNet, &clients.http_addrs[node], ask, within).await {
            Ok(Leader { term, leader, read_index, .. }) => {
                (Kind::Ok, Facts { term: Some(term), leader, number: read_index, ..Facts::default() })
            }
            Err(error) => (Kind::Fail, failed(&error.to_string())),
        }
    };
    operate(clients, process, function, asked, work).await;
}

async fn route(clients: &Clients, process: u64, within: Duration, done: bool) {
    let asked = Facts { done, ..Facts::default() };
    let topic = &clients.queues[0].topic;
    let work = async {
        match clients.client.route(&clients.namesrv, topic, within).await {
            Ok(route) => {
                let addr = route["brokerDatas"][0]["brokerAddrs"]["0"].as_str();
                let node = clients.addrs.iter().position(|known| Some(known.as_str()) == addr);
                (Kind::Ok, Facts { leader: node.map(node_name), ..Facts::default() })
            }
            Err(error) => (Kind::Fail, failed(&format!("{error:#}"))),
        }
    };
    operate(clients, process, Function::Route, asked, work).await;
}

/// One question a node and one to the name server, when the group is at rest.
pub async fn finish(clients: &Clients) {
    let process = clients.recorder.new_process();
    for node in 0..clients.addrs.len() {
        leader(clients, process, node, Function::Leader, AT_REST_WITHIN).await;
    }
    route(clients, process, AT_REST_WITHIN, true).await;
}
