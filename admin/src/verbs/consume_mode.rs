//! `setConsumeMode`: how the members of a group get at a topic.

use client::protocol::command::admin::SetMessageRequestMode;

use crate::context::{Context, EitherTarget};
use crate::report::Report;
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct SetConsumeMode {
    #[command(flatten)]
    target: EitherTarget,
    /// The topic
    #[arg(short = 't', long = "topicName", value_name = "TOPIC")]
    topic: String,
    /// The consumer group
    #[arg(short = 'g', long = "groupName", value_name = "GROUP")]
    group: String,
    /// PULL; Trireme refuses POP
    #[arg(short = 'm', long = "mode", value_name = "MODE", value_parser = ["PULL", "POP"], ignore_case = true)]
    mode: String,
    /// With POP: how many others share a queue
    #[arg(short = 'q', long = "popShareQueueNum", value_name = "N", default_value_t = 0)]
    share: i32,
}

impl Verb for SetConsumeMode {
    const NAME: &'static str = "setConsumeMode";
    const ABOUT: &'static str =
        "Set how a consumer group gets at a topic, for clients that ask the broker for their queues";
    const EXAMPLES: &'static [&'static str] = &["-c RaftCluster -t TopicTest -g my_consumers -m PULL"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let mode = SetMessageRequestMode {
            consumer_group: self.group.clone(),
            mode: self.mode.to_ascii_uppercase(),
            pop_share_queue_num: self.share,
            topic: self.topic.clone(),
        };
        let addrs = context.leaders(&self.target.into()).await?;
        for addr in &addrs {
            admin.set_consume_mode_at(addr, &mode).await?;
        }
        Ok(Report::Done(format!(
            "group {} gets at topic {} by {}, at {}",
            self.group,
            self.topic,
            mode.mode,
            addrs.join(", ")
        )))
    }
}
