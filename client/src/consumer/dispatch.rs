//! Handing messages to the application, and what becomes of those it does not take.

use std::sync::Arc;
use std::time::Duration;

use protocol::command::send::SendBackRequest;
use protocol::{Command, RequestCode};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

use super::assigned::Assigned;
use super::member::Member;
use super::outlet::{Consume, HandedOver};
use crate::error::ClientError;
use crate::received::ReceivedMessage;

/// Time for a broker to take a message back. Java: 5 s.
const GIVE_BACK_PATIENCE: Duration = Duration::from_secs(5);
/// Pause before a message that no broker took back is delivered again here. Java: 5 s.
const REDELIVER_AFTER: Duration = Duration::from_secs(5);

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
pub(super) async fn concurrently(member: Arc<Member>, assigned: Arc<Assigned>) {
    let mut running = JoinSet::new();
    loop {
        // No place is taken while there is nothing to hand out, and no message before there is a place for it:
        // either wait may be cut short by the other branches.
        let place = async {
            assigned.has_next().await;
            member.permit().await
        };
        tokio::select! {
            biased;
            () = assigned.gone() => break,
            Some(_) = running.join_next(), if !running.is_empty() => {}
            permit = place => {
                if let Some(message) = assigned.next() {
                    running.spawn(handle(member.clone(), assigned.clone(), message, permit));
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}

/// One message until it is consumed or taken back.
async fn handle(
    member: Arc<Member>,
    assigned: Arc<Assigned>,
    mut message: Arc<ReceivedMessage>,
    permit: OwnedSemaphorePermit,
) {
    let mut permit = Some(permit);
    loop {
        let outcome = member.consume(&assigned, message.clone()).await;
        drop(permit.take());
        let delay_level = match outcome {
            Consume::LaterAt { delay_level } => i32::try_from(delay_level).unwrap_or(i32::MAX),
            Consume::Success | Consume::Later => 0,
        };
        if outcome == Consume::Success || give_back(&member, &assigned, &message, delay_level).await {
            member.consumed(&assigned, &message);
            return;
        }
        tokio::select! {
            () = assigned.gone() => return, // whoever has the queue next begins with this message
            () = tokio::time::sleep(REDELIVER_AFTER) => {}
        }
        let again = ReceivedMessage { reconsume_times: message.reconsume_times + 1, ..(*message).clone() };
        message = Arc::new(again);
        permit = Some(member.permit().await);
    }
}

/// Hands out the messages of one queue one after the other, as long as its lock is ours.
pub(super) async fn in_order(member: Arc<Member>, assigned: Arc<Assigned>) {
    loop {
        let place = async {
            assigned.has_next().await;
            assigned.locked(|| member.core.now()).await;
            member.permit().await
        };
        let permit = tokio::select! {
            biased;
            () = assigned.gone() => return,
            permit = place => permit,
        };
        if assigned.locked_until() <= member.core.now() {
            continue; // the lock ran out while we waited for a place
        }
        let Some(mut message) = assigned.next() else { continue };
        let outcome = member.consume(&assigned, message.clone()).await;
        drop(permit);
        if outcome == Consume::Success || to_dead_letters(&member, &assigned, &message).await {
            member.consumed(&assigned, &message);
            continue;
        }
        message =
            Arc::new(ReceivedMessage { reconsume_times: message.reconsume_times + 1, ..(*message).clone() });
        assigned.process().put_back(message);
        tokio::select! {
            () = assigned.gone() => return,
            () = tokio::time::sleep(member.settings.order_pause) => {}
        }
    }
}

/// Gives a message back to its broker, which delivers it again after a delay that grows with each time:
/// `delay_level` 0 for that, negative for the dead letters at once. Whether the broker took it.
async fn give_back(
    member: &Member,
    assigned: &Assigned,
    message: &ReceivedMessage,
    delay_level: i32,
) -> bool {
    let queue = assigned.queue.to_string();
    if member.settings.is_broadcasting() {
        tracing::warn!(
            queue,
            queue_offset = message.queue_offset,
            "dropped: a broadcasting group has no retries"
        );
        return true;
    }
    match send_back(member, assigned, message, delay_level).await {
        Ok(()) => true,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(queue, queue_offset = message.queue_offset, error, "broker did not take it back");
            false
        }
    }
}

/// In order mode a message is tried forever, unless a bound is set; beyond it the queue goes on without it.
async fn to_dead_letters(member: &Member, assigned: &Assigned, message: &ReceivedMessage) -> bool {
    let is_beyond = member.settings.reconsume_max.is_some_and(|max| message.reconsume_times >= max);
    is_beyond && give_back(member, assigned, message, -1).await
}

async fn send_back(
    member: &Member,
    assigned: &Assigned,
    message: &ReceivedMessage,
    delay_level: i32,
) -> Result<(), ClientError> {
    let header = SendBackRequest {
        offset: message.commitlog_offset,
        group: member.group.clone(),
        delay_level,
        origin_msg_id: Some(message.msg_id()),
        origin_topic: Some(message.topic.clone()),
        unit_mode: false,
        max_reconsume_times: member.settings.reconsume_max,
    };
    let request = Command::request(RequestCode::CONSUMER_SEND_MSG_BACK).with_header(&header);
    let queue = &assigned.queue;
    member.core.ask_leader(&queue.topic, &queue.broker_name, request, GIVE_BACK_PATIENCE).await.map(drop)
}
