//! `haStatus`: how the copies of a log are.

use serde_json::json;

use crate::context::{Context, EitherTarget, Target};
use crate::report::{Report, Table};
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct HaStatus {
    #[command(flatten)]
    target: EitherTarget,
    /// Repeat at this interval, in seconds, until Ctrl-C
    #[arg(short = 'i', long = "interval", value_name = "SECONDS", num_args = 0..=1, default_missing_value = "3")]
    interval: Option<u64>,
}

impl Verb for HaStatus {
    const NAME: &'static str = "haStatus";
    const ABOUT: &'static str = "How far the followers of a leader are";
    const EXAMPLES: &'static [&'static str] = &["-b 127.0.0.1:30911", "-c RaftCluster -i 3"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let target = Target::from(self.target);
        context.repeat(self.interval, async || followers(context, &target).await).await
    }
}

async fn followers(context: &Context, target: &Target) -> anyhow::Result<Report> {
    let admin = context.admin().await?;
    for addr in context.leaders(target).await? {
        let status = admin.ha_status_at(&addr).await?;
        let mut table = Table::new(&[
            ("addr", "Follower"),
            ("slaveAckOffset", "Has up to"),
            ("diff", "Behind, bytes"),
            ("inSync", "In sync"),
            ("transferredByteInSecond", "Bytes/s"),
        ]);
        for one in &status.ha_connection_info {
            table.push(vec![
                json!(one.addr),
                json!(one.slave_ack_offset),
                json!(one.diff),
                json!(one.in_sync),
                json!(one.transferred_byte_in_second),
            ]);
        }
        if !status.master {
            let facts = json!({
                "addr": addr,
                "master": false,
                "commitLogMaxOffset": status.master_commit_log_max_offset,
                "note": "a follower; the leader tells how all of them are",
            });
            context.print_item(&Report::facts(facts))?;
            continue;
        }
        let facts = json!({
            "addr": addr,
            "master": status.master,
            "masterCommitLogMaxOffset": status.master_commit_log_max_offset,
            "inSyncSlaveNums": status.in_sync_slave_nums,
        });
        context.print_item(&Report::Parts(vec![
            ("broker", Report::facts(facts)),
            ("followers", Report::Table(table)),
        ]))?;
    }
    Ok(Report::Silence)
}
