//! The push consumer's inside: which queues are ours, and how they come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use protocol::command::heartbeat::{ConsumerList, GetConsumerList};
use protocol::{Command, RequestCode, names};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::assigned::Assigned;
use super::member::Member;
use super::outlet::Outlet;
use super::settings::MessageModel;
use super::start::StartAt;
use super::subscriptions::Subscriptions;
use super::{dispatch, pull_loop, rebalance};
use crate::error::ClientError;
use crate::queue::MessageQueue;
use crate::route::TopicRoute;
use crate::route_cache::Missing;
use crate::transport::bad_answer;

/// How long a queue that is given up waits for the messages being handled.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(10);
/// The queues of one member, and the division of a topic's queues among all members.
pub(super) struct Engine {
    pub(super) member: Arc<Member>,
    queues: Mutex<Queues>,
    /// Told when the division of the queues should be looked at.
    pub(super) wish: Notify,
    farewells: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Queues {
    assigned: BTreeMap<MessageQueue, Arc<Assigned>>,
    /// Given up, with messages still being handled. They are not taken up again before that has ended.
    leaving: BTreeSet<MessageQueue>,
}

impl Engine {
    pub(super) fn new(member: Member) -> Self {
        let member = Arc::new(member);
        Self { member, queues: Mutex::default(), wish: Notify::new(), farewells: Mutex::default() }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().expect("no panic while it is held")
    }

    /// The queues in hand.
    pub(super) fn assigned(&self) -> Vec<Arc<Assigned>> {
        self.queues().assigned.values().cloned().collect()
    }

    /// From now on this consumer wants something else. Pulls under way are begun anew: what they filter out by the
    /// old subscription would be lost for the new one.
    pub(super) fn subscribe_anew(&self, change: impl FnOnce(&Subscriptions, i64) -> Subscriptions) {
        let now_ms = self.member.core.wall_ms();
        self.member.subscriptions.send_modify(|current| *current = Arc::new(change(current, now_ms)));
        self.member.introduce_ourselves();
        self.wish.notify_one();
    }

