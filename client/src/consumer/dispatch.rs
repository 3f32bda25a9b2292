//! Handing messages to the application, and what becomes of those it does not take.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use protocol::command::send::SendBackRequest;
use protocol::{Command, RequestCode};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

use super::assigned::Assigned;
use super::engine::Engine;
use crate::error::ClientError;
use crate::received::ReceivedMessage;

/// Time for a broker to take a message back. Java: 5 s.
const GIVE_BACK_PATIENCE: Duration = Duration::from_secs(5);
/// Pause before a message that no broker took back is delivered again here. Java: 5 s.
const REDELIVER_AFTER: Duration = Duration::from_secs(5);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consume {
    /// It is consumed.
    Success,
    /// Not now: it comes again, later each time, and in the end goes to the group's dead letters. In order mode
    /// its queue waits for it.
    Later,
    /// As [`Later`](Self::Later), but after the delay of this level: 1 is a second, 18 two hours, by the broker's
    /// `messageDelayLevel`. In order mode the level counts for nothing.
    LaterAt {
        /// From 1 on.
        delay_level: u32,
    },
}

/// Consumes messages. Implemented by async closures over [`Arc<ReceivedMessage>`].
///
/// A message may come more than once, after a crash or a change of members: handling should not mind. A handler
/// that panics counts as [`Consume::Later`]. So does one that takes longer than
/// [`consume_timeout`](crate::PushConsumerBuilder::consume_timeout); it is dropped where it waits. One that blocks
/// its thread instead of waiting can be neither stopped nor timed out: such work belongs into
/// `tokio::task::spawn_blocking`.
pub trait Handler: Send + Sync + 'static {
    /// Takes one message.
    fn consume(&self, message: Arc<ReceivedMessage>) -> impl Future<Output = Consume> + Send;
}

impl<F, R> Handler for F
where
    F: Fn(Arc<ReceivedMessage>) -> R + Send + Sync + 'static,
    R: Future<Output = Consume> + Send,
{
    fn consume(&self, message: Arc<ReceivedMessage>) -> impl Future<Output = Consume> + Send {
        self(message)
    }
}

/// [`Handler`] behind a pointer.
pub(super) trait DynHandler: Send + Sync {
    fn consume_boxed(
        &self,
        message: Arc<ReceivedMessage>,
    ) -> Pin<Box<dyn Future<Output = Consume> + Send + '_>>;
}

impl<H: Handler> DynHandler for H {
    fn consume_boxed(
        &self,
        message: Arc<ReceivedMessage>,
    ) -> Pin<Box<dyn Future<Output = Consume> + Send + '_>> {
        Box::pin(self.consume(message))
    }
}

/// Where the messages of an engine go.
pub(super) enum Outlet {
    /// To a handler, which says what became of each.
    Handler(Box<dyn DynHandler>),
    /// To whoever polls, who says later.
    Polled(mpsc::Sender<HandedOver>),
}

/// A message that was handed over and is not consumed yet.
pub(super) struct HandedOver {
    pub(super) assigned: Arc<Assigned>,
    pub(super) message: Arc<ReceivedMessage>,
}

/// Hands the messages of one queue over in their order, as fast as they are polled, until the queue is given up.
pub(super) async fn handing_over(assigned: Arc<Assigned>, outlet: mpsc::Sender<HandedOver>) {
    loop {
        let place = async {
            assigned.has_next().await;
            outlet.reserve().await
        };
        let place = tokio::select! {
            biased;
            () = assigned.gone() => return,
            place = place => place,
        };
        let Ok(place) = place else { return }; // nobody polls any more
        if let Some(message) = assigned.next() {
            place.send(HandedOver { assigned: assigned.clone(), message });
        }
    }
}

