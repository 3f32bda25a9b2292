//! How a push consumer behaves.

use std::time::Duration;

use protocol::allocate::Strategy;
use protocol::command::heartbeat;

use super::start::ConsumeFrom;

/// Who gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MessageModel {
    /// One member of the group; the queues are divided among them.
    #[default]
    Clustering,
    /// Every member. Offsets are kept in a file of each, and there are no retries.
    Broadcasting,
}

impl MessageModel {
    /// As a heartbeat has it.
    pub(super) fn on_wire(self) -> heartbeat::MessageModel {
        match self {
            Self::Clustering => heartbeat::MessageModel::Clustering,
            Self::Broadcasting => heartbeat::MessageModel::Broadcasting,
        }
    }
}

/// How a push consumer behaves; defaults are Java's.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) model: MessageModel,
    pub(super) consume_from: ConsumeFrom,
    pub(super) strategy: Strategy,
    pub(super) in_order: bool,
    /// Messages handled at the same time, over all queues.
    pub(super) concurrency: usize,
    /// Messages asked for in one pull.
    pub(super) pull_messages_max: i32,
    /// Pulled and not consumed, a queue.
    pub(super) cached_messages_max: usize,
    pub(super) cached_bytes_max: usize,
    /// How long a broker may hold a pull while there is nothing.
    pub(super) hold: Duration,
    /// How long the application may handle one message.
    pub(super) consume_timeout: Duration,
    /// How often a message comes again; the broker's own bound if `None`, in order mode forever.
    pub(super) reconsume_max: Option<i32>,
    /// Pause before a message comes again in order mode.
    pub(super) order_pause: Duration,
    pub(super) rebalance_interval: Duration,
    /// Pause before another look when not all was settled.
    pub(super) rebalance_retry: Duration,
    pub(super) store_interval: Duration,
    pub(super) lock_interval: Duration,
    /// How long after the last renewal the lock counts as ours; less than the broker's 60 s.
    pub(super) lock_lifetime: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: MessageModel::default(),
            consume_from: ConsumeFrom::default(),
            strategy: Strategy::default(),
            in_order: false,
            concurrency: 20,
            pull_messages_max: 32,
            cached_messages_max: 1_000,
            cached_bytes_max: 100 << 20,
            hold: Duration::from_secs(15),
            consume_timeout: Duration::from_secs(15 * 60),
            reconsume_max: None,
            order_pause: Duration::from_secs(1),
            rebalance_interval: Duration::from_secs(20),
            rebalance_retry: Duration::from_secs(1),
            store_interval: Duration::from_secs(5),
            lock_interval: Duration::from_secs(20),
            lock_lifetime: Duration::from_secs(30),
        }
    }
}

impl Settings {
    pub(super) fn is_broadcasting(&self) -> bool {
        self.model == MessageModel::Broadcasting
    }

    /// Whether a queue must be locked at its broker: where members take turns and order matters.
    pub(super) fn locks_queues(&self) -> bool {
        self.in_order && !self.is_broadcasting()
    }
}
