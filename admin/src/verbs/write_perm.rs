//! `wipeWritePerm` and `addWritePerm`: a broker group drained of producers, and back.

use serde_json::json;

use crate::context::Context;
use crate::report::{Report, Table};
use crate::verb::Verb;

/// Flags of `wipeWritePerm`.
#[derive(Debug, clap::Args)]
pub(crate) struct WipeWritePerm {
    /// The broker group, by name
    #[arg(short = 'b', long = "brokerName", value_name = "NAME")]
    broker: String,
}

impl Verb for WipeWritePerm {
    const NAME: &'static str = "wipeWritePerm";
    const ABOUT: &'static str = "Keep producers off a broker group; consumers go on";
    const EXAMPLES: &'static [&'static str] = &["-b RaftNode00"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        Ok(table(context.admin().await?.wipe_write_perm(&self.broker).await?))
    }
}

/// Flags of `addWritePerm`.
#[derive(Debug, clap::Args)]
pub(crate) struct AddWritePerm {
    /// The broker group, by name
    #[arg(short = 'b', long = "brokerName", value_name = "NAME")]
    broker: String,
}

impl Verb for AddWritePerm {
    const NAME: &'static str = "addWritePerm";
    const ABOUT: &'static str = "Let producers use a broker group again";
    const EXAMPLES: &'static [&'static str] = &["-b RaftNode00"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        Ok(table(context.admin().await?.add_write_perm(&self.broker).await?))
    }
}

fn table(counts: Vec<(String, i32)>) -> Report {
    let mut table = Table::new(&[("namesrv", "Name server"), ("topics", "Topics concerned")]);
    for (addr, count) in counts {
        table.push(vec![json!(addr), json!(count)]);
    }
    Report::Table(table)
}
