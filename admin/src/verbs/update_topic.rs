//! `updateTopic` and `updateTopicPerm`: topics made and changed.

use std::collections::BTreeMap;

use anyhow::bail;
use client::protocol::names;
use client::protocol::perm;
use client::protocol::route::TopicConfig;

use crate::context::{Context, EitherTarget, Target};
use crate::report::Report;
use crate::verb::{JavaBool, Verb};

/// Flags of `updateTopic`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateTopic {
    #[command(flatten)]
    target: Target,
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// Queues to read from
    #[arg(short = 'r', long = "readQueueNums", value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=65_536))]
    read_queues: i32,
    /// Queues to write to
    #[arg(short = 'w', long = "writeQueueNums", value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=65_536))]
    write_queues: i32,
    /// 2 to write, 4 to read, 6 for both
    #[arg(short = 'p', long = "perm", value_name = "PERM", default_value_t = perm::READ_WRITE, value_parser = clap::value_parser!(i32).range(0..=i64::from(perm::ALL)))]
    perm: i32,
    /// Whether it is ordered: its queues are then fixed at the name servers
    #[arg(short = 'o', long = "order", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    order: JavaBool,
    /// Whether it belongs to a unit
    #[arg(short = 'u', long = "unit", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    unit: JavaBool,
    /// Whether a unit subscribes it
    #[arg(short = 's', long = "hasUnitSub", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    has_unit_sub: JavaBool,
    /// +key=value to set, -key to remove, separated by commas
    #[arg(short = 'a', long = "attributes", value_name = "ATTRIBUTES", allow_hyphen_values = true)]
    attributes: Option<String>,
}

impl Verb for UpdateTopic {
    const NAME: &'static str = "updateTopic";
    const ABOUT: &'static str = "Create a topic, or change it";
    const EXAMPLES: &'static [&'static str] = &[
        "-c RaftCluster -t TopicTest",
        "-c RaftCluster -t TopicTest -r 16 -w 16",
        "-b 127.0.0.1:30911 -t Orders -w 1 -r 1 -a +message.type=FIFO",
    ];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let config = TopicConfig {
            topic_name: self.topic.clone(),
            read_queue_nums: self.read_queues,
            write_queue_nums: self.write_queues,
            perm: self.perm,
            order: self.order.0,
            topic_sys_flag: i32::from(self.unit.0) | i32::from(self.has_unit_sub.0) << 1,
            attributes: attributes(self.attributes.as_deref().unwrap_or_default())?,
            ..TopicConfig::default()
        };
        let addrs = context.leaders(&self.target).await?;
        for addr in &addrs {
            admin.create_topic_at(addr, &config).await?;
        }
        if self.order.0 {
            let broker_names =
                admin.topic_route(&self.topic).await?.queue_datas.into_iter().map(|data| data.broker_name);
            let conf: Vec<String> =
                broker_names.map(|name| format!("{name}:{}", self.write_queues)).collect();
            admin.put_kv(names::ORDER_TOPIC_NAMESPACE, &self.topic, &conf.join(";")).await?;
        }
        Ok(Report::Done(format!(
            "topic {} has {} queues to read, {} to write, permission {}, at {}",
            self.topic,
            self.read_queues,
            self.write_queues,
            perm::text(self.perm),
            addrs.join(", ")
        )))
    }
}

/// Reads `+a=b,-c`; the sign stays with the key.
pub(super) fn attributes(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut attributes = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match (part.split_once('='), part.starts_with('-')) {
            (Some((key, value)), false) => attributes.insert(key.to_owned(), value.to_owned()),
            (None, true) => attributes.insert(part.to_owned(), String::new()),
            _ => bail!("attribute {part:?} is neither +key=value nor -key"),
        };
    }
    Ok(attributes)
}

/// Flags of `updateTopicPerm`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateTopicPerm {
    #[command(flatten)]
    target: EitherTarget,
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// 2 to write, 4 to read, 6 for both
    #[arg(short = 'p', long = "perm", value_name = "PERM", value_parser = clap::value_parser!(i32).range(0..=i64::from(perm::ALL)))]
    perm: i32,
}

impl Verb for UpdateTopicPerm {
    const NAME: &'static str = "updateTopicPerm";
    const ABOUT: &'static str = "Change who may write to a topic and read from it";
    const EXAMPLES: &'static [&'static str] = &["-c RaftCluster -t TopicTest -p 4"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let mut changes = Vec::new();
        for addr in context.leaders(&self.target.into()).await? {
            let config = admin.topic_config_at(&addr, &self.topic).await?;
            let before = config.perm;
            // Attributes that are not given stay as they are.
            let config = TopicConfig { perm: self.perm, attributes: BTreeMap::new(), ..config };
            admin.create_topic_at(&addr, &config).await?;
            changes.push(format!(
                "{addr}: {} is {} now, was {}",
                self.topic,
                perm::text(self.perm),
                perm::text(before)
            ));
        }
        Ok(Report::Done(changes.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_set_or_removed() {
        let read = attributes("+message.type=FIFO, -reserve.time").unwrap();
        assert_eq!(read["+message.type"], "FIFO");
        assert!(read.contains_key("-reserve.time"));
        assert!(attributes("message.type").is_err());
        assert!(attributes("").unwrap().is_empty());
    }
}
