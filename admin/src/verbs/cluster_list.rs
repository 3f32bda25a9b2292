//! `clusterList`: every node, with its load.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use client::ClientError;
use serde_json::{Value, json};

use super::leader::http_addr;
use super::status;
use crate::context::Context;
use crate::report::{Report, Table};
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterList {
    /// One cluster only
    #[arg(short = 'c', long = "clusterName", value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Messages in and out, yesterday and today, in place of the load
    #[arg(short = 'm', long = "moreStats")]
    more: bool,
    /// Repeat at this interval, in seconds, until Ctrl-C
    #[arg(short = 'i', long = "interval", value_name = "SECONDS")]
    interval: Option<u64>,
}

impl Verb for ClusterList {
    const NAME: &'static str = "clusterList";
    const ABOUT: &'static str = "List the nodes of all clusters, with their load";
    const EXAMPLES: &'static [&'static str] = &["", "-c RaftCluster", "-m", "-i 5", "--json"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let (report, nodes) = self.list(context).await?;
        if self.interval.is_some() {
            // It goes on, so there is no exit status; each round shows who is missing.
            return context.repeat(self.interval, async || Ok(self.list(context).await?.0)).await;
        }
        let missing = missing(&nodes);
        if missing.is_empty() {
            return Ok(report);
        }
        context.print(&report)?;
        bail!("not there: {}", missing.join("; "))
    }
}

impl ClusterList {
    async fn list(&self, context: &Context) -> anyhow::Result<(Report, Vec<Value>)> {
        let admin = context.admin().await?;
        let info = admin.cluster_info().await?;
        if let Some(cluster) =
            self.cluster.as_ref().filter(|cluster| !info.cluster_addr_table.contains_key(*cluster))
        {
            return Err(ClientError::NoCluster { cluster: cluster.clone() }.into());
        }
        let wanted = |cluster: &&String| self.cluster.as_ref().is_none_or(|wanted| wanted == *cluster);
        let mut nodes = Vec::new();
        for cluster in info.cluster_addr_table.keys().filter(wanted) {
            let known = admin.nodes_of_cluster(cluster).await?;
            let addrs: BTreeSet<String> = known.iter().map(|(_, _, addr)| addr.clone()).collect();
            let http =
                known.iter().filter_map(|(name, _, addr)| Some((http_addr(addr, "").ok()?, name.clone())));
            let absent = status::absent(context, &http.collect::<Vec<_>>(), &addrs).await;
            let name_of = known.first().map(|(name, _, _)| name.clone());
            for (name, id, addr) in known {
                // A node that does not answer is worth a row of its own.
                let facts = admin.runtime_info_at(&addr).await;
                let mut node = json!({"cluster": cluster, "brokerName": name, "brokerId": id, "addr": addr});
                let told = match (facts, self.more) {
                    (Ok(facts), false) => load(&facts, context.now_ms()),
                    (Ok(facts), true) => totals(&facts),
                    (Err(error), _) => json!({ "error": error.to_string() }),
                };
                for (name, fact) in told.as_object().into_iter().flatten() {
                    node[name] = fact.clone();
                }
                nodes.push(node);
            }
            for (addr, (node, cause)) in absent {
                let cause = if cause.is_empty() { "not registered".to_owned() } else { cause };
                nodes.push(json!({"cluster": cluster, "brokerName": name_of, "brokerId": null, "node": node, "addr": addr, "error": cause}));
            }
        }
        let table = if self.more { totals_table(&nodes) } else { load_table(&nodes) };
        let report = Report::Shown(Box::new(Report::Table(table)), Value::Array(nodes.clone()));
        Ok((report, nodes))
    }
}

/// Every node that is dead, paused or cannot be reached, with the cause.
fn missing(nodes: &[Value]) -> Vec<String> {
    let of = |node: &Value| {
        let cause = node["error"].as_str()?;
        let addr = node["addr"].as_str().unwrap_or_default();
        Some(match node["node"].as_str() {
            Some(name) => format!("{name} at {addr}: {cause}"),
            None => format!("{addr}: {cause}"),
        })
    };
    nodes.iter().filter_map(of).collect()
}

fn load_table(nodes: &[Value]) -> Table {
    let mut table = Table::new(&[
        ("cluster", "Cluster"),
        ("brokerName", "Broker"),
        ("brokerId", "Id"),
        ("addr", "Address"),
        ("version", "Version"),
        ("role", "Role"),
        ("inTps", "In/s (queue)"),
        ("outTps", "Out/s (queue)"),
        ("earliestMessageHours", "Keeps h"),
        ("diskRatio", "Disk"),
        ("active", "Active"),
    ]);
    for node in nodes {
        let fact = |name: &str| node[name].clone();
        let load = |tps: &str, queue: &str| {
            let waiting = &node[format!("{queue}QueueSize")];
            let head_ms = &node[format!("{queue}QueueHeadWaitMs")];
            node[tps].as_f64().map(|tps| format!("{tps:.1} ({waiting}, {head_ms} ms)"))
        };
        let is_there = node["error"].is_null();
        table.push(vec![
            fact("cluster"),
            fact("brokerName"),
            fact("brokerId"),
            fact("addr"),
            if is_there { fact("version") } else { json!("no answer") },
            fact("role"),
            json!(load("inTps", "send")),
            json!(load("outTps", "pull")),
            fact("earliestMessageHours"),
            json!(node["diskRatio"].as_f64().map(|ratio| format!("{:.1} %", ratio * 100.0))),
            fact("active"),
        ]);
    }
    table
}

