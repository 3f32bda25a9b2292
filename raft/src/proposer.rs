//! Proposals of many callers become entries: one task takes what waits, merges it into one entry, and hands that to raft. It
//! waits for more only while a few entries that are not full are on the way: until one of them is done, or what waits fills one.
//!
//! Bounds, all ours, because raft counts messages and not bytes: bytes waiting or on the way, entries on
//! the way, bytes and proposals of one entry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::errors::{ClientWriteError, ForwardReason};
use openraft::raft::ClientWriteResult;
use store::codec::EFFECTS_SINCE;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use crate::apply::Reply;
use crate::error::ProposeError;
use crate::node::{Proposal, Receipt};
use crate::state_machine::RaftHandle;
use crate::types::{Answer, CommittedLeaderId, Parts, PartsSlot, Proposed, Types};
use crate::view::View;

/// Payload bytes that may wait or be on the way.
pub(crate) const IN_FLIGHT_BYTES_MAX: usize = 64 << 20;
/// Room that proposals leave to Raft's own entries when the log has no next segment.
const ROOM_KEPT_BYTES: u64 = 16 << 10;
/// Entries on the way that are not full: one at the disk, one at the followers, one that is applied, and the next. More of
/// them would be smaller and no sooner done, since one sync takes all that was written before it.
const SMALL_ENTRIES_MAX: usize = 4;
/// Entries on the way beyond these, all full: what a slow disk or a far follower needs to be kept busy.
const FULL_ENTRIES_MAX: usize = 60;
/// Proposals that may wait.
const WAITING_MAX: usize = 64 << 10;
/// An entry takes no further proposal once it has this many payload bytes.
const ENTRY_BYTES_GOAL: usize = 256 << 10;
/// Proposals of one entry.
const ENTRY_PROPOSALS_MAX: usize = 512;
/// A refused proposal was not appended, and is tried again after this pause.
const RETRY_PAUSE: Duration = Duration::from_millis(3);
/// A leader whose lease ran out, or that hands over, is either confirmed or replaced within this time.
const RETRY_TIME_MAX: Duration = Duration::from_secs(3);

type Outcome = Result<Receipt, ProposeError>;

/// Takes proposals. Clones feed the same task.
#[derive(Clone)]
pub(crate) struct Proposer {
    queue: mpsc::Sender<Waiting>,
    bytes: Arc<Semaphore>,
    waiting: Arc<WaitingBytes>,
    entry_bytes_max: usize,
}

/// Payload bytes in the queue, and whom to wake once they fill an entry.
#[derive(Default)]
struct WaitingBytes {
    bytes: AtomicUsize,
    fill_an_entry: Notify,
}

/// One proposal in the queue.
struct Waiting {
    content: Content,
    /// The term in which the caller decided; in another one the proposal is refused.
    term: u64,
    caller: Caller,
}

enum Content {
    /// May be merged with others.
    Parts(Proposal),
    /// An entry of its own, in a group whose members do not all know effects.
    Command(Bytes),
}

/// Who waits for a proposal. Dropped unanswered, the outcome is unknown.
struct Caller {
    answer: oneshot::Sender<Outcome>,
    unit_count: u32,
    effect_count: usize,
    _bytes: OwnedSemaphorePermit,
}

/// Proposals that become one entry.
struct Batch {
    sequence: u64,
    term: u64,
    proposed: Proposed,
    callers: Vec<Caller>,
    give_up: Instant,
    entry: OwnedSemaphorePermit,
}

impl Content {
    fn bytes(&self) -> usize {
        match self {
            Self::Parts(proposal) => proposal.bytes(),
            Self::Command(bytes) => bytes.len(),
        }
    }
}

