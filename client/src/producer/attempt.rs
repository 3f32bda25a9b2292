//! One send from its first attempt to its last.

use std::sync::Arc;
use std::time::Duration;

use protocol::command::send::SendRequest;
use protocol::{Command, RequestCode, ResponseCode, names};
use remoting::{NotSent, Unknown};

use super::prepare::Prepared;
use super::result::{self, SendResult};
use super::select::{self, QueueChoice};
use super::{SendOptions, Sender};
use crate::error::{ClientError, Outcome, SendError};
use crate::queue::MessageQueue;
use crate::retry::{self, Next, RetryPolicy};
use crate::route::TopicRoute;

/// A send unanswered for this long makes the producer ask whether the leader is still the same.
const DOUBT_AFTER: Duration = Duration::from_millis(250);
/// A leader that lives, and hands the lead over, answers within this time of the handover. It asks again as often.
const HANDOVER: Duration = Duration::from_millis(100);

/// After a failure the next leader is waited for this long, from the beginning of the send on, before nodes are tried
/// that do not lead.
const ELECTION: Duration = Duration::from_millis(1_200);
/// How often name servers are asked for it meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// The queue of the last attempt, and its node if that is of no use for the moment.
struct Failed {
    queue: MessageQueue,
    node: Option<String>,
}

/// Where one attempt goes.
struct Target {
    queue: MessageQueue,
    node: String,
    /// The leader in the route that the target was chosen by.
    leader: Option<String>,
    /// The route had no leader, or was only borrowed: the next send should have a better one.
    is_makeshift: bool,
}

impl Target {
    /// What the next attempt should know of this one. A node that answered is no worse for it, unless it said
    /// that it cannot serve; nor is one for which too much is queued here.
    fn failed(self, error: &ClientError) -> Failed {
        let is_alive = match error {
            ClientError::NotSent { source: NotSent::Overloaded { .. }, .. } => true,
            error => error.code().is_some_and(|code| code != ResponseCode::SERVICE_NOT_AVAILABLE),
        };
        Failed { queue: self.queue, node: (!is_alive).then_some(self.node) }
    }
}

/// What a send came to.
enum Sent {
    /// The broker has answered.
    Stored(SendResult),
    /// It is on its way, and nobody will answer.
    Gone,
}

/// Whether a send waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Answered,
    OneWay,
}

impl Sender {
    /// Tries until the message is stored, the error is final, or the deadline has passed.
    pub(super) async fn deliver(
        &self,
        prepared: Prepared,
        options: &SendOptions,
    ) -> Result<SendResult, SendError> {
        match self.deliver_as(&prepared, options, Mode::Answered).await? {
            Sent::Stored(result) => Ok(result),
            Sent::Gone => unreachable!("a send that waits for its answer has one"),
        }
    }

    /// Queues the message for a connection, trying again while it certainly was not.
    pub(super) async fn deliver_oneway(
        &self,
        prepared: Prepared,
        options: &SendOptions,
    ) -> Result<String, SendError> {
        self.deliver_as(&prepared, options, Mode::OneWay).await?;
        Ok(prepared.msg_id)
    }

