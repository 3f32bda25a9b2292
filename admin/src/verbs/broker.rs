//! `brokerStatus` and a broker's chores: `cleanExpiredCQ`, `cleanUnusedTopic`, `deleteExpiredCommitLog`.

use serde_json::{Map, Value};

use crate::context::{Context, Target};
use crate::report::Report;
use crate::verb::Verb;

/// Flags of `brokerStatus`.
#[derive(Debug, clap::Args)]
pub(crate) struct BrokerStatus {
    #[command(flatten)]
    target: Target,
}

impl Verb for BrokerStatus {
    const NAME: &'static str = "brokerStatus";
    const ABOUT: &'static str = "All figures of a broker, or of all nodes of a cluster";
    const EXAMPLES: &'static [&'static str] = &["-b 127.0.0.1:30911", "-c RaftCluster"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let nodes = context.nodes(&self.target).await?;
        let is_one = nodes.len() == 1;
        let show = async |addr: &str| {
            let facts = admin.runtime_info_at(addr).await?;
            let mut facts: Map<String, Value> =
                facts.into_iter().map(|(name, value)| (name, value.into())).collect();
            if !is_one {
                facts.insert("addr".to_owned(), addr.into());
            }
            context.print_item(&Report::Facts(facts))
        };
        context.at_each(&nodes, show).await?;
        Ok(Report::Silence)
    }
}

/// A chore of brokers: flags, name, words, call.
macro_rules! chore {
    ($(#[doc = $doc:literal] $verb:ident = $name:literal, $about:literal, $call:ident;)+) => {$(
        #[doc = $doc]
        #[derive(Debug, clap::Args)]
        pub(crate) struct $verb {
            /// One broker, host:port; all nodes of all clusters if neither is given, and of both the broker counts
            #[arg(short = 'b', long = "brokerAddr", value_name = "ADDR")]
            broker: Option<String>,
            /// The nodes of a cluster
            #[arg(short = 'c', long = "cluster", value_name = "CLUSTER")]
            cluster: Option<String>,
        }

        impl Verb for $verb {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const EXAMPLES: &'static [&'static str] = &["", "-b 127.0.0.1:30911", "-c RaftCluster"];

            async fn run(self, context: &Context) -> anyhow::Result<Report> {
                let admin = context.admin().await?;
                let nodes = all_nodes(context, self.broker, self.cluster).await?;
                context.at_each(&nodes, async |addr: &str| Ok(admin.$call(addr).await?)).await?;
                Ok(Report::Done(format!("done at {}", nodes.join(", "))))
            }
        }
    )+};
}

chore! {
    #[doc = "Flags of `cleanExpiredCQ`."]
    CleanExpiredCq = "cleanExpiredCQ", "Drop consume queue files behind the retention", clean_expired_queues_at;
    #[doc = "Flags of `cleanUnusedTopic`."]
    CleanUnusedTopic = "cleanUnusedTopic", "Drop what is left of removed topics", clean_unused_topics_at;
    #[doc = "Flags of `deleteExpiredCommitLog`."]
    DeleteExpiredCommitLog = "deleteExpiredCommitLog", "Drop commitlog segments behind the retention", delete_expired_commitlog_at;
}

async fn all_nodes(
    context: &Context,
    broker: Option<String>,
    cluster: Option<String>,
) -> anyhow::Result<Vec<String>> {
    if broker.is_some() || cluster.is_some() {
        let cluster = cluster.filter(|_| broker.is_none());
        return context.nodes(&Target { broker, cluster }).await;
    }
    let info = context.admin().await?.cluster_info().await?;
    Ok(info.broker_addr_table.into_values().flat_map(|group| group.broker_addrs.into_values()).collect())
}
