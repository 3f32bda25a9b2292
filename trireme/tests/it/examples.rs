//! The examples of the `client` crate, run as their first lines say, against `trireme up`.

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::TRIREME;

/// Until the group is up, or an example has ended.
const WITHIN: Duration = Duration::from_secs(60);

/// What is added to the ports of a group; n2's last one is 30935.
const OFFSETS: Range<u16> = 1_040..1_820;
/// Between two of a group's own ports there are up to 26.
const OFFSETS_APART: u16 = 40;

/// Name, what follows the address of the name server, and what it says when all went well.
const EXAMPLES: &[(&str, &[&str], &str)] = &[
    ("producer", &["TopicTest", "50"], "\n50 messages stored\n"),
    ("consumer", &["TopicTest", "*", "8"], "\n50 messages received\n"),
    ("ordered", &[], "all came, 0 of them out of turn, "),
    ("many", &[], "1000 of 1000 asynchronous sends stored\n"),
    ("pull", &[], "100 messages polled"),
    ("broadcast", &[], "50 came to the first member and 50 to the second\n"),
    ("retry", &[], "b\"hopeless\" is in %DLQ%example_hesitant\n"),
    ("admin", &[], "1 messages have the key"),
    ("throughput", &["1", "16"], ", 0 failed;"),
];

/// `trireme up` in a directory of its own; ended when dropped.
pub(crate) struct Group {
    up: Child,
    pub(crate) namesrv: String,
    _dir: tempfile::TempDir,
}

impl Group {
    /// Tries other ports where some are taken, and no ports twice: a group that is about to start on the same ones
    /// would be taken for this one. They lie below what outgoing connections are given.
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(OFFSETS.start);
        let offsets = std::iter::repeat_with(|| NEXT.fetch_add(OFFSETS_APART, Ordering::Relaxed));
        offsets.take_while(|offset| OFFSETS.contains(offset)).find_map(Self::start_at).expect("free ports")
    }

    /// `None` if it did not come up, because a port is taken.
    fn start_at(offset: u16) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut up = Command::new(TRIREME)
            .args(["up", "--port-offset", &offset.to_string(), "--dir"])
            .arg(dir.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(up.stdout.take().unwrap());
        let (told, lines) = mpsc::channel();
        // It reads to the end, so that `up` can always write.
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = told.send(line); // nobody waits any more once it is up
            }
        });
        let group = Self { up, namesrv: format!("127.0.0.1:{}", 9_876 + offset), _dir: dir };
        loop {
            match lines.recv_timeout(WITHIN) {
                Ok(line) if line.contains("(leader)") => return Some(group),
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("no leader within {WITHIN:?}"),
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        stop(&self.up);
        let _ = self.up.wait(); // it has ended by itself then
    }
}

/// Asks a process to end.
fn stop(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM); // it has ended by itself then
}

/// Builds the examples, which are there already if the whole workspace is tested; returns their directory.
fn build() -> PathBuf {
    let target = Path::new(TRIREME).parent().unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap());
    cargo.args(["build", "--locked", "--quiet", "-p", "client", "--examples"]);
    if target.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(), "cargo build");
    target.join("examples")
}

/// What an example says; fails if it does not end well.
fn run(program: &Path, args: &[&str]) -> String {
    let mut child =
        Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (done, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        done.send(text).unwrap();
    });
    let said = said.recv_timeout(WITHIN).unwrap_or_else(|_| {
        stop(&child);
        panic!("{} has not ended within {WITHIN:?}", program.display())
    });
    assert!(child.wait().unwrap().success(), "{} says {said}", program.display());
    said
}

#[test]
fn every_example_runs_as_written_and_ends_by_itself() {
    let examples = build();
    let group = Group::start();
    // Side by side: they have topics and groups of their own, but for the first two.
    std::thread::scope(|scope| {
        for (name, args, wanted) in EXAMPLES {
            let (program, namesrv) = (examples.join(name), group.namesrv.as_str());
            scope.spawn(move || {
                let said = run(&program, &[&[namesrv], *args].concat());
                assert!(said.contains(wanted), "{name} says\n{said}\nwithout {wanted}");
            });
        }
    });
}
