//! The push consumer: messages come to the application as they arrive.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::engine::Engine;
use super::filter::Filter;
use super::member::Member;
use crate::core::Tasks;
use crate::error::ClientError;
use crate::heartbeat as membership;
use crate::inbound::Inbox;
use crate::message::check_topic;
use crate::queue::MessageQueue;
use crate::route_cache::Missing;

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
/// [`start_in_order`]: crate::PushConsumerBuilder::start_in_order
pub struct PushConsumer {
    pub(super) engine: Arc<Engine>,
    tasks: Tasks,
}

impl PushConsumer {
    pub(super) fn start(member: Member) -> Self {
        let engine = Arc::new(Engine::new(member));
        let as_inbox: Arc<dyn Inbox> = engine.clone();
        engine.member.inbound.deliver_to(Arc::downgrade(&as_inbox));
        Self { tasks: Tasks::new(spawn_tasks(&engine)), engine }
    }

    /// The queues that are this member's at the moment, those of the retry topic included, each with the next
    /// message to consume.
    pub fn queues(&self) -> Vec<(MessageQueue, i64)> {
        self.engine.assigned().iter().map(|a| (a.queue.clone(), a.process().consumed_to())).collect()
    }

    /// How brokers know this consumer.
    pub fn client_id(&self) -> &str {
        &self.engine.member.core.client_id
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
        self.engine.member.store_offsets().await
    }

    /// Hands out no more messages, waits up to 10 s for those being handled, stores the offsets, unregisters at
    /// the brokers and closes all connections.
    pub async fn shutdown(&self) {
        let core = self.engine.member.core.clone();
        core.stop();
        self.tasks.ended().await;
        self.engine.give_up_all(SHUTDOWN_PATIENCE).await;
        if let Some(local) = &self.engine.member.local {
            local.release();
        }
        membership::unregister(&core, None, Some(&self.engine.member.group)).await;
        core.shutdown().await;
    }
}

impl Drop for PushConsumer {
    fn drop(&mut self) {
        self.engine.member.core.stop();
        self.engine.abandon();
        self.tasks.abort();
    }
}

/// How long a shutdown waits for the messages being handled.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

fn spawn_tasks(engine: &Arc<Engine>) -> Vec<JoinHandle<()>> {
    let core = &engine.member.core;
    let beating = {
        let engine = engine.clone();
        move || engine.member.membership()
    };
    let mut tasks = vec![
        core.spawn_route_poll(),
        membership::spawn(core.clone(), engine.member.inbound.clone(), Arc::new(beating)),
        tokio::spawn(start_up(engine.clone())),
    ];
    let storing = engine.clone();
    tasks.push(core.spawn_periodic(engine.member.settings.store_interval, move || {
        let engine = storing.clone();
        async move {
            // What failed was logged, and is tried again in the next round.
            let _ = engine.member.store_offsets().await;
        }
    }));
    if engine.member.settings.locks_queues() {
        let locking = engine.clone();
        tasks.push(core.spawn_periodic(engine.member.settings.lock_interval, move || {
            let engine = locking.clone();
            async move { engine.member.renew_locks(engine.assigned()).await }
        }));
    }
    tasks
}

/// Tells the brokers of this consumer before its queues are divided: they make the retry topic of a new group
/// with the first heartbeat.
async fn start_up(engine: Arc<Engine>) {
    for topic in engine.member.subscribed().topics() {
        // A topic that is not there yet is looked for again by the rebalancing.
        let _ = engine.member.core.routes.get(topic, Missing::Fail).await;
    }
    let who = engine.member.membership();
    tokio::select! {
        () = engine.member.core.stopped() => return,
        () = membership::beat(&engine.member.core, &who) => {}
    }
    engine.rebalance_loop().await;
}
