//! The pull consumer: the application says which queues, from where, and how far it has come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::filter::Filter;
use super::pull::{Pull, PullResult};
use super::start::{ConsumeFrom, StartAt};
use crate::config::ClientConfig;
use crate::core::{Core, Tasks};
use crate::error::ClientError;
use crate::message::check_group;
use crate::queue::MessageQueue;
use crate::received::ReceivedMessage;

/// Pause after a pull that failed, before the next one of the same queue.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);
/// How long a broker may hold a pull of [`PullConsumer::poll`].
const HOLD: Duration = Duration::from_secs(15);
/// Time to store one offset.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// How one pull differs from the usual.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// Tags wanted: `*`, or `TagA || TagB`.
    pub expression: String,
    /// At most this many messages; brokers have a bound of their own, mostly 32.
    pub messages_max: i32,
    /// How long the broker may hold the pull while there is nothing. Zero: it answers at once.
    pub hold: Duration,
    /// Asks this node instead of the leader.
    pub via: Option<String>,
}

impl Default for PullOptions {
    /// Up to 32 messages of any tag, without waiting, from the leader.
    fn default() -> Self {
        Self { expression: "*".to_owned(), messages_max: 32, hold: Duration::ZERO, via: None }
    }
}

/// Settings of a pull consumer that is not started yet.
pub struct PullConsumerBuilder {
    group: String,
    config: ClientConfig,
    expression: String,
    messages_max: i32,
    consume_from: ConsumeFrom,
}

/// Pulls from queues that the application chooses.
///
/// Either queue by queue with [`pull`](Self::pull), where the application keeps all offsets, or over a set of
/// assigned queues with [`poll`](Self::poll), where this consumer keeps the position of each.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use client::{ConsumeFrom, PullConsumer};
///
/// let mut consumer =
///     PullConsumer::builder("my_readers", "127.0.0.1:9876").consume_from(ConsumeFrom::First).start().await?;
/// let queues = consumer.queues("TopicTest").await?;
/// consumer.assign(queues).await?;
/// for message in consumer.poll(Duration::from_secs(5)).await? {
///     println!("{}: {:?}", message.queue, message.body);
/// }
/// consumer.commit().await?;
/// consumer.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct PullConsumer {
    core: Arc<Core>,
    group: Arc<str>,
    filter: Arc<Filter>,
    messages_max: i32,
    consume_from: ConsumeFrom,
    assigned: BTreeMap<MessageQueue, Position>,
    /// One pull for each assigned queue at most.
    pulls: JoinSet<Pulled>,
    tasks: Tasks,
}

#[derive(Debug)]
struct Position {
    /// The next message to return.
    next: i64,
    /// Changes with each seek, so that a pull begun before it is not taken for one after it.
    seeks: u64,
    is_pulling: bool,
}

struct Pulled {
    queue: MessageQueue,
    seeks: u64,
    result: Result<PullResult, ClientError>,
}

impl PullConsumerBuilder {
    /// The tags that [`PullConsumer::poll`] wants: `*`, or `TagA || TagB`.
    #[must_use]
    pub fn expression(mut self, expression: impl Into<String>) -> Self {
        self.expression = expression.into();
        self
    }

    /// At most this many messages a pull.
    #[must_use]
    pub fn messages_max(mut self, messages: i32) -> Self {
        self.messages_max = messages;
        self
    }

    /// Where an assigned queue begins for which the group has no offset stored.
    #[must_use]
    pub fn consume_from(mut self, from: ConsumeFrom) -> Self {
        self.consume_from = from;
        self
    }

    /// Starts the consumer. No broker needs to be up.
    ///
    /// # Errors
    /// A bad group name or expression, or no name server in the configuration.
    pub async fn start(self) -> Result<PullConsumer, ClientError> {
        check_group(&self.group)?;
        let filter = Filter::new("", &self.expression)?;
        let core = Core::start(self.config, None).await?;
        let tasks = Tasks::new(vec![core.spawn_route_poll()]);
        Ok(PullConsumer {
            core,
            group: self.group.into(),
            filter: Arc::new(filter),
            messages_max: self.messages_max,
            consume_from: self.consume_from,
            assigned: BTreeMap::new(),
            pulls: JoinSet::new(),
            tasks,
        })
    }
}

impl PullConsumer {
    /// Settings for a consumer of `group`; the cluster is given as name servers, `host:port` separated by `;`,
    /// or as a whole [`ClientConfig`].
    pub fn builder(group: impl Into<String>, config: impl Into<ClientConfig>) -> PullConsumerBuilder {
        PullConsumerBuilder {
            group: group.into(),
            config: config.into(),
            expression: "*".to_owned(),
            messages_max: 32,
            consume_from: ConsumeFrom::default(),
        }
    }

