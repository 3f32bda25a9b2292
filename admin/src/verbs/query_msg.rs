//! `queryMsgById`, `queryMsgByKey`, `queryMsgByUniqueKey`, `queryMsgByOffset`: messages looked up.

use anyhow::bail;
use client::{Admin, ClientError, MessageQueue, PullConsumer, PullOptions, ReceivedMessage, TimeRange};
use serde_json::json;

use super::again::{Push, push, resend};
use super::period::Period;
use super::track::with_track;
use super::walk::GROUP;
use crate::charset::Charset;
use crate::context::Context;
use crate::report::{Report, Table};
use crate::time;
use crate::verb::{JavaBool, Verb};

/// Flags of `queryMsgById`.
#[derive(Debug, clap::Args)]
pub(crate) struct QueryMsgById {
    /// Offset message ids, separated by commas; with -t also unique keys
    #[arg(short = 'i', long = "msgId", value_name = "ID", value_delimiter = ',', required = true)]
    ids: Vec<String>,
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: Option<String>,
    #[command(flatten)]
    push: Push,
    /// Send the message to its topic once more
    #[arg(short = 's', long = "sendMessage", value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    send: Option<JavaBool>,
    /// Accepted for RocketMQ's sake: there are no units
    #[arg(short = 'u', long = "unitName", hide = true)]
    unit: Option<String>,
    /// What the body is read as: UTF-8, US-ASCII, ISO-8859-1, UTF-16; in digits if it is not that
    #[arg(short = 'f', long = "bodyFormat", value_name = "NAME", default_value = "UTF-8")]
    charset: Charset,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'c', long = "cluster", hide = true)]
    cluster: Option<String>,
}

impl Verb for QueryMsgById {
    const NAME: &'static str = "queryMsgById";
    const ABOUT: &'static str =
        "Show the message of an id, and who has consumed it; or have it consumed, or sent, again";
    const EXAMPLES: &'static [&'static str] = &[
        "-i 7F000001000078BF0000000000000030",
        "-t TopicTest -i 7F00000100002A9F18B4AAC2049C0000",
        "-i 7F000001000078BF0000000000000030 -g my_consumers -d 10.0.0.1@4711",
        "-i 7F000001000078BF0000000000000030 -s true",
    ];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        for id in self.ids.iter().map(|id| id.trim()).filter(|id| !id.is_empty()) {
            let message = self.find(admin, id).await?;
            let item = match (self.push.member(), self.send) {
                (Some((group, client)), _) => push(admin, group, client, &message).await?,
                (None, Some(JavaBool(true))) => resend(context, &message).await?,
                (None, Some(JavaBool(false))) => Report::Silence,
                (None, None) => with_track(admin, &message, self.charset).await?,
            };
            context.print_item(&item)?;
        }
        Ok(Report::Silence)
    }
}

impl QueryMsgById {
    async fn find(&self, admin: &Admin, id: &str) -> anyhow::Result<ReceivedMessage> {
        let error = match admin.message_by_offset_id(id).await {
            Ok(mut message) => {
                let group = admin.group_of_node(&message.store_host.to_string()).await.ok().flatten();
                message.queue.broker_name = group.map(|group| group.broker_name).unwrap_or_default();
                return Ok(message);
            }
            Err(error) => error,
        };
        let is_unique_key = matches!(error, ClientError::Id { .. });
        let Some(topic) = &self.topic else {
            let error = anyhow::Error::from(error);
            let hint = "if this is a unique key, say its topic with -t";
            return Err(if is_unique_key { error.context(hint) } else { error });
        };
        // A unique key may happen to read as an offset id too.
        let found = admin.messages_by_unique_key(topic, id, TimeRange::ALL).await?;
        match found.into_iter().next() {
            Some(message) => Ok(message),
            None if is_unique_key => bail!("no message {id} in topic {topic}"),
            None => Err(error.into()),
        }
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
    #[command(flatten)]
    period: Period,
    /// At most this many messages
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
        let range = self.period.range(context)?.into();
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
    #[command(flatten)]
    push: Push,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'c', long = "cluster", hide = true)]
    cluster: Option<String>,
}

impl Verb for QueryMsgByUniqueKey {
    const NAME: &'static str = "queryMsgByUniqueKey";
    const ABOUT: &'static str =
        "Show the message of a unique key, and who has consumed it; or have it consumed again";
    const EXAMPLES: &'static [&'static str] = &[
        "-t TopicTest -i 7F00000100002A9F18B4AAC2049C0000",
        "-t TopicTest -i 7F00000100002A9F18B4AAC2049C0000 -a",
        "-t TopicTest -i 7F00000100002A9F18B4AAC2049C0000 -g my_consumers -d 10.0.0.1@4711",
    ];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let found = admin.messages_by_unique_key(&self.topic, &self.id, TimeRange::ALL).await?;
        if found.is_empty() {
            bail!("no message {} in topic {}", self.id, self.topic);
        }
        if let Some((group, client)) = self.push.member() {
            return push(admin, group, client, &found[0]).await;
        }
        let shown = if self.all { found.len() } else { 1 };
        for message in &found[..shown] {
            context.print_item(&with_track(admin, message, Charset::Utf8).await?)?;
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
    /// What the body is read as: UTF-8, US-ASCII, ISO-8859-1, UTF-16; in digits if it is not that
    #[arg(short = 'f', long = "bodyFormat", value_name = "NAME", default_value = "UTF-8")]
    charset: Charset,
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
        with_track(context.admin().await?, message, self.charset).await
    }
}
