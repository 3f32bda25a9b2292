//! A stored message once more: consumed by one member of a group, or sent to its topic.

use anyhow::{Context as _, bail};
use client::protocol::json;
use client::{Admin, Message, Producer, ReceivedMessage};
use serde_json::Value;

use super::send_message::sent;
use crate::context::Context;
use crate::report::Report;

/// The group that messages are sent again as.
const RESEND_GROUP: &str = "ReSendMsgById";

/// Who shall consume it.
#[derive(Debug, clap::Args)]
pub(super) struct Push {
    /// With -d: have a member of this consumer group consume the message, at once
    #[arg(short = 'g', long = "consumerGroup", value_name = "GROUP", requires = "client")]
    group: Option<String>,
    /// The member, by its client id; consumerConnection lists them
    #[arg(short = 'd', long = "clientId", value_name = "ID", requires = "group")]
    client: Option<String>,
}

impl Push {
    /// Group and client id.
    pub(super) fn member(&self) -> Option<(&str, &str)> {
        self.group.as_deref().zip(self.client.as_deref())
    }
}

/// Has one member of a group consume the message, and tells what it says of that.
pub(super) async fn push(
    admin: &Admin,
    group: &str,
    client: &str,
    message: &ReceivedMessage,
) -> anyhow::Result<Report> {
    let info = admin.consumer_running_info(group, client, false).await?;
    let info = json::parse(&info).context("what the client says of itself is not JSON")?;
    let kind = info["properties"]["PROP_CONSUME_TYPE"].as_str().unwrap_or_default();
    if kind != "CONSUME_PASSIVELY" {
        bail!("{client} is not a push consumer: only those can be given a message");
    }
    let told = admin.consume_directly(group, client, message).await?;
    let mut told = json::parse(&told).context("the client's answer is not JSON")?;
    if let Value::Object(facts) = &mut told {
        facts.insert("msgId".to_owned(), message.msg_id().into());
        facts.insert("clientId".to_owned(), client.into());
    }
    Ok(Report::facts(told))
}

/// Sends the message as it is, properties and unique key included, to its topic.
pub(super) async fn resend(context: &Context, message: &ReceivedMessage) -> anyhow::Result<Report> {
    let copy = Message {
        topic: message.topic.clone(),
        body: message.body.clone(),
        flag: message.flag,
        properties: message.properties.clone(),
    };
    let producer = Producer::builder(RESEND_GROUP, context.config()).heartbeats(false).start().await?;
    let result = producer.send(copy).await;
    producer.shutdown().await;
    Ok(sent(&result?))
}