impl Proposer {
    /// A proposer and the queue its task works on.
    pub(crate) fn new(entry_bytes_max: usize) -> (Self, Queue) {
        let (queue, receiver) = mpsc::channel(WAITING_MAX);
        let bytes = Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX));
        let waiting = Arc::<WaitingBytes>::default();
        let tasks_end = Queue { receiver, waiting: Arc::clone(&waiting) };
        (Self { queue, bytes, waiting, entry_bytes_max }, tasks_end)
    }

    pub(crate) fn entry_bytes_max(&self) -> usize {
        self.entry_bytes_max
    }

    /// Puts a proposal into the queue, in the order of calls; the receiver hears of it. `decided_in` is the term
    /// in which the caller decided on it, where that matters.
    pub(crate) fn propose(
        &self,
        proposal: Proposal,
        decided_in: Option<u64>,
        view: &View,
        room_left: Option<u64>,
    ) -> Result<oneshot::Receiver<Outcome>, ProposeError> {
        if view.fatal.is_some() {
            return Err(ProposeError::Stopped);
        }
        if let Some(reason) = &view.halted {
            return Err(ProposeError::Halted(reason.clone()));
        }
        if view.waits_for.is_some() {
            return Err(ProposeError::NotLeader { leader: view.leader.filter(|_| !view.is_leader()) });
        }
        if !view.is_leader() || decided_in.is_some_and(|term| term != view.term) {
            return Err(ProposeError::NotLeader { leader: view.leader });
        }
        let (unit_count, effect_count) = (proposal.unit_count, proposal.effects.len());
        let content = content_at(proposal, view.group_feature_level)?;
        let bytes = content.bytes();
        if bytes > self.entry_bytes_max {
            return Err(ProposeError::TooLarge { bytes, limit: self.entry_bytes_max });
        }
        let permits = u32::try_from(bytes.max(1)).map_err(|_| ProposeError::Overloaded)?;
        let room =
            Arc::clone(&self.bytes).try_acquire_many_owned(permits).map_err(|_| ProposeError::Overloaded)?;
        if let Some(left) = room_left {
            // With what heads, pads and the rest of a segment take at most.
            let waiting = IN_FLIGHT_BYTES_MAX.saturating_sub(self.bytes.available_permits()) as u64;
            let needed = waiting + waiting / 2 + ROOM_KEPT_BYTES;
            if needed > left {
                return Err(ProposeError::NoRoom { needed, left });
            }
        }
        let (answer, receiver) = oneshot::channel();
        let caller = Caller { answer, unit_count, effect_count, _bytes: room };
        self.waiting.put(bytes);
        self.queue.try_send(Waiting { content, term: view.term, caller }).map_err(|error| {
            self.waiting.take(bytes);
            match error {
                mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
            }
        })?;
        Ok(receiver)
    }
}

/// What is said of a proposal in a group of this feature level.
fn content_at(mut proposal: Proposal, level: u16) -> Result<Content, ProposeError> {
    if level >= EFFECTS_SINCE || proposal.effects.is_empty() {
        return Ok(Content::Parts(proposal));
    }
    match proposal.effects.pop() {
        Some(record) if proposal.effects.is_empty() && proposal.unit_count == 0 => {
            Ok(Content::Command(record))
        }
        _ => Err(ProposeError::Level { needed: EFFECTS_SINCE, group: level }),
    }
}

/// The task's end of the queue.
pub(crate) struct Queue {
    receiver: mpsc::Receiver<Waiting>,
    waiting: Arc<WaitingBytes>,
}

impl WaitingBytes {
    fn put(&self, bytes: usize) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before < ENTRY_BYTES_GOAL && before + bytes >= ENTRY_BYTES_GOAL {
            self.fill_an_entry.notify_one();
        }
    }

    fn take(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns once what waits fills an entry.
    async fn fill_an_entry(&self) {
        while self.bytes.load(Ordering::Relaxed) < ENTRY_BYTES_GOAL {
            self.fill_an_entry.notified().await;
        }
    }
}

impl Queue {
    fn try_recv(&mut self) -> Option<Waiting> {
        let waiting = self.receiver.try_recv().ok()?;
        self.waiting.take(waiting.content.bytes());
        Some(waiting)
    }

