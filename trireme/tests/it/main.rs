//! The binary from outside: exit codes, sentences, and the names it answers to.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests may panic, and write their own files"
)]

mod admin;
mod examples;
mod unread;

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TRIREME: &str = env!("CARGO_BIN_EXE_trireme");

fn run(program: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).env_remove("NAMESRV_ADDR").env_remove("TRIREME_PARENT").stdin(Stdio::null());
    command.output().unwrap()
}

fn check(args: &[&str], code: i32, on_stdout: &str, on_stderr: &str) {
    let output = run(Path::new(TRIREME), args);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let told =
        format!("trireme {args:?} ended with {:?}\nstdout: {stdout}\nstderr: {stderr}", output.status.code());
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(stdout.contains(on_stdout), "{told}\nwithout {on_stdout}");
    assert!(stderr.contains(on_stderr), "{told}\nwithout {on_stderr}");
}

#[test]
fn help_and_version_are_there_for_the_asking() {
    check(&["--help"], 0, "a message broker that speaks RocketMQ", "");
    for command in ["up", "namesrv", "broker"] {
        check(&[command, "--help"], 0, "Example", "");
        check(&["-h"], 0, command, "");
    }
    check(&["admin", "--help"], 0, "Usage: mqadmin", "");
    check(&["chaos", "--help"], 0, "trireme chaos list", "");
    check(&["chaos", "list"], 0, "kill-leader", "");
    check(&["version"], 0, concat!("trireme ", env!("CARGO_PKG_VERSION")), "");
    check(&["--version"], 0, concat!("trireme ", env!("CARGO_PKG_VERSION")), "");
}

#[test]
fn what_is_not_understood_ends_with_2() {
    check(&[], 2, "", "Usage: trireme <COMMAND>");
    check(&["row"], 2, "", "unrecognized subcommand 'row'");
    check(&["up", "--nodes", "2"], 2, "", "[possible values: 1, 3]");
    check(&["broker", "--colour"], 2, "", "unexpected argument '--colour'");
}

#[test]
fn what_cannot_start_says_why_and_ends_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("broker.conf");
    std::fs::write(&conf, "listenPort=nine\n\nflushDiskType=MAYBE\n").unwrap();
    let conf = conf.to_str().unwrap();
    check(
        &["broker", "-c", "missing.conf"],
        1,
        "",
        "trireme: cannot read the configuration missing.conf: No such file",
    );
    check(
        &["namesrv", "-c", "missing.conf"],
        1,
        "",
        "trireme: cannot read the configuration missing.conf: No such file",
    );
    let lines = [
        format!("{conf} line 1: listenPort = \"nine\" is refused; allowed is a whole number from 3 to 65535"),
        format!("{conf} line 3: flushDiskType = \"MAYBE\" is refused; allowed is SYNC_FLUSH or ASYNC_FLUSH"),
    ];
    for line in &lines {
        check(&["broker", "-c", conf], 1, "", line);
    }
    // S26: each of these started a node by itself, without a copy of anything.
    let strange = dir.path().join("strange.conf");
    for (text, said) in [
        ("", "is not a broker's configuration: it sets nothing"),
        (
            "color=red\nshape=round\n",
            "none of the 2 names it sets is known, the first of them being \"color\"",
        ),
        (
            "brokerName=a\nenableDLegerCommitLog = tru\n",
            "strange.conf line 2: enableDLegerCommitLog = \"tru\" is refused; allowed is true or false",
        ),
        (
            "dLegerPeers=n0-a:1;n1-b:1;n2-c:1\n",
            "enableDLegerCommitLog is not set, so nothing would be replicated",
        ),
    ] {
        std::fs::write(&strange, text).unwrap();
        check(&["broker", "-c", strange.to_str().unwrap()], 1, "", said);
    }
    check(&["broker", "--set", "nonsense"], 1, "", "--set nonsense: expected key=value");
    check(&["up", "--dir", conf], 1, "", "trireme: cannot make the directory");
}

#[test]
fn values_in_force_are_printed_as_a_property_file() {
    check(&["broker", "-p", "--set", "listenPort=20911"], 0, "\nlistenPort=20911\n", "");
    check(&["broker", "-m", "-n", "a:1;b:2"], 0, "\nnamesrvAddr=a:1;b:2\n", "");
    check(&["broker", "-p", "--set", "lisenPort=1"], 0, "listenPort=10911", "did you mean listenPort?");
    check(&["namesrv", "-p"], 0, "listenPort=9876\n", "");
}

#[test]
fn every_sample_is_accepted() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    for (command, name, line) in [
        ("namesrv", "namesrv.conf", "listenPort=9876\n"),
        ("broker", "broker.conf", "brokerName=broker-a\n"),
        ("broker", "broker-a-n0.conf", "dLegerSelfId=n0\n"),
        ("broker", "broker-a-n1.conf", "dLegerSelfId=n1\n"),
        ("broker", "broker-a-n2.conf", "dLegerSelfId=n2\n"),
        ("broker", "dledger/broker-n2.conf", "listenPort=30931\n"),
    ] {
        let output = run(Path::new(TRIREME), &[command, "-p", "-c", conf.join(name).to_str().unwrap()]);
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && stdout.contains(line), "{name}: {stdout}{stderr}");
        // Ours say nothing but what a secret in a sample could not mend.
        let is_ours = !name.starts_with("dledger");
        let says_more = stderr.lines().any(|line| !line.contains("peerSecret"));
        assert!(says_more != is_ours, "{name}: {stderr}");
    }
}

#[test]
fn it_answers_to_rocketmqs_names() {
    let dir = tempfile::tempdir().unwrap();
    for (name, line) in
        [("mqbroker", "brokerClusterName=DefaultCluster\n"), ("mqnamesrv", "listenPort=9876\n")]
    {
        let link = dir.path().join(name);
        std::os::unix::fs::symlink(TRIREME, &link).unwrap();
        let output = run(&link, &["-p"]);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains(line), "{name} -p says\n{stdout}");
    }
}

#[test]
fn up_names_the_port_that_is_taken_and_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // Any offset whose ports are free, but for that of the third node's peers: other groups have or had some.
    let refused = (100..1_000).step_by(37).find_map(|offset| {
        let _taken = TcpListener::bind(("127.0.0.1", 30935 + offset)).ok()?;
        let args = ["up", "--dir", data.to_str().unwrap(), "--port-offset", &offset.to_string()];
        let output = run(Path::new(TRIREME), &args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = format!("port {} is in use (n2: peers)", 30935 + offset);
        String::from_utf8_lossy(&output.stderr).contains(&said).then_some(())
    });
    assert!(refused.is_some(), "the port that is taken was never named");
    assert!(!data.join("up.json").exists() && !data.join("n0").exists());
}

#[test]
fn a_child_ends_with_the_pipe_that_its_parent_holds() {
    let dir = tempfile::tempdir().unwrap();
    let kv = format!("kvConfigPath={}", dir.path().join("kv.json").display());
    let mut child = Command::new(TRIREME)
        .args(["namesrv", "--set", "listenPort=0", "--set", "httpPort=0", "--set", "bindAddress=127.0.0.1"])
        .args(["--set", &kv])
        .env("TRIREME_PARENT", std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(said.contains("the process that started this one is gone"), "{said}");
}