    /// The queues of a topic that can be read, in order, as a name server tells them now.
    ///
    /// # Errors
    /// If there is no route.
    pub async fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>, ClientError> {
        let route = self.core.routes.refresh(topic, crate::route_cache::Missing::Fail).await?;
        Ok(route.read_queues(topic))
    }

    /// Pulls once from one queue. Does not touch positions or stored offsets.
    ///
    /// # Errors
    /// If the node could not be asked or refused. The next call asks whoever leads then.
    pub async fn pull(
        &self,
        queue: &MessageQueue,
        offset: i64,
        options: &PullOptions,
    ) -> Result<PullResult, ClientError> {
        let filter = Filter::new(&queue.topic, &options.expression)?;
        pull_once(&self.core, &self.group, queue, offset, &filter, options).await
    }

    /// The group's stored offset of a queue; `None` if there is none.
    ///
    /// # Errors
    /// If the leader could not be asked.
    pub async fn committed(&self, queue: &MessageQueue) -> Result<Option<i64>, ClientError> {
        self.core.stored_offset(&self.group, queue).await
    }

    /// Stores the group's offset of a queue: the next message to consume.
    ///
    /// # Errors
    /// If the leader could not be told.
    pub async fn commit_offset(&self, queue: &MessageQueue, offset: i64) -> Result<(), ClientError> {
        self.core.store_offset(&self.group, queue, offset, STORE_PATIENCE).await
    }

    /// The end of a queue, exclusive.
    ///
    /// # Errors
    /// If the leader could not be asked.
    pub async fn max_offset(&self, queue: &MessageQueue) -> Result<i64, ClientError> {
        self.core.max_offset(queue).await
    }

    /// The first message of a queue that is still there.
    ///
    /// # Errors
    /// If the leader could not be asked.
    pub async fn min_offset(&self, queue: &MessageQueue) -> Result<i64, ClientError> {
        self.core.min_offset(queue).await
    }

    /// The first message stored at `timestamp_ms` (since the epoch) or later; the end if there is none.
    ///
    /// # Errors
    /// If the leader could not be asked.
    pub async fn offset_at(&self, queue: &MessageQueue, timestamp_ms: i64) -> Result<i64, ClientError> {
        self.core.offset_at(queue, timestamp_ms).await
    }

    /// Reads from these queues from now on, and no others. A queue that stays keeps its position; a new one
    /// begins at the group's stored offset, or where [`PullConsumerBuilder::consume_from`] says.
    ///
    /// # Errors
    /// If a beginning could not be found. Nothing has changed then.
    pub async fn assign(
        &mut self,
        queues: impl IntoIterator<Item = MessageQueue>,
    ) -> Result<(), ClientError> {
        let mut assigned = BTreeMap::new();
        for queue in queues {
            let next = match self.assigned.get(&queue) {
                Some(position) => position.next,
                None => self.beginning(&queue).await?,
            };
            assigned.insert(queue, next);
        }
        self.assigned.retain(|queue, _| assigned.contains_key(queue));
        for (queue, next) in assigned {
            self.assigned.entry(queue).or_insert(Position {
                next,
                seeks: self.core.next_number(),
                is_pulling: false,
            });
        }
        Ok(())
    }

    /// The assigned queues.
    pub fn assigned(&self) -> impl Iterator<Item = &MessageQueue> {
        self.assigned.keys()
    }

    /// The next message that [`poll`](Self::poll) will return of an assigned queue.
    pub fn position(&self, queue: &MessageQueue) -> Option<i64> {
        self.assigned.get(queue).map(|position| position.next)
    }

    /// Goes on at `offset` in an assigned queue.
    ///
    /// # Errors
    /// If the queue is not assigned.
    pub fn seek(&mut self, queue: &MessageQueue, offset: i64) -> Result<(), ClientError> {
        let seeks = self.core.next_number();
        let Some(position) = self.assigned.get_mut(queue) else {
            return Err(ClientError::NotAssigned { queue: queue.clone() });
        };
        *position = Position { next: offset, seeks, is_pulling: false };
        Ok(())
    }

