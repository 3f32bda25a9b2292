//! The lite pull consumer: a member of a group like the push consumer, with the application fetching.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::outlet::HandedOver;
use super::push::PushConsumer;
use crate::error::ClientError;
use crate::queue::MessageQueue;
use crate::received::ReceivedMessage;

/// At most this many messages come from one poll.
const POLL_MESSAGES_MAX: usize = 32;

/// Receives messages as one member of a group, when the application asks for them.
///
/// The members divide the queues among themselves, as those of push consumers do. Messages of one queue come in
/// order. What [`poll`](Self::poll) returned counts as consumed with the next `poll` or with
/// [`commit`](Self::commit); what is not consumed comes again, to this member or another.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use client::{ConsumeFrom, LitePullConsumer};
///
/// let mut consumer = LitePullConsumer::builder("my_pollers", "127.0.0.1:9876")
///     .subscribe("TopicTest", "*")
///     .consume_from(ConsumeFrom::First)
///     .start_polled()
///     .await?;
/// for message in consumer.poll(Duration::from_secs(5)).await? {
///     println!("{}: {:?}", message.queue, message.body);
/// }
/// consumer.commit().await?;
/// consumer.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct LitePullConsumer {
    consumer: PushConsumer,
    messages: mpsc::Receiver<HandedOver>,
    /// Returned and not consumed.
    open: Vec<HandedOver>,
    auto_commit: bool,
}

impl LitePullConsumer {
    pub(super) fn new(consumer: PushConsumer, messages: mpsc::Receiver<HandedOver>) -> Self {
        Self { consumer, messages, open: Vec::new(), auto_commit: true }
    }

    /// Whether a poll counts what the one before returned as consumed. It does, unless this turns it off.
    pub fn set_auto_commit(&mut self, auto_commit: bool) {
        self.auto_commit = auto_commit;
    }

    /// The next messages, at most 32; none if nothing came within `wait`.
    ///
    /// # Errors
    /// If the consumer was shut down.
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<Arc<ReceivedMessage>>, ClientError> {
        if self.auto_commit {
            self.consume_open();
        }
        let deadline = tokio::time::Instant::now() + wait;
        let first = loop {
            match tokio::time::timeout_at(deadline, self.messages.recv()).await {
                Err(_) => return Ok(Vec::new()),
                Ok(None) => return Err(ClientError::Stopped),
                // A queue that another member has by now: the message is that one's.
                Ok(Some(handed)) if handed.assigned.is_dropped() => {}
                Ok(Some(handed)) => break handed,
            }
        };
        let from = self.open.len();
        self.open.push(first);
        while self.open.len() < from + POLL_MESSAGES_MAX
            && let Ok(handed) = self.messages.try_recv()
        {
            if !handed.assigned.is_dropped() {
                self.open.push(handed);
            }
        }
        Ok(self.open[from..].iter().map(|handed| handed.message.clone()).collect())
    }

    /// Everything that was returned is consumed; stores the offsets at the broker.
    ///
    /// # Errors
    /// The first failure; the other queues were tried all the same, and all that failed are tried again every 5 s and
    /// at the end.
    pub async fn commit(&mut self) -> Result<(), ClientError> {
        self.consume_open();
        self.consumer.store_offsets().await
    }

    /// Goes on at `offset` in one of this member's queues, and stores that. What was polled of the queue and not
    /// committed counts for nothing.
    ///
    /// # Errors
    /// If the queue is another member's.
    pub async fn seek(&mut self, queue: &MessageQueue, offset: i64) -> Result<(), ClientError> {
        if self.consumer.engine.clone().restart(queue.clone(), offset).await {
            Ok(())
        } else {
            Err(ClientError::NotAssigned { queue: queue.clone() })
        }
    }

    /// The queues that are this member's at the moment, each with the next message to consume.
    pub fn queues(&self) -> Vec<(MessageQueue, i64)> {
        self.consumer.queues()
    }

    /// How brokers know this consumer.
    pub fn client_id(&self) -> &str {
        self.consumer.client_id()
    }

    /// Stores the offsets, takes leave of the brokers and closes all connections. What was returned and not
    /// committed comes again.
    pub async fn shutdown(&mut self) {
        self.messages.close();
        self.consumer.shutdown().await;
    }

    fn consume_open(&mut self) {
        for handed in self.open.drain(..) {
            self.consumer.engine.member.consumed(&handed.assigned, &handed.message);
        }
    }
}
