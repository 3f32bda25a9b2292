//! A whole run in small: real processes, real kills, judged.

use harness::{binary, files, seed};
use jepsen::checker::{Validity, check_all, overall};
use jepsen::history::History;
use jepsen::report::render;
use jepsen::runner::{RunOptions, run};
use jepsen::scenario::Scenario;
use platform::{Disk, OsDisk};

const SCENARIO: &str = r#"
name = "short"
cluster = { nodes = 3, namesrv = 1, flush = "sync" }
workload = [{ use = "log", topics = 2, queues = 2, groups = 1, rate = 400, concurrency = 6 }]
phase = [
  { name = "warm", secs = 1 },
  { name = "chaos", secs = 12, fault = [
    { do = "kill", target = "leader", at = "1s", down = "1s+-1s" },
    { do = "pause", target = "leader", at = "4s", for = "2s" },
    { do = "kill-all", at = "8s", down = "500ms" },
  ] },
  { name = "quiet", secs = 1, sends = false },
  { name = "heal", recover_within = "20s" },
  { name = "drain", secs = 60 },
]
require = { faults = { kill = 1, kill-all = 1, pause = 1 }, acked = 500, leaders_seen = 2 }
"#;

#[tokio::test]
async fn a_short_run_with_kills_and_a_pause_is_valid() {
    let seed = seed::pick();
    let dir = std::env::temp_dir().join(format!("trireme-chaos-short-{seed}"));
    let options = RunOptions {
        scenario: Scenario::parse(SCENARIO, "short.toml").unwrap(),
        scenario_text: SCENARIO.to_owned(),
        seed,
        dir: dir.clone(),
        binary: tokio::task::spawn_blocking(binary::built).await.unwrap().unwrap(),
        keep: false,
        tell: |line| println!("{line}"),
        stop: tokio::sync::watch::channel(false).1,
    };
    let results = run(options).await.unwrap();
    println!("{}", render(&results));
    assert_eq!(results.validity, Validity::Valid, "everything about it is in {}", dir.display());

    // What lies in the directory tells the same again.
    let history = History::from_text(&files::read(&dir.join("history.jsonl")).unwrap()).unwrap();
    assert_eq!(overall(&check_all(&history)), Validity::Valid);
    let written = files::read(&dir.join("results.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!((&written["validity"], &written["seed"]), (&"valid".into(), &seed.into()));
    let schedule = files::read(&dir.join("schedule.jsonl")).unwrap();
    assert_eq!(schedule.matches(r#""st":"installed""#).count(), 3, "{schedule}");
    OsDisk.remove_dir_all(&dir).unwrap();
}

/// S26: Ctrl-C left no verdict and 300 MB.
#[tokio::test]
async fn a_run_that_is_interrupted_is_judged_and_leaves_no_stores() {
    let seed = seed::pick();
    let dir = std::env::temp_dir().join(format!("trireme-chaos-interrupted-{seed}"));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let text = SCENARIO.replace("secs = 12", "secs = 600").replace("secs = 1 }", "secs = 600 }");
    let options = RunOptions {
        scenario: Scenario::parse(&text, "short.toml").unwrap(),
        scenario_text: text,
        seed,
        dir: dir.clone(),
        binary: tokio::task::spawn_blocking(binary::built).await.unwrap().unwrap(),
        keep: false,
        tell: |line| println!("{line}"),
        stop: stopped,
    };
    let running = tokio::spawn(run(options));
    let acked = || files::read(&dir.join("history.jsonl")).is_ok_and(|text| text.lines().count() > 500);
    harness::eventually("some history", harness::WAIT, async || acked().then_some(())).await;
    stop.send_replace(true);
    let results = running.await.unwrap().unwrap();
    println!("{}", render(&results));
    assert_eq!(results.validity, Validity::Unknown, "everything about it is in {}", dir.display());
    assert!(results.harness_failure.unwrap().contains("interrupted"));
    assert!(OsDisk.exists(&dir.join("results.json")) && OsDisk.exists(&dir.join("history.jsonl")));
    let left: Vec<_> = OsDisk.list(&dir).unwrap().into_iter().filter(|path| path.is_dir()).collect();
    assert!(left.is_empty(), "{left:?}");
    OsDisk.remove_dir_all(&dir).unwrap();
}
