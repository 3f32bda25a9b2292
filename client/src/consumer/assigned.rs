//! One queue while it belongs to this consumer.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::process_queue::ProcessQueue;
use crate::queue::MessageQueue;
use crate::received::ReceivedMessage;

/// What the pulling and the handing-out task of one queue share.
pub(super) struct Assigned {
    pub(super) queue: MessageQueue,
    process: Mutex<ProcessQueue>,
    /// Told when messages were put in.
    arrived: Notify,
    /// Told when messages were consumed.
    consumed: Notify,
    /// True once the queue is given up.
    dropped: watch::Sender<bool>,
    /// Until when the broker's lock on the queue is ours, on the monotonic clock; for ordered consumption.
    locked_until: watch::Sender<Duration>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(super) activity: Activity,
}

/// When something last happened, wall clock in milliseconds; for people who ask.
#[derive(Default)]
pub(super) struct Activity {
    pub(super) pulled_ms: std::sync::atomic::AtomicI64,
    pub(super) consumed_ms: std::sync::atomic::AtomicI64,
}

impl Assigned {
    pub(super) fn new(queue: MessageQueue, next_pull: i64) -> Self {
        Self {
            queue,
            process: Mutex::new(ProcessQueue::new(next_pull)),
            arrived: Notify::new(),
            consumed: Notify::new(),
            dropped: watch::Sender::new(false),
            locked_until: watch::Sender::new(Duration::ZERO),
            tasks: Mutex::default(),
            activity: Activity::default(),
        }
    }

    pub(super) fn process(&self) -> MutexGuard<'_, ProcessQueue> {
        self.process.lock().expect("no panic while it is held")
    }

    /// Takes in what was pulled. Returns how far the queue is consumed now.
    pub(super) fn put(&self, messages: Vec<ReceivedMessage>, next_pull: i64) -> i64 {
        let consumed_to = {
            let mut process = self.process();
            process.put(messages.into_iter().map(Arc::new), next_pull);
            process.consumed_to()
        };
        self.arrived.notify_one();
        consumed_to
    }

    /// Resolves when there is a message to hand out. It is not taken yet: whoever waits for something else as well
    /// may give up waiting without losing a message.
    pub(super) async fn has_next(&self) {
        loop {
            let arrived = self.arrived.notified();
            if self.process().has_next() {
                return;
            }
            arrived.await;
        }
    }

    /// Takes the next message in order.
    pub(super) fn next(&self) -> Option<Arc<ReceivedMessage>> {
        self.process().take()
    }

    /// A message is consumed. Returns how far the queue is consumed now.
    pub(super) fn done(&self, message: &ReceivedMessage) -> i64 {
        let consumed_to = self.process().done(message.queue_offset);
        self.consumed.notify_one();
        consumed_to
    }

    /// Resolves when there is room for more.
    pub(super) async fn room(&self, messages_max: usize, bytes_max: usize) {
        loop {
            let consumed = self.consumed.notified();
            if !self.process().is_full(messages_max, bytes_max) {
                return;
            }
            consumed.await;
        }
    }

    /// Ends pulling and handing out; what is being handled goes on to its end.
    pub(super) fn give_up(&self) {
        self.dropped.send_replace(true);
    }

    pub(super) fn is_dropped(&self) -> bool {
        *self.dropped.borrow()
    }

    /// Resolves when the queue is given up.
    pub(super) async fn gone(&self) {
        // The sender lives in `self`, so it cannot be gone.
        let _ = self.dropped.subscribe().wait_for(|dropped| *dropped).await;
    }

    pub(super) fn lock_until(&self, until: Duration) {
        self.locked_until.send_replace(until);
    }

    pub(super) fn locked_until(&self) -> Duration {
        *self.locked_until.borrow()
    }

    /// Resolves when the lock is ours beyond `now`.
    pub(super) async fn locked(&self, now: impl Fn() -> Duration) {
        let _ = self.locked_until.subscribe().wait_for(|until| *until > now()).await;
    }

    pub(super) fn own(&self, task: JoinHandle<()>) {
        self.tasks.lock().expect("no panic while it is held").push(task);
    }

    /// Waits until the tasks of the queue have ended, at most `patience`; then they are ended.
    pub(super) async fn ended(&self, patience: Duration) {
        let tasks = std::mem::take(&mut *self.tasks.lock().expect("no panic while it is held"));
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let all = async {
            for task in tasks {
                // A task that panicked has said so already.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}
