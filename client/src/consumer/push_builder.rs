//! Settings of a member of a consumer group that is not started yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::allocate::Strategy;
use tokio::sync::mpsc;

use super::filter::Filter;
use super::lite_pull::LitePullConsumer;
use super::local_offsets::LocalOffsets;
use super::member::Member;
use super::outlet::{Handler, Outlet};
use super::push::PushConsumer;
use super::settings::{MessageModel, Settings};
use super::start::ConsumeFrom;
use super::subscriptions::Subscriptions;
use crate::config::ClientConfig;
use crate::core::Core;
use crate::error::ClientError;
use crate::inbound::Inbound;
use crate::message::{check_group, check_topic};

/// Settings of a push consumer that is not started yet.
pub struct PushConsumerBuilder {
    group: String,
    config: ClientConfig,
    subscriptions: BTreeMap<String, String>,
    settings: Settings,
    offsets_dir: Option<PathBuf>,
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
}

impl LitePullConsumer {
    /// Settings, the same as for a push consumer; to be started with
    /// [`start_polled`](PushConsumerBuilder::start_polled).
    pub fn builder(group: impl Into<String>, config: impl Into<ClientConfig>) -> PushConsumerBuilder {
        PushConsumer::builder(group, config)
    }
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

    /// At most this many messages are handled at the same time.
    #[must_use]
    pub fn concurrency(mut self, messages: usize) -> Self {
        self.settings.concurrency = messages.max(1);
        self
    }

    /// At most this many messages a pull; brokers have a bound of their own, mostly 32.
    #[must_use]
    pub fn pull_messages_max(mut self, messages: i32) -> Self {
        self.settings.pull_messages_max = messages.max(1);
        self
    }

    /// Pulling of a queue pauses while this many of its messages, or bytes of bodies, are not consumed.
    #[must_use]
    pub fn cached_max(mut self, messages: usize, bytes: usize) -> Self {
        self.settings.cached_messages_max = messages.max(1);
        self.settings.cached_bytes_max = bytes.max(1);
        self
    }

    /// A message comes again at most this often; then it goes to the group's dead letters, `%DLQ%` and the group's
    /// name. Without this 16 times, in order mode forever.
    #[must_use]
    pub fn reconsume_max(mut self, times: i32) -> Self {
        self.settings.reconsume_max = Some(times);
        self
    }

    /// A handler may take this long for one message, 15 minutes without this; then it is dropped where it waits, and the
    /// message comes again as if it had said [`Consume::Later`](crate::Consume::Later). Without a bound, one handler
    /// that never ends would hold back the offset of its queue forever.
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
        let member = Member::new(core, inbound, self.group, self.settings, subscriptions, outlet, local);
        Ok(PushConsumer::start(member))
    }
}

fn default_offsets_dir() -> PathBuf {
    std::env::var_os("HOME").map_or_else(PathBuf::new, PathBuf::from).join(".rocketmq_offsets")
}
