//! What brokers ask of a consumer: look at the division of queues, reset offsets, tell how it is, try a message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use protocol::command::offset::{ConsumerStatusBody, ResetOffsetBody};
use protocol::{Command, RequestCode, ResponseCode, VERSION, json};
use remoting::Responder;
use serde_json::{Value, json};

use super::engine::Engine;
use super::outlet::Consume;
use crate::inbound::Inbox;
use crate::queue::MessageQueue;
use crate::received::ReceivedMessage;

impl Inbox for Engine {
    fn wants(&self, code: i32) -> bool {
        matches!(
            code,
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED
                | RequestCode::RESET_CONSUMER_CLIENT_OFFSET
                | RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT
                | RequestCode::GET_CONSUMER_RUNNING_INFO
                | RequestCode::CONSUME_MESSAGE_DIRECTLY
        )
    }

    fn take(self: Arc<Self>, request: Command, responder: Responder) {
        match request.code {
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => self.wish.notify_one(),
            RequestCode::RESET_CONSUMER_CLIENT_OFFSET => self.reset(&request),
            RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT => {
                let body = self.offsets_body();
                responder.send(Command::response_to(&request, ResponseCode::SUCCESS).with_body(body));
            }
            RequestCode::GET_CONSUMER_RUNNING_INFO => {
                let body = self.running_info();
                responder.send(Command::response_to(&request, ResponseCode::SUCCESS).with_body(body));
            }
            RequestCode::CONSUME_MESSAGE_DIRECTLY => {
                tokio::spawn(async move {
                    let answer = self.try_message(&request).await;
                    responder.send(answer);
                });
            }
            code => unreachable!("code {code} is not wanted"),
        }
    }
}

impl Engine {
    /// Goes on at the offsets that an operator wants, in the queues in hand.
    fn reset(self: &Arc<Self>, request: &Command) {
        match read_reset(&request.body) {
            Ok(offsets) => {
                for (queue, offset) in offsets {
                    tracing::warn!(
                        queue = queue.to_string(),
                        offset,
                        "consumer offset reset by order of the broker"
                    );
                    tokio::spawn(self.clone().restart(queue, offset));
                }
            }
            Err(error) => tracing::warn!(%error, "unreadable order to reset offsets"),
        }
    }

    /// Body of the answer to code 221.
    fn offsets_body(&self) -> Bytes {
        let table = self.member.offsets().iter().map(|(queue, offset)| (queue.into(), offset)).collect();
        ConsumerStatusBody { message_queue_table: table, ..ConsumerStatusBody::default() }.to_bytes()
    }

    /// Body of the answer to code 307. Source: Java `ConsumerRunningInfo`.
    fn running_info(&self) -> String {
        let queues: Vec<(protocol::route::MessageQueue, Value)> =
            self.assigned().iter().map(|a| ((&a.queue).into(), queue_info(a))).collect();
        let properties = json!({
            "PROP_CLIENT_VERSION": protocol::version::name(VERSION).unwrap_or_default(),
            "PROP_CONSUMEORDERLY": self.member.settings.in_order.to_string(),
            "PROP_CONSUMER_START_TIMESTAMP": self.member.started_ms.to_string(),
            "PROP_CONSUME_TYPE": "CONSUME_PASSIVELY",
            "PROP_NAMESERVER_ADDR": self.member.core.config.namesrv.join(";"),
            "PROP_THREADPOOL_CORE_SIZE": self.member.settings.concurrency.to_string(),
        });
        let subscribed = self.member.subscribed();
        let subscriptions = subscribed.data();
        let statuses: BTreeMap<&String, Value> =
            subscribed.topics().map(|topic| (topic, json!({"consumeFailedMsgs": 0, "consumeFailedTPS": 0.0, "consumeOKTPS": 0.0, "consumeRT": 0.0, "pullRT": 0.0, "pullTPS": 0.0}))).collect();
        let mut body = String::from("{\"mqPopTable\":{},\"mqTable\":");
        json::write_queue_map(&mut body, queues);
        body.push_str(",\"properties\":");
        body.push_str(&properties.to_string());
        body.push_str(",\"statusTable\":");
        body.push_str(&json!(statuses).to_string());
        body.push_str(",\"subscriptionSet\":");
        body.push_str(&json!(subscriptions).to_string());
        body.push_str(",\"userConsumerInfo\":{}}");
        body
    }

    /// Handles one message that an operator sends straight to this consumer. It counts for no queue.
    async fn try_message(&self, request: &Command) -> Command {
        let broker_name = request.ext.get("brokerName").unwrap_or_default();
        let message = match ReceivedMessage::all_of(&request.body, broker_name) {
            Ok(messages) if messages.len() == 1 => {
                Arc::new(messages.into_iter().next().expect("there is one"))
            }
            Ok(messages) => return failed(request, format!("{} messages instead of one", messages.len())),
            Err(error) => return failed(request, error.to_string()),
        };
        let begun = self.member.core.now();
        let outcome = self.member.consume_alone(message).await;
        let spent = self.member.core.now().saturating_sub(begun);
        let body = json!({
            "autoCommit": true,
            "consumeResult": if outcome == Consume::Success { "CR_SUCCESS" } else { "CR_LATER" },
            "order": self.member.settings.in_order,
            "spentTimeMills": spent.as_millis() as u64,
        });
        Command::response_to(request, ResponseCode::SUCCESS).with_body(body.to_string())
    }
}

fn queue_info(assigned: &super::assigned::Assigned) -> Value {
    let process = assigned.process();
    let (min, max) = process.open_range().unwrap_or((0, 0));
    json!({
        "cachedMsgCount": process.open_count(),
        "cachedMsgMaxOffset": max,
        "cachedMsgMinOffset": min,
        "cachedMsgSizeInMiB": process.open_bytes() >> 20,
        "commitOffset": process.consumed_to(),
        "droped": assigned.is_dropped(),
        "lastConsumeTimestamp": assigned.activity.consumed_ms.load(Ordering::Relaxed),
        "lastLockTimestamp": 0,
        "lastPullTimestamp": assigned.activity.pulled_ms.load(Ordering::Relaxed),
        "locked": !assigned.locked_until().is_zero(),
        "transactionMsgCount": 0,
        "transactionMsgMaxOffset": 0,
        "transactionMsgMinOffset": 0,
        "tryUnlockTimes": 0,
    })
}

/// Reads the map form of the order; what is not in it is left alone.
fn read_reset(body: &[u8]) -> Result<Vec<(MessageQueue, i64)>, json::JsonError> {
    let body = ResetOffsetBody::read(body)?;
    Ok(body.offset_table.into_iter().map(|(queue, offset)| (queue.into(), offset)).collect())
}

fn failed(request: &Command, reason: String) -> Command {
    Command::response_to(request, ResponseCode::SYSTEM_ERROR).with_remark(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_to_reset_names_queues_and_offsets() {
        let body = br#"{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:77}}"#;
        assert_eq!(read_reset(body).unwrap(), [(MessageQueue::new("T", "b", 3), 77)]);
        assert!(read_reset(b"{}").unwrap().is_empty());
        assert!(read_reset(b"nonsense").is_err());
    }
}
