//! Consumer offsets on their way into the log.
//!
//! Clients store offsets often and mostly without waiting. They are gathered here, the newest one a queue, and
//! proposed together: at once when somebody waits for the answer, otherwise about every 100 ms. Whoever asks for one
//! that is on its way waits until it is applied, so that a consumer reads back what it wrote, and nobody is told of an
//! offset that may still come to nothing.
//!
//! An offset is taken in by the leader of a term and proposed in that term or not at all: afterwards consumers may
//! have stored newer ones at another leader.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tracing::debug;

use crate::leader::submit::SubmitError;
use crate::state::{Change, OffsetRow, Outcome};

/// How long one-way offsets are gathered.
pub const GATHER: Duration = Duration::from_millis(100);

type Key = (String, String, i32);
type Waiter = oneshot::Sender<Stored>;

/// What came of an offset that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is committed and applied.
    Yes,
    /// It certainly is not and will not be.
    No,
    /// Nobody knows.
    Unknown,
}

/// Offsets taken in during one term.
#[derive(Default)]
struct Batch {
    term: u64,
    rows: HashMap<Key, i64>,
    waiters: Vec<Waiter>,
}

impl Batch {
    /// Makes it one of `term`: what was taken in before is dropped, and whoever waits for it is told.
    fn turn_to(&mut self, term: u64) {
        if self.term != term {
            tell(std::mem::take(&mut self.waiters), Stored::No);
            self.rows.clear();
            self.term = term;
        }
    }

    fn get(&self, term: u64, key: &Key) -> Option<i64> {
        if self.term == term { self.rows.get(key).copied() } else { None }
    }
}

#[derive(Default)]
struct State {
    gathering: Batch,
    /// Proposed and not applied yet.
    proposed: Batch,
}

/// Offsets that are not in the tables yet. Clones share them.
#[derive(Clone, Default)]
pub struct OffsetBuffer {
    state: Arc<Mutex<State>>,
    something: Arc<Notify>,
    urgent: Arc<Notify>,
}

impl OffsetBuffer {
    /// Takes in an offset nobody waits for, while this node leads `term`.
    pub fn store(&self, term: u64, row: OffsetRow) {
        self.take_in(term, row, None);
    }

    /// Takes in an offset, and tells what came of it.
    pub fn store_and_wait(&self, term: u64, row: OffsetRow) -> oneshot::Receiver<Stored> {
        let (told, wait) = oneshot::channel();
        self.take_in(term, row, Some(told));
        self.urgent.notify_one();
        wait
    }

    fn take_in(&self, term: u64, row: OffsetRow, waiter: Option<Waiter>) {
        let mut state = self.lock();
        state.gathering.turn_to(term);
        state.gathering.rows.insert((row.group, row.topic, row.queue_id), row.queue_offset);
        state.gathering.waiters.extend(waiter);
        drop(state);
        self.something.notify_one();
    }

    /// The newest offset taken in for a queue in `term` that is not in the tables yet.
    pub fn get(&self, term: u64, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        let state = self.lock();
        if state.gathering.rows.is_empty() && state.proposed.rows.is_empty() {
            return None;
        }
        let key = (group.to_owned(), topic.to_owned(), queue_id);
        state.gathering.get(term, &key).or_else(|| state.proposed.get(term, &key))
    }

    /// Tells what comes of an offset taken in for a queue in `term` that is not in the tables yet, and hurries it;
    /// `None` if there is none.
    pub fn settled(
        &self,
        term: u64,
        group: &str,
        topic: &str,
        queue_id: i32,
    ) -> Option<oneshot::Receiver<Stored>> {
        let mut state = self.lock();
        if state.gathering.rows.is_empty() && state.proposed.rows.is_empty() {
            return None;
        }
        let key = (group.to_owned(), topic.to_owned(), queue_id);
        let (told, wait) = oneshot::channel();
        if state.gathering.get(term, &key).is_some() {
            state.gathering.waiters.push(told);
            drop(state);
            self.urgent.notify_one();
        } else if state.proposed.get(term, &key).is_some() {
            state.proposed.waiters.push(told);
        } else {
            return None;
        }
        Some(wait)
    }

    /// Forgets what was taken in for these queues: an operator has set them anew.
    pub fn forget(&self, rows: &[OffsetRow]) {
        let mut state = self.lock();
        for row in rows {
            state.gathering.rows.remove(&(row.group.clone(), row.topic.clone(), row.queue_id));
        }
    }

