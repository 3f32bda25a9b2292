//! Pulling one queue again and again, from the leader while there is one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::ResponseCode;

use super::assigned::Assigned;
use super::member::Member;
use super::pull::{Pull, PullResult, PullStatus};
use crate::error::ClientError;
use crate::route_cache::Missing;

/// Pause after a failed pull; doubles up to the second one.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The longest pause while an election may explain the failures: what is waited beyond it is a pause in consuming
/// that the client makes itself.
const ELECTION_PAUSE_MAX: Duration = Duration::from_millis(80);
/// An election may explain this many failures: with the pauses between them and a broker's own waiting for a leader,
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

/// Pulls until the queue is given up, or until the broker wants us to go on at another offset: at which.
pub(super) async fn run(member: &Member, assigned: &Assigned) -> Option<i64> {
    let mut memory = Memory::default();
    loop {
        tokio::select! {
            biased;
            () = assigned.gone() => return None,
            moved_to = step(member, assigned, &mut memory) => {
                if moved_to.is_some() {
                    return moved_to;
                }
            }
        }
    }
}

/// One pull and what it brings; the offset to go on at if the broker moved it.
async fn step(member: &Member, assigned: &Assigned, memory: &mut Memory) -> Option<i64> {
    assigned.room(member.settings.cached_messages_max, member.settings.cached_bytes_max).await;
    if member.settings.locks_queues() {
        assigned.locked(|| member.core.now()).await;
    }
    match pull(member, assigned, memory).await {
        Ok(None) => None, // the subscription has changed
        Ok(Some(result)) => {
            *memory = Memory { node_id: result.suggested_node, ..Memory::default() };
            assigned.activity.pulled_ms.store(member.core.wall_ms(), Ordering::Relaxed);
            take(member, assigned, result)
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
            None
        }
    }
}

/// One pull; `None` if it was given up because the subscription has changed.
async fn pull(
    member: &Member,
    assigned: &Assigned,
    memory: &mut Memory,
) -> Result<Option<PullResult>, ClientError> {
    let queue = &assigned.queue;
    let route = member.core.route(&queue.topic).await?;
    let suggested = if memory.node_id == 0 { None } else { route.node(&queue.broker_name, memory.node_id) };
    let node = suggested
        .or_else(|| {
            route.write_target(&queue.broker_name, memory.failed_node.as_deref(), memory.failures + 1)
        })
        .ok_or_else(|| ClientError::NoLeader { broker_name: queue.broker_name.clone() });
    let node = match node {
        Ok(node) => node.to_owned(),
        Err(error) => {
            member.core.routes.refresh(&queue.topic, Missing::Fail).await?;
            return Err(error);
        }
    };
    let mut subscriptions = member.subscriptions.subscribe();
    let subscribed = subscriptions.borrow_and_update().clone();
    let Some(filter) = subscribed.filter(&queue.topic) else {
        return std::future::pending().await; // the queue is about to be given up
    };
    let offset = assigned.process().next_pull();
    let pull = Pull {
        group: &member.group,
        queue,
        offset,
        messages_max: member.settings.pull_messages_max,
        expression: filter.expression(),
        sub_version: subscribed.version(),
        hold: member.settings.hold,
    };
    let asked = tokio::select! {
        biased;
        asked = pull.ask(&member.core, &node) => asked,
        _ = subscriptions.changed() => return Ok(None),
        () = member.core.led_elsewhere(&queue.topic, &queue.broker_name, &node), if memory.node_id == 0 => {
            Err(ClientError::NoLeader { broker_name: queue.broker_name.clone() })
        }
    };
    let error = match asked {
        Ok(mut result) => {
            if memory.node_id == 0 && route.leader(&queue.broker_name) != Some(&node) {
                member.core.routes.doubt(&queue.topic);
            }
            result.messages.retain(|message| filter.passes(message));
            return Ok(Some(result));
        }
        Err(error) => error,
    };
    if is_stranger(&error) {
        member.introduce_ourselves();
    }
    // The error of the pull is the one to tell.
    let _ = member
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

fn take(member: &Member, assigned: &Assigned, result: PullResult) -> Option<i64> {
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
        return Some(result.next_offset);
    }
    let consumed_to = assigned.put(result.messages, result.next_offset);
    member.offsets().advance(&assigned.queue, consumed_to);
    None
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
