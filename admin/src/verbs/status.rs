//! `status` and `health`: every voter of every group, also one that is dead, and what is wrong.
//!
//! Nodes are found by the name server or by `-a`; their own peers name the ones that the name server has dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use web::views::{self, Role};

use super::leader::{Nodes, ask_status};
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
            let status = row.status.as_ref();
            let disk = status.and_then(|status| status.disk.as_ref());
            table.push(vec![
                json!(row.node),
                json!(row.group),
                json!(row.http),
                json!(status.map(|status| &status.version)),
                json!(status.map(|status| status.role)),
                json!(status.map(|status| status.term)),
                json!(status.map(|status| status.ready)),
                json!(status.map(|status| status.last_log_index)),
                json!(status.map(|status| status.commit_index)),
                json!(status.map(|status| status.applied_index)),
                json!(row.lag),
                json!(row.contact_ms),
                json!(disk.map(|disk| disk.used_percent)),
                json!(status.map(|status| &status.flush)),
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
    /// Wait up to this many seconds until all is well
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
        let leads = |row: &Row| {
            let status = row.status.as_ref().filter(|status| status.role == Role::Leader)?;
            Some(format!("{} leads {} in term {}", row.node, row.group, status.term))
        };
        let leaders: Vec<_> = rows.iter().filter_map(leads).collect();
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
    /// What it says itself; `None` if it does not answer.
    status: Option<views::Status>,
    /// How many entries it lacks, as the leader knows.
    lag: Option<u64>,
    contact_ms: Option<u64>,
    wrong: Vec<String>,
}

/// Asks every node that is known, and then every one that those name and that was not asked.
async fn look(context: &Context, nodes: &Nodes) -> anyhow::Result<Vec<Row>> {
    let found = nodes.find(context).await?;
    let mut answers = ask_status(context, found).await;
    let asked: BTreeSet<String> = answers.iter().map(|(addr, _, _)| addr.clone()).collect();
    let others: BTreeMap<String, String> = answers
        .iter()
        .filter_map(|(_, _, answer)| answer.as_ref().ok())
        .flat_map(|status| status.peers.iter().map(|peer| (peer, &status.group)))
        .filter_map(|(peer, group)| Some((peer.http.clone()?, group.clone())))
        .filter(|(http, _)| !asked.contains(http))
        .collect();
    answers.extend(ask_status(context, others.into_iter().collect()).await);
    Ok(rows(answers))
}

type Answer = (String, String, anyhow::Result<views::Status>);

fn rows(answers: Vec<Answer>) -> Vec<Row> {
    let statuses: Vec<views::Status> =
        answers.iter().filter_map(|(_, _, answer)| answer.as_ref().ok().cloned()).collect();
    let mut rows: Vec<Row> = Vec::new();
    for (http, group, answer) in answers {
        let mut row = Row { group, http, ..Row::default() };
        match answer {
            Ok(status) => {
                (row.node, row.group) = (status.node.clone(), status.group.clone());
                row.wrong.clone_from(&status.alarms);
                if row.wrong.is_empty() {
                    row.wrong.extend(status.fatal.clone());
                }
                row.status = Some(status);
            }
            Err(error) => {
                let named = statuses.iter().find_map(|status| {
                    let peer = status.peers.iter().find(|peer| peer.http.as_ref() == Some(&row.http))?;
                    Some((peer.id.clone(), status.group.clone()))
                });
                (row.node, row.group) = named.unwrap_or((String::new(), row.group));
                row.wrong.push(format!("{error:#}"));
            }
        }
        rows.push(row);
    }
    // Voters that nobody could be asked about: a node that never met them knows no address.
    for status in &statuses {
        for voter in &status.voters {
            if !rows.iter().any(|row| row.group == status.group && row.node == *voter) {
                let wrong = vec!["no node knows its HTTP address".to_owned()];
                let (node, group) = (voter.clone(), status.group.clone());
                rows.push(Row { node, group, wrong, ..Row::default() });
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
fn complete(row: &mut Row, statuses: &[views::Status]) {
    let leader = statuses.iter().find(|status| status.role == Role::Leader && status.group == row.group);
    let Some(leader) = leader else { return };
    if let Some(peer) = leader.peers.iter().find(|peer| peer.id == row.node) {
        (row.lag, row.contact_ms) = (peer.lag_entries, peer.last_contact_ms);
    }
    let member = leader.members.iter().find(|member| member.id == row.node);
    row.wrong.extend(member.and_then(|member| member.error.clone()));
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
        let leads = |row: &Row| row.group == group && row.status.as_ref().is_some_and(views::Status::leads);
        if !rows.iter().any(leads) {
            wrong.push(format!("nobody leads {group}"));
        }
    }
    wrong
}

/// Client addresses of voters that a node knows and `known` does not name, with node and cause; for `clusterList`.
pub(super) async fn absent(
    context: &Context,
    nodes: &[(String, String)],
    known: &BTreeSet<String>,
) -> BTreeMap<String, (String, String)> {
    let mut absent = BTreeMap::new();
    for (_, _, answer) in ask_status(context, nodes.to_vec()).await {
        let Ok(status) = answer else { continue };
        for peer in status.peers {
            if let Some(addr) = peer.remoting.filter(|addr| !known.contains(addr)) {
                let told = absent.entry(addr).or_insert_with(|| (peer.id, String::new()));
                if let Some(cause) = peer.error {
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

    fn answer(http: &str, group: &str, status: Value) -> Answer {
        (http.to_owned(), group.to_owned(), Ok(serde_json::from_value(status).unwrap()))
    }

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
        let answers = vec![answer("h:0", "g", leader(&peers, &members)), answer("h:1", "", follower)];
        let rows = rows(answers);
        let shown: Vec<_> = rows.iter().map(|row| (row.node.as_str(), row.lag)).collect();
        assert_eq!(shown, [("n0", None), ("n1", Some(3)), ("n2", None)]);
        let expected = ["n2 of g: no node knows its HTTP address", "n2 of g: nothing listens at h:2"];
        assert_eq!(wrong(&rows), expected);
        assert!(health(&rows, &wrong(&rows)).to_text().starts_with("not well:\n  n2 of g: no node"));
    }

    #[test]
    fn a_node_that_does_not_answer_is_named_by_its_peers() {
        let peers = json!([{"id": "n1", "http": "h:1"}, {"id": "n2", "http": "h:2"}]);
        let answers = vec![
            answer("h:0", "g", leader(&peers, &json!([]))),
            ("h:1".to_owned(), "g".to_owned(), Err(anyhow::anyhow!("no answer"))),
            answer("h:2", "g", json!({"node": "n2", "group": "g", "alarms": ["fenced"]})),
        ];
        assert_eq!(wrong(&rows(answers)), ["n1 of g: no answer", "n2 of g: fenced"]);
    }

    #[test]
    fn a_group_without_a_leader_is_not_well() {
        let follower =
            json!({"node": "n1", "group": "g", "role": "follower", "alarms": [], "voters": ["n1"]});
        let rows = rows(vec![answer("h:1", "g", follower)]);
        assert_eq!(wrong(&rows), ["nobody leads g"]);
    }
}
