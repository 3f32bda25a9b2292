//! What `trireme up` says on the terminal.

use std::process::ExitStatus;
use std::time::Duration;

use platform::Sink;

use super::plan::Plan;
use super::watch::Leader;

/// Prints a line. A terminal that is gone, or that stands still, is no reason to end a group or to leave it alone.
pub(crate) fn line(text: &str) {
    Sink::stdout().line(text);
}

/// Prints an event, with the time since the start.
pub(crate) fn event(since_start: Duration, text: &str) {
    line(&format!("[{:>8.2} s] {text}", since_start.as_secs_f64()));
}

/// `killed by signal 9`, `ended with status 1`.
pub(crate) fn how(status: &std::io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with status {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => status.to_string(),
        },
        Err(error) => format!("lost: {error}"),
    }
}

/// Everything there is to know, once somebody leads.
pub(crate) fn welcome(plan: &Plan, pids: &[Option<u32>], leader: Leader, took: Duration) -> String {
    let mut lines = vec![
        String::new(),
        format!(
            "{} is led by {} (term {}), ready after {:.2} s. Data, logs and up.json are in {}",
            plan.group,
            plan.nodes[leader.node].process.name,
            leader.term,
            took.as_secs_f64(),
            plan.dir.display(),
        ),
        String::new(),
        format!("  {:<12} {:<18} HTTP {}", "name server", plan.namesrv_addr, plan.namesrv_http),
    ];
    for (at, node) in plan.nodes.iter().enumerate() {
        let name = format!("{}{}", node.process.name, if at == leader.node { " (leader)" } else { "" });
        let pid = pids[at].map_or_else(|| "down".to_owned(), |pid| format!("pid {pid}"));
        let (remoting, http, raft) = (node.remoting, node.http, node.raft);
        lines.push(format!("  {name:<12} {remoting:<18} HTTP {http:<18} peers {raft:<18} {pid}"));
    }
    lines.extend(next_steps(plan, pids, leader));
    lines.join("\n")
}

fn next_steps(plan: &Plan, pids: &[Option<u32>], leader: Leader) -> Vec<String> {
    let (addr, http) = (plan.namesrv_addr, plan.nodes[leader.node].http);
    let admin = format!("{} admin", plan.namesrv.command[0]);
    let mut lines = vec![
        String::new(),
        "Try, in another terminal:".to_owned(),
        "  # send a message, and see it".to_owned(),
        format!("  {admin} sendMessage -n {addr} -t TopicTest -p 'Hello RocketMQ'"),
        format!("  {admin} consumeMessage -n {addr} -t TopicTest"),
        "  # the same with RocketMQ's own example, or any client: namesrvAddr is all that changes".to_owned(),
        format!("  export NAMESRV_ADDR={addr}"),
        "  sh bin/tools.sh org.apache.rocketmq.example.quickstart.Producer".to_owned(),
        "  # who leads, confirmed by a majority".to_owned(),
        format!("  curl http://{http}/leader"),
    ];
    if let Some(pid) = pids[leader.node] {
        lines.push("  # kill the leader, and see here who takes over".to_owned());
        lines.push(format!("  kill -9 {pid}"));
    }
    lines.push("\nCtrl-C stops everything; the next start finds the data again.\n".to_owned());
    lines
}