    /// Proposes what is gathered, batch after batch, until the task is dropped. `submit` gets a change
    /// committed in a term; a batch that it certainly refused is lost to the clients that did not wait, as on any
    /// broker that dies before its next flush: their messages come again.
    pub async fn run<F, S>(self, now_ms: impl Fn() -> u64, submit: S)
    where
        S: Fn(u64, Change) -> F,
        F: Future<Output = Result<Outcome, SubmitError>>,
    {
        loop {
            self.something.notified().await;
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = self.urgent.notified() => {}
            }
            let Some((term, rows)) = self.take() else { continue };
            let count = rows.len();
            let result = submit(term, Change::StoreOffsets { rows, now_ms: now_ms() }).await;
            let waiters = std::mem::take(&mut self.lock().proposed).waiters;
            let stored = match &result {
                Ok(_) => Stored::Yes,
                Err(error) if error.is_none() => Stored::No,
                Err(_) => Stored::Unknown,
            };
            if let Err(error) = &result {
                debug!(offsets = count, term, %error, "consumer offsets not stored");
            }
            tell(waiters, stored);
        }
    }

    fn take(&self) -> Option<(u64, Vec<OffsetRow>)> {
        let mut state = self.lock();
        let term = state.gathering.term;
        let rows = std::mem::take(&mut state.gathering.rows);
        let waiters = std::mem::take(&mut state.gathering.waiters);
        if rows.is_empty() && waiters.is_empty() {
            return None;
        }
        let mut gathered: Vec<_> = rows
            .iter()
            .map(|((group, topic, queue_id), queue_offset)| OffsetRow {
                group: group.clone(),
                topic: topic.clone(),
                queue_id: *queue_id,
                queue_offset: *queue_offset,
            })
            .collect();
        // The log does not depend on a hash map's order.
        gathered.sort_by(|a, b| (&a.group, &a.topic, a.queue_id).cmp(&(&b.group, &b.topic, b.queue_id)));
        state.proposed = Batch { term, rows, waiters };
        Some((term, gathered))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

fn tell(waiters: Vec<Waiter>, stored: Stored) {
    for waiter in waiters {
        // A client that hung up does not wait any more.
        let _ = waiter.send(stored);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(queue_id: i32, queue_offset: i64) -> OffsetRow {
        OffsetRow { group: "CG".into(), topic: "T".into(), queue_id, queue_offset }
    }

    #[tokio::test]
    async fn the_newest_offset_a_queue_is_proposed_once_and_read_back_meanwhile() {
        let buffer = OffsetBuffer::default();
        buffer.store(3, row(0, 5));
        buffer.store(3, row(0, 7));
        let applied = buffer.store_and_wait(3, row(1, 2));
        assert_eq!((buffer.get(3, "CG", "T", 0), buffer.get(3, "CG", "T", 1)), (Some(7), Some(2)));
        let (seen, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let running = tokio::spawn(buffer.clone().run(
            || 9,
            move |term, change| {
                seen.send((term, change)).unwrap();
                std::future::ready(Ok(Outcome::Done { changed: true }))
            },
        ));
        assert_eq!(applied.await.unwrap(), Stored::Yes);
        let rows = vec![row(0, 7), row(1, 2)];
        assert_eq!(changes.recv().await.unwrap(), (3, Change::StoreOffsets { rows, now_ms: 9 }));
        assert_eq!(buffer.get(3, "CG", "T", 0), None);
        running.abort();
    }

    /// A reader that is told of an offset before it is committed sees it vanish when the lead changes hands.
    #[tokio::test]
    async fn who_asks_for_an_offset_on_its_way_is_told_when_it_is_stored() {
        let buffer = OffsetBuffer::default();
        assert!(buffer.settled(3, "CG", "T", 0).is_none());
        buffer.store(3, row(0, 5));
        assert!(buffer.settled(3, "CG", "T", 1).is_none(), "another queue's");
        assert!(buffer.settled(4, "CG", "T", 0).is_none(), "another term's");
        let gathered = buffer.settled(3, "CG", "T", 0).unwrap();
        let (go, gone) = oneshot::channel();
        let gone = std::sync::Mutex::new(Some(gone));
        let (proposed, mut is_proposed) = tokio::sync::mpsc::unbounded_channel();
        let running = tokio::spawn(buffer.clone().run(
            || 9,
            move |_, _| {
                proposed.send(()).unwrap();
                let gone = gone.lock().unwrap().take();
                async {
                    gone.unwrap().await.unwrap();
                    Ok(Outcome::Done { changed: true })
                }
            },
        ));
        is_proposed.recv().await.unwrap();
        let on_its_way = buffer.settled(3, "CG", "T", 0).unwrap();
        go.send(()).unwrap();
        assert_eq!((gathered.await.unwrap(), on_its_way.await.unwrap()), (Stored::Yes, Stored::Yes));
        assert!(buffer.settled(3, "CG", "T", 0).is_none());
        running.abort();
    }

    #[tokio::test]
    async fn who_waits_is_told_of_a_refusal() {
        let buffer = OffsetBuffer::default();
        let applied = buffer.store_and_wait(1, row(1, 2));
        let running =
            tokio::spawn(buffer.clone().run(|| 9, |_, _| std::future::ready(Err(SubmitError::NoLeader))));
        assert_eq!(applied.await.unwrap(), Stored::No);
        running.abort();
    }

    /// S10: an offset of an earlier term never comes behind a newer one that another leader acknowledged.
    #[tokio::test]
    async fn what_was_taken_in_during_an_earlier_term_is_neither_read_nor_proposed() {
        let buffer = OffsetBuffer::default();
        buffer.store(3, row(0, 5));
        let old = buffer.store_and_wait(3, row(1, 5));
        assert_eq!(buffer.get(5, "CG", "T", 0), None, "another leader may know a newer one");
        let new = buffer.store_and_wait(5, row(2, 8));
        assert_eq!(old.await.unwrap(), Stored::No);
        let (seen, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let running = tokio::spawn(buffer.clone().run(
            || 9,
            move |term, change| {
                seen.send((term, change)).unwrap();
                std::future::ready(Ok(Outcome::Done { changed: true }))
            },
        ));
        assert_eq!(new.await.unwrap(), Stored::Yes);
        assert_eq!(
            changes.recv().await.unwrap(),
            (5, Change::StoreOffsets { rows: vec![row(2, 8)], now_ms: 9 })
        );
        running.abort();
    }
}
