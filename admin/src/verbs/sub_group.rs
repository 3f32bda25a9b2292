//! `updateSubGroup`, `deleteSubGroup` and `getConsumerConfig`: consumer groups made, changed, removed, shown.

use anyhow::{Context as _, bail};
use client::protocol::command::admin::SubscriptionGroupConfig;
use client::protocol::names;
use serde_json::{Value, json};

use super::update_topic::attributes;
use crate::context::{Context, EitherTarget, Target};
use crate::report::Report;
use crate::verb::{JavaBool, Verb};

/// Flags of `updateSubGroup`. Defaults are those of RocketMQ's tool.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateSubGroup {
    #[command(flatten)]
    target: EitherTarget,
    /// The consumer group
    #[arg(short = 'g', long = "groupName", value_name = "GROUP")]
    group: String,
    /// Whether it may consume at all
    #[arg(short = 's', long = "consumeEnable", value_name = "true|false", default_value = "true")]
    consume: JavaBool,
    /// Kept for RocketMQ's sake
    #[arg(short = 'm', long = "consumeFromMinEnable", value_name = "true|false", default_value = "false")]
    from_min: JavaBool,
    /// Whether it may consume by broadcasting
    #[arg(short = 'd', long = "consumeBroadcastEnable", value_name = "true|false", default_value = "false")]
    broadcast: JavaBool,
    /// Whether it consumes in order
    #[arg(short = 'o', long = "consumeMessageOrderly", value_name = "true|false", default_value = "false")]
    orderly: JavaBool,
    /// Queues of its retry topic
    #[arg(short = 'q', long = "retryQueueNums", value_name = "N", default_value_t = 1)]
    retry_queues: i32,
    /// How often a message comes again before it goes to the dead letters
    #[arg(short = 'r', long = "retryMaxTimes", value_name = "N", default_value_t = 16)]
    retries_max: i32,
    /// JSON of a retry policy, for gRPC clients
    #[arg(short = 'p', long = "groupRetryPolicy", value_name = "JSON")]
    retry_policy: Option<String>,
    /// Broker id that consumers should read from
    #[arg(short = 'i', long = "brokerId", value_name = "ID", default_value_t = 0)]
    broker_id: i64,
    /// Broker id that consumers should read from when they are far behind
    #[arg(short = 'w', long = "whichBrokerWhenConsumeSlowly", value_name = "ID", default_value_t = 1)]
    slow_broker_id: i64,
    /// Whether its members are told at once when one comes or goes
    #[arg(short = 'a', long = "notifyConsumerIdsChanged", value_name = "true|false", default_value = "true")]
    notify: JavaBool,
    /// +key=value to set, -key to remove, separated by commas
    #[arg(long = "attributes", value_name = "ATTRIBUTES", allow_hyphen_values = true)]
    attributes: Option<String>,
}

impl Verb for UpdateSubGroup {
    const NAME: &'static str = "updateSubGroup";
    const ABOUT: &'static str = "Create a consumer group, or change it";
    const EXAMPLES: &'static [&'static str] = &[
        "-c RaftCluster -g my_consumers",
        "-c RaftCluster -g my_consumers -r 5",
        "-b 127.0.0.1:30911 -g my_consumers -s false",
    ];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let policy = self.retry_policy.as_deref().map(serde_json::from_str).transpose();
        let policy = policy.context("-p is not JSON")?;
        let defaults = SubscriptionGroupConfig::default();
        let config = SubscriptionGroupConfig {
            group_name: self.group.clone(),
            consume_enable: self.consume.0,
            consume_from_min_enable: self.from_min.0,
            consume_broadcast_enable: self.broadcast.0,
            consume_message_orderly: self.orderly.0,
            retry_queue_nums: self.retry_queues,
            retry_max_times: self.retries_max,
            group_retry_policy: policy.unwrap_or_else(|| defaults.group_retry_policy.clone()),
            broker_id: self.broker_id,
            which_broker_when_consume_slowly: self.slow_broker_id,
            notify_consumer_ids_changed_enable: self.notify.0,
            attributes: attributes(self.attributes.as_deref().unwrap_or_default())?,
            ..defaults
        };
        let admin = context.admin().await?;
        let addrs = context.leaders(&self.target.into()).await?;
        for addr in &addrs {
            admin.create_group_at(addr, &config).await?;
        }
        Ok(Report::Done(format!("group {} is set at {}", self.group, addrs.join(", "))))
    }
}

/// Flags of `deleteSubGroup`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteSubGroup {
    #[command(flatten)]
    target: EitherTarget,
    /// The consumer group
    #[arg(short = 'g', long = "groupName", value_name = "GROUP")]
    group: String,
    /// Also its offsets: should it come again, it begins anew
    #[arg(short = 'r', long = "removeOffset", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    remove_offset: JavaBool,
}

impl Verb for DeleteSubGroup {
    const NAME: &'static str = "deleteSubGroup";
    const ABOUT: &'static str = "Remove a consumer group, with -c also its retry and dead letter topics";
    const EXAMPLES: &'static [&'static str] =
        &["-c RaftCluster -g my_consumers", "-c RaftCluster -g my_consumers -r true"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let target = Target::from(self.target);
        let addrs = context.leaders(&target).await?;
        for addr in &addrs {
            admin.delete_group_at(addr, &self.group, self.remove_offset.0).await?;
        }
        if let Some(cluster) = &target.cluster {
            for topic in [names::retry_topic(&self.group), names::dlq_topic(&self.group)] {
                admin.delete_topic(cluster, &topic).await?;
            }
        }
        Ok(Report::Done(format!("group {} is removed from {}", self.group, addrs.join(", "))))
    }
}

/// Flags of `getConsumerConfig`.
#[derive(Debug, clap::Args)]
pub(crate) struct GetConsumerConfig {
    /// The consumer group
    #[arg(short = 'g', long = "groupName", value_name = "GROUP")]
    group: String,
}

impl Verb for GetConsumerConfig {
    const NAME: &'static str = "getConsumerConfig";
    const ABOUT: &'static str = "Show the settings of a consumer group at every broker group";
    const EXAMPLES: &'static [&'static str] = &["-g my_consumers"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let info = admin.cluster_info().await?;
        let mut found = Vec::new();
        for data in info.broker_addr_table.values() {
            let Some(addr) = data.leader_addr() else { continue };
            let mut configs = admin.group_configs_at(addr).await?.subscription_group_table;
            if let Some(config) = configs.remove(&self.group) {
                let mut config = serde_json::to_value(config)?;
                config["cluster"] = json!(data.cluster);
                config["brokerName"] = json!(data.broker_name);
                found.push(config);
            }
        }
        if found.is_empty() {
            bail!("no broker group knows consumer group {}", self.group);
        }
        let facts: Vec<_> = found.iter().map(|config| Report::facts(config.clone()).to_text()).collect();
        Ok(Report::Shown(Box::new(Report::Done(facts.join("\n\n"))), Value::Array(found)))
    }
}
