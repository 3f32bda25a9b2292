//! `consumerProgress`: how far groups have come.

use client::protocol::command::admin::ConsumeStats;
use client::protocol::command::heartbeat::{ConsumeType, MessageModel};
use client::protocol::{names, version};
use client::{Admin, ClientError};
use serde_json::{Value, json};

use crate::context::Context;
use crate::report::{Report, Table};
use crate::time;
use crate::verb::{JavaBool, Verb};

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsumerProgress {
    /// One consumer group, queue by queue
    #[arg(short = 'g', long = "groupName", value_name = "GROUP")]
    group: Option<String>,
    /// One topic only
    #[arg(short = 't', long = "topicName", value_name = "TOPIC")]
    topic: Option<String>,
    /// Also which client has which queue
    #[arg(short = 's', long = "showClientIP", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    show_client: JavaBool,
    /// Accepted for RocketMQ's sake
    #[arg(short = 'c', long = "cluster", value_name = "CLUSTER", hide = true)]
    cluster: Option<String>,
}

impl Verb for ConsumerProgress {
    const NAME: &'static str = "consumerProgress";
    const ABOUT: &'static str = "How far consumer groups have come, and what waits for them";
    const EXAMPLES: &'static [&'static str] =
        &["", "-g my_consumers", "-g my_consumers -t TopicTest -s true"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        match &self.group {
            Some(group) => one(admin, group, self.topic.as_deref(), self.show_client.0).await,
            None => all(admin).await,
        }
    }
}

async fn one(admin: &Admin, group: &str, topic: Option<&str>, show_client: bool) -> anyhow::Result<Report> {
    let stats = admin.consume_stats(group, topic).await?;
    if topic.is_some() && stats.offset_table.values().all(|offsets| offsets.consumer_offset == 0) {
        // Brokers answer for a group that does not exist as for one that has consumed nothing.
        known(admin, group).await?;
    }
    if stats.offset_table.is_empty() {
        // An empty answer has two reasons that an operator wants to know.
        let connection = admin.consumer_connection(group).await?;
        if connection.message_model == MessageModel::Broadcasting {
            anyhow::bail!("group {group} is broadcasting: each member keeps its own offsets");
        }
    }
    let owners = if show_client { owners(admin, group).await? } else { Vec::new() };
    let mut table = Table::new(&[
        ("topic", "Topic"),
        ("brokerName", "Broker"),
        ("queueId", "Queue"),
        ("brokerOffset", "Broker offset"),
        ("consumerOffset", "Consumer offset"),
        ("clientId", "Client"),
        ("diff", "Waiting"),
        ("inflight", "In flight"),
        ("lastTime", "Last consumed"),
    ]);
    for (queue, offsets) in &stats.offset_table {
        let owner = owners.iter().find(|(owned, _)| owned == queue).map(|(_, client)| client);
        table.push(vec![
            json!(queue.topic),
            json!(queue.broker_name),
            json!(queue.queue_id),
            json!(offsets.broker_offset),
            json!(offsets.consumer_offset),
            json!(owner),
            json!(offsets.broker_offset - offsets.consumer_offset),
            json!(offsets.pull_offset - offsets.consumer_offset),
            json!(time::text_or_nothing(offsets.last_timestamp)),
        ]);
    }
    let total = json!({
        "consumeTps": (stats.consume_tps * 100.0).round() / 100.0,
        "diffTotal": waiting(&stats),
        "inflightTotal": stats.offset_table.values().map(|offsets| offsets.pull_offset - offsets.consumer_offset).sum::<i64>(),
    });
    Ok(Report::Parts(vec![("queues", Report::Table(table)), ("total", Report::facts(total))]))
}

/// Fails if no broker group knows the consumer group.
async fn known(admin: &Admin, group: &str) -> anyhow::Result<()> {
    for data in admin.cluster_info().await?.broker_addr_table.values() {
        let Some(addr) = data.leader_addr() else { continue };
        if admin.group_configs_at(addr).await?.subscription_group_table.contains_key(group) {
            return Ok(());
        }
    }
    anyhow::bail!("no broker group knows consumer group {group}")
}

fn waiting(stats: &ConsumeStats) -> i64 {
    stats.offset_table.values().map(|offsets| offsets.broker_offset - offsets.consumer_offset).sum()
}

/// Which client has which queue, as the clients say themselves.
async fn owners(
    admin: &Admin,
    group: &str,
) -> anyhow::Result<Vec<(client::protocol::route::MessageQueue, String)>> {
    let mut owners = Vec::new();
    for connection in admin.consumer_connection(group).await?.connection_set {
        // A client that does not answer owns nothing that we could tell.
        let Ok(info) = admin.consumer_running_info(group, &connection.client_id, false).await else {
            continue;
        };
        let Ok(info) = client::protocol::json::parse(&info) else { continue };
        let queues = info.get("mqTable").and_then(Value::as_object).into_iter().flatten();
        owners.extend(queues.filter_map(|(queue, _)| {
            let queue = client::protocol::json::from_slice(queue.as_bytes()).ok()?;
            Some((queue, connection.client_id.clone()))
        }));
    }
    Ok(owners)
}

async fn all(admin: &Admin) -> anyhow::Result<Report> {
    let mut table = Table::new(&[
        ("group", "Group"),
        ("count", "Members"),
        ("version", "Version"),
        ("type", "Type"),
        ("model", "Model"),
        ("tps", "Consumed/s"),
        ("diffTotal", "Waiting"),
    ]);
    let mut topics = admin.topics().await?;
    topics.sort();
    for group in topics.iter().filter_map(|topic| names::group_of_retry_topic(topic)) {
        let stats = match admin.consume_stats(group, None).await {
            Ok(stats) => stats,
            Err(ClientError::Refused { .. }) => ConsumeStats::default(), // no offsets yet
            Err(error) => return Err(error.into()),
        };
        let (count, release, kind, model) = match admin.consumer_connection(group).await {
            Ok(connection) => {
                let release =
                    connection.connection_set.iter().map(|one| one.version).min().and_then(version::name);
                let kind = match connection.consume_type {
                    ConsumeType::ConsumeActively => "PULL",
                    ConsumeType::ConsumePassively => "PUSH",
                    ConsumeType::ConsumePop => "POP",
                };
                (
                    connection.connection_set.len(),
                    json!(release),
                    json!(kind),
                    json!(connection.message_model.name()),
                )
            }
            Err(ClientError::Refused { .. }) => (0, json!("OFFLINE"), Value::Null, Value::Null),
            Err(error) => return Err(error.into()),
        };
        let tps = (stats.consume_tps * 100.0).round() / 100.0;
        table.push(vec![
            json!(group),
            json!(count),
            release,
            kind,
            model,
            json!(tps),
            json!(waiting(&stats)),
        ]);
    }
    Ok(Report::Table(table))
}
