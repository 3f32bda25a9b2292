//! `bootstrap --force`: founds a group although not all of its members are there.

use std::time::Duration;

use anyhow::bail;

use super::leader::ask;
use crate::cli::Verb;
use crate::context::Context;

use crate::report::Report;

/// A node answers this at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Flags of `bootstrap`.
#[derive(Debug, clap::Args)]
pub(crate) struct Bootstrap {
    /// HTTP address of one new node of the group, host:port
    #[arg(short = 'a', long = "http", value_name = "ADDRESS")]
    http: String,
    /// Say that the missing members hold nothing. If one of them does, this founds a second group of the same name, and
    /// what that one holds will contradict it
    #[arg(long)]
    force: bool,
}

impl Verb for Bootstrap {
    const NAME: &'static str = "bootstrap";
    const ABOUT: &'static str =
        "Found a new group although some members are missing (a majority of empty nodes is needed)";
    const EXAMPLES: &'static [&'static str] = &["-a 127.0.0.1:30913 --force"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        if !self.force {
            bail!(
                "a group founds itself once all of its members are there and empty. With --force a majority of empty \
                 nodes is enough; be certain that the missing ones never held anything"
            );
        }
        match ask(context, &self.http, "POST", "/group/found?force=true", PATIENCE).await? {
            (200, _) => Ok(Report::Done(format!(
                "{} founds the group as soon as a majority of empty members is there; the missing ones join it when they come",
                self.http
            ))),
            (_, answer) => bail!("{}: {}", self.http, answer["error"].as_str().unwrap_or("refused")),
        }
    }
}