    async fn deliver_as(
        &self,
        prepared: &Prepared,
        options: &SendOptions,
        mode: Mode,
    ) -> Result<Sent, SendError> {
        let policy = options.retry.unwrap_or(self.retry);
        let begun = self.core.now();
        let mut outcome = Outcome::Failed;
        let mut failed: Option<Failed> = None;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let elapsed = self.core.now().saturating_sub(begun);
            let tried = match policy.attempt_time(elapsed) {
                None => Err(ClientError::Deadline { deadline_ms: policy.deadline.as_millis() as u64 }),
                Some(time) => self.one_try(prepared, options, mode, &mut failed, attempts, time).await,
            };
            let error = match tried {
                Ok(sent) => return Ok(sent),
                Err(error) => error,
            };
            outcome = retry::combined(outcome, error.outcome());
            let elapsed = self.core.now().saturating_sub(begun);
            let next = if self.core.is_stopped() {
                Next::GiveUp
            } else {
                policy.after_failure(&error, attempts, elapsed)
            };
            let left = policy.deadline.saturating_sub(elapsed);
            self.refresh_after(&prepared.topic, failed.as_ref(), &error, next, left).await;
            // A node that refuses lives, and may serve again in a moment.
            let is_dead = matches!(error, ClientError::NotSent { .. } | ClientError::NoAnswer { .. });
            if is_dead && matches!(next, Next::Again { .. }) {
                let patience = ELECTION.saturating_sub(elapsed).min(left);
                self.await_leader(&prepared.topic, &options.queue, &mut failed, patience).await;
            }
            let Next::Again { pause } = next else {
                let msg_id = prepared.msg_id.clone();
                return Err(SendError { attempts, outcome, msg_id, source: Box::new(error) });
            };
            tracing::debug!(
                topic = prepared.topic,
                attempts,
                error = &error as &dyn std::error::Error,
                "send failed, trying again"
            );
            tokio::time::sleep(pause).await;
        }
    }

    /// Aims and sends once. `failed` is what the attempt before left, and then what this one leaves.
    async fn one_try(
        &self,
        prepared: &Prepared,
        options: &SendOptions,
        mode: Mode,
        failed: &mut Option<Failed>,
        attempt: u32,
        time: Duration,
    ) -> Result<Sent, ClientError> {
        let target = self.aim(&prepared.topic, options, failed.as_ref(), attempt, time).await?;
        let sent = match mode {
            Mode::Answered => {
                let policy = options.retry.unwrap_or(self.retry);
                self.attempt(prepared, &target, policy, time, attempt).await.map(Sent::Stored)
            }
            Mode::OneWay => {
                let request = self.request(prepared, &target.queue);
                self.core.transport.oneway(&target.node, request).await.map(|()| Sent::Gone)
            }
        };
        sent.inspect_err(|error| *failed = Some(target.failed(error)))
    }

    /// Chooses queue and node. Asks for the route if there is none, within `time`.
    async fn aim(
        &self,
        topic: &str,
        options: &SendOptions,
        failed: Option<&Failed>,
        attempt: u32,
        time: Duration,
    ) -> Result<Target, ClientError> {
        let asked = tokio::time::timeout(time, self.core.routes.get(topic, self.missing())).await;
        let deadline = |_| ClientError::Deadline { deadline_ms: time.as_millis() as u64 };
        let route: Arc<TopicRoute> = asked.map_err(deadline)??;
        let queues = route.write_queues(topic);
        let no_queue = || ClientError::NoQueue { topic: topic.to_owned(), what: "send to" };
        let queue = match &options.queue {
            QueueChoice::RoundRobin => {
                let failed_group = failed.map(|failed| failed.queue.broker_name.as_str());
                select::by_turn(&queues, &route, self.next_turn(), failed_group).ok_or_else(no_queue)?
            }
            QueueChoice::Key(key) => select::by_key(&queues, key).ok_or_else(no_queue)?,
            QueueChoice::Queue(queue) => queue,
        };
        let leader = route.leader(&queue.broker_name).map(str::to_owned);
        let failed_node = failed.and_then(|failed| failed.node.as_deref());
        let node = match &options.via {
            Some(node) => Some(node.as_str()),
            None => route.write_target(&queue.broker_name, failed_node, attempt),
        };
        match node {
            Some(node) => {
                let is_makeshift =
                    route.from_template || (options.via.is_none() && leader.as_deref() != Some(node));
                Ok(Target { queue: queue.clone(), node: node.to_owned(), leader, is_makeshift })
            }
            None => Err(ClientError::NoLeader { broker_name: queue.broker_name.clone() }),
        }
    }

    /// One request and its answer.
    async fn attempt(
        &self,
        prepared: &Prepared,
        target: &Target,
        policy: RetryPolicy,
        time: Duration,
        attempt: u32,
    ) -> Result<SendResult, ClientError> {
        let request = self.request(prepared, &target.queue);
        let code = request.code;
        let call = self.core.transport.answer(&target.node, request, time);
        // A node that does not lead forwards: it will find the new leader itself, and leaving it would only store
        // the message twice.
        let is_leader = target.leader.as_ref() == Some(&target.node);
        let answer = if policy.retries_max == Some(0) || !is_leader {
            call.await?
        } else {
            tokio::select! {
                biased;
                answer = call => answer?,
                waited = self.deposed(&prepared.topic, target) => {
                    return Err(ClientError::NoAnswer {
                        addr: target.node.clone(),
                        request: crate::transport::name_of(code),
                        source: Unknown::Timeout(waited),
                    });
                }
            }
        };
        if target.is_makeshift {
            self.core.routes.doubt(&prepared.topic);
        }
        result::read(&answer, code, &target.node, &target.queue, &prepared.msg_id, attempt)
    }

    /// Resolves when another node has led for [`HANDOVER`]: what an old leader has not answered by then it may never
    /// answer, and waiting for it would lengthen the outage.
    async fn deposed(&self, topic: &str, target: &Target) -> Duration {
        let begun = self.core.now();
        let (mut pause, mut was_deposed) = (DOUBT_AFTER, false);
        loop {
            tokio::time::sleep(pause).await;
            pause = HANDOVER;
            // Many sends may wait like this one; together they ask no more often than one.
            let asked = self.core.routes.recent(topic, HANDOVER / 2, self.missing()).await;
            let Ok(route) = asked else { continue };
            let leader = route.leader(&target.queue.broker_name);
            let is_deposed = leader.is_some_and(|leader| leader != target.node);
            if is_deposed && was_deposed {
                return self.core.now().saturating_sub(begun);
            }
            was_deposed = is_deposed;
        }
    }

    /// Asks for the route anew, now: before the next attempt, or for whoever sends next.
    async fn refresh_after(
        &self,
        topic: &str,
        failed: Option<&Failed>,
        error: &ClientError,
        next: Next,
        left: Duration,
    ) {
        if !retry::is_retryable(error) {
            return;
        }
        let (core, missing, topic) = (self.core.clone(), self.missing(), topic.to_owned());
        let failed = failed.and_then(|failed| Some((failed.queue.broker_name.clone(), failed.node.clone()?)));
        let refresh = async move {
            let refreshed = match &failed {
                Some((broker_name, node)) => {
                    core.routes.refresh_after_failure(&topic, broker_name, node, missing).await
                }
                None => core.routes.refresh(&topic, missing).await,
            };
            if let Err(error) = refreshed {
                tracing::debug!(topic, error = &error as &dyn std::error::Error, "no fresh route");
            }
        };
        match next {
            Next::Again { .. } => drop(tokio::time::timeout(left, refresh).await),
            Next::GiveUp => drop(tokio::spawn(refresh)),
        }
    }

    /// Waits until the broker group that has just failed has another leader, or its old one again. Asking a node that
    /// does not lead would be no faster, for it has to wait as well, and slower where it still waits for the dead one.
    /// Goes on without a leader when `patience` is over, or another broker group will do, or no name server answers.
    async fn await_leader(
        &self,
        topic: &str,
        choice: &QueueChoice,
        failed: &mut Option<Failed>,
        patience: Duration,
    ) {
        let Some(Failed { queue, node: Some(node) }) = failed else { return };
        let begun = self.core.now();
        let mut was_gone = false;
        while self.core.now().saturating_sub(begun) < patience && !self.core.is_stopped() {
            let Ok(route) = self.core.routes.recent(topic, LOOK_EVERY / 2, self.missing()).await else {
                return;
            };
            match route.leader(&queue.broker_name) {
                Some(leader) if leader != node => return,
                Some(_) if was_gone => {
                    *failed = None; // it has come back
                    return;
                }
                leader => was_gone |= leader.is_none(),
            }
            if *choice == QueueChoice::RoundRobin && route.has_other_leader(&queue.broker_name) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn request(&self, prepared: &Prepared, queue: &MessageQueue) -> Command {
        let header = SendRequest {
            producer_group: self.group.clone(),
            topic: prepared.topic.clone(),
            default_topic: names::AUTO_CREATE_TOPIC.to_owned(),
            default_topic_queue_nums: self.new_topic_queues,
            queue_id: queue.queue_id,
            sys_flag: prepared.sys_flag,
            born_timestamp_ms: self.core.wall_ms(),
            flag: prepared.flag,
            properties: prepared.properties.clone(),
            reconsume_times: 0,
            unit_mode: false,
            max_reconsume_times: None,
            batch: prepared.is_batch,
        };
        let code =
            if prepared.is_batch { RequestCode::SEND_BATCH_MESSAGE } else { RequestCode::SEND_MESSAGE_V2 };
        header.to_command(code).with_body(prepared.body.clone())
    }
}
