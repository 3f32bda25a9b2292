//! What every verb is given: the cluster, and a place to print.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use anyhow::bail;
use client::{Admin, ClientConfig};
use platform::Disk;
use tokio::sync::OnceCell;

use crate::report::Report;

/// The surroundings of one command.
pub(crate) struct Context {
    config: ClientConfig,
    is_json: bool,
    admin: OnceCell<Admin>,
}

impl Context {
    pub(crate) fn new(namesrv: &str, timeout_ms: u64, is_json: bool) -> Self {
        let timeout = Duration::from_millis(timeout_ms);
        let mut config = ClientConfig::new(namesrv);
        config.call_timeout = timeout;
        config.namesrv_timeout = timeout;
        config.connect_timeout = timeout.min(config.connect_timeout);
        Self { config, is_json, admin: OnceCell::new() }
    }

    /// The client's admin calls; connects when first needed.
    pub(crate) async fn admin(&self) -> anyhow::Result<&Admin> {
        Ok(self.admin.get_or_try_init(|| Admin::start(&self.config)).await?)
    }

    /// Settings for a client of another kind.
    pub(crate) fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// The wall clock, milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        self.config.platform.clock.wall_ms() as i64
    }

    /// Time since some fixed point of this process.
    pub(crate) fn monotonic(&self) -> Duration {
        self.config.platform.clock.monotonic()
    }

    /// The file system.
    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.config.platform.disk
    }

    /// Does a round once, or again at this interval, in seconds, until the process is ended.
    pub(crate) async fn repeat(
        &self,
        interval_s: Option<u64>,
        round: impl AsyncFn() -> anyhow::Result<Report>,
    ) -> anyhow::Result<Report> {
        loop {
            let report = round().await?;
            let Some(seconds) = interval_s else { return Ok(report) };
            self.print_item(&report)?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
    }

    /// Prints to the standard output.
    ///
    /// # Errors
    /// [`ReaderGone`] if nobody reads it any more.
    pub(crate) fn print(&self, report: &Report) -> anyhow::Result<()> {
        let text = if self.is_json { report.to_json() } else { report.to_text() };
        if text.is_empty() {
            return Ok(());
        }
        print_line(&text)
    }

    /// Prints one of several items: with a blank line behind it for people, a line of JSON each for programs.
    pub(crate) fn print_item(&self, item: &Report) -> anyhow::Result<()> {
        self.print(item)?;
        if self.is_json || matches!(item, Report::Silence) { Ok(()) } else { print_line("") }
    }

    /// Does something at each of several nodes. One that fails does not keep the others from it.
    ///
    /// # Errors
    /// The failures, once all nodes had their turn; the failure itself if there is one node.
    pub(crate) async fn at_each(
        &self,
        nodes: &[String],
        act: impl AsyncFn(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut failures = Vec::new();
        for addr in nodes {
            match act(addr).await {
                Err(error) if nodes.len() == 1 || error.is::<ReaderGone>() => return Err(error),
                Err(error) => failures.push(format!("{error:#}")),
                Ok(()) => {}
            }
        }
        if failures.is_empty() {
            return Ok(());
        }
        bail!("{} of {} nodes failed: {}", failures.len(), nodes.len(), failures.join("; "))
    }

    pub(crate) async fn close(&self) {
        if let Some(admin) = self.admin.get() {
            admin.shutdown().await;
        }
    }

    /// The broker nodes that `-b` or `-c` stand for: one by its address, or the leaders of a cluster.
    pub(crate) async fn leaders(&self, target: &Target) -> anyhow::Result<Vec<String>> {
        match (&target.broker, &target.cluster) {
            (Some(addr), _) => Ok(vec![addr.clone()]),
            (None, Some(cluster)) => {
                let leaders = self.admin().await?.leaders_of_cluster(cluster).await?;
                Ok(leaders.into_iter().map(|(_, addr)| addr).collect())
            }
            (None, None) => bail!("neither a broker (-b) nor a cluster (-c) is given"),
        }
    }

    /// The same, but all nodes of the cluster.
    pub(crate) async fn nodes(&self, target: &Target) -> anyhow::Result<Vec<String>> {
        match (&target.broker, &target.cluster) {
            (Some(addr), _) => Ok(vec![addr.clone()]),
            (None, Some(cluster)) => {
                let nodes = self.admin().await?.nodes_of_cluster(cluster).await?;
                Ok(nodes.into_iter().map(|(_, _, addr)| addr).collect())
            }
            (None, None) => bail!("neither a broker (-b) nor a cluster (-c) is given"),
        }
    }
}

fn print_line(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        other => Ok(other?),
    }
}

/// Whoever read the standard output has seen enough, as `head` does: a reason to end, and not a failure.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl std::fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for ReaderGone {}

/// Which brokers a verb is for. RocketMQ refuses both at once in some of its verbs, and lets -b count in others; see
/// [`EitherTarget`] for those.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Target {
    /// One broker, host:port
    #[arg(short = 'b', long = "brokerAddr", value_name = "ADDR")]
    pub(crate) broker: Option<String>,
    /// The brokers of a cluster
    #[arg(short = 'c', long = "clusterName", value_name = "CLUSTER")]
    pub(crate) cluster: Option<String>,
}

/// Which brokers a verb is for; of both the broker counts.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct EitherTarget {
    /// One broker, host:port
    #[arg(short = 'b', long = "brokerAddr", value_name = "ADDR")]
    broker: Option<String>,
    /// The brokers of a cluster; does not count beside -b
    #[arg(short = 'c', long = "clusterName", value_name = "CLUSTER")]
    cluster: Option<String>,
}

impl From<EitherTarget> for Target {
    fn from(either: EitherTarget) -> Self {
        let cluster = either.cluster.filter(|_| either.broker.is_none());
        Self { broker: either.broker, cluster }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_both_the_broker_counts() {
        let target: Target =
            EitherTarget { broker: Some("a:1".to_owned()), cluster: Some("C".to_owned()) }.into();
        assert_eq!((target.broker.as_deref(), target.cluster), (Some("a:1"), None));
    }
}
