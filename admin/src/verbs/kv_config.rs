//! `updateKvConfig`, `deleteKvConfig`, `updateOrderConf`: the key-value store of the name servers.

use anyhow::bail;
use client::protocol::names;
use serde_json::json;

use crate::context::Context;
use crate::report::Report;
use crate::verb::Verb;

/// Flags of `updateKvConfig`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateKvConfig {
    /// The namespace
    #[arg(short = 's', long = "namespace", value_name = "NAMESPACE")]
    namespace: String,
    /// The key
    #[arg(short = 'k', long = "key", value_name = "KEY")]
    key: String,
    /// The value
    #[arg(short = 'v', long = "value", value_name = "VALUE")]
    value: String,
}

impl Verb for UpdateKvConfig {
    const NAME: &'static str = "updateKvConfig";
    const ABOUT: &'static str = "Put a value into the store of all name servers";
    const EXAMPLES: &'static [&'static str] = &["-s ORDER_TOPIC_CONFIG -k Orders -v RaftNode00:4"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        context.admin().await?.put_kv(&self.namespace, &self.key, &self.value).await?;
        Ok(Report::Done(format!("{}/{} is {}", self.namespace, self.key, self.value)))
    }
}

/// Flags of `deleteKvConfig`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteKvConfig {
    /// The namespace
    #[arg(short = 's', long = "namespace", value_name = "NAMESPACE")]
    namespace: String,
    /// The key
    #[arg(short = 'k', long = "key", value_name = "KEY")]
    key: String,
}

impl Verb for DeleteKvConfig {
    const NAME: &'static str = "deleteKvConfig";
    const ABOUT: &'static str = "Remove a value from the store of all name servers";
    const EXAMPLES: &'static [&'static str] = &["-s ORDER_TOPIC_CONFIG -k Orders"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        context.admin().await?.delete_kv(&self.namespace, &self.key).await?;
        Ok(Report::Done(format!("{}/{} is removed", self.namespace, self.key)))
    }
}

/// Flags of `updateOrderConf`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateOrderConf {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// What to do
    #[arg(short = 'm', long = "method", value_name = "METHOD", value_parser = ["get", "put", "delete"])]
    method: String,
    /// The configuration, broker:queues joined by semicolons
    #[arg(short = 'v', long = "orderConf", value_name = "CONF")]
    conf: Option<String>,
}

impl Verb for UpdateOrderConf {
    const NAME: &'static str = "updateOrderConf";
    const ABOUT: &'static str = "Show, set or remove the fixed queues of an ordered topic";
    const EXAMPLES: &'static [&'static str] =
        &["-t Orders -m get", "-t Orders -m put -v 'RaftNode00:4'", "-t Orders -m delete"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        match (self.method.as_str(), &self.conf) {
            ("put", Some(conf)) => {
                admin.put_kv(names::ORDER_TOPIC_NAMESPACE, &self.topic, conf).await?;
                Ok(Report::Done(format!("order of {} is {conf}", self.topic)))
            }
            ("put", None) => bail!("what to put is missing: -v broker:queues"),
            ("delete", _) => {
                admin.delete_kv(names::ORDER_TOPIC_NAMESPACE, &self.topic).await?;
                Ok(Report::Done(format!("order of {} is removed", self.topic)))
            }
            _ => {
                let conf = admin.get_kv(names::ORDER_TOPIC_NAMESPACE, &self.topic).await?;
                Ok(Report::facts(json!({"topic": self.topic, "orderConf": conf})))
            }
        }
    }
}