    async fn recv(&mut self) -> Option<Waiting> {
        let waiting = self.receiver.recv().await?;
        self.waiting.take(waiting.content.bytes());
        Some(waiting)
    }
}

/// How many entries may be on the way.
struct Window {
    small: Arc<Semaphore>,
    full: Arc<Semaphore>,
}

impl Window {
    fn new() -> Self {
        let permits = |count| Arc::new(Semaphore::new(count));
        Self { small: permits(SMALL_ENTRIES_MAX), full: permits(FULL_ENTRIES_MAX) }
    }

    /// Room for one more entry: at once while few are on the way, else as soon as one is done or a full one can be made.
    async fn room(&self, waiting: &WaitingBytes) -> OwnedSemaphorePermit {
        let full = async {
            let permit = Arc::clone(&self.full).acquire_owned().await;
            waiting.fill_an_entry().await;
            permit
        };
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(&self.small).acquire_owned() => permit,
            permit = full => permit,
        };
        permit.expect("the semaphores are never closed")
    }
}

/// Turns the queue into entries until the node stops.
pub(crate) async fn run(mut queue: Queue, raft: RaftHandle, views: watch::Receiver<View>) {
    let window = Window::new();
    let waiting_bytes = Arc::clone(&queue.waiting);
    let (refused, mut returned) = mpsc::unbounded_channel(); // at most as many as entries on the way
    let mut again: BTreeMap<u64, Batch> = BTreeMap::new();
    let mut held: Option<Waiting> = None;
    let mut sequence = 0;
    loop {
        // What raft refused goes first, in its old order, before anything younger.
        while let Ok(batch) = returned.try_recv() {
            insert(&mut again, batch);
        }
        if !again.is_empty() {
            sleep(RETRY_PAUSE).await;
            while let Ok(batch) = returned.try_recv() {
                insert(&mut again, batch);
            }
            for batch in std::mem::take(&mut again).into_values() {
                let wanted = still_wanted(batch, &views.borrow());
                let Some(batch) = wanted else { continue };
                if submit(&raft, batch, &refused).await.is_err() {
                    return;
                }
            }
            continue;
        }
        let next = if held.is_some() {
            held.take()
        } else {
            tokio::select! {
                biased;
                Some(batch) = returned.recv() => {
                    insert(&mut again, batch);
                    continue;
                }
                waiting = queue.recv() => waiting,
            }
        };
        let Some(first) = next else { return };
        let entry = tokio::select! {
            biased;
            Some(batch) = returned.recv() => {
                insert(&mut again, batch);
                held = Some(first);
                continue;
            }
            entry = window.room(&waiting_bytes) => entry,
        };
        sequence += 1;
        let batch = gather(first, &mut queue, &mut held, sequence, entry);
        if submit(&raft, batch, &refused).await.is_err() {
            return;
        }
    }
}

fn insert(again: &mut BTreeMap<u64, Batch>, batch: Batch) {
    let twice = again.insert(batch.sequence, batch);
    assert!(twice.is_none(), "a batch was refused twice at a time");
}

/// Builds one entry from what waits; what does not fit is held back for the next.
fn gather(
    first: Waiting,
    queue: &mut Queue,
    held: &mut Option<Waiting>,
    sequence: u64,
    entry: OwnedSemaphorePermit,
) -> Batch {
    let give_up = Instant::now() + RETRY_TIME_MAX;
    let Waiting { content, term, caller } = first;
    let mut bytes = content.bytes();
    let proposal = match content {
        Content::Command(bytes) => {
            let proposed = Proposed::Command(bytes);
            return Batch { sequence, term, proposed, callers: vec![caller], give_up, entry };
        }
        Content::Parts(proposal) => proposal,
    };
    let (mut parts, mut count, mut callers) = (Parts::default(), 0, vec![caller]);
    put(&mut parts, &mut count, proposal);
    while callers.len() < ENTRY_PROPOSALS_MAX {
        let Some(waiting) = queue.try_recv() else { break };
        match waiting {
            Waiting { content: Content::Parts(proposal), term: same, caller }
                if same == term && bytes + proposal.bytes() <= ENTRY_BYTES_GOAL =>
            {
                bytes += proposal.bytes();
                put(&mut parts, &mut count, proposal);
                callers.push(caller);
            }
            other => {
                *held = Some(other);
                break;
            }
        }
    }
    let proposed = Proposed::Units { slot: PartsSlot::new(parts), count };
    Batch { sequence, term, proposed, callers, give_up, entry }
}

