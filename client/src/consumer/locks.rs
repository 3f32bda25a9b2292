//! Locks on queues at their brokers, under which a queue has one consumer at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::command::heartbeat::{LockBatch, LockedQueues};
use protocol::{Command, RequestCode};

use super::assigned::Assigned;
use super::member::Member;
use crate::error::ClientError;
use crate::queue::MessageQueue;
use crate::transport::bad_answer;

/// Time to give one lock back.
const UNLOCK_PATIENCE: Duration = Duration::from_secs(3);

impl Member {
    /// Renews the locks of the queues in hand.
    pub(super) async fn renew_locks(&self, in_hand: Vec<Arc<Assigned>>) {
        let mut by_group: BTreeMap<String, Vec<Arc<Assigned>>> = BTreeMap::new();
        for assigned in in_hand {
            by_group.entry(assigned.queue.broker_name.clone()).or_default().push(assigned);
        }
        for (broker_name, assigned) in by_group {
            let begun = self.core.now();
            let queues: Vec<_> = assigned.iter().map(|assigned| assigned.queue.clone()).collect();
            match self.lock_queues(&broker_name, &queues).await {
                Ok(locked) => {
                    for assigned in assigned {
                        let until = begun + self.settings.lock_lifetime;
                        assigned.lock_until(if locked.contains(&assigned.queue) {
                            until
                        } else {
                            Duration::ZERO
                        });
                    }
                }
                // What was locked stays so until its time is over.
                Err(error) => {
                    tracing::warn!(
                        broker_name,
                        error = &error as &dyn std::error::Error,
                        "locks not renewed"
                    );
                }
            }
        }
    }

    /// Asks for the locks of queues of one broker group; returns those that are ours now.
    pub(super) async fn lock_queues(
        &self,
        broker_name: &str,
        queues: &[MessageQueue],
    ) -> Result<BTreeSet<MessageQueue>, ClientError> {
        let Some(first) = queues.first() else { return Ok(BTreeSet::new()) };
        let code = RequestCode::LOCK_BATCH_MQ;
        let request = Command::request(code).with_body(self.lock_body(queues));
        let (node, answer) =
            self.core.ask_leader(&first.topic, broker_name, request, self.core.config.call_timeout).await?;
        let locked =
            LockedQueues::read(&answer.body).map_err(|error| bad_answer(&node, code, "body", error))?;
        Ok(locked.lock_ok_mq_set.into_iter().map(MessageQueue::from).collect())
    }

    pub(super) async fn unlock_queue(&self, queue: &MessageQueue) {
        let body = self.lock_body(std::slice::from_ref(queue));
        let request = Command::request(RequestCode::UNLOCK_BATCH_MQ).with_body(body);
        let told = self.core.ask_leader(&queue.topic, &queue.broker_name, request, UNLOCK_PATIENCE).await;
        if let Err(error) = told {
            let queue = queue.to_string();
            tracing::debug!(
                queue,
                error = &error as &dyn std::error::Error,
                "not unlocked; the lock will run out"
            );
        }
    }

    fn lock_body(&self, queues: &[MessageQueue]) -> Bytes {
        let body = LockBatch {
            client_id: self.core.client_id.clone(),
            consumer_group: self.group.clone(),
            mq_set: queues.iter().map(Into::into).collect(),
            only_this_broker: false,
        };
        body.to_bytes()
    }
}
