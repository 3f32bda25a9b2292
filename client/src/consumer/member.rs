//! One member of a consumer group: what it is, and what the tasks of its queues share.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt;
use protocol::command::heartbeat::{ConsumeType, ConsumerData};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::assigned::Assigned;
use super::local_offsets::LocalOffsets;
use super::offsets::Offsets;
use super::outlet::{Consume, Outlet};
use super::settings::Settings;
use super::subscriptions::Subscriptions;
use crate::core::Core;
use crate::heartbeat::Membership;
use crate::inbound::Inbound;
use crate::received::ReceivedMessage;

/// What all tasks of one consumer share; which queues it has is the engine's business.
pub(super) struct Member {
    pub(super) core: Arc<Core>,
    pub(super) inbound: Arc<Inbound>,
    pub(super) group: String,
    pub(super) settings: Settings,
    /// The topics wanted, the group's retry topic among them. They may change.
    pub(super) subscriptions: watch::Sender<Arc<Subscriptions>>,
    /// Wall clock.
    pub(super) started_ms: i64,
    pub(super) outlet: Outlet,
    /// As many as messages may be handled at the same time.
    permits: Arc<Semaphore>,
    /// Of a broadcasting consumer, which keeps its offsets in a file.
    pub(super) local: Option<Arc<LocalOffsets>>,
    offsets: Mutex<Offsets>,
}

impl Member {
    pub(super) fn new(
        core: Arc<Core>,
        inbound: Arc<Inbound>,
        group: String,
        settings: Settings,
        subscriptions: Subscriptions,
        outlet: Outlet,
        local: Option<LocalOffsets>,
    ) -> Self {
        let started_ms = core.wall_ms();
        let permits = Arc::new(Semaphore::new(settings.concurrency));
        Self {
            core,
            inbound,
            group,
            settings,
            subscriptions: watch::Sender::new(Arc::new(subscriptions)),
            started_ms,
            outlet,
            permits,
            local: local.map(Arc::new),
            offsets: Mutex::default(),
        }
    }

    pub(super) fn offsets(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock().expect("no panic while it is held")
    }

    /// What this consumer wants at the moment.
    pub(super) fn subscribed(&self) -> Arc<Subscriptions> {
        self.subscriptions.borrow().clone()
    }

    /// This consumer as brokers should know it.
    pub(super) fn membership(&self) -> Membership {
        let subscription_data_set = self.subscribed().data();
        Membership::Consumer(ConsumerData {
            consume_from_where: Some(self.settings.consume_from.on_wire()),
            consume_type: Some(match self.outlet {
                Outlet::Handler(_) => ConsumeType::ConsumePassively,
                Outlet::Polled(_) => ConsumeType::ConsumeActively,
            }),
            group_name: self.group.clone(),
            message_model: Some(self.settings.model.on_wire()),
            subscription_data_set,
            unit_mode: false,
        })
    }

    /// Has a heartbeat sent now.
    pub(super) fn introduce_ourselves(&self) {
        self.inbound.opened.notify_one();
    }

    /// A place among those that may be handled at the same time.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        self.permits.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Lets the application handle a message.
    pub(super) async fn consume(&self, assigned: &Assigned, message: Arc<ReceivedMessage>) -> Consume {
        let outcome = self.consume_alone(message).await;
        assigned.activity.consumed_ms.store(self.core.wall_ms(), Ordering::Relaxed);
        outcome
    }

    /// The same for a message of no queue in hand. Without a handler nothing is consumed so.
    pub(super) async fn consume_alone(&self, message: Arc<ReceivedMessage>) -> Consume {
        let (queue, queue_offset) = (message.queue.to_string(), message.queue_offset);
        let Outlet::Handler(handler) = &self.outlet else { return Consume::Later };
        let handling = AssertUnwindSafe(handler.consume_boxed(message)).catch_unwind();
        let patience = self.settings.consume_timeout;
        match tokio::time::timeout(patience, handling).await {
            Ok(Ok(outcome)) => outcome,
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
}
