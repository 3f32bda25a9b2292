//! The producer: sends that wait for their answer, that do not, in batches, in order.

mod attempt;
mod prepare;
mod result;
mod select;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protocol::message::id::UniqueKeys;

use crate::config::ClientConfig;
use crate::core::{Core, Tasks};
use crate::error::{ClientError, Outcome, SendError};
use crate::heartbeat::{self, Membership};
use crate::inbound::Inbound;
use crate::message::{BODY_BYTES_MAX, Message, check_group};
use crate::queue::MessageQueue;
use crate::retry::RetryPolicy;
use crate::route_cache::Missing;
use prepare::Prepared;

pub use result::{SendResult, SendStatus};
pub use select::QueueChoice;

/// Bodies of this size and above are compressed. Java: `compressMsgBodyOverHowmuch`.
const COMPRESS_ABOVE: usize = 4_096;
/// Queues of a topic that a send creates. Java: `defaultTopicQueueNums`.
const NEW_TOPIC_QUEUES: i32 = 4;

/// How one send differs from the producer's settings.
#[derive(Clone, Debug, Default)]
pub struct SendOptions {
    /// Which queue.
    pub queue: QueueChoice,
    /// How often and how long to try; the producer's own policy if `None`.
    pub retry: Option<RetryPolicy>,
    /// Sends to this node instead of the leader, every time. A node that does not lead forwards; for tests of
    /// that.
    pub via: Option<String>,
}

/// Settings of a producer that is not started yet.
pub struct ProducerBuilder {
    group: String,
    config: ClientConfig,
    retry: RetryPolicy,
    compress_above: Option<usize>,
    body_bytes_max: usize,
    new_topic_queues: i32,
    heartbeats: bool,
}

/// Sends messages.
///
/// All methods may be called from many tasks at once. When a send fails, the route is asked anew *at once* and
/// the message goes to whoever leads then, within the send's own deadline: while a broker group elects a new
/// leader, sends wait for the election and for nothing else.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use client::{Message, Producer};
///
/// let producer = Producer::builder("my_producers", "127.0.0.1:9876").start().await?;
/// let sent = producer.send(Message::new("TopicTest", "Hello").with_tag("TagA")).await?;
/// println!("{} is at {}, offset {}", sent.msg_id, sent.queue, sent.queue_offset);
/// producer.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// A failed send says whether the message may have been stored all the same:
///
/// ```no_run
/// # async fn example(producer: client::Producer) {
/// use client::Message;
///
/// if let Err(error) = producer.send(Message::new("TopicTest", "Hello")).await {
///     if error.is_unknown() {
///         println!("look for {} before sending it again", error.msg_id);
///     }
/// }
/// # }
/// ```
pub struct Producer {
    core: Arc<Core>,
    group: String,
    retry: RetryPolicy,
    compress_above: Option<usize>,
    body_bytes_max: usize,
    new_topic_queues: i32,
    turn: AtomicUsize,
    unique_keys: UniqueKeys,
    tasks: Tasks,
}

impl ProducerBuilder {
    /// How often and how long a send is tried.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Attempts after the first; 0 for exactly one attempt.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retry.retries_max = Some(retries);
        self
    }

    /// Time for a send with all its attempts.
    #[must_use]
    pub fn send_timeout(mut self, deadline: Duration) -> Self {
        self.retry.deadline = deadline;
        self
    }

    /// Compresses bodies of this many bytes and more; `None` never. Batches are never compressed.
    #[must_use]
    pub fn compress_above(mut self, bytes: Option<usize>) -> Self {
        self.compress_above = bytes;
        self
    }

    /// Refuses bodies above this size, before compression. The brokers have a limit of their own.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// How many queues a topic gets that comes into being by sending to it.
    #[must_use]
    pub fn new_topic_queues(mut self, queues: i32) -> Self {
        self.new_topic_queues = queues;
        self
    }

    /// Whether brokers are told that this producer exists. They need not know to take its messages.
    #[must_use]
    pub fn heartbeats(mut self, heartbeats: bool) -> Self {
        self.heartbeats = heartbeats;
        self
    }

    /// Starts the producer. No broker needs to be up.
    ///
    /// # Errors
    /// A bad group name, or no name server in the configuration.
    pub async fn start(self) -> Result<Producer, ClientError> {
        check_group(&self.group)?;
        let inbound = Inbound::new();
        let core = Core::start(self.config, Some(inbound.clone())).await?;
        let mut tasks = vec![core.spawn_route_poll()];
        if self.heartbeats {
            let membership = Membership::Producer { group: self.group.clone() };
            tasks.push(heartbeat::spawn(core.clone(), inbound, Arc::new(move || membership.clone())));
        }
        let unique_keys = core.unique_keys();
        Ok(Producer {
            core,
            group: self.group,
            retry: self.retry,
            compress_above: self.compress_above,
            body_bytes_max: self.body_bytes_max,
            new_topic_queues: self.new_topic_queues,
            turn: AtomicUsize::new(0),
            unique_keys,
            tasks: Tasks::new(tasks),
        })
    }
}

