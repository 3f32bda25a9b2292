//! `deleteTopic`: a topic and its messages, everywhere.

use crate::context::Context;
use crate::report::Report;
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteTopic {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// The cluster
    #[arg(short = 'c', long = "clusterName", value_name = "CLUSTER")]
    cluster: String,
}

impl Verb for DeleteTopic {
    const NAME: &'static str = "deleteTopic";
    const ABOUT: &'static str = "Remove a topic and its messages from a cluster";
    const EXAMPLES: &'static [&'static str] = &["-c RaftCluster -t TopicTest"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        context.admin().await?.delete_topic(&self.cluster, &self.topic).await?;
        Ok(Report::Done(format!("topic {} is removed from cluster {}", self.topic, self.cluster)))
    }
}
