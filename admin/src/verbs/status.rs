//! `status` and `health`: every voter of every group, also one that is dead, and what is wrong.
//!
//! Nodes are found by the name server or by `-a`; their own peers name the ones that the name server has dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};

use super::leader::{Nodes, ask_all};
use crate::context::Context;
use crate::report::{Report, Table};
use crate::verb::Verb;

/// How often `health` looks again with `--watch` and `--wait`.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Flags of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    nodes: Nodes,
}

impl Verb for Status {
    const NAME: &'static str = "status";
    const ABOUT: &'static str =
        "Role, term, log, lag and alarms of every voter; exit status 1 if anything is wrong";
    const EXAMPLES: &'static [&'static str] = &["", "-a 127.0.0.1:30913", "--json"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let rows = look(context, &self.nodes).await?;
        let mut table = Table::new(&[
            ("node", "Node"),
            ("group", "Group"),
            ("http", "HTTP"),
            ("version", "Version"),
            ("role", "Role"),
            ("term", "Term"),
            ("ready", "Ready"),
            ("lastLogIndex", "Last log index"),
            ("commitIndex", "Committed"),
            ("appliedIndex", "Applied"),
            ("lagEntries", "Lag"),
            ("lastContactMs", "Contact ms"),
            ("diskUsedPercent", "Disk %"),
            ("flush", "Flush"),
            ("error", "Wrong"),
        ]);
        for row in &rows {
            let fact = |name: &str| row.status[name].clone();
            table.push(vec![
                json!(row.node),
                json!(row.group),
                json!(row.http),
                fact("version"),
                fact("role"),
                fact("term"),
                fact("ready"),
                fact("lastLogIndex"),
                fact("commitIndex"),
                fact("appliedIndex"),
                row.lag.clone(),
                row.contact_ms.clone(),
                row.status["disk"]["usedPercent"].clone(),
                fact("flush"),
                if row.wrong.is_empty() { Value::Null } else { json!(row.wrong.join("; ")) },
            ]);
        }
        let wrong = wrong(&rows);
        if wrong.is_empty() {
            return Ok(Report::Table(table));
        }
        context.print(&Report::Table(table))?;
        bail!("not well: {}", wrong.join("; "))
    }
}

/// Flags of `health`.
#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    #[command(flatten)]
    nodes: Nodes,
    /// Look again every second, and tell each change, until Ctrl-C
    #[arg(long, conflicts_with = "wait")]
    watch: bool,
    /// Wait up to so many seconds until all is well
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60")]
    wait: Option<u64>,
}

