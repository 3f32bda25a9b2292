//! `resetOffsetByTime`, `skipAccumulatedMessage`, `cloneGroupOffset`: consumer offsets moved by an operator.

use std::collections::BTreeMap;

use anyhow::bail;
use client::protocol::ResponseCode;
use client::{Admin, ClientError, MessageQueue, ResetTo};
use serde_json::json;

use crate::context::Context;
use crate::report::{Report, Table};
use crate::time;
use crate::verb::{JavaBool, Verb};

/// Flags of `resetOffsetByTime`.
#[derive(Debug, clap::Args)]
pub(crate) struct ResetOffsetByTime {
    /// The consumer group
    #[arg(short = 'g', long = "group", value_name = "GROUP")]
    group: String,
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// now, -1 for the end, milliseconds since 1970, or yyyy-MM-dd#HH:mm:ss:SSS
    #[arg(short = 's', long = "timestamp", value_name = "TIME", allow_hyphen_values = true)]
    timestamp: String,
    /// Also forward, where a broker asks for that
    #[arg(short = 'f', long = "force", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "true")]
    force: JavaBool,
    /// One broker only, host:port
    #[arg(short = 'b', long = "broker", value_name = "ADDR")]
    broker: Option<String>,
    /// One queue of that broker only
    #[arg(short = 'q', long = "queue", value_name = "ID", requires = "broker")]
    queue: Option<i32>,
    /// Move that queue to this offset, whatever the time
    #[arg(short = 'o', long = "offset", value_name = "OFFSET", requires = "queue")]
    offset: Option<i64>,
    /// Accepted for RocketMQ's sake: without a value in 4.9, with one in 5.x
    #[arg(short = 'c', long = "cluster", alias = "cplus", num_args = 0..=1, hide = true)]
    cluster: Option<String>,
}

impl Verb for ResetOffsetByTime {
    const NAME: &'static str = "resetOffsetByTime";
    const ABOUT: &'static str = "Move a consumer group to a point of time";
    const EXAMPLES: &'static [&'static str] = &[
        "-g my_consumers -t TopicTest -s now",
        "-g my_consumers -t TopicTest -s 2026-11-21#08:00:00:000",
        "-g my_consumers -t TopicTest -s -1 -b 127.0.0.1:30911 -q 3 -o 100",
    ];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let to = match self.timestamp.as_str() {
            "-1" => ResetTo::End,
            text => ResetTo::Time(time::parse(text, context.now_ms())?),
        };
        let to = match (self.queue, self.offset) {
            (Some(queue_id), Some(offset)) => ResetTo::Offset { queue_id, offset },
            (Some(queue_id), None) => one_queue(admin, &self.topic, queue_id, to).await?,
            (None, _) => to,
        };
        let offsets = match &self.broker {
            Some(addr) => admin.reset_offset_at(addr, &self.topic, &self.group, to, self.force.0).await?,
            None => reset(admin, &self.topic, &self.group, to, self.force.0).await?,
        };
        Ok(table(&offsets))
    }
}

/// What a time means for one queue.
async fn one_queue(admin: &Admin, topic: &str, queue_id: i32, to: ResetTo) -> anyhow::Result<ResetTo> {
    let route = client::TopicRoute::new(&admin.topic_route(topic).await?);
    let queues = route.read_queues(topic);
    let Some(queue) = queues.iter().find(|queue| queue.queue_id == queue_id) else {
        bail!("topic {topic} has no queue {queue_id}");
    };
    let offset = match to {
        ResetTo::Time(ms) => admin.offset_at(queue, ms).await?,
        _ => admin.max_offset(queue).await?,
    };
    Ok(ResetTo::Offset { queue_id, offset })
}

/// Resets through the brokers. Brokers before 5.2 want a member online; without one the offsets are stored as a member
/// would.
async fn reset(
    admin: &Admin,
    topic: &str,
    group: &str,
    to: ResetTo,
    is_force: bool,
) -> Result<BTreeMap<MessageQueue, i64>, ClientError> {
    match admin.reset_offset(topic, group, to, is_force).await {
        Err(error) if error.code() == Some(ResponseCode::CONSUMER_NOT_ONLINE) => {}
        other => return other,
    }
    let route = client::TopicRoute::new(&admin.topic_route(topic).await?);
    let mut offsets = BTreeMap::new();
    for queue in route.read_queues(topic) {
        let offset = match to {
            ResetTo::Time(ms) => admin.offset_at(&queue, ms).await?,
            _ => admin.max_offset(&queue).await?,
        };
        admin.store_offset(group, &queue, offset).await?;
        offsets.insert(queue, offset);
    }
    Ok(offsets)
}

fn table(offsets: &BTreeMap<MessageQueue, i64>) -> Report {
    let mut table = Table::new(&[("brokerName", "Broker"), ("queueId", "Queue"), ("offset", "Offset")]);
    for (queue, offset) in offsets {
        table.push(vec![json!(queue.broker_name), json!(queue.queue_id), json!(offset)]);
    }
    Report::Table(table)
}

/// Flags of `skipAccumulatedMessage`.
#[derive(Debug, clap::Args)]
pub(crate) struct SkipAccumulatedMessage {
    /// The consumer group
    #[arg(short = 'g', long = "group", value_name = "GROUP")]
    group: String,
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'f', long = "force", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "true", hide = true)]
    force: JavaBool,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'c', long = "cluster", hide = true)]
    cluster: Option<String>,
}

impl Verb for SkipAccumulatedMessage {
    const NAME: &'static str = "skipAccumulatedMessage";
    const ABOUT: &'static str = "Move a consumer group to the end: what waits is never consumed";
    const EXAMPLES: &'static [&'static str] = &["-g my_consumers -t TopicTest"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        Ok(table(&reset(admin, &self.topic, &self.group, ResetTo::End, self.force.0).await?))
    }
}

/// Flags of `cloneGroupOffset`.
#[derive(Debug, clap::Args)]
pub(crate) struct CloneGroupOffset {
    /// The group to copy from
    #[arg(short = 's', long = "srcGroup", value_name = "GROUP")]
    source: String,
    /// The group to copy to; it must exist
    #[arg(short = 'd', long = "destGroup", value_name = "GROUP")]
    destination: String,
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'o', long = "offline", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false", hide = true)]
    offline: JavaBool,
}

impl Verb for CloneGroupOffset {
    const NAME: &'static str = "cloneGroupOffset";
    const ABOUT: &'static str = "Let one consumer group go on where another is";
    const EXAMPLES: &'static [&'static str] = &["-s my_consumers -d my_new_consumers -t TopicTest"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let mut offsets = BTreeMap::new();
        for (_, addr) in admin.leaders_of_topic(&self.topic).await? {
            // Brokers tell 0 for a group that has no offset, and for one that does not exist; nobody wants those.
            if !admin.topics_of_group_at(&addr, &self.source).await?.contains(&self.topic) {
                continue;
            }
            let stats = admin.consume_stats_at(&addr, &self.source, Some(&self.topic)).await?;
            for (queue, places) in stats.offset_table {
                let queue = MessageQueue::from(queue);
                admin.store_offset(&self.destination, &queue, places.consumer_offset).await?;
                offsets.insert(queue, places.consumer_offset);
            }
        }
        if offsets.is_empty() {
            bail!("consumer group {} has no offset of topic {}", self.source, self.topic);
        }
        Ok(table(&offsets))
    }
}
