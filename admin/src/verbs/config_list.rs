//! `updateTopicList` and `updateSubGroupList`: many topics or groups from a file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use client::protocol::ResponseCode;
use client::protocol::command::admin::SubscriptionGroupConfig;
use client::protocol::json::{self, FromJson};
use client::protocol::route::TopicConfig;
use serde_json::Value;

use crate::context::{Context, Target};
use crate::file;
use crate::report::Report;
use crate::verb::Verb;

/// Flags of `updateTopicList`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateTopicList {
    #[command(flatten)]
    target: Target,
    /// A file with a JSON array of topics, or what exportMetadata wrote
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    file: PathBuf,
}

impl Verb for UpdateTopicList {
    const NAME: &'static str = "updateTopicList";
    const ABOUT: &'static str = "Create or change the topics that a file lists";
    const EXAMPLES: &'static [&'static str] =
        &["-c RaftCluster -f topics.json", "-b 127.0.0.1:30911 -f /tmp/rocketmq/export/topic.json"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let topics: Vec<TopicConfig> = read(context, &self.file, "topicConfigTable")?;
        let admin = context.admin().await?;
        let addrs = context.leaders(&self.target).await?;
        for addr in &addrs {
            match admin.create_topics_at(addr, &topics).await {
                // A broker before 5.3.2 gets them one by one.
                Err(error) if error.code() == Some(ResponseCode::REQUEST_CODE_NOT_SUPPORTED) => {
                    for topic in &topics {
                        admin.create_topic_at(addr, topic).await?;
                    }
                }
                done => done?,
            }
        }
        Ok(Report::Done(format!("{} topics are set at {}", topics.len(), addrs.join(", "))))
    }
}

/// Flags of `updateSubGroupList`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateSubGroupList {
    #[command(flatten)]
    target: Target,
    /// A file with a JSON array of consumer groups, or what exportMetadata wrote
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    file: PathBuf,
}

impl Verb for UpdateSubGroupList {
    const NAME: &'static str = "updateSubGroupList";
    const ABOUT: &'static str = "Create or change the consumer groups that a file lists";
    const EXAMPLES: &'static [&'static str] = &[
        "-c RaftCluster -f groups.json",
        "-b 127.0.0.1:30911 -f /tmp/rocketmq/export/subscriptionGroup.json",
    ];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let groups: Vec<SubscriptionGroupConfig> = read(context, &self.file, "subscriptionGroupTable")?;
        let admin = context.admin().await?;
        let addrs = context.leaders(&self.target).await?;
        for addr in &addrs {
            match admin.create_groups_at(addr, &groups).await {
                Err(error) if error.code() == Some(ResponseCode::REQUEST_CODE_NOT_SUPPORTED) => {
                    for group in &groups {
                        admin.create_group_at(addr, group).await?;
                    }
                }
                done => done?,
            }
        }
        Ok(Report::Done(format!("{} groups are set at {}", groups.len(), addrs.join(", "))))
    }
}

/// Reads the list of a file: an array, or the values of the member `table`.
fn read<T: FromJson>(context: &Context, path: &Path, table: &str) -> anyhow::Result<Vec<T>> {
    let text = file::read(context.disk(), path)?;
    parse(&text, table).with_context(|| format!("in {}", path.display()))
}

fn parse<T: FromJson>(text: &[u8], table: &str) -> anyhow::Result<Vec<T>> {
    let items = match json::parse(text)? {
        Value::Array(items) => items,
        Value::Object(mut members) => match members.remove(table) {
            Some(Value::Object(table)) => table.into_iter().map(|(_, item)| item).collect(),
            _ => bail!("neither a JSON array nor an object with {table}"),
        },
        _ => bail!("neither a JSON array nor an object with {table}"),
    };
    if items.is_empty() {
        bail!("the list is empty");
    }
    Ok(items.iter().map(T::from_json).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_exports_are_read() {
        let list = br#"[{"topicName":"A","readQueueNums":2,"unknown":1},{topicName:"B"}]"#;
        let topics: Vec<TopicConfig> = parse(list, "topicConfigTable").unwrap();
        assert_eq!((topics[0].topic_name.as_str(), topics[0].read_queue_nums), ("A", 2));
        assert_eq!(topics[1].topic_name, "B");
        let export = br#"{"topicConfigTable":{"A":{"topicName":"A","perm":4}},"exportTime":1}"#;
        let topics: Vec<TopicConfig> = parse(export, "topicConfigTable").unwrap();
        assert_eq!((topics.len(), topics[0].perm), (1, client::protocol::perm::READ));
        for wrong in ["[]", "7", "{}", "nonsense"] {
            assert!(parse::<TopicConfig>(wrong.as_bytes(), "topicConfigTable").is_err(), "{wrong}");
        }
    }
}
