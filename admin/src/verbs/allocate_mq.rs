//! `allocateMQ`: who would have which queue.

use client::Strategy;
use serde_json::json;

use crate::context::Context;
use crate::report::{Report, Table};
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct AllocateMq {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// Client ids, separated by commas
    #[arg(short = 'i', long = "ipList", value_name = "IDS", value_delimiter = ',', required = true)]
    clients: Vec<String>,
}

impl Verb for AllocateMq {
    const NAME: &'static str = "allocateMQ";
    const ABOUT: &'static str = "Show how consumers would divide the queues of a topic";
    const EXAMPLES: &'static [&'static str] = &["-t TopicTest -i 10.0.0.1,10.0.0.2"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let route = client::TopicRoute::new(&context.admin().await?.topic_route(&self.topic).await?);
        let queues = route.read_queues(&self.topic);
        let mut clients = self.clients;
        clients.sort();
        clients.dedup();
        let mut table = Table::new(&[("clientId", "Client"), ("brokerName", "Broker"), ("queueId", "Queue")]);
        for client in &clients {
            for queue in Strategy::Average.allocate(client, &queues, &clients) {
                table.push(vec![json!(client), json!(queue.broker_name), json!(queue.queue_id)]);
            }
        }
        Ok(Report::Table(table))
    }
}
