//! `topicRoute`: where a topic is.

use client::protocol::perm;
use serde_json::json;

use crate::context::Context;
use crate::report::{Report, Table};
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct TopicRoute {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// Accepted for RocketMQ's sake: this is always a list
    #[arg(short = 'l', long = "list", hide = true)]
    list: bool,
}

impl Verb for TopicRoute {
    const NAME: &'static str = "topicRoute";
    const ABOUT: &'static str = "Where the queues of a topic are, and who leads there";
    const EXAMPLES: &'static [&'static str] = &["-t TopicTest", "-t TopicTest --json"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let route = context.admin().await?.topic_route(&self.topic).await?;
        let mut queues = Table::new(&[
            ("brokerName", "Broker"),
            ("cluster", "Cluster"),
            ("readQueueNums", "Read queues"),
            ("writeQueueNums", "Write queues"),
            ("perm", "Permission"),
            ("topicSysFlag", "Flag"),
            ("leader", "Leader"),
            ("others", "Other nodes"),
        ]);
        for data in &route.queue_datas {
            let group = route.broker_datas.iter().find(|group| group.broker_name == data.broker_name);
            let others: Vec<String> = group
                .into_iter()
                .flat_map(|group| &group.broker_addrs)
                .filter(|(id, _)| **id != 0)
                .map(|(id, addr)| format!("{id}: {addr}"))
                .collect();
            queues.push(vec![
                json!(data.broker_name),
                json!(group.map(|group| &group.cluster)),
                json!(data.read_queue_nums),
                json!(data.write_queue_nums),
                json!(perm::text(data.perm)),
                json!(data.topic_sys_flag),
                json!(group.and_then(|group| group.leader_addr())),
                json!(others.join(", ")),
            ]);
        }
        Ok(Report::Table(queues))
    }
}
