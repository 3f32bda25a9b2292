//! What `trireme up` says on the terminal.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use platform::Sink;

use super::plan::Plan;
use super::watch::Leader;

/// Prints a line. A terminal that is gone, or that stands still, is not a reason to end a group or to leave it alone.
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

/// Everything there is to know, once somebody leads; in 80 columns, where no path is longer.
pub(crate) fn welcome(plan: &Plan, pids: &[Option<u32>], leader: Leader, took: Duration) -> String {
    let leads = &plan.nodes[leader.node].process.name;
    let mut lines = vec![
        String::new(),
        format!(
            "{} is led by {leads} (term {}), ready after {:.2} s.",
            plan.group,
            leader.term,
            took.as_secs_f64(),
        ),
        format!("Data, logs and up.json are in {}", plan.dir.display()),
        String::new(),
        format!("  {:<12} {:<18} HTTP {}", "name server", plan.namesrv_addr, plan.namesrv_http),
    ];
    for (at, node) in plan.nodes.iter().enumerate() {
        let name = format!("{}{}", node.process.name, if at == leader.node { " (leader)" } else { "" });
        let pid = pids[at].map_or_else(|| "down".to_owned(), |pid| format!("pid {pid}"));
        lines.push(format!("  {name:<12} {:<18} HTTP {:<18} {pid}", node.remoting, node.http));
    }
    let here = std::env::current_dir().unwrap_or_default();
    lines.extend(next_steps(plan, pids, leader, &here));
    lines.join("\n")
}

fn next_steps(plan: &Plan, pids: &[Option<u32>], leader: Leader, here: &Path) -> Vec<String> {
    let (addr, http) = (plan.namesrv_addr, plan.nodes[leader.node].http);
    let program = Path::new(&plan.namesrv.command[0]);
    let program = match program.strip_prefix(here) {
        Ok(below) => format!("./{}", below.display()),
        Err(_) => program.display().to_string(),
    };
    let mut lines = vec![
        String::new(),
        "Try, in another terminal:".to_owned(),
        format!("  export NAMESRV_ADDR={addr}"),
        "  # send a message, and see it".to_owned(),
        format!("  {program} admin sendMessage -t TopicTest -p 'Hello'"),
        format!("  {program} admin consumeMessage -t TopicTest"),
        "  # the same with RocketMQ's own example, or any client of yours".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// S30: what a person sees first was wider than a terminal.
    #[test]
    fn the_welcome_fits_a_terminal() {
        let crate::cli::Command::Up(args) = crate::cli::Cli::parse_from(["trireme", "up"]).command else {
            panic!()
        };
        let (plan, _) =
            Plan::new(&args, Path::new("/home/me/trireme-data"), Path::new("/home/me/trireme"), 3).unwrap();
        let pids = [Some(4_194_303), None, Some(4_194_304)];
        let text = welcome(&plan, &pids, Leader { node: 2, term: 12 }, Duration::from_millis(1_234));
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
        }
        for part in ["led by n2 (term 12), ready after 1.23 s", "pid 4194304", "down", "kill -9 4194304"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let steps = next_steps(&plan, &pids, Leader { node: 0, term: 1 }, Path::new("/home/me"));
        assert!(steps.iter().any(|line| line.starts_with("  ./trireme admin sendMessage")), "{steps:?}");
    }
}
