//! Settings of a producer that is not started yet.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::compress::Compression;
use super::window::Window;
use super::{Producer, Sender};
use crate::config::ClientConfig;
use crate::core::{Core, Tasks};
use crate::error::ClientError;
use crate::heartbeat::{self, Membership};
use crate::inbound::Inbound;
use crate::message::{BODY_BYTES_MAX, check_group};
use crate::retry::RetryPolicy;

/// Bodies of this size and above are compressed. Java: `compressMsgBodyOverHowmuch`.
const COMPRESS_ABOVE: usize = 4_096;
/// Queues of a topic that a send creates. Java: `defaultTopicQueueNums`.
const NEW_TOPIC_QUEUES: i32 = 4;
/// Asynchronous sends under way. Java: `backPressureForAsyncSendNum`, 10,000 there.
const ASYNC_SENDS_MAX: u32 = 1_024;
/// Bytes of their bodies. Java: `backPressureForAsyncSendSize`, 100 MiB there.
const ASYNC_BYTES_MAX: u32 = 64 << 20;

/// Settings of a producer that is not started yet. From [`Producer::builder`].
pub struct ProducerBuilder {
    group: String,
    config: ClientConfig,
    retry: RetryPolicy,
    compression: Compression,
    compress_above: Option<usize>,
    body_bytes_max: usize,
    new_topic_queues: i32,
    async_sends_max: u32,
    async_bytes_max: u32,
    heartbeats: bool,
}

impl Producer {
    /// Settings for a producer of `group`; the cluster is given as name servers, `host:port` separated by `;`,
    /// or as a whole [`ClientConfig`].
    pub fn builder(group: impl Into<String>, config: impl Into<ClientConfig>) -> ProducerBuilder {
        ProducerBuilder::new(group.into(), config.into())
    }
}

impl ProducerBuilder {
    fn new(group: String, config: ClientConfig) -> Self {
        Self {
            group,
            config,
            retry: RetryPolicy::default(),
            compression: Compression::default(),
            compress_above: Some(COMPRESS_ABOVE),
            body_bytes_max: BODY_BYTES_MAX,
            new_topic_queues: NEW_TOPIC_QUEUES,
            async_sends_max: ASYNC_SENDS_MAX,
            async_bytes_max: ASYNC_BYTES_MAX,
            heartbeats: true,
        }
    }

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

    /// How bodies are compressed; zlib without this. Consumers find out by themselves.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Compresses bodies of this many bytes and more, 4,096 without this; `None` never. Batches are never
    /// compressed.
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

    /// At most this many [asynchronous sends](Producer::send_async), with this many bytes of bodies, are under way;
    /// the next one waits. 1,024 and 64 MiB without this.
    #[must_use]
    pub fn async_max(mut self, sends: u32, bytes: u32) -> Self {
        self.async_sends_max = sends.max(1);
        self.async_bytes_max = bytes.max(1);
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
        let sender = Sender {
            core,
            group: self.group,
            retry: self.retry,
            compression: self.compress_above.map(|from_bytes| (self.compression, from_bytes)),
            body_bytes_max: self.body_bytes_max,
            new_topic_queues: self.new_topic_queues,
            turn: AtomicUsize::new(0),
            unique_keys,
        };
        let window = Window::new(self.async_sends_max, self.async_bytes_max);
        Ok(Producer { sender: Arc::new(sender), window, tasks: Tasks::new(tasks) })
    }
}
