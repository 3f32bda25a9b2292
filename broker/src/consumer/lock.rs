//! Queue locks for ordered consumption: codes 41 and 42. Replicated, see `state/lock.rs`.

use std::sync::Arc;

use protocol::command::heartbeat::{LockBatch, LockedQueues};
use protocol::route::MessageQueue;
use protocol::{Command, ResponseCode as code};

use crate::door::exchange::{Answer, Origin, refuse};
use crate::node::Node;
use crate::state::{Change, LockedQueue, Outcome};

/// A lock not renewed for so long is free. Source: RocketMQ `rocketmq.broker.rebalance.lockMaxLiveTime`.
const LEASE_MS: u64 = 60_000;

/// Of a group, a client, a topic and a broker group.
const NAME_BYTES_MAX: usize = 1_024;

/// Takes or renews locks, and tells which of those asked for the client holds now.
pub fn lock(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let asked = match LockBatch::read(&request.body) {
        Ok(asked) => asked,
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    if let Some(remark) = too_long(&asked) {
        return answer.send(refuse(&request, code::INVALID_PARAMETER, remark));
    }
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let change = Change::Lock {
            group: asked.consumer_group,
            client_id: asked.client_id,
            queues: asked.mq_set.into_iter().map(locked_queue).collect(),
            now_ms: node.now_ms(),
            lease_ms: LEASE_MS,
        };
        answer.send(match node.group.submit(change).await {
            Ok(Outcome::Locked(queues)) => {
                let lock_ok_mq_set = queues.into_iter().map(message_queue).collect();
                Command::response_to(&request, code::SUCCESS)
                    .with_body(LockedQueues { lock_ok_mq_set }.to_bytes())
            }
            Ok(other) => refuse(&request, code::SYSTEM_ERROR, format!("unexpected outcome {other:?}")),
            Err(error) => crate::door::exchange::not_submitted(&request, &error),
        });
    });
}

/// Names longer than any real one, which would stay in the tables as long as the lock.
fn too_long(asked: &LockBatch) -> Option<String> {
    let queues = asked.mq_set.iter().flat_map(|queue| [&queue.topic, &queue.broker_name]);
    let longest = queues.chain([&asked.consumer_group, &asked.client_id]).max_by_key(|name| name.len())?;
    (longest.len() > NAME_BYTES_MAX)
        .then(|| format!("a name of {} bytes exceeds the limit of {NAME_BYTES_MAX} bytes", longest.len()))
}

/// Gives locks back; those of other clients stay.
pub fn unlock(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let asked = match LockBatch::read(&request.body) {
        Ok(asked) => asked,
        Err(error) => return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string())),
    };
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let change = Change::Unlock {
            group: asked.consumer_group,
            client_id: asked.client_id,
            queues: asked.mq_set.into_iter().map(locked_queue).collect(),
        };
        answer.send(match node.group.submit(change).await {
            Ok(_) => Command::response_to(&request, code::SUCCESS),
            Err(error) => crate::door::exchange::not_submitted(&request, &error),
        });
    });
}

fn locked_queue(queue: MessageQueue) -> LockedQueue {
    LockedQueue { topic: queue.topic, broker_name: queue.broker_name, queue_id: queue.queue_id }
}

fn message_queue(queue: LockedQueue) -> MessageQueue {
    MessageQueue { topic: queue.topic, broker_name: queue.broker_name, queue_id: queue.queue_id }
}
