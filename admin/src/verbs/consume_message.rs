//! `consumeMessage` and `printMsg`: messages read by hand. No consumer offset moves.

use anyhow::bail;
use client::{MessageQueue, PullConsumer, PullOptions, PullStatus};

use crate::cli::{JavaBool, Verb};
use crate::context::Context;
use crate::report::{self, Report};
use crate::time;

/// The group that tools read as.
const GROUP: &str = "TOOLS_CONSUMER";

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
    /// Stored not before this time
    #[arg(short = 's', long = "beginTimestamp", value_name = "TIME")]
    begin: Option<String>,
    /// Stored not after this time
    #[arg(short = 'e', long = "endTimestamp", value_name = "TIME")]
    end: Option<String>,
    /// At most so many messages
    #[arg(short = 'c', long = "MessageNumber", value_name = "N", default_value_t = 128)]
    count: usize,
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
        let range = Range::read(context, self.begin.as_deref(), self.end.as_deref())?;
        let wanted = |queue: &MessageQueue| {
            self.broker.as_ref().is_none_or(|name| queue.broker_name == *name)
                && self.queue.is_none_or(|id| queue.queue_id == id)
        };
        let walk = Walk {
            topic: &self.topic,
            expression: "*",
            from: self.offset,
            range,
            count_max: self.count,
            with_body: true,
        };
        walk.run(context, wanted).await
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
    /// Stored not before this time
    #[arg(short = 'b', long = "beginTimestamp", value_name = "TIME")]
    begin: Option<String>,
    /// Stored not after this time
    #[arg(short = 'e', long = "endTimestamp", value_name = "TIME")]
    end: Option<String>,
    /// Whether the body is printed
    #[arg(short = 'd', long = "printBody", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "true")]
    body: JavaBool,
    /// Accepted for RocketMQ's sake: bodies are shown as UTF-8, or in digits
    #[arg(short = 'c', long = "charsetName", hide = true)]
    charset: Option<String>,
}

impl Verb for PrintMsg {
    const NAME: &'static str = "printMsg";
    const ABOUT: &'static str = "Print all messages of a topic";
    const EXAMPLES: &'static [&'static str] = &["-t TopicTest", "-t TopicTest -s 'TagA || TagB' -d false"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let range = Range::read(context, self.begin.as_deref(), self.end.as_deref())?;
        let walk = Walk {
            topic: &self.topic,
            expression: &self.expression,
            from: None,
            range,
            count_max: usize::MAX,
            with_body: self.body.0,
        };
        walk.run(context, |_| true).await
    }
}

/// Store times, milliseconds since the epoch, both inclusive.
#[derive(Clone, Copy)]
struct Range {
    begin_ms: Option<i64>,
    end_ms: Option<i64>,
}

impl Range {
    fn read(context: &Context, begin: Option<&str>, end: Option<&str>) -> anyhow::Result<Self> {
        let now_ms = context.now_ms();
        let read = |text: Option<&str>| text.map(|text| time::parse(text, now_ms)).transpose();
        Ok(Self { begin_ms: read(begin)?, end_ms: read(end)? })
    }
}

/// One reading of queues from their beginning to where they end now.
struct Walk<'a> {
    topic: &'a str,
    expression: &'a str,
    from: Option<i64>,
    range: Range,
    count_max: usize,
    with_body: bool,
}

impl Walk<'_> {
    async fn run(&self, context: &Context, wanted: impl Fn(&MessageQueue) -> bool) -> anyhow::Result<Report> {
        let mut consumer = PullConsumer::builder(GROUP, context.config()).start().await?;
        let done = self.print_all(context, &consumer, wanted).await;
        consumer.shutdown().await;
        done
    }

    async fn print_all(
        &self,
        context: &Context,
        consumer: &PullConsumer,
        wanted: impl Fn(&MessageQueue) -> bool,
    ) -> anyhow::Result<Report> {
        let queues: Vec<_> = consumer.queues(self.topic).await?.into_iter().filter(wanted).collect();
        if queues.is_empty() {
            bail!("topic {} has no such queue to read from", self.topic);
        }
        let mut left = self.count_max;
        for queue in &queues {
            left -= self.print_queue(context, consumer, queue, left).await?;
            if left == 0 {
                break;
            }
        }
        Ok(Report::Silence)
    }

    async fn print_queue(
        &self,
        context: &Context,
        consumer: &PullConsumer,
        queue: &MessageQueue,
        count_max: usize,
    ) -> anyhow::Result<usize> {
        let end = consumer.max_offset(queue).await?;
        let mut offset = match (self.from, self.range.begin_ms) {
            (Some(offset), _) => offset,
            (None, Some(ms)) => consumer.offset_at(queue, ms).await?,
            (None, None) => consumer.min_offset(queue).await?,
        };
        let options = PullOptions { expression: self.expression.to_owned(), ..PullOptions::default() };
        let mut count = 0;
        while offset < end {
            let pulled = consumer.pull(queue, offset, &options).await?;
            for message in &pulled.messages {
                let is_late = self.range.end_ms.is_some_and(|ms| message.store_timestamp_ms > ms);
                if count == count_max || is_late || message.queue_offset >= end {
                    return Ok(count);
                }
                let mut value = report::message_value(message);
                if !self.with_body {
                    value.as_object_mut().expect("a message is an object").remove("body");
                }
                context.print_item(&Report::facts(value))?;
                count += 1;
            }
            if pulled.status == PullStatus::NoNewMessage || pulled.next_offset == offset {
                break;
            }
            offset = pulled.next_offset;
        }
        Ok(count)
    }
}
