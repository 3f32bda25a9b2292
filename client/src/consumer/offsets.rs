//! How far each queue is consumed, as known here, and what of it the broker has not been told yet. Pure.

use std::collections::BTreeMap;

use crate::queue::MessageQueue;

/// Consumer offsets of the queues in hand.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    table: BTreeMap<MessageQueue, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The next message to consume: everything below is consumed.
    offset: i64,
    /// What the broker has, as far as we know.
    stored: Option<i64>,
}

impl Offsets {
    /// Begins with what the broker has for a queue, or with nothing stored yet.
    pub(crate) fn begin(&mut self, queue: MessageQueue, offset: i64, stored: Option<i64>) {
        self.table.insert(queue, Entry { offset, stored });
    }

    /// Moves a queue to `offset`, forward only: handlers end in any order, an older end must not take it back.
    /// A queue not in hand any more is left alone.
    pub(crate) fn advance(&mut self, queue: &MessageQueue, offset: i64) {
        if let Some(entry) = self.table.get_mut(queue) {
            entry.offset = entry.offset.max(offset);
        }
    }

    /// What the broker has to be told.
    pub(crate) fn unstored(&self) -> Vec<(MessageQueue, i64)> {
        self.table
            .iter()
            .filter(|(_, entry)| entry.stored != Some(entry.offset))
            .map(|(queue, entry)| (queue.clone(), entry.offset))
            .collect()
    }

    /// The broker has `offset` for the queue.
    pub(crate) fn stored(&mut self, queue: &MessageQueue, offset: i64) {
        if let Some(entry) = self.table.get_mut(queue) {
            entry.stored = Some(offset);
        }
    }

    /// Forgets a queue, and tells what is still to be stored of it.
    pub(crate) fn remove(&mut self, queue: &MessageQueue) -> Option<i64> {
        let entry = self.table.remove(queue)?;
        (entry.stored != Some(entry.offset)).then_some(entry.offset)
    }

    /// All queues in hand with their offsets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&MessageQueue, i64)> {
        self.table.iter().map(|(queue, entry)| (queue, entry.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: i32) -> MessageQueue {
        MessageQueue::new("T", "b", id)
    }

    #[test]
    fn only_what_the_broker_does_not_have_is_told_to_it() {
        let mut offsets = Offsets::default();
        offsets.begin(queue(0), 5, Some(5));
        offsets.begin(queue(1), 0, None);
        assert_eq!(offsets.unstored(), [(queue(1), 0)]);
        offsets.stored(&queue(1), 0);
        offsets.advance(&queue(0), 9);
        assert_eq!(offsets.unstored(), [(queue(0), 9)]);
    }

    #[test]
    fn an_offset_that_moved_while_it_was_stored_is_stored_again() {
        let mut offsets = Offsets::default();
        offsets.begin(queue(0), 5, Some(5));
        offsets.advance(&queue(0), 7);
        let told = offsets.unstored();
        offsets.advance(&queue(0), 8);
        offsets.stored(&told[0].0, told[0].1);
        assert_eq!(offsets.unstored(), [(queue(0), 8)]);
    }

    #[test]
    fn offsets_only_move_forward_and_only_those_of_queues_in_hand() {
        let mut offsets = Offsets::default();
        offsets.begin(queue(0), 5, Some(5));
        offsets.advance(&queue(0), 3);
        offsets.advance(&queue(9), 1);
        assert_eq!(offsets.iter().collect::<Vec<_>>(), [(&queue(0), 5)]);
    }

    #[test]
    fn a_dropped_queue_tells_what_is_left_to_store() {
        let mut offsets = Offsets::default();
        offsets.begin(queue(0), 5, Some(5));
        assert_eq!(offsets.remove(&queue(0)), None);
        offsets.begin(queue(0), 6, Some(5));
        assert_eq!(offsets.remove(&queue(0)), Some(6));
    }
}
