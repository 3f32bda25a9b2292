//! `statsAll`: what goes through every topic.

use client::protocol::command::admin::BrokerStatsData;
use client::protocol::names;
use client::{Admin, ClientError};
use serde_json::{Value, json};

use crate::context::Context;
use crate::report::{Report, Table};
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct StatsAll {
    /// Only topics that something goes through
    #[arg(short = 'a', long = "activeTopic")]
    active: bool,
    /// One topic only
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: Option<String>,
}

impl Verb for StatsAll {
    const NAME: &'static str = "statsAll";
    const ABOUT: &'static str = "Messages in and out of every topic, by consumer group";
    const EXAMPLES: &'static [&'static str] = &["", "-a", "-t TopicTest"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let mut table = Table::new(&[
            ("topic", "Topic"),
            ("consumerGroup", "Consumer group"),
            ("accumulation", "Waiting"),
            ("inTps", "In/s"),
            ("outTps", "Out/s"),
            ("inMsg24Hour", "In, 24 h"),
            ("outMsg24Hour", "Out, 24 h"),
        ]);
        let mut topics = admin.topics().await?;
        topics.sort();
        topics.retain(|topic| match &self.topic {
            Some(wanted) => topic == wanted,
            None => !topic.starts_with(names::RETRY_PREFIX) && !topic.starts_with(names::DLQ_PREFIX),
        });
        for topic in topics {
            let incoming = sum(admin, &topic, "TOPIC_PUT_NUMS", &topic).await?;
            let groups = admin.groups_of_topic(&topic).await.unwrap_or_default();
            if groups.is_empty() && (!self.active || incoming.day > 0) {
                table.push(vec![
                    json!(topic),
                    Value::Null,
                    json!(0),
                    json!(incoming.tps()),
                    json!(0.0),
                    json!(incoming.day),
                    json!(0),
                ]);
            }
            for group in groups {
                let outgoing = sum(admin, &topic, "GROUP_GET_NUMS", &format!("{topic}@{group}")).await?;
                if self.active && incoming.day == 0 && outgoing.day == 0 {
                    continue;
                }
                let stats = admin.consume_stats(&group, Some(&topic)).await.unwrap_or_default();
                let waiting: i64 =
                    stats.offset_table.values().map(|one| one.broker_offset - one.consumer_offset).sum();
                table.push(vec![
                    json!(topic),
                    json!(group),
                    json!(waiting.max(0)),
                    json!(incoming.tps()),
                    json!(outgoing.tps()),
                    json!(incoming.day),
                    json!(outgoing.day),
                ]);
            }
        }
        Ok(Report::Table(table))
    }
}

/// One statistic over all broker groups.
#[derive(Default)]
struct Sum {
    tps: f64,
    day: i64,
}

impl Sum {
    fn tps(&self) -> f64 {
        (self.tps * 100.0).round() / 100.0
    }

    fn add(&mut self, data: &BrokerStatsData) {
        self.tps += data.stats_minute.tps;
        self.day += day_sum(data);
    }
}

/// What was counted in a day.
pub(super) fn day_sum(data: &BrokerStatsData) -> i64 {
    // A young broker has not filled its longer spans yet.
    let spans = [&data.stats_day, &data.stats_hour, &data.stats_minute];
    spans.iter().map(|span| span.sum).find(|sum| *sum != 0).unwrap_or(0)
}

async fn sum(admin: &Admin, topic: &str, name: &str, key: &str) -> Result<Sum, ClientError> {
    let mut sum = Sum::default();
    for (_, addr) in admin.leaders_of_topic(topic).await? {
        match admin.broker_stats_at(&addr, name, key).await {
            Ok(data) => sum.add(&data),
            Err(ClientError::Refused { .. }) => {} // never counted
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}
