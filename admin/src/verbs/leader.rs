//! `leader` and `transferLeader`: our own nodes' HTTP views, and where they are.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::context::Context;
use crate::http;
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
        let path = if self.local { "/leader?local=true" } else { "/leader" };
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
        for (addr, group, answer) in ask_all(context, self.nodes.find(context).await?, path).await {
            let (answer, error) = match answer {
                Ok((200, answer)) => {
                    is_known |= !answer["leader"].is_null();
                    (answer, Value::Null)
                }
                Ok((_, answer)) => (
                    json!({"term": answer["term"], "leader": answer["believedLeader"]}),
                    answer["error"].clone(),
                ),
                Err(error) => (Value::Null, json!(format!("{error:#}"))),
            };
            let confirmed = answer["linearizable"].clone();
            table.push(vec![
                json!(addr),
                json!(group),
                answer["leader"].clone(),
                answer["addr"].clone(),
                answer["term"].clone(),
                confirmed,
                error,
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
            match ask(context, &addr, "POST", &path, TRANSFER_PATIENCE).await {
                Ok((200, answer)) => {
                    let name = |what: &str| answer[what].as_str().unwrap_or("?").to_owned();
                    return Ok(Report::Done(format!("{} leads now, {} did", name("leader"), name("from"))));
                }
                Ok((409, _)) => {} // not the leader; another may be
                Ok((_, answer)) => last = Some(answer["error"].as_str().unwrap_or("refused").to_owned()),
                Err(error) => last = Some(format!("{error:#}")),
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
pub(super) async fn ask_all(
    context: &Context,
    nodes: Vec<(String, String)>,
    path: &'static str,
) -> Vec<(String, String, anyhow::Result<(u16, Value)>)> {
    let asked: Vec<_> = nodes
        .into_iter()
        .map(|(addr, group)| {
            let net = context.config().platform.net;
            let at = addr.clone();
            let asking = tokio::spawn(async move { http::ask(&*net, &at, "GET", path, PATIENCE).await });
            (addr, group, asking)
        })
        .collect();
    let mut answers = Vec::new();
    for (addr, group, asking) in asked {
        let answer = asking.await.unwrap_or_else(|error| Err(error.into()));
        answers.push((addr, group, answer));
    }
    answers
}

pub(super) async fn ask(
    context: &Context,
    addr: &str,
    method: &str,
    path: &str,
    patience: Duration,
) -> anyhow::Result<(u16, Value)> {
    http::ask(&*context.config().platform.net, addr, method, path, patience).await
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
