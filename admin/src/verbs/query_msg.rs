//! `queryMsgById`, `queryMsgByKey`, `queryMsgByUniqueKey`, `queryMsgByOffset`: messages looked up.

use anyhow::bail;
use client::protocol::command::heartbeat::MessageModel;
use client::{Admin, ClientError, MessageQueue, PullConsumer, PullOptions, ReceivedMessage, TimeRange};
use serde_json::{Value, json};

use crate::cli::Verb;
use crate::context::Context;
use crate::report::{self, Report, Table};
use crate::time;

/// The group that tools read as.
const GROUP: &str = "TOOLS_CONSUMER";

/// Flags of `queryMsgById`.
#[derive(Debug, clap::Args)]
pub(crate) struct QueryMsgById {
    /// Offset message ids, separated by commas; with -t also unique keys
    #[arg(short = 'i', long = "msgId", value_name = "ID", value_delimiter = ',', required = true)]
    ids: Vec<String>,
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: Option<String>,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'f', long = "bodyFormat", hide = true)]
    format: Option<String>,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'c', long = "cluster", hide = true)]
    cluster: Option<String>,
}

impl Verb for QueryMsgById {
    const NAME: &'static str = "queryMsgById";
    const ABOUT: &'static str = "Show the message of an id, and who has consumed it";
    const EXAMPLES: &'static [&'static str] =
        &["-i 7F000001000078BF0000000000000030", "-t TopicTest -i 7F00000100002A9F18B4AAC2049C0000"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        for id in &self.ids {
            let message = match (admin.message_by_offset_id(id).await, &self.topic) {
                (Ok(message), _) => message,
                (Err(_), Some(topic)) => {
                    let found = admin.messages_by_unique_key(topic, id, TimeRange::ALL).await?;
                    let Some(message) = found.into_iter().next() else {
                        bail!("no message {id} in topic {topic}")
                    };
                    message
                }
                (Err(error), None) => return Err(error.into()),
            };
            context.print_item(&with_track(admin, &message).await?)?;
        }
        Ok(Report::Silence)
    }
}

/// Flags of `queryMsgByKey`.
#[derive(Debug, clap::Args)]
pub(crate) struct QueryMsgByKey {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// The key
    #[arg(short = 'k', long = "msgKey", value_name = "KEY")]
    key: String,
    /// Stored not before this time
    #[arg(short = 'b', long = "beginTimestamp", value_name = "TIME")]
    begin: Option<String>,
    /// Stored not after this time
    #[arg(short = 'e', long = "endTimestamp", value_name = "TIME")]
    end: Option<String>,
    /// At most so many messages
    #[arg(short = 'm', long = "maxNum", value_name = "N", default_value_t = 64)]
    count: i32,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'c', long = "cluster", hide = true)]
    cluster: Option<String>,
}

impl Verb for QueryMsgByKey {
    const NAME: &'static str = "queryMsgByKey";
    const ABOUT: &'static str = "List the messages that have a key";
    const EXAMPLES: &'static [&'static str] =
        &["-t TopicTest -k order-1", "-t TopicTest -k order-1 -b 2026-11-21 -e now"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let now_ms = context.now_ms();
        let range = TimeRange {
            from_ms: self.begin.as_deref().map_or(Ok(0), |text| time::parse(text, now_ms))?,
            to_ms: self.end.as_deref().map_or(Ok(i64::MAX), |text| time::parse(text, now_ms))?,
        };
        let found = context.admin().await?.messages_by_key(&self.topic, &self.key, self.count, range).await?;
        let mut table = Table::new(&[
            ("msgId", "Message id"),
            ("offsetMsgId", "Offset message id"),
            ("brokerName", "Broker"),
            ("queueId", "Queue"),
            ("queueOffset", "Offset"),
            ("storeTimestamp", "Stored"),
        ]);
        for message in &found {
            table.push(vec![
                json!(message.msg_id()),
                json!(message.offset_msg_id()),
                json!(message.queue.broker_name),
                json!(message.queue.queue_id),
                json!(message.queue_offset),
                json!(time::text(message.store_timestamp_ms)),
            ]);
        }
        Ok(Report::Table(table))
    }
}

/// Flags of `queryMsgByUniqueKey`.
#[derive(Debug, clap::Args)]
pub(crate) struct QueryMsgByUniqueKey {
    /// The unique key, which clients call message id
    #[arg(short = 'i', long = "msgId", value_name = "ID")]
    id: String,
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// Show all: a send that was repeated stored more than one
    #[arg(short = 'a', long = "showAll")]
    all: bool,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'c', long = "cluster", hide = true)]
    cluster: Option<String>,
}

impl Verb for QueryMsgByUniqueKey {
    const NAME: &'static str = "queryMsgByUniqueKey";
    const ABOUT: &'static str = "Show the message of a unique key, and who has consumed it";
    const EXAMPLES: &'static [&'static str] = &["-t TopicTest -i 7F00000100002A9F18B4AAC2049C0000"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let found = admin.messages_by_unique_key(&self.topic, &self.id, TimeRange::ALL).await?;
        if found.is_empty() {
            bail!("no message {} in topic {}", self.id, self.topic);
        }
        let shown = if self.all { found.len() } else { 1 };
        for message in &found[..shown] {
            context.print_item(&with_track(admin, message).await?)?;
        }
        Ok(Report::Silence)
    }
}

/// Flags of `queryMsgByOffset`.
#[derive(Debug, clap::Args)]
pub(crate) struct QueryMsgByOffset {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// The broker group, by name
    #[arg(short = 'b', long = "brokerName", value_name = "NAME")]
    broker: String,
    /// The queue
    #[arg(short = 'i', long = "queueId", value_name = "ID")]
    queue: i32,
    /// The place in the queue
    #[arg(short = 'o', long = "offset", value_name = "OFFSET")]
    offset: i64,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'f', long = "bodyFormat", hide = true)]
    format: Option<String>,
}

impl Verb for QueryMsgByOffset {
    const NAME: &'static str = "queryMsgByOffset";
    const ABOUT: &'static str = "Show the message at an offset of a queue, and who has consumed it";
    const EXAMPLES: &'static [&'static str] = &["-t TopicTest -b RaftNode00 -i 0 -o 42"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let mut consumer = PullConsumer::builder(GROUP, context.config()).start().await?;
        let queue = MessageQueue::new(&self.topic, &self.broker, self.queue);
        let options = PullOptions { messages_max: 1, ..PullOptions::default() };
        let pulled = consumer.pull(&queue, self.offset, &options).await;
        consumer.shutdown().await;
        let pulled = pulled?;
        let Some(message) = pulled.messages.iter().find(|message| message.queue_offset == self.offset) else {
            bail!(
                "{queue} has no message at {}, it goes from {} to {}",
                self.offset,
                pulled.min_offset,
                pulled.max_offset
            );
        };
        with_track(context.admin().await?, message).await
    }
}

/// A message and what each consumer group has done with it.
async fn with_track(admin: &Admin, message: &ReceivedMessage) -> anyhow::Result<Report> {
    let mut parts = vec![("message", report::message(message))];
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
        Ok(_) => {}
        Err(error) if error.code() == Some(client::protocol::ResponseCode::CONSUMER_NOT_ONLINE) => {
            return Ok("NOT_ONLINE".to_owned());
        }
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
