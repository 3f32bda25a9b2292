//! `exportMetadata`: topics and consumer groups.

use std::collections::BTreeMap;
use std::path::PathBuf;

use client::protocol::command::admin::SubscriptionGroupConfig;
use client::protocol::route::TopicConfig;
use serde_json::json;

use super::{DIR_DEFAULT, user_groups, user_topics, write};
use crate::context::{Context, EitherTarget, Target};
use crate::report::Report;
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportMetadata {
    #[command(flatten)]
    target: EitherTarget,
    /// The directory to write to; made if missing
    #[arg(short = 'f', long = "filePath", value_name = "DIR", default_value = DIR_DEFAULT)]
    dir: PathBuf,
    /// Only topics, to topic.json
    #[arg(short = 't', long = "topic")]
    topics: bool,
    /// Only consumer groups, to subscriptionGroup.json
    #[arg(short = 'g', long = "subscriptionGroup")]
    groups: bool,
    /// Also the topics of retries and dead letters
    #[arg(short = 's', long = "specialTopic")]
    special: bool,
}

impl Verb for ExportMetadata {
    const NAME: &'static str = "exportMetadata";
    const ABOUT: &'static str = "Write topics and consumer groups to a JSON file";
    const EXAMPLES: &'static [&'static str] =
        &["-c RaftCluster", "-c RaftCluster -t -f /tmp/export", "-b 127.0.0.1:30911 -g"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let target = Target::from(self.target.clone());
        match &target.broker {
            Some(addr) => self.of_broker(context, addr).await,
            None => self.of_cluster(context, &target).await,
        }
    }
}

impl ExportMetadata {
    /// As the broker tells it, with its data version.
    async fn of_broker(&self, context: &Context, addr: &str) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        if self.topics {
            let topics = user_topics(admin, addr, self.special).await?;
            let content = json!({
                "dataVersion": topics.data_version,
                "topicConfigTable": topics.topic_config_table,
            });
            return write(context, &self.dir, "topic.json", &content);
        }
        let groups = user_groups(admin, addr).await?;
        if self.groups {
            return write(context, &self.dir, "subscriptionGroup.json", &serde_json::to_value(groups)?);
        }
        let content = json!({
            "topicConfigTable": user_topics(admin, addr, self.special).await?.topic_config_table,
            "subscriptionGroupTable": groups.subscription_group_table,
            "exportTime": context.now_ms(),
        });
        write(context, &self.dir, "metadata.json", &content)
    }

    /// Of all broker groups together: queues add up.
    async fn of_cluster(&self, context: &Context, target: &Target) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let mut topics: BTreeMap<String, TopicConfig> = BTreeMap::new();
        let mut groups: BTreeMap<String, SubscriptionGroupConfig> = BTreeMap::new();
        for addr in context.leaders(target).await? {
            for (name, mut topic) in user_topics(admin, &addr, self.special).await?.topic_config_table {
                if let Some(known) = topics.get(&name) {
                    topic.read_queue_nums += known.read_queue_nums;
                    topic.write_queue_nums += known.write_queue_nums;
                }
                topics.insert(name, topic);
            }
            for (name, mut group) in user_groups(admin, &addr).await?.subscription_group_table {
                if let Some(known) = groups.get(&name) {
                    group.retry_queue_nums += known.retry_queue_nums;
                }
                groups.insert(name, group);
            }
        }
        let mut content = json!({"exportTime": context.now_ms()});
        if self.topics || !self.groups {
            content["topicConfigTable"] = serde_json::to_value(topics)?;
        }
        if !self.topics {
            content["subscriptionGroupTable"] = serde_json::to_value(groups)?;
        }
        write(context, &self.dir, self.file_name(), &content)
    }

    fn file_name(&self) -> &'static str {
        match (self.topics, self.groups) {
            (true, _) => "topic.json",
            (false, true) => "subscriptionGroup.json",
            (false, false) => "metadata.json",
        }
    }
}
