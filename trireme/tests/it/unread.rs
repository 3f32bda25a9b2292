//! S23: a node whose output nobody reads, full or closed, serves all the same, and stops when told to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use platform::PortBlock;

use crate::TRIREME;

/// How often is looked until something is so, and the pause between.
const LOOKS: usize = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// One node by itself that logs more in a second than a pipe holds; killed when dropped.
struct Node {
    child: Child,
    http: String,
    _ports: PortBlock,
    _dir: tempfile::TempDir,
}

impl Node {
    fn start() -> Self {
        let (ports, dir) = (PortBlock::claim().unwrap(), tempfile::tempdir().unwrap());
        let (port, http) = (ports.port(5), format!("127.0.0.1:{}", ports.port(7)));
        let set = [
            format!("storePathRootDir={}", dir.path().display()),
            format!("listenPort={port}"),
            "bindAddress=127.0.0.1".to_owned(),
            "brokerIP1=127.0.0.1".to_owned(),
            "mappedFileSizeCommitLog=33554432".to_owned(),
        ];
        let mut command = Command::new(TRIREME);
        command.arg("broker").args(set.iter().flat_map(|pair| ["--set", pair]));
        command.env_remove("NAMESRV_ADDR").env_remove("TRIREME_PARENT");
        command.env("TRIREME_LOG", "trace,openraft=trace").stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, http, _ports: ports, _dir: dir }
    }

    /// The answer to `GET path`, if it came within five seconds.
    fn get(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect(&self.http).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        socket.write_all(format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.http).as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.0 200").then_some(answer)
    }

    fn lost_lines(&self) -> Option<f64> {
        let metrics = self.get("/metrics")?;
        let line = metrics.lines().find(|line| line.starts_with("rocketmq_log_lines_lost_total{"))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until lines were lost, which shows that the pipe takes no more; then asks for an answer.
    fn serves_although_lines_are_lost(&self) {
        eventually("lost lines", || self.lost_lines().filter(|lost| *lost > 100.0));
        assert!(self.get("/leader").expect("an answer of the leader").contains("\"linearizable\":true"));
    }

    fn stops(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = eventually("the end", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it has ended by itself, mostly
        let _ = self.child.wait();
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        std::thread::park_timeout(PAUSE);
    }
    panic!("waited for {what} in vain")
}

#[test]
fn a_standard_error_that_is_full_holds_nothing_up() {
    let node = Node::start();
    node.serves_although_lines_are_lost();
    node.stops();
}

#[test]
fn a_standard_error_that_is_closed_ends_nothing() {
    let mut node = Node::start();
    drop((node.child.stdout.take(), node.child.stderr.take()));
    node.serves_although_lines_are_lost();
    node.stops();
}
