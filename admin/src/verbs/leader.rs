//! `leader` and `transferLeader`: our own nodes' HTTP views, and where they are.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use platform::Net;
use serde_json::json;
use web::client::{self, Answer, AskError};
use web::views::{self, Ask, Refusal, Status, ViewError};

use crate::context::Context;
use crate::report::{Report, Table};
use crate::verb::Verb;

/// Time for one question over HTTP; `/leader` itself waits a second for a majority.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time for a node to tell where its HTTP views are.
const CONFIG_PATIENCE: Duration = Duration::from_secs(1);
/// Time for a change of leader.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(10);
/// Where a node's HTTP port is, counted from its client port, unless its configuration says otherwise.
const HTTP_PORTS_ABOVE: u16 = 2;

/// Which nodes to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct Nodes {
    /// HTTP addresses of nodes, host:port; without them the name server tells which nodes there are
    #[arg(short = 'a', long = "httpAddr", value_name = "ADDR", num_args = 1..)]
    http: Vec<String>,
    /// One cluster only
    #[arg(short = 'c', long = "clusterName", value_name = "CLUSTER")]
    cluster: Option<String>,
}

/// Flags of `leader`.
#[derive(Debug, clap::Args)]
pub(crate) struct Leader {
    #[command(flatten)]
    nodes: Nodes,
    /// What each node believes, at once and without asking a majority
    #[arg(long)]
    local: bool,
}

impl Verb for Leader {
    const NAME: &'static str = "leader";
    const ABOUT: &'static str = "Who leads each broker group, confirmed by a majority";
    const EXAMPLES: &'static [&'static str] = &["", "--local", "-a 127.0.0.1:30913 127.0.0.1:30923"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let ask = if self.local { Ask::Local } else { Ask::Majority };
        let mut table = Table::new(&[
            ("asked", "Asked"),
            ("group", "Group"),
            ("leader", "Leader"),
            ("addr", "Address"),
            ("term", "Term"),
            ("confirmed", "Confirmed"),
            ("error", "Error"),
        ]);
        let mut is_known = false;
        let nodes = self.nodes.find(context).await?;
        let ask = move |net: Arc<dyn Net>, addr: String| async move {
            views::Leader::ask(&*net, &addr, ask, PATIENCE).await
        };
        for (addr, group, answer) in ask_all(context, nodes, ask).await {
            let (leader, at, term, confirmed, error) = match answer {
                Ok(told) => (told.leader, told.addr, Some(told.term), Some(told.linearizable), None),
                Err(error) => match error.downcast::<ViewError>() {
                    Ok(ViewError::Refused { refusal, .. }) => {
                        (refusal.believed_leader, None, refusal.term, None, Some(refusal.error))
                    }
                    Ok(error) => (None, None, None, None, Some(error.to_string())),
                    Err(error) => (None, None, None, None, Some(format!("{error:#}"))),
                },
            };
            is_known |= leader.is_some() && error.is_none();
            table.push(vec![
                json!(addr),
                json!(group),
                json!(leader),
                json!(at),
                json!(term),
                json!(confirmed),
                json!(error),
            ]);
        }
        if !is_known {
            context.print(&Report::Table(table))?;
            bail!("no node knows a leader");
        }
        Ok(Report::Table(table))
    }
}

/// Flags of `transferLeader`.
#[derive(Debug, clap::Args)]
pub(crate) struct TransferLeader {
    #[command(flatten)]
    nodes: Nodes,
    /// The node that shall lead, such as n2; the one with the longest log if not given
    #[arg(long = "to", value_name = "NODE")]
    to: Option<String>,
}

impl Verb for TransferLeader {
    const NAME: &'static str = "transferLeader";
    const ABOUT: &'static str = "Let another node of a group lead, without a failed send";
    const EXAMPLES: &'static [&'static str] = &["--to n2", "-a 127.0.0.1:30913 --to n1"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let path = self
            .to
            .as_ref()
            .map_or("/leader/transfer".to_owned(), |node| format!("/leader/transfer?to={node}"));
        let mut last = None;
        for (addr, _) in self.nodes.find(context).await? {
            match post(context, &addr, &path, TRANSFER_PATIENCE).await {
                Ok(answer) if answer.is_ok() => {
                    let answer = answer.json();
                    let name = |what: &str| answer[what].as_str().unwrap_or("?").to_owned();
                    return Ok(Report::Done(format!("{} leads now, {} did", name("leader"), name("from"))));
                }
                Ok(answer) if answer.status == 409 => {} // not the leader; another may be
                Ok(answer) => last = Some(Refusal::of(&answer).error),
                Err(error) => last = Some(error.to_string()),
            }
        }
        bail!("{}", last.unwrap_or_else(|| "none of the nodes leads".to_owned()))
    }
}

