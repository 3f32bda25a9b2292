//! The producer: sends that wait for their answer, that do not, in batches, in order.

mod attempt;
mod builder;
mod compress;
mod prepare;
mod result;
mod select;
mod window;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::message::id::UniqueKeys;
use tokio::sync::oneshot;

use crate::core::{Core, Tasks};
use crate::error::{ClientError, Outcome, SendError};
use crate::heartbeat;
use crate::message::Message;
use crate::queue::MessageQueue;
use crate::retry::RetryPolicy;
use crate::route_cache::Missing;
use prepare::Prepared;
use window::Window;

pub use builder::ProducerBuilder;
pub use compress::Compression;
pub use result::{SendResult, SendStatus};
pub use select::QueueChoice;
pub use window::Sending;

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
    sender: Arc<Sender>,
    window: Window,
    tasks: Tasks,
}

/// What a send needs, shared with the tasks of asynchronous ones.
struct Sender {
    core: Arc<Core>,
    group: String,
    retry: RetryPolicy,
    /// How, and from how many bytes on.
    compression: Option<(Compression, usize)>,
    body_bytes_max: usize,
    new_topic_queues: i32,
    turn: AtomicUsize,
    unique_keys: UniqueKeys,
}

impl Producer {
    /// Sends a message, round robin over the topic's queues, and waits until it is stored. Giving the wait up, by
    /// dropping the future, leaves it open whether it was.
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
        let prepared = self.sender.prepare(message)?;
        self.sender.deliver(prepared, &options).await
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
        let prepared = self.sender.prepare_batch(messages)?;
        self.sender.deliver(prepared, &options).await
    }

    /// Begins a send and does not wait for its answer: what comes back can be waited for, now or later, or be
    /// dropped. Sends begun one after the other may be stored in any order; where order matters, wait for each.
    ///
    /// Waits while too many are under way, see [`ProducerBuilder::async_max`], so that one may call this as fast as
    /// one can.
    ///
    /// ```no_run
    /// # async fn example(producer: client::Producer) -> Result<(), client::SendError> {
    /// use client::Message;
    ///
    /// let mut under_way = Vec::new();
    /// for number in 0..1_000 {
    ///     under_way.push(producer.send_async(Message::new("TopicTest", format!("Hello {number}"))).await?);
    /// }
    /// for sending in under_way {
    ///     println!("{} is stored", sending.await?.msg_id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A message that no broker would take, or a producer that is shut down.
    pub async fn send_async(&self, message: Message) -> Result<Sending, SendError> {
        self.send_async_with(message, SendOptions::default()).await
    }

    /// Begins a send with options of its own.
    ///
    /// # Errors
    /// As [`Producer::send_async`].
    pub async fn send_async_with(
        &self,
        message: Message,
        options: SendOptions,
    ) -> Result<Sending, SendError> {
        let prepared = self.sender.prepare(message)?;
        let Some(place) = self.window.enter(prepared.body.len()).await else {
            return Err(unsent(ClientError::Stopped));
        };
        let (done, answer) = oneshot::channel();
        let sending = Sending::new(prepared.msg_id.clone(), answer);
        let sender = self.sender.clone();
        tokio::spawn(async move {
            // Whether anybody wants to know is not our business.
            let _ = done.send(sender.deliver(prepared, &options).await);
            drop(place);
        });
        Ok(sending)
    }

    /// Waits until every asynchronous send begun before has ended, well or not. Each one does within its own
    /// deadline.
    pub async fn flush(&self) {
        self.window.drained().await;
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
        let prepared = self.sender.prepare(message)?;
        self.sender.deliver_oneway(prepared, &options).await
    }

    /// The queues that a topic can be sent to, in order.
    ///
    /// # Errors
    /// If there is no route.
    pub async fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>, ClientError> {
        Ok(self.sender.core.routes.get(topic, self.sender.missing()).await?.write_queues(topic))
    }

    /// The leader of each broker group of the topic, as a name server tells it now.
    ///
    /// # Errors
    /// If there is no route.
    pub async fn leaders(&self, topic: &str) -> Result<Vec<(String, Option<String>)>, ClientError> {
        let route = self.sender.core.routes.refresh(topic, self.sender.missing()).await?;
        Ok(route
            .broker_names()
            .map(|name| (name.to_owned(), route.leader(name).map(str::to_owned)))
            .collect())
    }

    /// How brokers know this producer.
    pub fn client_id(&self) -> &str {
        &self.sender.core.client_id
    }

    /// Lets the asynchronous sends under way end, takes leave of the brokers and closes all connections. One-way
    /// messages have left by then. A send that another task is waiting for fails.
    ///
    /// Dropping a producer without this abandons what is under way.
    pub async fn shutdown(&self) {
        self.window.drained().await;
        self.window.close();
        let core = &self.sender.core;
        core.stop();
        self.tasks.ended().await;
        heartbeat::unregister(core, Some(&self.sender.group), None).await;
        core.shutdown().await;
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.sender.core.stop();
        self.tasks.abort();
    }
}

impl Sender {
    fn prepare(&self, message: Message) -> Result<Prepared, SendError> {
        prepare::single(message, || self.unique_key(), self.compression, self.body_bytes_max)
            .map_err(|error| unsent(error.into()))
    }

    fn prepare_batch(&self, messages: Vec<Message>) -> Result<Prepared, SendError> {
        prepare::many(messages, || self.unique_key(), self.body_bytes_max)
            .map_err(|error| unsent(error.into()))
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

/// The error for a message that was refused before it left.
fn unsent(error: ClientError) -> SendError {
    SendError { attempts: 0, outcome: Outcome::Failed, msg_id: String::new(), source: Box::new(error) }
}
