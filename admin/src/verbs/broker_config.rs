//! `getBrokerConfig` and `updateBrokerConfig`.

use serde_json::{Map, Value};

use crate::context::{Context, EitherTarget, Target};
use crate::report::Report;
use crate::verb::{JavaBool, Verb};

/// Flags of `getBrokerConfig`.
#[derive(Debug, clap::Args)]
pub(crate) struct GetBrokerConfig {
    #[command(flatten)]
    target: EitherTarget,
    /// Only names that contain this
    #[arg(short = 'k', long = "key", value_name = "TEXT")]
    key: Option<String>,
}

impl Verb for GetBrokerConfig {
    const NAME: &'static str = "getBrokerConfig";
    const ABOUT: &'static str = "The configuration in force at a broker, or at all nodes of a cluster";
    const EXAMPLES: &'static [&'static str] = &["-b 127.0.0.1:30911", "-c RaftCluster -k flush"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let nodes = context.nodes(&self.target.into()).await?;
        let is_one = nodes.len() == 1;
        let show = async |addr: &str| {
            let mut facts = properties(&admin.broker_config_at(addr).await?);
            if let Some(key) = &self.key {
                facts.retain(|name, _| name.to_ascii_lowercase().contains(&key.to_ascii_lowercase()));
            }
            if !is_one {
                facts.insert("addr".to_owned(), addr.into());
            }
            context.print_item(&Report::Facts(facts))
        };
        context.at_each(&nodes, show).await?;
        Ok(Report::Silence)
    }
}

/// Reads `name=value` lines as brokers and name servers write them.
pub(super) fn properties(text: &str) -> Map<String, Value> {
    let mut lines: Vec<(&str, &str)> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect();
    lines.sort_unstable();
    lines.into_iter().map(|(name, value)| (name.trim().to_owned(), value.trim().into())).collect()
}

/// Flags of `updateBrokerConfig`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateBrokerConfig {
    #[command(flatten)]
    target: EitherTarget,
    /// All nodes of the cluster, not only its leaders
    #[arg(short = 'a', long = "updateAllBroker", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    all: JavaBool,
    /// The property
    #[arg(short = 'k', long = "key", value_name = "NAME")]
    key: String,
    /// Its value
    #[arg(short = 'v', long = "value", value_name = "VALUE")]
    value: String,
}

impl Verb for UpdateBrokerConfig {
    const NAME: &'static str = "updateBrokerConfig";
    const ABOUT: &'static str = "Change a property of a broker while it runs";
    const EXAMPLES: &'static [&'static str] = &[
        "-b 127.0.0.1:30911 -k fileReservedTime -v 48",
        "-c RaftCluster -a -k autoCreateTopicEnable -v false",
    ];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let target = Target::from(self.target);
        let nodes = if self.all.0 { context.nodes(&target).await? } else { context.leaders(&target).await? };
        let line = format!("{}={}\n", self.key, self.value);
        context
            .at_each(&nodes, async |addr: &str| Ok(admin.update_broker_config_at(addr, &line).await?))
            .await?;
        Ok(Report::Done(format!("{}={} at {}", self.key, self.value, nodes.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_sorted_facts() {
        let facts = properties("b=2\n# note\na = 1=1\nnothing\n");
        assert_eq!(
            facts.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>(),
            ["a:\"1=1\"", "b:\"2\""]
        );
    }
}
