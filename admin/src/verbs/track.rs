//! What consumer groups have done with one message.

use client::protocol::ResponseCode;
use client::protocol::command::heartbeat::{ConsumeType, MessageModel};
use client::{Admin, ClientError, ReceivedMessage};
use serde_json::{Value, json};

use crate::charset::Charset;
use crate::report::{self, Report, Table};

/// A message and what each consumer group has done with it.
pub(super) async fn with_track(
    admin: &Admin,
    message: &ReceivedMessage,
    charset: Charset,
) -> anyhow::Result<Report> {
    let mut parts = vec![("message", Report::facts(report::message_value(message, charset)))];
    let mut table = Table::new(&[("consumerGroup", "Consumer group"), ("track", "Has it")]);
    // A topic that is gone has no groups to ask for; the message is worth showing all the same.
    for group in admin.groups_of_topic(&message.topic).await.unwrap_or_default() {
        let track = track(admin, message, &group).await.unwrap_or_else(|error| error.to_string());
        table.push(vec![json!(group), Value::from(track)]);
    }
    parts.push(("track", Report::Table(table)));
    Ok(Report::Parts(parts))
}

/// What a consumer group has done with a message, in RocketMQ's words.
async fn track(admin: &Admin, message: &ReceivedMessage, group: &str) -> Result<String, ClientError> {
    match admin.consumer_connection(group).await {
        Ok(connection) if connection.message_model == MessageModel::Broadcasting => {
            return Ok("CONSUME_BROADCASTING".to_owned());
        }
        Ok(connection) if connection.consume_type == ConsumeType::ConsumeActively => {
            return Ok("PULL".to_owned());
        }
        Ok(_) => {}
        Err(error) if error.code() == Some(ResponseCode::CONSUMER_NOT_ONLINE) => {
            return Ok("NOT_ONLINE".to_owned());
        }
        // A group that never had a member has no retry topic either.
        Err(ClientError::NoRoute { .. }) => return Ok("NOT_ONLINE".to_owned()),
        Err(error) => return Err(error),
    }
    let stats = admin.consume_stats(group, Some(&message.topic)).await?;
    let is_consumed = stats.offset_table.iter().any(|(queue, offsets)| {
        queue.queue_id == message.queue.queue_id
            && (message.queue.broker_name.is_empty() || queue.broker_name == message.queue.broker_name)
            && queue.topic == message.queue.topic
            && offsets.consumer_offset > message.queue_offset
    });
    Ok(if is_consumed { "CONSUMED" } else { "NOT_CONSUME_YET" }.to_owned())
}
