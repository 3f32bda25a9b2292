//! What was seen of a simulated group from outside, and what of it must never be seen: two leaders of one term, two entries
//! at one place, an acknowledged proposal lost, a refused one applied, one applied twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use raft::{Apply, ApplyError, Halt, NodeId, Receipt, Reply, View, WriteSections};
use store::{Checkpoint, LogPoint, LogReader, SealState, StoredEntry};

use crate::group::{Recorder, State};

/// Shared by all who see something.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    /// Term and bytes of what was applied first at each log index.
    applied: BTreeMap<u64, (u64, Vec<u8>)>,
    /// Where each proposal was applied.
    places: BTreeMap<Vec<u8>, u64>,
    leaders: BTreeMap<u64, NodeId>,
    acknowledged: BTreeMap<Vec<u8>, Receipt>,
    refused: BTreeSet<Vec<u8>>,
    violations: Vec<String>,
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }

    /// A promise was broken.
    pub fn violation(&self, what: String) {
        self.books().violations.push(what);
    }

    pub fn violations(&self) -> Vec<String> {
        self.books().violations.clone()
    }

    /// How many proposals were acknowledged.
    pub fn acknowledged_count(&self) -> usize {
        self.books().acknowledged.len()
    }

    /// A node shows this of itself.
    pub fn saw(&self, node: NodeId, view: &View) {
        if view.is_leader() {
            self.leads(node, view.term);
        }
    }

    fn leads(&self, node: NodeId, term: u64) {
        let mut books = self.books();
        let leader = *books.leaders.entry(term).or_insert(node);
        if leader != node {
            books.violations.push(format!("node {leader} and node {node} both lead term {term}"));
        }
    }

    pub fn acknowledged(&self, by: NodeId, proposal: &[u8], receipt: Receipt) {
        self.leads(by, receipt.term);
        let mut books = self.books();
        match books.places.get(proposal) {
            Some(place) if *place == receipt.log_index => {}
            place => {
                let text =
                    format!("{} is acknowledged as {receipt:?}, and applied at {place:?}", name(proposal));
                books.violations.push(text);
            }
        }
        books.acknowledged.insert(proposal.to_vec(), receipt);
    }

    /// It was certainly not proposed.
    pub fn refused(&self, proposal: &[u8]) {
        self.books().refused.insert(proposal.to_vec());
    }

    fn applied(&self, node: NodeId, entry: &StoredEntry) {
        let (log_index, term) = (entry.head.log_index, entry.head.term);
        let mut books = self.books();
        let bytes = entry.bytes.to_vec();
        let (first_term, first_bytes) =
            books.applied.entry(log_index).or_insert_with(|| (term, bytes.clone())).clone();
        if first_term != term || first_bytes != bytes {
            let text = format!(
                "node {node} applies another entry {log_index} (term {term}) than was applied first (term {first_term})"
            );
            books.violations.push(text);
        }
        for effect in &entry.effects().unwrap() {
            let proposal = effect.record.to_vec();
            let place = *books.places.entry(proposal.clone()).or_insert(log_index);
            if place != log_index {
                let text = format!("{} is in entry {place} and in entry {log_index}", name(&proposal));
                books.violations.push(text);
            }
        }
    }

    /// Holds what all nodes have applied in the end against what was told to the clients.
    pub fn check_end(&self, state: &State) {
        let mut books = self.books();
        let held: BTreeMap<&[u8], u64> =
            state.commands.iter().map(|(log_index, record)| (&record[..], *log_index)).collect();
        let mut found = Vec::new();
        if held.len() != state.commands.len() {
            found.push("a proposal was applied twice".to_owned());
        }
        for (proposal, receipt) in &books.acknowledged {
            if held.get(&proposal[..]) != Some(&receipt.log_index) {
                let place = held.get(&proposal[..]);
                found.push(format!("{}, acknowledged as {receipt:?}, is at {place:?}", name(proposal)));
            }
        }
        for proposal in books.refused.iter().filter(|proposal| held.contains_key(&proposal[..])) {
            found.push(format!("{} was refused, and is applied", name(proposal)));
        }
        books.violations.extend(found);
    }
}

/// The first word of a proposal.
fn name(proposal: &[u8]) -> String {
    let word = proposal.split(|byte| *byte == b' ').next().unwrap_or_default();
    String::from_utf8_lossy(word).into_owned()
}

/// Applies, and tells the ledger.
pub struct Witness {
    pub node: NodeId,
    pub recorder: Recorder,
    pub ledger: Ledger,
}

impl Apply for Witness {
    fn apply(&mut self, entry: &StoredEntry) -> Result<Reply, Halt> {
        self.ledger.applied(self.node, entry);
        self.recorder.apply(entry)
    }

    fn applied(&mut self, upto: LogPoint) {
        self.recorder.applied(upto);
    }

    fn checkpoint(&mut self) -> (SealState, WriteSections) {
        self.recorder.checkpoint()
    }

    fn restore(&mut self, checkpoint: Option<&Checkpoint>, log: &LogReader) -> Result<(), ApplyError> {
        self.recorder.restore(checkpoint, log)
    }

    fn install(&mut self, checkpoint: &Checkpoint) -> Result<(), ApplyError> {
        self.recorder.install(checkpoint)
    }
}
