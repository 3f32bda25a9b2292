//! `topicStatus`: the ends of a topic's queues.

use client::protocol::ResponseCode;
use serde_json::json;

use crate::context::Context;
use crate::report::{Report, Table};
use crate::time;
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct TopicStatus {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// One cluster only
    #[arg(short = 'c', long = "cluster", value_name = "CLUSTER")]
    cluster: Option<String>,
}

impl Verb for TopicStatus {
    const NAME: &'static str = "topicStatus";
    const ABOUT: &'static str = "First and last message of each queue of a topic";
    const EXAMPLES: &'static [&'static str] = &["-t TopicTest", "-t TopicTest -c RaftCluster"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let stats = match &self.cluster {
            None => admin.topic_stats(&self.topic).await?,
            Some(cluster) => {
                admin.topic_route(&self.topic).await?; // that it is there at all
                let mut all = client::protocol::command::admin::TopicStatsTable::default();
                for (_, addr) in admin.leaders_of_cluster(cluster).await? {
                    let stats = match admin.topic_stats_at(&addr, &self.topic).await {
                        Ok(stats) => stats,
                        // Not every broker group of a cluster has every topic.
                        Err(error) if error.code() == Some(ResponseCode::TOPIC_NOT_EXIST) => continue,
                        Err(error) => return Err(error.into()),
                    };
                    all.offset_table.extend(stats.offset_table);
                    all.topic_put_tps += stats.topic_put_tps;
                }
                all
            }
        };
        let mut table = Table::new(&[
            ("brokerName", "Broker"),
            ("queueId", "Queue"),
            ("minOffset", "Min offset"),
            ("maxOffset", "Max offset"),
            ("lastUpdated", "Last message"),
        ]);
        for (queue, ends) in &stats.offset_table {
            table.push(vec![
                json!(queue.broker_name),
                json!(queue.queue_id),
                json!(ends.min_offset),
                json!(ends.max_offset),
                json!(time::text_or_nothing(ends.last_update_timestamp)),
            ]);
        }
        let messages: i64 = stats.offset_table.values().map(|ends| ends.max_offset - ends.min_offset).sum();
        let total = json!({"messages": messages, "topicPutTps": stats.topic_put_tps});
        Ok(Report::Parts(vec![("queues", Report::Table(table)), ("total", Report::facts(total))]))
    }
}
