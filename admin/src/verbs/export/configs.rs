//! `exportConfigs`: what brokers are configured to do, and how many there are.

use std::path::PathBuf;

use client::ClientError;
use serde_json::{Map, json};

use super::super::broker_config::properties;
use super::{DIR_DEFAULT, write};
use crate::context::Context;
use crate::report::Report;
use crate::verb::Verb;

/// The properties that are exported. Source: RocketMQ `ExportConfigsCommand.needBrokerProprties`.
const NAMES: [&str; 16] = [
    "brokerClusterName",
    "brokerId",
    "brokerName",
    "brokerRole",
    "fileReservedTime",
    "filterServerNums",
    "flushDiskType",
    "maxMessageSize",
    "messageDelayLevel",
    "msgTraceTopicName",
    "slaveReadEnable",
    "traceOn",
    "traceTopicEnable",
    "useTLS",
    "autoCreateTopicEnable",
    "autoCreateSubscriptionGroup",
];

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportConfigs {
    /// The cluster
    #[arg(short = 'c', long = "clusterName", value_name = "CLUSTER")]
    cluster: String,
    /// The directory to write configs.json to; made if missing
    #[arg(short = 'f', long = "filePath", value_name = "DIR", default_value = DIR_DEFAULT)]
    dir: PathBuf,
}

impl Verb for ExportConfigs {
    const NAME: &'static str = "exportConfigs";
    const ABOUT: &'static str =
        "Write the main properties of a cluster's leaders, and its size, to a JSON file";
    const EXAMPLES: &'static [&'static str] = &["-c RaftCluster", "-c RaftCluster -f /tmp/export"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let info = admin.cluster_info().await?;
        let Some(names) = info.cluster_addr_table.get(&self.cluster) else {
            return Err(ClientError::NoCluster { cluster: self.cluster }.into());
        };
        let (mut leaders, mut others) = (0, 0);
        let mut configs = Map::new();
        for group in names.iter().filter_map(|name| info.broker_addr_table.get(name)) {
            let nodes = group.broker_addrs.len();
            let Some(addr) = group.leader_addr() else {
                others += nodes;
                continue;
            };
            leaders += 1;
            others += nodes - 1;
            let mut config = properties(&admin.broker_config_at(addr).await?);
            config.retain(|name, _| NAMES.contains(&name.as_str()));
            configs.insert(group.broker_name.clone(), config.into());
        }
        let content = json!({
            "brokerConfigs": configs,
            "clusterScale": {
                "namesrvSize": admin.namesrv_addrs().len(),
                "masterBrokerSize": leaders,
                "slaveBrokerSize": others,
            },
        });
        write(context, &self.dir, "configs.json", &content)
    }
}
