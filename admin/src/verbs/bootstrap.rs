//! `bootstrap --force`: a node founds its group, or comes back to it with a new disk, although members are missing.

use std::time::Duration;

use anyhow::bail;
use web::views::Refusal;

use super::leader::post;
use crate::context::Context;
use crate::verb::Verb;

use crate::report::Report;

/// A node answers this at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Flags of `bootstrap`.
#[derive(Debug, clap::Args)]
pub(crate) struct Bootstrap {
    /// HTTP address of the node that waits for the missing ones, host:port
    #[arg(short = 'a', long = "http", value_name = "ADDRESS")]
    http: String,
    /// Say that the missing members hold nothing, or are lost for good. If one of them comes back with data, a group that was
    /// founded without it will contradict it; and what only it and this node's old disk had is gone
    #[arg(long)]
    force: bool,
}

impl Verb for Bootstrap {
    const NAME: &'static str = "bootstrap";
    const ABOUT: &'static str =
        "Let a new or emptied node go on although members are missing (a majority has to be there)";
    const EXAMPLES: &'static [&'static str] = &["-a 127.0.0.1:30913 --force"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        if !self.force {
            bail!(
                "a new or emptied node waits until it has heard every member once. With --force a majority is enough; be \
                 certain that the missing ones never held anything, or are lost for good"
            );
        }
        let answer = post(context, &self.http, "/group/found?force=true", PATIENCE).await?;
        if !answer.is_ok() {
            bail!("{}: {}", self.http, Refusal::of(&answer).error);
        }
        Ok(Report::Done(format!(
            "{} waits for the missing members no longer: it founds the group, or comes back to it, as soon as a majority is there",
            self.http
        )))
    }
}
