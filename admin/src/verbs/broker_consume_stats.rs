//! `brokerConsumeStats`: how far all groups of a broker have come.

use std::time::Duration;

use client::Admin;
use serde_json::json;

use crate::context::Context;
use crate::report::{Report, Table};
use crate::time;
use crate::verb::{JavaBool, Verb};

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct BrokerConsumeStats {
    /// The broker, host:port
    #[arg(short = 'b', long = "brokerAddr", value_name = "ADDR")]
    broker: String,
    /// Time for the broker to answer, in milliseconds; it looks at every queue
    #[arg(short = 't', long = "timeoutMillis", value_name = "MS", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
    /// Only queues where at least this many messages wait
    #[arg(short = 'l', long = "level", value_name = "N", default_value_t = 0)]
    level: i64,
    /// Whether only ordered topics are asked for
    #[arg(short = 'o', long = "order", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    order: JavaBool,
}

impl Verb for BrokerConsumeStats {
    const NAME: &'static str = "brokerConsumeStats";
    const ABOUT: &'static str = "How far all consumer groups of a broker have come, queue by queue";
    const EXAMPLES: &'static [&'static str] = &["-b 127.0.0.1:30911", "-b 127.0.0.1:30911 -l 1000"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let mut config = context.config();
        config.call_timeout = Duration::from_millis(self.timeout_ms);
        let admin = Admin::start(&config).await?;
        let stats = admin.broker_consume_stats_at(&self.broker, self.order.0).await;
        admin.shutdown().await;
        let stats = stats?;
        let mut table = Table::new(&[
            ("topic", "Topic"),
            ("group", "Group"),
            ("brokerName", "Broker"),
            ("queueId", "Queue"),
            ("brokerOffset", "Broker offset"),
            ("consumerOffset", "Consumer offset"),
            ("diff", "Waiting"),
            ("lastTime", "Last consumed"),
        ]);
        for (group, topics) in stats.consume_stats_list.iter().flatten() {
            for (queue, offsets) in topics.iter().flat_map(|topic| &topic.offset_table) {
                let diff = offsets.broker_offset - offsets.consumer_offset;
                if diff < self.level {
                    continue;
                }
                table.push(vec![
                    json!(queue.topic),
                    json!(group),
                    json!(queue.broker_name),
                    json!(queue.queue_id),
                    json!(offsets.broker_offset),
                    json!(offsets.consumer_offset),
                    json!(diff),
                    json!(time::text_or_nothing(offsets.last_timestamp)),
                ]);
            }
        }
        let total = json!({"diffTotal": stats.total_diff});
        Ok(Report::Parts(vec![("queues", Report::Table(table)), ("total", Report::facts(total))]))
    }
}
