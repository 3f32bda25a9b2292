//! What was pulled of one queue and is not consumed yet. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::received::ReceivedMessage;

/// Messages of one queue between pull and the end of their handling.
///
/// Invariant: everything below [`ProcessQueue::consumed_to`] is consumed or was filtered out; `next_pull` is
/// exclusive and never below it.
#[derive(Debug)]
pub(crate) struct ProcessQueue {
    /// Pulled and not consumed: queue offset to bytes.
    open: BTreeMap<i64, usize>,
    open_bytes: usize,
    /// Pulled and not handed out yet, in order.
    waiting: VecDeque<Arc<ReceivedMessage>>,
    /// The first queue offset that was not pulled.
    next_pull: i64,
}

impl ProcessQueue {
    /// Nothing pulled yet; the first pull asks for `next_pull`.
    pub(crate) fn new(next_pull: i64) -> Self {
        Self { open: BTreeMap::new(), open_bytes: 0, waiting: VecDeque::new(), next_pull }
    }

    /// Takes in the messages of one pull, those that pass the filter, and where the next pull begins.
    pub(crate) fn put(&mut self, messages: impl IntoIterator<Item = Arc<ReceivedMessage>>, next_pull: i64) {
        for message in messages {
            let bytes = message.body.len();
            if self.open.insert(message.queue_offset, bytes).is_none() {
                self.open_bytes += bytes;
                self.waiting.push_back(message);
            }
        }
        self.next_pull = self.next_pull.max(next_pull);
    }

    /// Whether there is a message to hand out.
    pub(crate) fn has_next(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next message to hand out, in order.
    pub(crate) fn take(&mut self) -> Option<Arc<ReceivedMessage>> {
        self.waiting.pop_front()
    }

    /// Hands a message out again before all others, as ordered consumption wants after a failure.
    pub(crate) fn put_back(&mut self, message: Arc<ReceivedMessage>) {
        assert!(self.open.contains_key(&message.queue_offset), "only an open message can be put back");
        self.waiting.push_front(message);
    }

    /// The message at this queue offset is consumed. Returns how far the queue is consumed now.
    pub(crate) fn done(&mut self, queue_offset: i64) -> i64 {
        if let Some(bytes) = self.open.remove(&queue_offset) {
            self.open_bytes -= bytes;
        }
        self.consumed_to()
    }

    /// Everything below is consumed: the lowest open offset, or what comes next if none is open.
    pub(crate) fn consumed_to(&self) -> i64 {
        self.open.keys().next().copied().unwrap_or(self.next_pull)
    }

    /// Where the next pull begins.
    pub(crate) fn next_pull(&self) -> i64 {
        self.next_pull
    }

    /// Whether so much is open that pulling should pause.
    pub(crate) fn is_full(&self, messages_max: usize, bytes_max: usize) -> bool {
        self.open.len() >= messages_max || self.open_bytes >= bytes_max
    }

    /// How many messages are open.
    pub(crate) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Bytes of the open messages' bodies.
    pub(crate) fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// The lowest and the highest open offset.
    pub(crate) fn open_range(&self) -> Option<(i64, i64)> {
        Some((*self.open.keys().next()?, *self.open.keys().next_back()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::received::tests::message;

    #[test]
    fn the_lowest_open_message_holds_the_offset_back() {
        let mut queue = ProcessQueue::new(10);
        queue.put([10, 11, 12].map(|at| Arc::new(message(at, "x"))), 13);
        assert_eq!(queue.done(11), 10);
        assert_eq!(queue.done(10), 12);
        assert_eq!(queue.done(12), 13);
    }

    #[test]
    fn filtered_messages_are_consumed_at_once() {
        let mut queue = ProcessQueue::new(0);
        queue.put([], 32);
        assert_eq!((queue.consumed_to(), queue.next_pull()), (32, 32));
    }

    #[test]
    fn what_comes_twice_is_handed_out_once() {
        let mut queue = ProcessQueue::new(0);
        queue.put([Arc::new(message(0, "x"))], 1);
        queue.put([Arc::new(message(0, "x"))], 1);
        assert!(queue.take().is_some());
        assert!(queue.take().is_none());
        assert_eq!(queue.open_bytes(), 1);
    }

    #[test]
    fn it_is_full_by_messages_or_by_bytes() {
        let mut queue = ProcessQueue::new(0);
        queue.put([0, 1].map(|at| Arc::new(message(at, "12345"))), 2);
        assert!(!queue.is_full(3, 11));
        assert!(queue.is_full(2, 11));
        assert!(queue.is_full(3, 10));
        queue.done(0);
        assert!(!queue.is_full(2, 10));
    }

    #[test]
    fn a_message_put_back_is_the_next_one() {
        let mut queue = ProcessQueue::new(0);
        queue.put([0, 1].map(|at| Arc::new(message(at, "x"))), 2);
        let first = queue.take().unwrap();
        queue.put_back(first);
        assert_eq!(queue.take().unwrap().queue_offset, 0);
    }
}
