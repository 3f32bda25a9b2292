//! `exportMetadata`, `exportConfigs`, `exportMetrics`: a cluster's state as JSON files, with RocketMQ's names and keys.

mod configs;
mod metadata;
mod metrics;

use std::path::Path;

use client::protocol::command::admin::{SubscriptionGroupWrapper, TopicConfigWrapper};
use client::protocol::names;
use client::{Admin, ClientError};
use serde_json::{Value, json};

pub(super) use configs::ExportConfigs;
pub(super) use metadata::ExportMetadata;
pub(super) use metrics::ExportMetrics;

use crate::context::Context;
use crate::file;
use crate::report::Report;

/// Where files go. RocketMQ's tools have the same.
const DIR_DEFAULT: &str = "/tmp/rocketmq/export";

/// Permissions that a topic can have. Source: RocketMQ `PermName.isValid`.
const PERMS: std::ops::Range<i32> = 0..8;

/// Writes the file and tells where it is.
fn write(context: &Context, dir: &Path, name: &str, content: &Value) -> anyhow::Result<Report> {
    let path = dir.join(name);
    let text = serde_json::to_string_pretty(content).expect("a JSON value has text keys");
    file::write(context.disk(), &path, &text)?;
    Ok(Report::facts(json!({"exported": path.display().to_string()})))
}

/// The topics of a node that are not the system's own; with `special` also those of retries and dead letters.
async fn user_topics(admin: &Admin, addr: &str, special: bool) -> Result<TopicConfigWrapper, ClientError> {
    let mut topics = admin.topic_configs_at(addr).await?;
    let of_system = admin.system_topics_at(addr).await?;
    topics.topic_config_table.retain(|name, config| {
        let is_special = name.starts_with(names::RETRY_PREFIX) || name.starts_with(names::DLQ_PREFIX);
        !of_system.contains(name)
            && !names::is_system_topic(name)
            && (special || !is_special)
            && PERMS.contains(&config.perm)
    });
    Ok(topics)
}

/// The consumer groups of a node that are not the system's own.
async fn user_groups(admin: &Admin, addr: &str) -> Result<SubscriptionGroupWrapper, ClientError> {
    let mut groups = admin.group_configs_at(addr).await?;
    groups.subscription_group_table.retain(|name, _| !is_own_group(name));
    Ok(groups)
}

/// Source: RocketMQ `MixAll.isSysConsumerGroup`, `MixAll.isPredefinedGroup`.
fn is_own_group(name: &str) -> bool {
    const OWN: [&str; 6] = [
        "DEFAULT_CONSUMER",
        "DEFAULT_PRODUCER",
        names::CLIENT_INNER_PRODUCER_GROUP,
        "SCHEDULE_CONSUMER",
        "__MONITOR_CONSUMER",
        "SELF_TEST_P_GROUP",
    ];
    name.starts_with(names::SYSTEM_GROUP_PREFIX)
        || names::SYSTEM_GROUPS.contains(&name)
        || OWN.contains(&name)
}
