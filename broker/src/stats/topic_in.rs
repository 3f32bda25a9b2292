//! What came in for one topic, by the type of the messages: looked up once a send, counted in atomics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use platform::{Counts, Histogram};
use protocol::message::properties;

use super::counter::Counter;

/// Bounds of message sizes, bytes. Source: RocketMQ `BrokerMetricsManager`.
const SIZES: [u64; 6] = [1_024, 4_096, 524_288, 1 << 20, 2 << 20, 4 << 20];

/// What kind of message a producer sent. Source: RocketMQ `TopicMessageType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// None of the others.
    Normal,
    /// Sent with a sharding key.
    Fifo,
    /// With a delay level.
    Delay,
}

impl MessageType {
    /// All of them, by their numbers. Transactions and timers are refused by this broker.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Fifo, Self::Delay];

    /// The type of a message with these properties.
    pub fn of(sent: &str) -> Self {
        let has = |name| properties::get(sent, name).is_some();
        if has(properties::SHARDING_KEY) {
            Self::Fifo
        } else if has(properties::DELAY_TIME_LEVEL) {
            Self::Delay
        } else {
            Self::Normal
        }
    }

    /// RocketMQ's word for it in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Fifo => "fifo",
            Self::Delay => "delay",
        }
    }
}

/// What was taken in of one type.
pub struct TypeIn {
    messages: AtomicU64,
    bytes: AtomicU64,
    sizes: Histogram,
}

impl TypeIn {
    /// Messages.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Their bytes as stored.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Their sizes; one value a send, as RocketMQ counts it: the mean of a batch.
    pub fn sizes(&self) -> Counts {
        self.sizes.counts()
    }
}

/// What was taken in for one topic.
pub struct TopicIn {
    /// The topic's counter of messages, which tools ask for.
    pub(super) messages: Arc<Counter>,
    /// Of bytes.
    pub(super) bytes: Arc<Counter>,
    by_type: [OnceLock<TypeIn>; MessageType::ALL.len()],
}

impl TopicIn {
    pub(super) fn new(messages: Arc<Counter>, bytes: Arc<Counter>) -> Self {
        Self { messages, bytes, by_type: Default::default() }
    }

    /// Counts one send.
    pub fn took(&self, kind: MessageType, messages: u64, bytes: u64) {
        self.messages.add(messages);
        self.bytes.add(bytes);
        let of_type = self.by_type[kind as usize].get_or_init(|| TypeIn {
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            sizes: Histogram::new(&SIZES),
        });
        of_type.messages.fetch_add(messages, Ordering::Relaxed);
        of_type.bytes.fetch_add(bytes, Ordering::Relaxed);
        of_type.sizes.record(bytes / messages.max(1));
    }

    /// What came in of each type that ever came.
    pub fn types(&self) -> impl Iterator<Item = (MessageType, &TypeIn)> {
        MessageType::ALL.into_iter().filter_map(|kind| Some((kind, self.by_type[kind as usize].get()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_follows_from_the_properties() {
        let of = |pairs: &[(&str, &str)]| {
            let mut sent = String::new();
            for (name, value) in pairs {
                properties::append(&mut sent, name, value);
            }
            MessageType::of(&sent)
        };
        assert_eq!(of(&[]), MessageType::Normal);
        assert_eq!(of(&[("DELAY", "3")]), MessageType::Delay);
        assert_eq!(of(&[("DELAY", "3"), ("__SHARDINGKEY", "k")]), MessageType::Fifo);
    }

    #[test]
    fn sends_are_counted_by_type_and_size() {
        let topic = TopicIn::new(Arc::default(), Arc::default());
        topic.took(MessageType::Normal, 4, 4_000);
        topic.took(MessageType::Delay, 1, 5_000);
        assert_eq!((topic.messages.total(), topic.bytes.total()), (5, 9_000));
        let told: Vec<_> = topic
            .types()
            .map(|(kind, of_type)| (kind.name(), of_type.messages(), of_type.sizes().counts))
            .collect();
        let expected = [("normal", 4, vec![1, 0, 0, 0, 0, 0, 0]), ("delay", 1, vec![0, 0, 1, 0, 0, 0, 0])];
        assert_eq!(told, expected);
    }
}
