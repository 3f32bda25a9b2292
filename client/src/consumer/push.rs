//! The push consumer: messages come to the application as they arrive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::allocate::Strategy;
use protocol::command::heartbeat;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dispatch::{Handler, Outlet};
use super::engine::Engine;
use super::filter::Filter;
use super::lite_pull::LitePullConsumer;
use super::local_offsets::LocalOffsets;
use super::start::ConsumeFrom;
use super::subscriptions::Subscriptions;
use crate::config::ClientConfig;
use crate::core::{Core, Tasks};
use crate::error::ClientError;
use crate::heartbeat as membership;
use crate::inbound::Inbound;
use crate::message::{check_group, check_topic};
use crate::queue::MessageQueue;
use crate::route_cache::Missing;

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
    /// How often a message comes again; the broker's own bound if `None`, in order mode for ever.
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

/// Settings of a push consumer that is not started yet.
pub struct PushConsumerBuilder {
    group: String,
    config: ClientConfig,
    subscriptions: BTreeMap<String, String>,
    settings: Settings,
    offsets_dir: Option<PathBuf>,
}

/// Receives messages of the subscribed topics, as one member of a group.
///
/// The members divide the queues among themselves, and again whenever one comes or goes. Messages of one queue
/// are pulled in order; by default many are handled at the same time, [`start_in_order`] handles those of one
/// queue one after the other. How far each queue is consumed is stored at the broker every 5 s and at the end.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use client::{Consume, ConsumeFrom, PushConsumer, ReceivedMessage};
///
/// let consumer = PushConsumer::builder("my_consumers", "127.0.0.1:9876")
///     .subscribe("TopicTest", "TagA || TagB")
///     .consume_from(ConsumeFrom::First)
///     .start(|message: Arc<ReceivedMessage>| async move {
///         println!("{:?}", message.body);
///         Consume::Success
///     })
///     .await?;
/// // … for as long as the program runs …
/// consumer.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// [`start_in_order`]: PushConsumerBuilder::start_in_order
pub struct PushConsumer {
    pub(super) engine: Arc<Engine>,
    tasks: Tasks,
}

impl PushConsumerBuilder {
    /// Subscribes a topic: `*` for all messages, or tags, `TagA || TagB`. All members of a group must subscribe
    /// the same.
    #[must_use]
    pub fn subscribe(mut self, topic: impl Into<String>, expression: impl Into<String>) -> Self {
        self.subscriptions.insert(topic.into(), expression.into());
        self
    }

    /// Where the group begins in a queue for which it has no offset stored.
    #[must_use]
    pub fn consume_from(mut self, from: ConsumeFrom) -> Self {
        self.settings.consume_from = from;
        self
    }

    /// Who gets a message.
    #[must_use]
    pub fn model(mut self, model: MessageModel) -> Self {
        self.settings.model = model;
        self
    }

