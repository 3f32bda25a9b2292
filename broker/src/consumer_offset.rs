//! Consumer offsets on their way into the log.
//!
//! Clients store offsets often and mostly without waiting. They are gathered here, the newest one a queue, and
//! proposed together: at once when somebody waits for the answer, otherwise about every 100 ms. Until they are
//! applied, reads see them here first, so that a consumer reads back what it wrote.

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
type Waiter = oneshot::Sender<bool>;

#[derive(Default)]
struct Batch {
    rows: HashMap<Key, i64>,
    waiters: Vec<Waiter>,
}

#[derive(Default)]
struct State {
    gathering: Batch,
    /// Proposed and not applied yet.
    proposed: HashMap<Key, i64>,
}

/// Offsets that are not in the tables yet. Clones share them.
#[derive(Clone, Default)]
pub struct OffsetBuffer {
    state: Arc<Mutex<State>>,
    something: Arc<Notify>,
    urgent: Arc<Notify>,
}

impl OffsetBuffer {
    /// Takes in an offset nobody waits for.
    pub fn store(&self, row: OffsetRow) {
        self.lock().gathering.rows.insert((row.group, row.topic, row.queue_id), row.queue_offset);
        self.something.notify_one();
    }

    /// Takes in an offset, and tells whether it was committed and applied.
    pub fn store_and_wait(&self, row: OffsetRow) -> oneshot::Receiver<bool> {
        let (applied, wait) = oneshot::channel();
        let mut state = self.lock();
        state.gathering.rows.insert((row.group, row.topic, row.queue_id), row.queue_offset);
        state.gathering.waiters.push(applied);
        drop(state);
        self.something.notify_one();
        self.urgent.notify_one();
        wait
    }

    /// The newest offset taken in for a queue that is not in the tables yet.
    pub fn get(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        let state = self.lock();
        if state.gathering.rows.is_empty() && state.proposed.is_empty() {
            return None;
        }
        let key = (group.to_owned(), topic.to_owned(), queue_id);
        state.gathering.rows.get(&key).or_else(|| state.proposed.get(&key)).copied()
    }

    /// Forgets what was taken in for these queues: an operator has set them anew.
    pub fn forget(&self, rows: &[OffsetRow]) {
        let mut state = self.lock();
        for row in rows {
            state.gathering.rows.remove(&(row.group.clone(), row.topic.clone(), row.queue_id));
        }
    }

    /// Proposes what is gathered, batch after batch, until the task is dropped. `submit` gets a change
    /// committed; a batch that it certainly refused is lost to the clients that did not wait, as on any
    /// broker that dies before its next flush: their messages come again.
    pub async fn run<F, S>(self, now_ms: impl Fn() -> u64, submit: S)
    where
        S: Fn(Change) -> F,
        F: Future<Output = Result<Outcome, SubmitError>>,
    {
        loop {
            self.something.notified().await;
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = self.urgent.notified() => {}
            }
            let Some((rows, waiters)) = self.take() else { continue };
            let count = rows.len();
            let result = submit(Change::StoreOffsets { rows, now_ms: now_ms() }).await;
            self.lock().proposed.clear();
            if let Err(error) = &result {
                debug!(offsets = count, %error, "consumer offsets not stored");
            }
            for waiter in waiters {
                // A client that hung up does not wait any more.
                let _ = waiter.send(result.is_ok());
            }
        }
    }

    fn take(&self) -> Option<(Vec<OffsetRow>, Vec<Waiter>)> {
        let mut state = self.lock();
        let Batch { rows, waiters } = std::mem::take(&mut state.gathering);
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
        state.proposed = rows;
        Some((gathered, waiters))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
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
        buffer.store(row(0, 5));
        buffer.store(row(0, 7));
        let applied = buffer.store_and_wait(row(1, 2));
        assert_eq!((buffer.get("CG", "T", 0), buffer.get("CG", "T", 1)), (Some(7), Some(2)));
        let (seen, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let running = tokio::spawn(buffer.clone().run(
            || 9,
            move |change| {
                seen.send(change).unwrap();
                std::future::ready(Ok(Outcome::Done { changed: true }))
            },
        ));
        assert!(applied.await.unwrap());
        let rows = vec![row(0, 7), row(1, 2)];
        assert_eq!(changes.recv().await.unwrap(), Change::StoreOffsets { rows, now_ms: 9 });
        assert_eq!(buffer.get("CG", "T", 0), None);
        running.abort();
    }

    #[tokio::test]
    async fn who_waits_is_told_of_a_refusal() {
        let buffer = OffsetBuffer::default();
        let applied = buffer.store_and_wait(row(1, 2));
        let running =
            tokio::spawn(buffer.clone().run(|| 9, |_| std::future::ready(Err(SubmitError::NoLeader))));
        assert!(!applied.await.unwrap());
        running.abort();
    }
}