    /// Divides the queues anew whenever that is due.
    pub(super) async fn rebalance_loop(self: Arc<Self>) {
        loop {
            let is_complete = self.rebalance().await;
            let pause = if is_complete {
                self.member.settings.rebalance_interval
            } else {
                self.member.settings.rebalance_retry
            };
            tokio::select! {
                () = self.member.core.stopped() => return,
                () = self.wish.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at every topic once. Whether all was as it should be at the end.
    async fn rebalance(self: &Arc<Self>) -> bool {
        let mut is_complete = true;
        let subscribed = self.member.subscribed();
        for assigned in self.assigned() {
            if subscribed.filter(&assigned.queue.topic).is_none() {
                self.give_up(&assigned.queue);
            }
        }
        for topic in subscribed.topics() {
            match self.rebalance_topic(topic).await {
                Ok(settled) => is_complete &= settled,
                Err(error) => {
                    is_complete = false;
                    tracing::debug!(topic, error = &error as &dyn std::error::Error, "queues not divided");
                }
            }
        }
        is_complete
    }

    async fn rebalance_topic(self: &Arc<Self>, topic: &str) -> Result<bool, ClientError> {
        let route = self.member.core.routes.get(topic, Missing::Fail).await?;
        let queues = route.read_queues(topic);
        let wanted = match self.member.settings.model {
            MessageModel::Broadcasting => queues.into_iter().collect(),
            MessageModel::Clustering => {
                let members = self.members(topic, &route).await?;
                let share = rebalance::share(
                    self.member.settings.strategy,
                    &self.member.core.client_id,
                    &members,
                    &queues,
                );
                let Some(share) = share else {
                    self.member.introduce_ourselves();
                    return Ok(false);
                };
                share
            }
        };
        let current: BTreeSet<_> =
            self.queues().assigned.keys().filter(|queue| queue.topic == topic).cloned().collect();
        let (added, dropped) = rebalance::difference(&current, &wanted);
        if !added.is_empty() || !dropped.is_empty() {
            tracing::info!(
                topic,
                group = self.member.group,
                added = added.len(),
                dropped = dropped.len(),
                "queues divided"
            );
        }
        for queue in dropped {
            self.give_up(&queue);
        }
        let mut is_complete = true;
        for queue in added {
            match self.take_up(queue.clone()).await {
                Ok(taken) => is_complete &= taken,
                Err(error) => {
                    is_complete = false;
                    let queue = queue.to_string();
                    tracing::debug!(
                        queue,
                        error = &error as &dyn std::error::Error,
                        "queue not taken up yet"
                    );
                }
            }
        }
        Ok(is_complete)
    }

    /// The client ids of the group, as one broker of the topic has them.
    async fn members(&self, topic: &str, route: &TopicRoute) -> Result<Vec<String>, ClientError> {
        let code = RequestCode::GET_CONSUMER_LIST_BY_GROUP;
        let broker_name = route
            .broker_names()
            .next()
            .ok_or_else(|| ClientError::NoQueue { topic: topic.to_owned(), what: "read from" })?;
        let request = Command::request(code)
            .with_header(&GetConsumerList { consumer_group: self.member.group.clone() });
        let asked = self
            .member
            .core
            .ask_leader(topic, broker_name, request, self.member.core.config.call_timeout)
            .await;
        let (node, answer) = match asked {
            // "No consumer for this group": the broker has not heard of us.
            Err(error) if error.code() == Some(protocol::ResponseCode::SYSTEM_ERROR) => return Ok(Vec::new()),
            other => other?,
        };
        let list =
            ConsumerList::read(&answer.body).map_err(|error| bad_answer(&node, code, "body", error))?;
        Ok(list.consumer_id_list)
    }

    /// Makes a queue ours. False if it has to wait: its lock belongs to another, or it is still being left.
    async fn take_up(self: &Arc<Self>, queue: MessageQueue) -> Result<bool, ClientError> {
        if self.queues().leaving.contains(&queue) {
            return Ok(false);
        }
        let lock = if self.member.settings.locks_queues() {
            let begun = self.member.core.now();
            if self.member.lock_queues(&queue.broker_name, std::slice::from_ref(&queue)).await?.is_empty() {
                return Ok(false);
            }
            Some(begun)
        } else {
            None
        };
        let (offset, stored) = self.beginning(&queue).await?;
        let assigned = self.begin(queue, offset, stored);
        if let Some(begun) = lock {
            assigned.lock_until(begun + self.member.settings.lock_lifetime);
        }
        Ok(true)
    }

    /// Where to begin in a queue, and what of that the broker has stored.
    async fn beginning(&self, queue: &MessageQueue) -> Result<(i64, Option<i64>), ClientError> {
        let stored = self.member.stored_offset(queue).await?;
        let is_retry = queue.topic.starts_with(names::RETRY_PREFIX);
        let offset = match self.member.settings.consume_from.start(stored, is_retry) {
            StartAt::Offset(offset) => offset,
            StartAt::Max => self.member.core.max_offset(queue).await?,
            StartAt::Time(ms) => self.member.core.offset_at(queue, ms).await?,
        };
        Ok((offset, stored))
    }

    /// Starts the tasks of a queue.
    fn begin(self: &Arc<Self>, queue: MessageQueue, offset: i64, stored: Option<i64>) -> Arc<Assigned> {
        let assigned = Arc::new(Assigned::new(queue.clone(), offset));
        if !self.member.settings.locks_queues() {
            assigned.lock_until(Duration::MAX);
        }
        self.member.offsets().begin(queue.clone(), offset, stored);
        let before = {
            let mut queues = self.queues();
            queues.leaving.remove(&queue);
            queues.assigned.insert(queue, assigned.clone())
        };
        assert!(before.is_none(), "a queue is taken up only while it is neither assigned nor being left");
        let (engine, pulled) = (self.clone(), assigned.clone());
        assigned.own(tokio::spawn(async move {
            if let Some(offset) = pull_loop::run(&engine.member, &pulled).await {
                // A task of its own: going on elsewhere ends this one.
                tokio::spawn(engine.restart(pulled.queue.clone(), offset));
            }
        }));
        let (member, handed) = (self.member.clone(), assigned.clone());
        assigned.own(match &self.member.outlet {
            Outlet::Polled(outlet) => tokio::spawn(dispatch::handing_over(handed, outlet.clone())),
            Outlet::Handler(_) if self.member.settings.in_order => {
                tokio::spawn(dispatch::in_order(member, handed))
            }
            Outlet::Handler(_) => tokio::spawn(dispatch::concurrently(member, handed)),
        });
        assigned
    }

    /// Gives a queue up in the background: no new message is handed out, what is being handled may end, the offset
    /// is stored, the lock released.
    fn give_up(self: &Arc<Self>, queue: &MessageQueue) {
        if let Some(assigned) = self.leave(queue) {
            let engine = self.clone();
            let mut farewells = self.farewells.lock().expect("no panic while it is held");
            while farewells.try_join_next().is_some() {}
            farewells.spawn(async move {
                if !engine.member.settings.locks_queues() {
                    // The next member may have begun already: it must find the offset now, and not find its own
                    // overwritten later.
                    engine.member.close_account(&assigned).await;
                }
                engine.farewell(&assigned, FAREWELL_PATIENCE).await;
            });
        }
    }

    fn leave(&self, queue: &MessageQueue) -> Option<Arc<Assigned>> {
        let mut queues = self.queues();
        let assigned = queues.assigned.remove(queue)?;
        queues.leaving.insert(queue.clone());
        drop(queues);
        assigned.give_up();
        Some(assigned)
    }

    async fn farewell(&self, assigned: &Assigned, patience: Duration) {
        assigned.ended(patience).await;
        self.member.close_account(assigned).await;
        if self.member.settings.locks_queues() {
            self.member.unlock_queue(&assigned.queue).await;
        }
        self.queues().leaving.remove(&assigned.queue);
        self.wish.notify_one();
    }

    /// Goes on at `offset` in a queue in hand, whatever was consumed of it: the broker, an operator or the application
    /// wants it so. Whether it was in hand.
    pub(super) async fn restart(self: Arc<Self>, queue: MessageQueue, offset: i64) -> bool {
        let Some(assigned) = self.leave(&queue) else { return false };
        let locked_until = assigned.locked_until();
        self.member.offsets().remove(&queue); // what is still being handled no longer counts
        assigned.ended(FAREWELL_PATIENCE).await;
        // What is not stored now is with the next round.
        let _ = self.member.store_offset(&queue, offset).await;
        if self.member.core.is_stopped() {
            self.queues().leaving.remove(&queue);
            return true;
        }
        // Until here the queue counted as being left, so that nobody else took it up.
        self.begin(queue, offset, None).lock_until(locked_until);
        self.wish.notify_one(); // it may belong to another member by now
        true
    }

    /// Gives all queues up, waiting for what is being handled.
    pub(super) async fn give_up_all(self: &Arc<Self>, patience: Duration) {
        let mut farewells = std::mem::take(&mut *self.farewells.lock().expect("no panic while it is held"));
        for queue in self.assigned().iter().map(|assigned| assigned.queue.clone()) {
            if let Some(assigned) = self.leave(&queue) {
                let engine = self.clone();
                farewells.spawn(async move { engine.farewell(&assigned, patience).await });
            }
        }
        while farewells.join_next().await.is_some() {}
    }

    /// Ends the tasks of all queues without a word to anyone.
    pub(super) fn abandon(&self) {
        for assigned in self.assigned() {
            assigned.give_up();
        }
    }
}