impl Verb for Health {
    const NAME: &'static str = "health";
    const ABOUT: &'static str = "Whether all is well: exit status 0, or 1 with what is wrong";
    const EXAMPLES: &'static [&'static str] = &["", "--watch", "--wait 60", "-a 127.0.0.1:30913"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let deadline = context.monotonic() + Duration::from_secs(self.wait.unwrap_or(0));
        let mut told: Option<Vec<String>> = None;
        loop {
            // A name server that does not answer is as wrong as a node that does not.
            let (rows, wrong) = match look(context, &self.nodes).await {
                Ok(rows) => {
                    let wrong = wrong(&rows);
                    (rows, wrong)
                }
                Err(error) => (Vec::new(), vec![format!("{error:#}")]),
            };
            let report = health(&rows, &wrong);
            let is_over = wrong.is_empty() || context.monotonic() >= deadline;
            if self.watch {
                if told.as_ref() != Some(&wrong) {
                    context.print(&report)?;
                }
                told = Some(wrong);
            } else if wrong.is_empty() {
                return Ok(report);
            } else if is_over {
                context.print(&report)?;
                let count = wrong.len();
                bail!("{count} {} wrong", if count == 1 { "thing is" } else { "things are" });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

fn health(rows: &[Row], wrong: &[String]) -> Report {
    let value = json!({"healthy": wrong.is_empty(), "wrong": wrong, "nodes": rows.len()});
    let text = if wrong.is_empty() {
        let leaders = rows.iter().filter(|row| row.status["role"] == "leader");
        let leaders: Vec<_> = leaders
            .map(|row| format!("{} leads {} in term {}", row.node, row.group, row.status["term"]))
            .collect();
        format!("well: {} nodes; {}", rows.len(), leaders.join("; "))
    } else {
        format!("not well:\n  {}", wrong.join("\n  "))
    };
    Report::Shown(Box::new(Report::Done(text)), value)
}

/// One voter, or a node that was asked for.
#[derive(Debug, Default)]
struct Row {
    /// `n0`; empty where nobody could tell.
    node: String,
    group: String,
    /// Empty where it is not known.
    http: String,
    /// What it says itself; `null` if it does not answer.
    status: Value,
    /// As the leader knows.
    lag: Value,
    contact_ms: Value,
    wrong: Vec<String>,
}

/// Asks every node that is known, and then every one that those name and that was not asked.
async fn look(context: &Context, nodes: &Nodes) -> anyhow::Result<Vec<Row>> {
    let found = nodes.find(context).await?;
    let mut answers = ask_all(context, found, "/status").await;
    let asked: BTreeSet<String> = answers.iter().map(|(addr, _, _)| addr.clone()).collect();
    let statuses: Vec<Value> = answers
        .iter()
        .filter_map(|(_, _, answer)| answer.as_ref().ok().map(|(_, status)| status.clone()))
        .collect();
    let others: BTreeMap<String, String> = statuses
        .iter()
        .flat_map(|status| peers(status).map(|peer| (text(&peer["http"]), text(&status["group"]))))
        .filter(|(http, _)| !http.is_empty() && !asked.contains(http))
        .collect();
    answers.extend(ask_all(context, others.into_iter().collect(), "/status").await);
    Ok(rows(answers))
}

type Answer = (String, String, anyhow::Result<(u16, Value)>);

fn rows(answers: Vec<Answer>) -> Vec<Row> {
    let statuses: Vec<Value> = answers
        .iter()
        .filter_map(|(_, _, answer)| answer.as_ref().ok().map(|(_, status)| status.clone()))
        .collect();
    let mut rows: Vec<Row> = Vec::new();
    for (http, group, answer) in answers {
        let mut row = Row { group, http, ..Row::default() };
        match answer {
            Ok((_, status)) => {
                row.node = text(&status["node"]);
                row.group = text(&status["group"]);
                row.wrong = status["alarms"].as_array().into_iter().flatten().map(text).collect();
                if row.wrong.is_empty() && !status["fatal"].is_null() {
                    row.wrong.push(text(&status["fatal"]));
                }
                row.status = status;
            }
            Err(error) => {
                let named = statuses.iter().find_map(|status| {
                    let peer = peers(status).find(|peer| peer["http"] == row.http.as_str())?;
                    Some((text(&peer["id"]), text(&status["group"])))
                });
                (row.node, row.group) = named.unwrap_or((String::new(), row.group));
                row.wrong.push(format!("{error:#}"));
            }
        }
        rows.push(row);
    }
    // Voters that nobody could be asked about: a node that never met them knows no address.
    for status in &statuses {
        let group = text(&status["group"]);
        for voter in status["voters"].as_array().into_iter().flatten().map(text) {
            if !rows.iter().any(|row| row.group == group && row.node == voter) {
                let wrong = vec!["no node knows its HTTP address".to_owned()];
                rows.push(Row { node: voter, group: group.clone(), wrong, ..Row::default() });
            }
        }
    }
    for row in &mut rows {
        complete(row, &statuses);
    }
    rows.sort_by(|one, other| {
        (&one.group, &one.node, &one.http).cmp(&(&other.group, &other.node, &other.http))
    });
    rows
}

/// Adds what the leader knows of a node.
fn complete(row: &mut Row, statuses: &[Value]) {
    let leader =
        statuses.iter().find(|status| status["role"] == "leader" && status["group"] == row.group.as_str());
    let Some(leader) = leader else { return };
    let of_row = |list: &Value| {
        list.as_array().and_then(|list| list.iter().find(|one| one["id"] == row.node.as_str())).cloned()
    };
    let peer = of_row(&leader["peers"]).unwrap_or_default();
    (row.lag, row.contact_ms) = (peer["lagEntries"].clone(), peer["lastContactMs"].clone());
    let cause = of_row(&leader["members"]).map(|member| text(&member["error"])).unwrap_or_default();
    if !cause.is_empty() {
        row.wrong.push(cause);
    }
}

/// Everything that is wrong, each with whom it concerns.
fn wrong(rows: &[Row]) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    for row in rows {
        let who = if row.node.is_empty() { &row.http } else { &row.node };
        wrong.extend(row.wrong.iter().map(|what| format!("{who} of {}: {what}", row.group)));
    }
    let groups: BTreeSet<&str> = rows.iter().map(|row| row.group.as_str()).collect();
    for group in groups {
        let leads =
            |row: &Row| row.group == group && row.status["role"] == "leader" && row.status["ready"] == true;
        if !rows.iter().any(leads) {
            wrong.push(format!("nobody leads {group}"));
        }
    }
    wrong
}

fn peers(status: &Value) -> impl Iterator<Item = &Value> {
    status["peers"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Client addresses of voters that a node knows and `known` does not name, with node and cause; for `clusterList`.
pub(super) async fn absent(
    context: &Context,
    nodes: &[(String, String)],
    known: &BTreeSet<String>,
) -> BTreeMap<String, (String, String)> {
    let mut absent = BTreeMap::new();
    for (_, _, answer) in ask_all(context, nodes.to_vec(), "/status").await {
        let Ok((_, status)) = answer else { continue };
        for peer in peers(&status) {
            let addr = text(&peer["remoting"]);
            if !addr.is_empty() && !known.contains(&addr) {
                let cause = text(&peer["error"]);
                let told = absent.entry(addr).or_insert_with(|| (text(&peer["id"]), String::new()));
                if !cause.is_empty() {
                    told.1 = cause;
                }
            }
        }
    }
    absent
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(peers: &Value, members: &Value) -> Value {
        json!({"node": "n0", "group": "g", "role": "leader", "ready": true, "term": 4, "alarms": [],
            "voters": ["n0", "n1", "n2"], "peers": peers, "members": members})
    }

    /// S25: dead nodes vanished, and the exit status was 0.
    #[test]
    fn every_voter_has_a_row_and_a_dead_one_its_cause() {
        let peers = json!([{"id": "n1", "http": "h:1", "lagEntries": 3, "lastContactMs": 9}, {"id": "n2", "lagEntries": null}]);
        let members = json!([{"id": "n0"}, {"id": "n1"}, {"id": "n2", "error": "nothing listens at h:2"}]);
        let follower = json!({"node": "n1", "group": "g", "role": "follower", "alarms": [], "peers": [], "voters": ["n0", "n1", "n2"]});
        let answers = vec![
            ("h:0".to_owned(), "g".to_owned(), Ok((200, leader(&peers, &members)))),
            ("h:1".to_owned(), String::new(), Ok((200, follower))),
        ];
        let rows = rows(answers);
        let shown: Vec<_> = rows.iter().map(|row| (row.node.as_str(), row.lag.clone())).collect();
        assert_eq!(shown, [("n0", Value::Null), ("n1", json!(3)), ("n2", Value::Null)]);
        let expected = ["n2 of g: no node knows its HTTP address", "n2 of g: nothing listens at h:2"];
        assert_eq!(wrong(&rows), expected);
        assert!(health(&rows, &wrong(&rows)).to_text().starts_with("not well:\n  n2 of g: no node"));
    }

    #[test]
    fn a_node_that_does_not_answer_is_named_by_its_peers() {
        let peers = json!([{"id": "n1", "http": "h:1"}, {"id": "n2", "http": "h:2"}]);
        let answers = vec![
            ("h:0".to_owned(), "g".to_owned(), Ok((200, leader(&peers, &json!([]))))),
            ("h:1".to_owned(), "g".to_owned(), Err(anyhow::anyhow!("no answer"))),
            (
                "h:2".to_owned(),
                "g".to_owned(),
                Ok((200, json!({"node": "n2", "group": "g", "alarms": ["fenced"]}))),
            ),
        ];
        assert_eq!(wrong(&rows(answers)), ["n1 of g: no answer", "n2 of g: fenced"]);
    }

    #[test]
    fn a_group_without_a_leader_is_not_well() {
        let follower =
            json!({"node": "n1", "group": "g", "role": "follower", "alarms": [], "voters": ["n1"]});
        let rows = rows(vec![("h:1".to_owned(), "g".to_owned(), Ok((200, follower)))]);
        assert_eq!(wrong(&rows), ["nobody leads g"]);
    }
}
