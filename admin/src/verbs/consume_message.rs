//! `consumeMessage`, `printMsg` and `printMsgByQueue`: messages read by hand. No consumer offset moves.

use std::collections::BTreeMap;

use client::ReceivedMessage;
use serde_json::json;

use super::period::{Period, Range};
use super::walk::Walk;
use crate::charset::Charset;
use crate::context::Context;
use crate::report::{self, Report, Table};
use crate::verb::{JavaBool, Verb};

/// Flags of `consumeMessage`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsumeMessage {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// One broker group only, by name
    #[arg(short = 'b', long = "brokerName", value_name = "NAME")]
    broker: Option<String>,
    /// One queue of that broker group only
    #[arg(short = 'i', long = "queueId", value_name = "ID", requires = "broker")]
    queue: Option<i32>,
    /// Begin at this offset of that queue
    #[arg(short = 'o', long = "offset", value_name = "OFFSET", requires = "queue")]
    offset: Option<i64>,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'g', long = "consumerGroup", hide = true)]
    group: Option<String>,
    /// Stored not before this time: now, milliseconds since 1970, or yyyy-MM-dd#HH:mm:ss:SSS
    #[arg(short = 's', long = "beginTimestamp", value_name = "TIME")]
    begin: Option<String>,
    /// Stored not after this time
    #[arg(short = 'e', long = "endTimestamp", value_name = "TIME")]
    end: Option<String>,
    /// At most this many messages
    #[arg(short = 'c', long = "MessageNumber", value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

impl Verb for ConsumeMessage {
    const NAME: &'static str = "consumeMessage";
    const ABOUT: &'static str = "Read messages, without moving any consumer offset";
    const EXAMPLES: &'static [&'static str] = &[
        "-t TopicTest",
        "-t TopicTest -c 10",
        "-t TopicTest -b RaftNode00 -i 0 -o 100",
        "-t TopicTest -s 2026-11-21#08:00:00:000 -e now",
    ];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let walk = Walk {
            topic: &self.topic,
            expression: "*",
            broker: self.broker.as_deref(),
            queue_id: self.queue,
            from: self.offset,
            range: Range::read(context, self.begin.as_deref(), self.end.as_deref())?,
            count_max: self.count as usize,
        };
        walk.run(context, |message| print(context, message, Charset::Utf8, true)).await?;
        Ok(Report::Silence)
    }
}

/// Flags of `printMsg`.
#[derive(Debug, clap::Args)]
pub(crate) struct PrintMsg {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// Tags, separated by two bars
    #[arg(short = 's', long = "subExpression", value_name = "TAGS", default_value = "*")]
    expression: String,
    #[command(flatten)]
    period: Period,
    /// Whether the body is printed
    #[arg(short = 'd', long = "printBody", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "true")]
    body: JavaBool,
    /// What bodies are read as: UTF-8, US-ASCII, ISO-8859-1, UTF-16; in digits if they are not that
    #[arg(short = 'c', long = "charsetName", value_name = "NAME", default_value = "UTF-8")]
    charset: Charset,
    /// Accepted for RocketMQ's sake: there are no light queues
    #[arg(short = 'l', long = "lmqParentTopic", hide = true)]
    parent: Option<String>,
}

impl Verb for PrintMsg {
    const NAME: &'static str = "printMsg";
    const ABOUT: &'static str = "Print all messages of a topic";
    const EXAMPLES: &'static [&'static str] = &["-t TopicTest", "-t TopicTest -s 'TagA || TagB' -d false"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let walk = Walk {
            topic: &self.topic,
            expression: &self.expression,
            broker: None,
            queue_id: None,
            from: None,
            range: self.period.range(context)?,
            count_max: usize::MAX,
        };
        walk.run(context, |message| print(context, message, self.charset, self.body.0)).await?;
        Ok(Report::Silence)
    }
}

/// Flags of `printMsgByQueue`.
#[derive(Debug, clap::Args)]
pub(crate) struct PrintMsgByQueue {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// The broker group, by name
    #[arg(short = 'a', long = "brokerName", value_name = "NAME")]
    broker: String,
    /// The queue
    #[arg(short = 'i', long = "queueId", value_name = "ID")]
    queue: i32,
    /// Tags, separated by two bars
    #[arg(short = 's', long = "subExpression", value_name = "TAGS", default_value = "*")]
    expression: String,
    #[command(flatten)]
    period: Period,
    /// Whether messages are printed; if not given, unless they are counted
    #[arg(short = 'p', long = "print", alias = "print msg", value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    print: Option<JavaBool>,
    /// Whether the body is printed
    #[arg(short = 'd', long = "printBody", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    body: JavaBool,
    /// Whether messages are counted by tag
    #[arg(short = 'f', long = "calculate", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    count: JavaBool,
    /// What bodies are read as: UTF-8, US-ASCII, ISO-8859-1, UTF-16; in digits if they are not that
    #[arg(short = 'c', long = "charsetName", value_name = "NAME", default_value = "UTF-8")]
    charset: Charset,
}

impl Verb for PrintMsgByQueue {
    const NAME: &'static str = "printMsgByQueue";
    const ABOUT: &'static str = "Print the messages of one queue, or count them by tag";
    const EXAMPLES: &'static [&'static str] =
        &["-t TopicTest -a RaftNode00 -i 0 -d true", "-t TopicTest -a RaftNode00 -i 0 -f true"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let walk = Walk {
            topic: &self.topic,
            expression: &self.expression,
            broker: Some(&self.broker),
            queue_id: Some(self.queue),
            from: None,
            range: self.period.range(context)?,
            count_max: usize::MAX,
        };
        let prints = self.print.map_or(!self.count.0, |print| print.0);
        let mut by_tag: BTreeMap<String, u64> = BTreeMap::new();
        let see = |message: &ReceivedMessage| {
            if let Some(tag) = message.tag() {
                *by_tag.entry(tag.to_owned()).or_default() += 1;
            }
            if prints { print(context, message, self.charset, self.body.0) } else { Ok(()) }
        };
        walk.run(context, see).await?;
        Ok(if self.count.0 { counts(by_tag) } else { Report::Silence })
    }
}

fn print(context: &Context, message: &ReceivedMessage, charset: Charset, body: bool) -> anyhow::Result<()> {
    let mut value = report::message_value(message, charset);
    if !body {
        value.as_object_mut().expect("a message is an object").remove("body");
    }
    context.print_item(&Report::facts(value))
}

/// The most frequent tag first.
fn counts(by_tag: BTreeMap<String, u64>) -> Report {
    let mut counts: Vec<_> = by_tag.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut table = Table::new(&[("tag", "Tag"), ("count", "Messages")]);
    for (tag, count) in counts {
        table.push(vec![json!(tag), json!(count)]);
    }
    Report::Table(table)
}