    /// The next messages of any assigned queue, in order within each queue; none if nothing came within `wait`.
    /// Positions move behind what is returned. While a broker group has no leader this waits for the next one.
    ///
    /// # Errors
    /// If the client was shut down. A queue that cannot be read is tried again and again.
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<ReceivedMessage>, ClientError> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            if self.core.is_stopped() {
                return Err(ClientError::Stopped);
            }
            self.begin_pulls();
            let pulled = match tokio::time::timeout_at(deadline, self.pulls.join_next()).await {
                Err(_) => return Ok(Vec::new()),
                Ok(None) => {
                    tokio::time::sleep_until(deadline).await; // no queue is assigned
                    return Ok(Vec::new());
                }
                Ok(Some(Ok(pulled))) => pulled,
                Ok(Some(Err(error))) => std::panic::resume_unwind(error.into_panic()),
            };
            let messages = self.take(pulled);
            if !messages.is_empty() {
                return Ok(messages);
            }
        }
    }

    /// Stores the positions of all assigned queues as the group's offsets.
    ///
    /// # Errors
    /// The first failure; the other queues were tried all the same.
    pub async fn commit(&mut self) -> Result<(), ClientError> {
        let mut first_error = None;
        for (queue, position) in &self.assigned {
            let stored = self.core.store_offset(&self.group, queue, position.next, STORE_PATIENCE).await;
            if let Err(error) = stored {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Closes all connections. Stores nothing.
    pub async fn shutdown(&mut self) {
        self.core.stop();
        self.pulls.shutdown().await;
        self.tasks.ended().await;
        self.core.shutdown().await;
    }

    async fn beginning(&self, queue: &MessageQueue) -> Result<i64, ClientError> {
        let stored = self.core.stored_offset(&self.group, queue).await?;
        match self.consume_from.start(stored, false) {
            StartAt::Offset(0) => self.core.min_offset(queue).await,
            StartAt::Offset(offset) => Ok(offset),
            StartAt::Max => self.core.max_offset(queue).await,
            StartAt::Time(ms) => self.core.offset_at(queue, ms).await,
        }
    }

    /// Sees to it that every assigned queue has a pull under way.
    fn begin_pulls(&mut self) {
        for (queue, position) in &mut self.assigned {
            if position.is_pulling {
                continue;
            }
            position.is_pulling = true;
            let (core, group, filter) = (self.core.clone(), self.group.clone(), self.filter.clone());
            let (queue, offset, seeks) = (queue.clone(), position.next, position.seeks);
            let options =
                PullOptions { messages_max: self.messages_max, hold: HOLD, ..PullOptions::default() };
            self.pulls.spawn(async move {
                let result = pull_once(&core, &group, &queue, offset, &filter, &options).await;
                if result.is_err() {
                    tokio::time::sleep(FAILURE_PAUSE).await;
                }
                Pulled { queue, seeks, result }
            });
        }
    }

    fn take(&mut self, pulled: Pulled) -> Vec<ReceivedMessage> {
        let Some(position) =
            self.assigned.get_mut(&pulled.queue).filter(|position| position.seeks == pulled.seeks)
        else {
            return Vec::new(); // unassigned or moved in the meantime
        };
        position.is_pulling = false;
        match pulled.result {
            Ok(result) => {
                position.next = result.next_offset;
                result.messages
            }
            Err(error) => {
                let queue = pulled.queue.to_string();
                tracing::debug!(queue, error = &error as &dyn std::error::Error, "pull failed, trying again");
                Vec::new()
            }
        }
    }
}

impl Drop for PullConsumer {
    fn drop(&mut self) {
        self.core.stop();
        self.tasks.abort();
    }
}

/// One pull from the leader, or from `options.via`. After a failure the route is asked anew before it is told.
async fn pull_once(
    core: &Core,
    group: &str,
    queue: &MessageQueue,
    offset: i64,
    filter: &Filter,
    options: &PullOptions,
) -> Result<PullResult, ClientError> {
    let route = core.route(&queue.topic).await?;
    let node = match &options.via {
        Some(node) => node.clone(),
        None => route
            .write_target(&queue.broker_name, None, 1)
            .ok_or_else(|| ClientError::NoLeader { broker_name: queue.broker_name.clone() })?
            .to_owned(),
    };
    let pull = Pull {
        group,
        queue,
        offset,
        messages_max: options.messages_max,
        expression: filter.expression(),
        sub_version: 0,
        hold: options.hold,
    };
    // A node of the caller's own choice need not lead.
    let may_be_deposed = options.via.is_none() && !options.hold.is_zero();
    let asked = tokio::select! {
        biased;
        asked = pull.ask(core, &node) => asked,
        () = core.led_elsewhere(&queue.topic, &queue.broker_name, &node), if may_be_deposed => {
            Err(ClientError::NoLeader { broker_name: queue.broker_name.clone() })
        }
    };
    match asked {
        Ok(mut result) => {
            result.messages.retain(|message| filter.passes(message));
            Ok(result)
        }
        Err(error) => {
            let missing = crate::route_cache::Missing::Fail;
            // The error of the pull is the one to tell.
            let _ = core.routes.refresh_after_failure(&queue.topic, &queue.broker_name, &node, missing).await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_asks_for_everything_at_once_unless_told_otherwise() {
        let options = PullOptions::default();
        assert_eq!(
            (options.expression.as_str(), options.messages_max, options.hold),
            ("*", 32, Duration::ZERO)
        );
    }
}