impl Nodes {
    /// HTTP addresses with the broker group as far as it is known.
    pub(super) async fn find(&self, context: &Context) -> anyhow::Result<Vec<(String, String)>> {
        if !self.http.is_empty() {
            return Ok(self.http.iter().map(|addr| (addr.clone(), String::new())).collect());
        }
        let admin = context.admin().await?;
        let clusters = match &self.cluster {
            Some(cluster) => vec![cluster.clone()],
            None => admin.cluster_info().await?.cluster_addr_table.into_keys().collect(),
        };
        let mut nodes = Vec::new();
        for cluster in clusters {
            for (name, _, addr) in admin.nodes_of_cluster(&cluster).await? {
                // One that does not answer is looked for where it is by default.
                let config = tokio::time::timeout(CONFIG_PATIENCE, admin.broker_config_at(&addr)).await;
                let config = config.ok().and_then(Result::ok).unwrap_or_default();
                nodes.push((http_addr(&addr, &config)?, name));
            }
        }
        if nodes.is_empty() {
            bail!("the name server knows no node");
        }
        Ok(nodes)
    }
}

/// Where a node's HTTP views are, from its client address and its configuration.
pub(super) fn http_addr(addr: &str, config: &str) -> anyhow::Result<String> {
    let (host, port) =
        addr.rsplit_once(':').with_context(|| format!("broker address {addr:?} has no port"))?;
    let set = config
        .lines()
        .find_map(|line| line.strip_prefix("httpPort="))
        .and_then(|port| port.trim().parse::<u16>().ok());
    let port: u16 = match set {
        Some(port) => port,
        None => port
            .parse::<u16>()
            .with_context(|| format!("port of broker address {addr:?}"))?
            .saturating_add(HTTP_PORTS_ABOVE),
    };
    Ok(format!("{host}:{port}"))
}

/// Asks all nodes at once, so that one that hangs costs its own time only. Keeps their order.
pub(super) async fn ask_all<T, F>(
    context: &Context,
    nodes: Vec<(String, String)>,
    ask: impl Fn(Arc<dyn Net>, String) -> F,
) -> Vec<(String, String, anyhow::Result<T>)>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ViewError>> + Send + 'static,
{
    let net = context.config().platform.net;
    let asked: Vec<_> = nodes
        .into_iter()
        .map(|(addr, group)| {
            let asking = tokio::spawn(ask(net.clone(), addr.clone()));
            (addr, group, asking)
        })
        .collect();
    let mut answers = Vec::new();
    for (addr, group, asking) in asked {
        let answer = match asking.await {
            Ok(answer) => answer.map_err(anyhow::Error::from),
            Err(error) => Err(error.into()),
        };
        answers.push((addr, group, answer));
    }
    answers
}

/// The status of all nodes, asked at once.
pub(super) async fn ask_status(
    context: &Context,
    nodes: Vec<(String, String)>,
) -> Vec<(String, String, anyhow::Result<Status>)> {
    ask_all(context, nodes, |net, addr| async move { Status::ask(&*net, &addr, PATIENCE).await }).await
}

pub(super) async fn post(
    context: &Context,
    addr: &str,
    path: &str,
    patience: Duration,
) -> Result<Answer, AskError> {
    client::post(&*context.config().platform.net, addr, path, patience).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_where_the_configuration_says_or_two_ports_above() {
        assert_eq!(http_addr("10.0.0.1:30911", "").unwrap(), "10.0.0.1:30913");
        assert_eq!(http_addr("10.0.0.1:30911", "brokerName=x\nhttpPort=8080\n").unwrap(), "10.0.0.1:8080");
        assert!(http_addr("nowhere", "").is_err());
    }
}
