//! Clients of a simulated group: each proposes one thing after the other, and tells the ledger what it heard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use platform::sim::Trace;
use raft::{Node, NodeId, Proposal, ProposeError};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::ledger::Ledger;

/// A client gives up an answer after so long, and does not know then what became of the proposal.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two proposals of a client, in milliseconds.
const PAUSE_MS_MAX: u64 = 60;
/// Bytes that make some proposals large.
const FILL_BYTES_MAX: usize = 6_000;

/// The nodes that run, as clients find them.
pub type Nodes = Arc<Mutex<BTreeMap<NodeId, Node>>>;

/// One client.
pub struct Client {
    pub name: String,
    pub nodes: Nodes,
    pub ledger: Ledger,
    pub trace: Trace,
    pub rng: StdRng,
    pub stop: watch::Receiver<bool>,
}

impl Client {
    /// Proposes until it is told to stop.
    pub async fn run(mut self) {
        let mut leader = None;
        let mut count = 0;
        while !*self.stop.borrow() {
            count += 1;
            let id = format!("{}.{count} ", self.name);
            leader = self.propose(id, leader).await;
            sleep(Duration::from_millis(self.rng.random_range(0..=PAUSE_MS_MAX))).await;
        }
    }

    /// Proposes to `leader` or to whoever is there, and returns who may lead.
    async fn propose(&mut self, id: String, leader: Option<NodeId>) -> Option<NodeId> {
        let found = {
            let nodes = self.nodes.lock().unwrap();
            let any = self.rng.random_range(0..nodes.len().max(1));
            let known = leader.and_then(|leader| Some((leader, nodes.get(&leader)?.clone())));
            known.or_else(|| nodes.iter().nth(any).map(|(id, node)| (*id, node.clone())))
        };
        let (to, node) = found?;
        let fill = if self.rng.random_ratio(1, 8) { self.rng.random_range(0..FILL_BYTES_MAX) } else { 8 };
        let record = Bytes::from(id.clone() + &"x".repeat(fill));
        let proposal = if self.rng.random_ratio(1, 3) {
            let count = self.rng.random_range(1..4);
            let mut units = BytesMut::new();
            for _ in 0..count {
                let (topic, queue) =
                    (format!("T{}", self.rng.random_range(0..3)), self.rng.random_range(0..2));
                units.extend_from_slice(&crate::units::unit(&topic, queue, id.as_bytes()));
            }
            Proposal::units(units, count).with_effect(record.clone())
        } else {
            Proposal::command(record.clone())
        };
        let outcome = timeout(PATIENCE, node.propose(proposal)).await;
        self.trace.note(&id, format!("{to} {outcome:?}").as_bytes());
        match outcome {
            Ok(Ok(receipt)) => {
                self.ledger.acknowledged(to, &record, receipt);
                Some(to)
            }
            Err(_) | Ok(Err(ProposeError::Unknown)) => None,
            Ok(Err(error)) => {
                self.ledger.refused(&record);
                if let ProposeError::NotLeader { leader } = error { leader } else { None }
            }
        }
    }
}
