//! `up.json`: what runs where, for scripts and tests. Rewritten at each change, and true at any moment.

use std::path::Path;

use platform::Disk;
use serde::Serialize;

use super::files;
use super::plan::Plan;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Up<'a> {
    namesrv: String,
    namesrv_http: String,
    cluster: &'a str,
    group: &'a str,
    nodes: Vec<UpNode<'a>>,
}

#[derive(Serialize)]
struct UpNode<'a> {
    id: &'a str,
    /// `null` while the node is down.
    pid: Option<u32>,
    remoting: String,
    raft: String,
    http: String,
    store: &'a Path,
    log: &'a Path,
    /// Starts this node alone.
    command: &'a [String],
}

/// Writes `up.json` with `pids` in the order of the plan's nodes.
///
/// # Errors
/// As the disk says; the old file stands then.
pub(crate) fn write(disk: &dyn Disk, plan: &Plan, pids: &[Option<u32>]) -> std::io::Result<()> {
    files::replace(disk, &plan.dir.join("up.json"), &text(plan, pids))
}

fn text(plan: &Plan, pids: &[Option<u32>]) -> String {
    assert_eq!(plan.nodes.len(), pids.len(), "one process id a node");
    let nodes = plan.nodes.iter().zip(pids).map(|(node, pid)| UpNode {
        id: &node.process.name,
        pid: *pid,
        remoting: node.remoting.to_string(),
        raft: node.raft.to_string(),
        http: node.http.to_string(),
        store: &node.store,
        log: &node.process.log,
        command: &node.process.command,
    });
    let up = Up {
        namesrv: plan.namesrv_addr.to_string(),
        namesrv_http: plan.namesrv_http.to_string(),
        cluster: &plan.cluster,
        group: &plan.group,
        nodes: nodes.collect(),
    };
    let mut text = serde_json::to_string_pretty(&up).expect("plain text and numbers always serialize");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn it_has_the_documented_shape() {
        let crate::cli::Command::Up(args) = crate::cli::Cli::parse_from(["trireme", "up"]).command else {
            panic!()
        };
        let (plan, _) = Plan::new(&args, Path::new("/d"), Path::new("/bin/trireme"), 1).unwrap();
        let text = text(&plan, &[Some(77)]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "namesrv": "127.0.0.1:9876",
            "namesrvHttp": "127.0.0.1:9879",
            "cluster": "RaftCluster",
            "group": "RaftNode00",
            "nodes": [{
                "id": "n0",
                "pid": 77,
                "remoting": "127.0.0.1:30911",
                "raft": "127.0.0.1:30915",
                "http": "127.0.0.1:30913",
                "store": "/d/n0",
                "log": "/d/logs/n0.log",
                "command": ["/bin/trireme", "broker", "-c", "/d/conf/broker-n0.conf"],
            }],
        });
        assert_eq!(value, expected);
    }
}