fn totals_table(nodes: &[Value]) -> Table {
    let mut table = Table::new(&[
        ("cluster", "Cluster"),
        ("brokerName", "Broker"),
        ("brokerId", "Id"),
        ("addr", "Address"),
        ("inTotalYesterday", "In yesterday"),
        ("outTotalYesterday", "Out yesterday"),
        ("inTotalToday", "In today"),
        ("outTotalToday", "Out today"),
        ("error", "Error"),
    ]);
    for node in nodes {
        let fact = |name: &str| node[name].clone();
        table.push(vec![
            fact("cluster"),
            fact("brokerName"),
            fact("brokerId"),
            fact("addr"),
            fact("inTotalYesterday"),
            fact("outTotalYesterday"),
            fact("inTotalToday"),
            fact("outTotalToday"),
            fact("error"),
        ]);
    }
    table
}

/// What a node has to do, as numbers.
fn load(facts: &BTreeMap<String, String>, now_ms: i64) -> Value {
    let text = |name: &str| facts.get(name).map_or("", String::as_str);
    let number = |name: &str| text(name).parse::<i64>().ok();
    // Three numbers: of 10 s, a minute, ten minutes. The name has one r or two, by release.
    let rate = |names: &[&str]| {
        let rates = names.iter().map(|name| text(name)).find(|text| !text.is_empty()).unwrap_or_default();
        rates.split(' ').next().and_then(|rate| rate.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let earliest_ms = number("earliestMessageTimeStamp").filter(|ms| *ms > 0);
    let hours = earliest_ms.map(|ms| ((now_ms - ms).max(0) as f64 / 360_000.0).round() / 10.0);
    json!({
        "version": text("brokerVersionDesc"),
        "role": text("raftRole"),
        "inTps": rate(&["putTps"]),
        "sendQueueSize": number("sendThreadPoolQueueSize"),
        "sendQueueHeadWaitMs": number("sendThreadPoolQueueHeadWaitTimeMills"),
        "outTps": rate(&["getTransferredTps", "getTransferedTps"]),
        "pullQueueSize": number("pullThreadPoolQueueSize"),
        "pullQueueHeadWaitMs": number("pullThreadPoolQueueHeadWaitTimeMills"),
        "earliestMessageHours": hours,
        "diskRatio": text("commitLogDiskRatio").parse::<f64>().ok(),
        "active": text("brokerActive") == "true",
    })
}

/// Messages of yesterday and of today.
fn totals(facts: &BTreeMap<String, String>) -> Value {
    let number = |name: &str| facts.get(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let day = |what: &str| {
        let today = number(&format!("{what}TotalTodayMorning"));
        (
            today - number(&format!("{what}TotalYesterdayMorning")),
            number(&format!("{what}TotalTodayNow")) - today,
        )
    };
    let ((in_yesterday, in_today), (out_yesterday, out_today)) = (day("msgPut"), day("msgGet"));
    json!({
        "inTotalYesterday": in_yesterday,
        "outTotalYesterday": out_yesterday,
        "inTotalToday": in_today,
        "outTotalToday": out_today,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_answer_has_a_row() {
        let nodes = [json!({"error": "refused", "addr": "a:1"})];
        assert!(Report::Table(load_table(&nodes)).to_text().contains("no answer"));
        assert!(Report::Table(totals_table(&nodes)).to_text().contains("refused"));
    }

    /// S25: the exit status was 0 whoever was dead.
    #[test]
    fn whoever_is_missing_is_told_with_the_cause() {
        let nodes = [
            json!({"addr": "a:1", "brokerId": 0}),
            json!({"addr": "a:2", "brokerId": 2, "error": "no answer within 3s"}),
            json!({"addr": "a:3", "node": "n2", "error": "nothing listens at a:3"}),
        ];
        assert_eq!(missing(&nodes), ["a:2: no answer within 3s", "n2 at a:3: nothing listens at a:3"]);
        assert_eq!(missing(&nodes[..1]), [""; 0]);
    }

    #[test]
    fn load_is_read_from_the_facts_of_either_release() {
        for name in ["getTransferredTps", "getTransferedTps"] {
            let facts = BTreeMap::from([
                (name.to_owned(), "12.34 5.0 1.0".to_owned()),
                ("pullThreadPoolQueueSize".to_owned(), "3".to_owned()),
            ]);
            let node = load(&facts, 0);
            assert_eq!((&node["outTps"], &node["pullQueueSize"]), (&json!(12.34), &json!(3)));
        }
    }
}
