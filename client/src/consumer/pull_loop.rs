//! Pulling one queue again and again, from the leader while there is one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::ResponseCode;

use super::assigned::Assigned;
use super::engine::Engine;
use super::pull::{Pull, PullResult, PullStatus};
use crate::error::ClientError;
use crate::route_cache::Missing;

/// Pause after a failed pull; doubles up to the second one.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The longest pause while an election may explain the failures: what is waited beyond it is a pause in consuming
/// that the client makes itself.
const ELECTION_PAUSE_MAX: Duration = Duration::from_millis(80);
/// So many failures an election may explain: with the pauses between them and a broker's own waiting for a leader,
/// some 3 s at least.
const ELECTION_FAILURES: u32 = 40;

/// What one pull leaves for the next.
#[derive(Default)]
struct Memory {
    /// Id of the node that the broker wants us to ask; 0 is the leader.
    node_id: i64,
    failed_node: Option<String>,
    failures: u32,
}

/// Pulls until the queue is given up.
pub(super) async fn run(engine: Arc<Engine>, assigned: Arc<Assigned>) {
    let mut memory = Memory::default();
    loop {
        tokio::select! {
            biased;
            () = assigned.gone() => return,
            () = step(&engine, &assigned, &mut memory) => {}
        }
    }
}

async fn step(engine: &Arc<Engine>, assigned: &Arc<Assigned>, memory: &mut Memory) {
    assigned.room(engine.settings.cached_messages_max, engine.settings.cached_bytes_max).await;
    if engine.settings.locks_queues() {
        assigned.locked(|| engine.core.now()).await;
    }
    match pull(engine, assigned, memory).await {
        Ok(None) => {} // the subscription has changed
        Ok(Some(result)) => {
            *memory = Memory { node_id: result.suggested_node, ..Memory::default() };
            assigned.activity.pulled_ms.store(engine.core.wall_ms(), Ordering::Relaxed);
            take(engine, assigned, result).await;
        }
        Err(error) => {
            memory.node_id = 0;
            memory.failures += 1;
            let queue = assigned.queue.to_string();
            let failures = memory.failures;
            tracing::debug!(
                queue,
                failures,
                error = &error as &dyn std::error::Error,
                "pull failed, trying again"
            );
            tokio::time::sleep(pause(failures)).await;
        }
    }
}

/// One pull; `None` if it was given up because the subscription has changed.
async fn pull(
    engine: &Engine,
    assigned: &Assigned,
    memory: &mut Memory,
) -> Result<Option<PullResult>, ClientError> {
    let queue = &assigned.queue;
    let route = engine.core.route(&queue.topic).await?;
    let suggested = if memory.node_id == 0 { None } else { route.node(&queue.broker_name, memory.node_id) };
    let node = suggested
        .or_else(|| {
            route.write_target(&queue.broker_name, memory.failed_node.as_deref(), memory.failures + 1)
        })
        .ok_or_else(|| ClientError::NoLeader { broker_name: queue.broker_name.clone() });
    let node = match node {
        Ok(node) => node.to_owned(),
        Err(error) => {
            engine.core.routes.refresh(&queue.topic, Missing::Fail).await?;
            return Err(error);
        }
    };
    let mut subscriptions = engine.subscriptions.subscribe();
    let subscribed = subscriptions.borrow_and_update().clone();
    let Some(filter) = subscribed.filter(&queue.topic) else {
        return std::future::pending().await; // the queue is about to be given up
    };
    let offset = assigned.process().next_pull();
    let pull = Pull {
        group: &engine.group,
        queue,
        offset,
        messages_max: engine.settings.pull_messages_max,
        expression: filter.expression(),
        sub_version: subscribed.version(),
        hold: engine.settings.hold,
    };
    let asked = tokio::select! {
        biased;
        asked = pull.ask(&engine.core, &node) => asked,
        _ = subscriptions.changed() => return Ok(None),
        () = engine.core.led_elsewhere(&queue.topic, &queue.broker_name, &node), if memory.node_id == 0 => {
            Err(ClientError::NoLeader { broker_name: queue.broker_name.clone() })
        }
    };
    let error = match asked {
        Ok(mut result) => {
            if memory.node_id == 0 && route.leader(&queue.broker_name) != Some(&node) {
                engine.core.routes.doubt(&queue.topic);
            }
            result.messages.retain(|message| filter.passes(message));
            return Ok(Some(result));
        }
        Err(error) => error,
    };
    if is_stranger(&error) {
        engine.introduce_ourselves();
    }
    // The error of the pull is the one to tell.
    let _ = engine
        .core
        .routes
        .refresh_after_failure(&queue.topic, &queue.broker_name, &node, Missing::Fail)
        .await;
    memory.failed_node = Some(node);
    Err(error)
}

/// Whether the broker refused because it does not know this consumer, or an older self of it.
fn is_stranger(error: &ClientError) -> bool {
    matches!(error.code(), Some(ResponseCode::SUBSCRIPTION_NOT_EXIST | ResponseCode::SUBSCRIPTION_NOT_LATEST))
}

async fn take(engine: &Arc<Engine>, assigned: &Arc<Assigned>, result: PullResult) {
    if result.status == PullStatus::OffsetMoved {
        let queue = assigned.queue.to_string();
        tracing::warn!(
            queue,
            from = assigned.process().next_pull(),
            to = result.next_offset,
            min_offset = result.min_offset,
            max_offset = result.max_offset,
            "broker moved the offset"
        );
        tokio::spawn(engine.clone().restart(assigned.queue.clone(), result.next_offset));
        return assigned.gone().await;
    }
    let consumed_to = assigned.put(result.messages, result.next_offset);
    engine.offsets().advance(&assigned.queue, consumed_to);
}

fn pause(failures: u32) -> Duration {
    let longest = if failures <= ELECTION_FAILURES { ELECTION_PAUSE_MAX } else { PAUSE_MAX };
    PAUSE_MIN.saturating_mul(1 << (failures - 1).min(10)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let pauses: Vec<_> = [1, 2, 3, 7, 40, 41, 100].map(|failures| pause(failures).as_millis()).to_vec();
        assert_eq!(pauses, [10, 20, 40, 80, 80, 1_000, 1_000]);
    }
}
