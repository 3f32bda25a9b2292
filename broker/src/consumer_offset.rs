//! Consumer offsets on their way into the log.
//!
//! Clients store offsets often and mostly without waiting. They are gathered here, the newest one a queue, and
//! proposed together: at once when somebody waits for the answer, otherwise about every 100 ms. Until they are
//! applied, reads see them here first, so that a consumer reads back what it wrote.
//!
//! An offset is taken in by the leader of a term and proposed in that term or not at all: afterwards consumers may
//! have stored newer ones at another leader.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tracing::debug;

use crate::submit::SubmitError;
use crate::tables::{Change, OffsetRow, Outcome};

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
    /// Proposed and not applied yet; without those who wait.
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
            let Some((term, rows, waiters)) = self.take() else { continue };
            let count = rows.len();
            let result = submit(term, Change::StoreOffsets { rows, now_ms: now_ms() }).await;
            self.lock().proposed.rows.clear();
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

    fn take(&self) -> Option<(u64, Vec<OffsetRow>, Vec<Waiter>)> {
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
        state.proposed = Batch { term, rows, waiters: Vec::new() };
        Some((term, gathered, waiters))
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
