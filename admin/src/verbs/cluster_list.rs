//! `clusterList`: every node, with its load.

use std::collections::BTreeMap;

use client::ClientError;
use serde_json::{Value, json};

use crate::cli::Verb;
use crate::context::Context;
use crate::report::{Report, Table};

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterList {
    /// One cluster only
    #[arg(short = 'c', long = "clusterName", value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Messages in and out, yesterday and today, in place of the load
    #[arg(short = 'm', long = "moreStats")]
    more: bool,
    /// Again every so many seconds, until Ctrl-C
    #[arg(short = 'i', long = "interval", value_name = "SECONDS")]
    interval: Option<u64>,
}

impl Verb for ClusterList {
    const NAME: &'static str = "clusterList";
    const ABOUT: &'static str = "List the nodes of all clusters, with their load";
    const EXAMPLES: &'static [&'static str] = &["", "-c RaftCluster", "-m", "-i 5", "--json"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        context.repeat(self.interval, async || self.list(context).await).await
    }
}

impl ClusterList {
    async fn list(&self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let info = admin.cluster_info().await?;
        let mut table = Table::new(if self.more { MORE_COLUMNS } else { COLUMNS });
        if let Some(cluster) =
            self.cluster.as_ref().filter(|cluster| !info.cluster_addr_table.contains_key(*cluster))
        {
            return Err(ClientError::NoCluster { cluster: cluster.clone() }.into());
        }
        let wanted = |cluster: &&String| self.cluster.as_ref().is_none_or(|wanted| wanted == *cluster);
        for cluster in info.cluster_addr_table.keys().filter(wanted) {
            for (name, id, addr) in admin.nodes_of_cluster(cluster).await? {
                let mut row: Vec<Value> =
                    vec![cluster.as_str().into(), name.into(), id.into(), addr.as_str().into()];
                let columns = if self.more { MORE_COLUMNS } else { COLUMNS };
                // A node that does not answer is worth a row of its own.
                row.extend(match (admin.runtime_info_at(&addr).await, self.more) {
                    (Ok(facts), false) => load(&facts, context.now_ms()),
                    (Ok(facts), true) => totals(&facts),
                    (Err(_), _) => not_reachable(columns.len() - row.len()),
                });
                table.push(row);
            }
        }
        Ok(Report::Table(table))
    }
}

const COLUMNS: &[(&str, &str)] = &[
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
];

const MORE_COLUMNS: &[(&str, &str)] = &[
    ("cluster", "Cluster"),
    ("brokerName", "Broker"),
    ("brokerId", "Id"),
    ("addr", "Address"),
    ("inTotalYesterday", "In yesterday"),
    ("outTotalYesterday", "Out yesterday"),
    ("inTotalToday", "In today"),
    ("outTotalToday", "Out today"),
];

fn not_reachable(cells: usize) -> Vec<Value> {
    std::iter::once(Value::from("no answer")).chain(std::iter::repeat_n(Value::Null, cells - 1)).collect()
}

fn load(facts: &BTreeMap<String, String>, now_ms: i64) -> Vec<Value> {
    let text = |name: &str| facts.get(name).map_or("", String::as_str);
    let rate = |names: &[&str], queue: &str| {
        let rate = names.iter().map(|name| text(name)).find(|text| !text.is_empty()).unwrap_or_default();
        let ten_seconds = rate.split(' ').next().and_then(|rate| rate.parse::<f64>().ok()).unwrap_or(0.0);
        let (size, head_ms) = (
            text(&format!("{queue}ThreadPoolQueueSize")),
            text(&format!("{queue}ThreadPoolQueueHeadWaitTimeMills")),
        );
        json!(format!("{ten_seconds:.1} ({size}, {head_ms} ms)"))
    };
    let earliest_ms: i64 = text("earliestMessageTimeStamp").parse().unwrap_or(0);
    let hours = if earliest_ms > 0 {
        json!(((now_ms - earliest_ms).max(0) as f64 / 360_000.0).round() / 10.0)
    } else {
        Value::Null
    };
    let disk = text("commitLogDiskRatio")
        .parse::<f64>()
        .map_or(Value::Null, |ratio| json!(format!("{:.1} %", ratio * 100.0)));
    vec![
        json!(text("brokerVersionDesc")),
        json!(text("raftRole")),
        rate(&["putTps"], "send"),
        rate(&["getTransferredTps", "getTransferedTps"], "pull"),
        hours,
        disk,
        json!(text("brokerActive")),
    ]
}

fn totals(facts: &BTreeMap<String, String>) -> Vec<Value> {
    let number = |name: &str| facts.get(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let day = |what: &str| {
        let today = number(&format!("{what}TotalTodayMorning"));
        (
            today - number(&format!("{what}TotalYesterdayMorning")),
            number(&format!("{what}TotalTodayNow")) - today,
        )
    };
    let ((in_yesterday, in_today), (out_yesterday, out_today)) = (day("msgPut"), day("msgGet"));
    vec![json!(in_yesterday), json!(out_yesterday), json!(in_today), json!(out_today)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_answer_has_a_full_row() {
        assert_eq!(not_reachable(3), [json!("no answer"), Value::Null, Value::Null]);
    }

    #[test]
    fn load_is_read_from_the_facts_of_either_release() {
        let facts = |name: &str| {
            BTreeMap::from([
                (name.to_owned(), "12.34 5.0 1.0".to_owned()),
                ("pullThreadPoolQueueSize".to_owned(), "3".to_owned()),
            ])
        };
        for name in ["getTransferredTps", "getTransferedTps"] {
            assert_eq!(load(&facts(name), 0)[3], json!("12.3 (3,  ms)"));
        }
    }
}