impl Producer {
    /// Settings for a producer of `group`; the cluster is given as name servers, `host:port` separated by `;`,
    /// or as a whole [`ClientConfig`].
    pub fn builder(group: impl Into<String>, config: impl Into<ClientConfig>) -> ProducerBuilder {
        ProducerBuilder {
            group: group.into(),
            config: config.into(),
            retry: RetryPolicy::default(),
            compress_above: Some(COMPRESS_ABOVE),
            body_bytes_max: BODY_BYTES_MAX,
            new_topic_queues: NEW_TOPIC_QUEUES,
            heartbeats: true,
        }
    }

    /// Sends a message, round robin over the topic's queues, and waits until it is stored.
    ///
    /// # Errors
    /// After the last attempt; [`SendError::outcome`] tells whether the message may have been stored.
    pub async fn send(&self, message: Message) -> Result<SendResult, SendError> {
        self.send_with(message, SendOptions::default()).await
    }

    /// Sends to the queue that belongs to `key`: messages of one key, sent one after the other, stay in order.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub async fn send_by_key(
        &self,
        message: Message,
        key: impl Into<String>,
    ) -> Result<SendResult, SendError> {
        let options = SendOptions { queue: QueueChoice::Key(key.into()), ..SendOptions::default() };
        self.send_with(message, options).await
    }

    /// Sends to one certain queue.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub async fn send_to(&self, message: Message, queue: MessageQueue) -> Result<SendResult, SendError> {
        let options = SendOptions { queue: QueueChoice::Queue(queue), ..SendOptions::default() };
        self.send_with(message, options).await
    }

    /// Sends with options of its own.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub async fn send_with(&self, message: Message, options: SendOptions) -> Result<SendResult, SendError> {
        let prepared = self.prepare(message)?;
        self.deliver(prepared, &options).await
    }

    /// Sends several messages of one topic as one request: all of them are stored, in order in one queue, or
    /// none.
    ///
    /// # Errors
    /// As [`Producer::send`]; also messages that cannot share a batch.
    pub async fn send_batch(&self, messages: Vec<Message>) -> Result<SendResult, SendError> {
        self.send_batch_with(messages, SendOptions::default()).await
    }

    /// Sends a batch with options of its own.
    ///
    /// # Errors
    /// As [`Producer::send_batch`].
    pub async fn send_batch_with(
        &self,
        messages: Vec<Message>,
        options: SendOptions,
    ) -> Result<SendResult, SendError> {
        let prepared = prepare::many(messages, || self.unique_key(), self.body_bytes_max).map_err(unsent)?;
        self.deliver(prepared, &options).await
    }

    /// Sends without waiting for an answer: on return the message is on its way, and nobody will ever tell
    /// whether it arrived. Returns its unique key.
    ///
    /// # Errors
    /// If it could not even be queued for a connection.
    pub async fn send_oneway(&self, message: Message) -> Result<String, SendError> {
        self.send_oneway_with(message, SendOptions::default()).await
    }

    /// Sends without waiting for an answer, with options of its own.
    ///
    /// # Errors
    /// As [`Producer::send_oneway`].
    pub async fn send_oneway_with(
        &self,
        message: Message,
        options: SendOptions,
    ) -> Result<String, SendError> {
        let prepared = self.prepare(message)?;
        self.deliver_oneway(prepared, &options).await
    }

    /// The queues that a topic can be sent to, in order.
    ///
    /// # Errors
    /// If there is no route.
    pub async fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>, ClientError> {
        Ok(self.core.routes.get(topic, self.missing()).await?.write_queues(topic))
    }

    /// The leader of each broker group of the topic, as a name server tells it now.
    ///
    /// # Errors
    /// If there is no route.
    pub async fn leaders(&self, topic: &str) -> Result<Vec<(String, Option<String>)>, ClientError> {
        let route = self.core.routes.refresh(topic, self.missing()).await?;
        Ok(route
            .broker_names()
            .map(|name| (name.to_owned(), route.leader(name).map(str::to_owned)))
            .collect())
    }

    /// How brokers know this producer.
    pub fn client_id(&self) -> &str {
        &self.core.client_id
    }

    /// Takes leave of the brokers and closes all connections. What is being sent fails.
    pub async fn shutdown(&self) {
        self.core.stop();
        self.tasks.ended().await;
        heartbeat::unregister(&self.core, Some(&self.group), None).await;
        self.core.shutdown().await;
    }

    fn prepare(&self, message: Message) -> Result<Prepared, SendError> {
        prepare::single(message, || self.unique_key(), self.compress_above, self.body_bytes_max)
            .map_err(unsent)
    }

    fn unique_key(&self) -> String {
        self.unique_keys.next(self.core.wall_ms())
    }

    fn missing(&self) -> Missing {
        Missing::UseTemplate { queues: self.new_topic_queues }
    }

    fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.core.stop();
        self.tasks.abort();
    }
}

/// The error for a message that was refused before it left.
fn unsent(error: crate::error::MessageError) -> SendError {
    SendError {
        attempts: 0,
        outcome: Outcome::NotDone,
        msg_id: String::new(),
        source: Box::new(error.into()),
    }
}
