//! The name of one queue.

use std::fmt;

/// One queue of a topic in one broker group.
///
/// Ordered by topic, broker group and number: consumers of a group must agree on the order when they divide
/// the queues among themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageQueue {
    /// The topic.
    pub topic: String,
    /// The broker group.
    pub broker_name: String,
    /// The number in the group, from 0.
    pub queue_id: i32,
}

impl MessageQueue {
    /// The queue of this name.
    pub fn new(topic: impl Into<String>, broker_name: impl Into<String>, queue_id: i32) -> Self {
        Self { topic: topic.into(), broker_name: broker_name.into(), queue_id }
    }
}

impl From<protocol::route::MessageQueue> for MessageQueue {
    fn from(queue: protocol::route::MessageQueue) -> Self {
        Self { topic: queue.topic, broker_name: queue.broker_name, queue_id: queue.queue_id }
    }
}

impl From<&MessageQueue> for protocol::route::MessageQueue {
    fn from(queue: &MessageQueue) -> Self {
        Self { topic: queue.topic.clone(), broker_name: queue.broker_name.clone(), queue_id: queue.queue_id }
    }
}

impl fmt::Display for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/{}", self.topic, self.broker_name, self.queue_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_order_by_topic_then_broker_then_number() {
        let mut queues =
            [MessageQueue::new("T", "b", 0), MessageQueue::new("T", "a", 10), MessageQueue::new("T", "a", 9)];
        queues.sort();
        assert_eq!(queues.map(|queue| queue.to_string()), ["T@a/9", "T@a/10", "T@b/0"]);
    }
}