    /// How queues are divided; the same for all members.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.settings.strategy = strategy;
        self
    }

    /// At most so many messages are handled at the same time.
    #[must_use]
    pub fn concurrency(mut self, messages: usize) -> Self {
        self.settings.concurrency = messages.max(1);
        self
    }

    /// At most so many messages a pull; brokers have a bound of their own, mostly 32.
    #[must_use]
    pub fn pull_messages_max(mut self, messages: i32) -> Self {
        self.settings.pull_messages_max = messages.max(1);
        self
    }

    /// Pulling of a queue pauses while so many of its messages, or bytes of bodies, are not consumed.
    #[must_use]
    pub fn cached_max(mut self, messages: usize, bytes: usize) -> Self {
        self.settings.cached_messages_max = messages.max(1);
        self.settings.cached_bytes_max = bytes.max(1);
        self
    }

    /// A message comes again at most so often; then it goes to the group's dead letters, `%DLQ%` and the group's
    /// name. Without this 16 times, in order mode for ever.
    #[must_use]
    pub fn reconsume_max(mut self, times: i32) -> Self {
        self.settings.reconsume_max = Some(times);
        self
    }

    /// A handler may take so long for one message, 15 minutes without this; then it is dropped where it waits, and the
    /// message comes again as if it had said [`Consume::Later`](crate::Consume::Later). Without a bound, one handler
    /// that never ends would hold back the offset of its queue for ever.
    #[must_use]
    pub fn consume_timeout(mut self, patience: Duration) -> Self {
        self.settings.consume_timeout = patience;
        self
    }

    /// Pause before a message comes again in order mode.
    #[must_use]
    pub fn order_pause(mut self, pause: Duration) -> Self {
        self.settings.order_pause = pause;
        self
    }

    /// How often the division of the queues is looked at without a cause.
    #[must_use]
    pub fn rebalance_interval(mut self, interval: Duration) -> Self {
        self.settings.rebalance_interval = interval;
        self
    }

    /// How often consumer offsets are stored.
    #[must_use]
    pub fn store_interval(mut self, interval: Duration) -> Self {
        self.settings.store_interval = interval;
        self
    }

    /// Tells this consumer from others of its group on this machine; the same as [`ClientConfig::instance_name`].
    #[must_use]
    pub fn instance_name(mut self, name: impl Into<String>) -> Self {
        self.config.instance_name = name.into();
        self
    }

    /// Where a broadcasting consumer keeps its offsets; `.rocketmq_offsets` in the home directory if not set. Below it
    /// each instance name and each group has a directory. Two consumers of one group on one machine need an
    /// [instance name](Self::instance_name) or a directory each; the second one refuses to start otherwise.
    #[must_use]
    pub fn offsets_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.offsets_dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Starts consuming, many messages at the same time. No broker needs to be up.
    ///
    /// # Errors
    /// A bad name or expression, or no name server in the configuration.
    pub async fn start(self, handler: impl Handler) -> Result<PushConsumer, ClientError> {
        self.launch(Outlet::Handler(Box::new(handler))).await
    }

    /// Starts consuming, one message of a queue after the other: none before its predecessor is consumed, and
    /// none by two members at once.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_in_order(mut self, handler: impl Handler) -> Result<PushConsumer, ClientError> {
        self.settings.in_order = true;
        self.launch(Outlet::Handler(Box::new(handler))).await
    }

    /// Starts a member of the group whose messages the application fetches itself: RocketMQ's lite pull consumer.
    /// There are no retries and no dead letters then: what is not committed comes again.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_polled(self) -> Result<LitePullConsumer, ClientError> {
        let (outlet, messages) = mpsc::channel(self.settings.pull_messages_max as usize);
        Ok(LitePullConsumer::new(self.launch(Outlet::Polled(outlet)).await?, messages))
    }

    async fn launch(self, outlet: Outlet) -> Result<PushConsumer, ClientError> {
        check_group(&self.group)?;
        let mut filters = BTreeMap::new();
        for (topic, expression) in &self.subscriptions {
            check_topic(topic)?;
            filters.insert(topic.clone(), Filter::new(topic, expression)?);
        }
        let has_retries = matches!(outlet, Outlet::Handler(_)) && !self.settings.is_broadcasting();
        if has_retries {
            let retry_topic = protocol::names::retry_topic(&self.group);
            filters.insert(retry_topic.clone(), Filter::new(&retry_topic, "*")?);
        }
        let local = if self.settings.is_broadcasting() {
            let dir = self.offsets_dir.unwrap_or_else(default_offsets_dir).join(&self.config.instance_name);
            Some(LocalOffsets::open(self.config.platform.disk.clone(), &dir, &self.group)?)
        } else {
            None
        };
        let inbound = Inbound::new();
        let core = Core::start(self.config, Some(inbound.clone())).await?;
        let subscriptions = Subscriptions::new(filters, core.wall_ms());
        let engine =
            Engine::new(core, inbound.clone(), self.group, self.settings, subscriptions, outlet, local);
        let engine = Arc::new(engine);
        let as_inbox: Arc<dyn crate::inbound::Inbox> = engine.clone();
        inbound.deliver_to(Arc::downgrade(&as_inbox));
        Ok(PushConsumer { tasks: Tasks::new(spawn_tasks(&engine)), engine })
    }
}

