//! `topicList` and `topicClusterList`: which topics there are, and where.

use std::collections::BTreeSet;

use client::ClientError;
use client::protocol::names;
use serde_json::json;

use crate::context::Context;
use crate::report::{Report, Table};
use crate::verb::Verb;

/// Flags of `topicList`.
#[derive(Debug, clap::Args)]
pub(crate) struct TopicList {
    /// With clusters and consumer groups
    #[arg(short = 'c', long = "clusterModel")]
    cluster_model: bool,
}

impl Verb for TopicList {
    const NAME: &'static str = "topicList";
    const ABOUT: &'static str = "List all topics";
    const EXAMPLES: &'static [&'static str] = &["", "-c"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let mut topics = admin.topics().await?;
        topics.sort();
        if !self.cluster_model {
            let mut table = Table::new(&[("topic", "Topic")]);
            for topic in topics {
                table.push(vec![json!(topic)]);
            }
            return Ok(Report::Table(table));
        }
        let mut table =
            Table::new(&[("cluster", "Cluster"), ("topic", "Topic"), ("consumerGroup", "Consumer group")]);
        // Those of retries and dead letters belong to their groups, which are listed anyway.
        topics
            .retain(|topic| !topic.starts_with(names::RETRY_PREFIX) && !topic.starts_with(names::DLQ_PREFIX));
        for topic in topics {
            let clusters = clusters_of(context, &topic).await?;
            // A topic whose leader cannot be asked is still a topic.
            let groups = admin.groups_of_topic(&topic).await.unwrap_or_default();
            for cluster in clusters {
                if groups.is_empty() {
                    table.push(vec![json!(cluster), json!(topic), json!(null)]);
                }
                for group in &groups {
                    table.push(vec![json!(cluster), json!(topic), json!(group)]);
                }
            }
        }
        Ok(Report::Table(table))
    }
}

/// Flags of `topicClusterList`.
#[derive(Debug, clap::Args)]
pub(crate) struct TopicClusterList {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
}

impl Verb for TopicClusterList {
    const NAME: &'static str = "topicClusterList";
    const ABOUT: &'static str = "List the clusters that have a topic";
    const EXAMPLES: &'static [&'static str] = &["-t TopicTest"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        context.admin().await?.topic_route(&self.topic).await?;
        let mut table = Table::new(&[("cluster", "Cluster")]);
        for cluster in clusters_of(context, &self.topic).await? {
            table.push(vec![json!(cluster)]);
        }
        Ok(Report::Table(table))
    }
}

async fn clusters_of(context: &Context, topic: &str) -> anyhow::Result<BTreeSet<String>> {
    match context.admin().await?.topic_route(topic).await {
        Ok(route) => Ok(route.broker_datas.into_iter().map(|group| group.cluster).collect()),
        Err(ClientError::NoRoute { .. }) => Ok(BTreeSet::new()), // removed in the meantime
        Err(error) => Err(error.into()),
    }
}
