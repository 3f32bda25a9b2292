//! `consumerConnection`, `producerConnection`, `producer`: who is connected.

use client::protocol::command::admin::Connection;
use client::protocol::version;
use serde_json::json;

use crate::context::Context;
use crate::report::{Report, Table};
use crate::time;
use crate::verb::Verb;

/// Flags of `consumerConnection`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsumerConnection {
    /// The consumer group
    #[arg(short = 'g', long = "consumerGroup", value_name = "GROUP")]
    group: String,
    /// Ask this broker only
    #[arg(short = 'b', long = "brokerAddr", value_name = "ADDR")]
    broker: Option<String>,
}

impl Verb for ConsumerConnection {
    const NAME: &'static str = "consumerConnection";
    const ABOUT: &'static str = "The members of a consumer group and what they subscribe";
    const EXAMPLES: &'static [&'static str] = &["-g my_consumers", "-g my_consumers -b 127.0.0.1:30911"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let connection = match &self.broker {
            Some(addr) => admin.consumer_connection_at(addr, &self.group).await?,
            None => admin.consumer_connection(&self.group).await?,
        };
        let mut subscriptions = Table::new(&[("topic", "Topic"), ("subExpression", "Expression")]);
        for (topic, data) in &connection.subscription_table {
            subscriptions.push(vec![json!(topic), json!(data.expression())]);
        }
        let kind = json!({
            "consumeType": connection.consume_type.name(),
            "messageModel": connection.message_model.name(),
            "consumeFromWhere": connection.consume_from_where.name(),
        });
        Ok(Report::Parts(vec![
            ("connections", members(&connection.connection_set)),
            ("subscriptions", Report::Table(subscriptions)),
            ("group", Report::facts(kind)),
        ]))
    }
}

/// Flags of `producerConnection`.
#[derive(Debug, clap::Args)]
pub(crate) struct ProducerConnection {
    /// The producer group
    #[arg(short = 'g', long = "producerGroup", value_name = "GROUP")]
    group: String,
    /// A topic that it sends to
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
}

impl Verb for ProducerConnection {
    const NAME: &'static str = "producerConnection";
    const ABOUT: &'static str = "The members of a producer group";
    const EXAMPLES: &'static [&'static str] = &["-g my_producers -t TopicTest"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let connection = context.admin().await?.producer_connection(&self.group, &self.topic).await?;
        Ok(members(&connection.connection_set))
    }
}

/// Flags of `producer`.
#[derive(Debug, clap::Args)]
pub(crate) struct Producers {
    /// The broker, host:port
    #[arg(short = 'b', long = "broker", value_name = "ADDR")]
    broker: String,
}

impl Verb for Producers {
    const NAME: &'static str = "producer";
    const ABOUT: &'static str = "All producers that a broker knows";
    const EXAMPLES: &'static [&'static str] = &["-b 127.0.0.1:30911"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let table = context.admin().await?.producers_at(&self.broker).await?;
        let mut rows = Table::new(&[
            ("producerGroup", "Group"),
            ("clientId", "Client"),
            ("remoteIP", "Address"),
            ("language", "Language"),
            ("version", "Version"),
            ("lastUpdated", "Last heard"),
        ]);
        for (group, producers) in &table.data {
            for one in producers {
                rows.push(vec![
                    json!(group),
                    json!(one.client_id),
                    json!(one.remote_ip.trim_start_matches('/')),
                    json!(one.language),
                    json!(release(one.version)),
                    json!(time::text_or_nothing(one.last_update_timestamp)),
                ]);
            }
        }
        Ok(Report::Table(rows))
    }
}

fn members(connections: &[Connection]) -> Report {
    let mut table = Table::new(&[
        ("clientId", "Client"),
        ("clientAddr", "Address"),
        ("language", "Language"),
        ("version", "Version"),
    ]);
    for one in connections {
        table.push(vec![
            json!(one.client_id),
            json!(one.client_addr),
            json!(one.language),
            json!(release(one.version)),
        ]);
    }
    Report::Table(table)
}

fn release(number: i32) -> String {
    version::name(number).map_or_else(|| number.to_string(), str::to_owned)
}