/// Puts a proposal behind those that are in `parts`, which have `count` units.
fn put(parts: &mut Parts, count: &mut u32, proposal: Proposal) {
    for record in &proposal.effects {
        parts.effects.push(*count, proposal.unit_count, record);
    }
    // By their bytes and not by what is said of them: the log counts them, and refuses a wrong count.
    if !proposal.units.is_empty() {
        parts.units.push(proposal.units);
    }
    *count += proposal.unit_count;
}

/// A refused batch, if somebody still waits for it and this node still leads its term.
fn still_wanted(mut batch: Batch, view: &View) -> Option<Batch> {
    if batch.callers.iter().all(|caller| caller.answer.is_closed()) {
        return None;
    }
    if view.is_leader() && view.term == batch.term && Instant::now() < batch.give_up && view.fatal.is_none() {
        return Some(batch);
    }
    let leader = view.leader.filter(|_| !view.is_leader() || view.term != batch.term);
    answer_all(batch.callers.drain(..), &ProposeError::NotLeader { leader });
    None
}

fn answer_all(callers: impl IntoIterator<Item = Caller>, error: &ProposeError) {
    for caller in callers {
        let _ = caller.answer.send(Err(error.clone())); // a caller may have gone
    }
}

/// Hands a batch to raft. `Err` if raft is stopped.
async fn submit(raft: &RaftHandle, batch: Batch, refused: &mpsc::UnboundedSender<Batch>) -> Result<(), ()> {
    let term = batch.term;
    let proposed = batch.proposed.clone();
    let refused = refused.clone();
    let answer = Answer::new(move |result| conclude(batch, result, &refused));
    // If raft is stopped the answer is dropped unasked, and with it the callers' senders.
    let leader = CommittedLeaderId::new(term);
    raft.write(proposed).with_leader(leader).responder(answer).await.map_err(drop)
}

/// Splits the outcome of an entry among its callers.
fn conclude(batch: Batch, result: ClientWriteResult<Types>, refused: &mpsc::UnboundedSender<Batch>) {
    match result {
        Ok(response) => {
            let (term, log_index) = (response.log_id.leader_id.term, response.log_id.index);
            assert!(term == batch.term, "proposed in term {}, committed in term {term}", batch.term);
            let Reply { units, values } = response.data;
            let (mut units, mut values) = (units.into_iter(), values.into_iter());
            for caller in batch.callers {
                let units: Vec<_> = units.by_ref().take(caller.unit_count as usize).collect();
                let values: Vec<_> = values.by_ref().take(caller.effect_count).collect();
                let reply = Reply { units, values };
                let _ = caller.answer.send(Ok(Receipt { term, log_index, reply })); // a caller may have gone
            }
            drop(batch.entry);
        }
        Err(ClientWriteError::ForwardToLeader(forward)) => match forward.reason {
            ForwardReason::LeaseExpired | ForwardReason::LeadershipTransfer => {
                // Not appended, so nothing was taken out of the batch: it can go again.
                let _ = refused.send(batch); // without the task the node is stopped
            }
            ForwardReason::NotLeader => {
                answer_all(batch.callers, &ProposeError::NotLeader { leader: forward.leader_id });
            }
        },
        Err(ClientWriteError::LogEntryDiscarded(_)) => answer_all(batch.callers, &ProposeError::Unknown),
        Err(
            error @ (ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)),
        ) => {
            unreachable!("a proposal is neither a change of members nor conditional: {error}")
        }
    }
}