/// Hands out the messages of one queue, many at a time, until the queue is given up; then waits for those being
/// handled.
pub(super) async fn concurrently(engine: Arc<Engine>, assigned: Arc<Assigned>) {
    let mut running = JoinSet::new();
    loop {
        // No place is taken while there is nothing to hand out, and no message before there is a place for it:
        // either wait may be cut short by the other branches.
        let place = async {
            assigned.has_next().await;
            engine.permit().await
        };
        tokio::select! {
            biased;
            () = assigned.gone() => break,
            Some(_) = running.join_next(), if !running.is_empty() => {}
            permit = place => {
                if let Some(message) = assigned.next() {
                    running.spawn(handle(engine.clone(), assigned.clone(), message, permit));
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}

/// One message until it is consumed or taken back.
async fn handle(
    engine: Arc<Engine>,
    assigned: Arc<Assigned>,
    mut message: Arc<ReceivedMessage>,
    permit: OwnedSemaphorePermit,
) {
    let mut permit = Some(permit);
    loop {
        let verdict = engine.consume(&assigned, message.clone()).await;
        drop(permit.take());
        let delay_level = match verdict {
            Consume::LaterAt { delay_level } => i32::try_from(delay_level).unwrap_or(i32::MAX),
            Consume::Success | Consume::Later => 0,
        };
        if verdict == Consume::Success || engine.give_back(&assigned, &message, delay_level).await {
            engine.consumed(&assigned, &message);
            return;
        }
        tokio::select! {
            () = assigned.gone() => return, // whoever has the queue next begins with this message
            () = tokio::time::sleep(REDELIVER_AFTER) => {}
        }
        let again = ReceivedMessage { reconsume_times: message.reconsume_times + 1, ..(*message).clone() };
        message = Arc::new(again);
        permit = Some(engine.permit().await);
    }
}

/// Hands out the messages of one queue one after the other, as long as its lock is ours.
pub(super) async fn in_order(engine: Arc<Engine>, assigned: Arc<Assigned>) {
    loop {
        let place = async {
            assigned.has_next().await;
            assigned.locked(|| engine.core.now()).await;
            engine.permit().await
        };
        let permit = tokio::select! {
            biased;
            () = assigned.gone() => return,
            permit = place => permit,
        };
        if assigned.locked_until() <= engine.core.now() {
            continue; // the lock ran out while we waited for a place
        }
        let Some(mut message) = assigned.next() else { continue };
        let verdict = engine.consume(&assigned, message.clone()).await;
        drop(permit);
        if verdict == Consume::Success || engine.to_dead_letters(&assigned, &message).await {
            engine.consumed(&assigned, &message);
            continue;
        }
        message =
            Arc::new(ReceivedMessage { reconsume_times: message.reconsume_times + 1, ..(*message).clone() });
        assigned.process().put_back(message);
        tokio::select! {
            () = assigned.gone() => return,
            () = tokio::time::sleep(engine.settings.order_pause) => {}
        }
    }
}

impl Engine {
    /// A place among those that may be handled at the same time.
    async fn permit(&self) -> OwnedSemaphorePermit {
        self.permits.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Lets the application handle a message.
    pub(super) async fn consume(&self, assigned: &Assigned, message: Arc<ReceivedMessage>) -> Consume {
        let verdict = self.consume_alone(message).await;
        assigned.activity.consumed_ms.store(self.core.wall_ms(), Ordering::Relaxed);
        verdict
    }

    /// The same for a message of no queue in hand. Without a handler nothing is consumed so.
    pub(super) async fn consume_alone(&self, message: Arc<ReceivedMessage>) -> Consume {
        let (queue, queue_offset) = (message.queue.to_string(), message.queue_offset);
        let Outlet::Handler(handler) = &self.outlet else { return Consume::Later };
        let handling = AssertUnwindSafe(handler.consume_boxed(message)).catch_unwind();
        let patience = self.settings.consume_timeout;
        match tokio::time::timeout(patience, handling).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => {
                tracing::error!(queue, queue_offset, "handler panicked, the message comes again");
                Consume::Later
            }
            Err(_) => {
                let patience_ms = patience.as_millis() as u64;
                tracing::error!(
                    queue,
                    queue_offset,
                    patience_ms,
                    "handler took too long, the message comes again"
                );
                Consume::Later
            }
        }
    }

    /// A message is done with.
    pub(super) fn consumed(&self, assigned: &Assigned, message: &ReceivedMessage) {
        let consumed_to = assigned.done(message);
        if !assigned.is_dropped() {
            self.offsets().advance(&assigned.queue, consumed_to);
        }
    }

    /// Gives a message back to its broker, which delivers it again after a delay that grows with each time:
    /// `delay_level` 0 for that, negative for the dead letters at once. Whether the broker took it.
    async fn give_back(&self, assigned: &Assigned, message: &ReceivedMessage, delay_level: i32) -> bool {
        let queue = assigned.queue.to_string();
        if self.settings.is_broadcasting() {
            tracing::warn!(
                queue,
                queue_offset = message.queue_offset,
                "dropped: a broadcasting group has no retries"
            );
            return true;
        }
        match self.send_back(assigned, message, delay_level).await {
            Ok(()) => true,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    queue,
                    queue_offset = message.queue_offset,
                    error,
                    "broker did not take it back"
                );
                false
            }
        }
    }

    /// In order mode a message is tried for ever, unless a bound is set; beyond it the queue goes on without it.
    async fn to_dead_letters(&self, assigned: &Assigned, message: &ReceivedMessage) -> bool {
        let is_beyond = self.settings.reconsume_max.is_some_and(|max| message.reconsume_times >= max);
        is_beyond && self.give_back(assigned, message, -1).await
    }

    async fn send_back(
        &self,
        assigned: &Assigned,
        message: &ReceivedMessage,
        delay_level: i32,
    ) -> Result<(), ClientError> {
        let header = SendBackRequest {
            offset: message.commitlog_offset,
            group: self.group.clone(),
            delay_level,
            origin_msg_id: Some(message.msg_id()),
            origin_topic: Some(message.topic.clone()),
            unit_mode: false,
            max_reconsume_times: self.settings.reconsume_max,
        };
        let request = Command::request(RequestCode::CONSUMER_SEND_MSG_BACK).with_header(&header);
        let queue = &assigned.queue;
        self.core.ask_leader(&queue.topic, &queue.broker_name, request, GIVE_BACK_PATIENCE).await.map(drop)
    }
}
