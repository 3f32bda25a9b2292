//! `sendMessage`: one message by hand.

use client::{Message, MessageQueue, Producer, QueueChoice, SendOptions, SendStatus};
use serde_json::json;

use crate::context::Context;
use crate::report::Report;
use crate::verb::Verb;

/// The group that tools send as.
const GROUP: &str = "TOOLS_PRODUCER";

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct SendMessage {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// What it says
    #[arg(short = 'p', long = "body", value_name = "TEXT")]
    body: String,
    /// Its keys, separated by blanks
    #[arg(short = 'k', long = "key", alias = "keys", value_name = "KEYS")]
    keys: Option<String>,
    /// Its tag
    #[arg(short = 'c', long = "tags", value_name = "TAG")]
    tags: Option<String>,
    /// The broker group to send to, by name
    #[arg(short = 'b', long = "broker", value_name = "NAME")]
    broker: Option<String>,
    /// The queue of that broker group
    #[arg(short = 'i', long = "qid", value_name = "ID", requires = "broker")]
    queue: Option<i32>,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'm', long = "msgTraceEnable", hide = true)]
    trace: Option<String>,
}

impl Verb for SendMessage {
    const NAME: &'static str = "sendMessage";
    const ABOUT: &'static str = "Send a message";
    const EXAMPLES: &'static [&'static str] = &[
        "-t TopicTest -p 'Hello RocketMQ'",
        "-t TopicTest -p hello -k order-1 -c TagA",
        "-t TopicTest -p hello -b RaftNode00 -i 3",
    ];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let mut message = Message::new(&self.topic, self.body.clone());
        if let Some(keys) = &self.keys {
            message = message.with_keys([keys]);
        }
        if let Some(tag) = &self.tags {
            message = message.with_tag(tag);
        }
        let producer = Producer::builder(GROUP, context.config()).heartbeats(false).start().await?;
        let result = self.send(&producer, message).await;
        producer.shutdown().await;
        Ok(sent(&result?))
    }
}

/// Where a message went.
pub(super) fn sent(sent: &client::SendResult) -> Report {
    Report::facts(json!({
            "brokerName": sent.queue.broker_name,
            "queueId": sent.queue.queue_id,
            "queueOffset": sent.queue_offset,
            "sendResult": status(sent.status),
            "msgId": sent.msg_id,
            "offsetMsgId": sent.offset_msg_id,
            "node": sent.node,
    }))
}

/// The status by RocketMQ's name.
pub(super) fn status(status: SendStatus) -> &'static str {
    match status {
        SendStatus::Ok => "SEND_OK",
        SendStatus::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
        SendStatus::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
        SendStatus::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
    }
}

impl SendMessage {
    async fn send(&self, producer: &Producer, message: Message) -> anyhow::Result<client::SendResult> {
        let queue = match (&self.broker, self.queue) {
            (Some(broker), Some(id)) => QueueChoice::Queue(MessageQueue::new(&self.topic, broker, id)),
            (Some(broker), None) => {
                let queues = producer.queues(&self.topic).await?;
                let queue = queues.into_iter().find(|queue| queue.broker_name == *broker);
                QueueChoice::Queue(
                    queue.ok_or_else(|| anyhow::anyhow!("topic {} has no queue at {broker}", self.topic))?,
                )
            }
            (None, _) => QueueChoice::RoundRobin,
        };
        Ok(producer.send_with(message, SendOptions { queue, ..SendOptions::default() }).await?)
    }
}