impl PushConsumer {
    /// Settings for a consumer of `group`; the cluster is given as name servers, `host:port` separated by `;`,
    /// or as a whole [`ClientConfig`].
    pub fn builder(group: impl Into<String>, config: impl Into<ClientConfig>) -> PushConsumerBuilder {
        PushConsumerBuilder {
            group: group.into(),
            config: config.into(),
            subscriptions: BTreeMap::new(),
            settings: Settings::default(),
            offsets_dir: None,
        }
    }

    /// The queues that are this member's at the moment, those of the retry topic included, each with the next
    /// message to consume.
    pub fn queues(&self) -> Vec<(MessageQueue, i64)> {
        self.engine.assigned().iter().map(|a| (a.queue.clone(), a.process().consumed_to())).collect()
    }

    /// How brokers know this consumer.
    pub fn client_id(&self) -> &str {
        &self.engine.core.client_id
    }

    /// From now on also wants messages of `topic`, or others of it than before. What was pulled already is still handed
    /// out. All members of a group must do the same.
    ///
    /// # Errors
    /// A bad name or expression; nothing has changed then.
    pub fn subscribe(&self, topic: &str, expression: &str) -> Result<(), ClientError> {
        check_topic(topic)?;
        let filter = Filter::new(topic, expression)?;
        self.engine.subscribe_anew(|current, now_ms| current.with(topic.to_owned(), filter, now_ms));
        Ok(())
    }

    /// From now on wants nothing of `topic`. Its queues are given up, their offsets stored.
    pub fn unsubscribe(&self, topic: &str) {
        self.engine.subscribe_anew(|current, now_ms| current.without(topic, now_ms));
    }

    /// Stores the consumer offsets now, not only at the next interval.
    ///
    /// # Errors
    /// The first failure; the other queues were tried all the same, and those that failed are tried again with the
    /// next interval.
    pub async fn store_offsets(&self) -> Result<(), ClientError> {
        self.engine.store_offsets().await
    }

    /// Hands out no more messages, waits up to 10 s for those being handled, stores the offsets, takes leave of
    /// the brokers and closes all connections.
    pub async fn shutdown(&self) {
        let core = self.engine.core.clone();
        core.stop();
        self.tasks.ended().await;
        self.engine.give_up_all(SHUTDOWN_PATIENCE).await;
        if let Some(local) = &self.engine.local {
            local.release();
        }
        membership::unregister(&core, None, Some(&self.engine.group)).await;
        core.shutdown().await;
    }
}

impl Drop for PushConsumer {
    fn drop(&mut self) {
        self.engine.core.stop();
        self.engine.abandon();
        self.tasks.abort();
    }
}

/// How long a shutdown waits for the messages being handled.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

fn spawn_tasks(engine: &Arc<Engine>) -> Vec<JoinHandle<()>> {
    let core = &engine.core;
    let beating = {
        let engine = engine.clone();
        move || engine.membership()
    };
    let mut tasks = vec![
        core.spawn_route_poll(),
        membership::spawn(core.clone(), engine.inbound.clone(), Arc::new(beating)),
        tokio::spawn(start_up(engine.clone())),
    ];
    let storing = engine.clone();
    tasks.push(core.spawn_periodic(engine.settings.store_interval, move || {
        let engine = storing.clone();
        async move {
            // What failed was logged, and is tried again in the next round.
            let _ = engine.store_offsets().await;
        }
    }));
    if engine.settings.locks_queues() {
        let locking = engine.clone();
        tasks.push(core.spawn_periodic(engine.settings.lock_interval, move || {
            let engine = locking.clone();
            async move { engine.renew_locks().await }
        }));
    }
    tasks
}

/// Tells the brokers of this consumer before its queues are divided: they make the retry topic of a new group
/// with the first heartbeat.
async fn start_up(engine: Arc<Engine>) {
    for topic in engine.subscribed().topics() {
        // A topic that is not there yet is looked for again by the rebalancing.
        let _ = engine.core.routes.get(topic, Missing::Fail).await;
    }
    let who = engine.membership();
    tokio::select! {
        () = engine.core.stopped() => return,
        () = membership::beat(&engine.core, &who) => {}
    }
    engine.rebalance_loop().await;
}

fn default_offsets_dir() -> PathBuf {
    std::env::var_os("HOME").map_or_else(PathBuf::new, PathBuf::from).join(".rocketmq_offsets")
}
