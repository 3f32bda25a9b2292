//! Nodes come back: stopped in order, or with the end of their log torn by a crash.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use platform::{Disk, OpenMode, OsDisk};

use crate::story::Story;

#[tokio::test]
async fn a_rolling_restart_under_load_loses_nothing() {
    let mut story = Story::begin("rolling").await;
    let load = story.load("a");
    for node in 0..3 {
        load.wait_for_acks(50).await;
        story.cluster.stop(node).await.unwrap();
        load.wait_for_acks(50).await;
        story.cluster.start_node(node).await.unwrap();
        story.whole().await;
    }
    load.wait_for_acks(50).await;
    story.stop(load).await;
    story.end().await;
}

/// A crash in the middle of an append leaves a part of an entry behind the last whole one. It was never
/// acknowledged by this node, so it goes, and the node is as good as before.
#[tokio::test]
async fn a_torn_entry_at_the_end_of_the_log_is_cut_off() {
    let mut story = Story::begin("torn-tail").await;
    let leader = story.whole().await;
    let [victim, _] = story.followers(leader);
    story.send_some("a").await;
    story.cluster.wait_for_rest().await;
    for (round, torn_bytes) in [40_usize, 100, 1_000].into_iter().enumerate() {
        let end = story.cluster.status(victim).await.unwrap().commitlog.appended;
        story.cluster.kill(victim).await.unwrap();
        tear(&story, victim, end, torn_bytes);
        story.cluster.start_node(victim).await.unwrap();
        story.whole().await;
        story.send_some(&format!("round{round}")).await;
        story.cluster.wait_for_rest().await;
    }
    story.end().await;
}

/// Writes the beginning of the log's first entry again at its end: a header that looks right, and less
/// than it announces.
fn tear(story: &Story, node: usize, end: u64, torn_bytes: usize) {
    let segment = first_segment(&story.cluster.store_dir(node).join("commitlog"));
    let file = OsDisk.open(&segment, OpenMode::ReadWrite).unwrap();
    let mut entry = vec![0; torn_bytes];
    file.read_exact_at(&mut entry, 0).unwrap();
    file.write_all_at(&[IoSlice::new(&entry)], end).unwrap();
}

/// The first file of a log, which is named by 20 zeros, wherever below `dir` it is.
fn first_segment(dir: &Path) -> PathBuf {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for path in OsDisk.list(&dir).unwrap() {
            if path.is_dir() {
                dirs.push(path);
            } else if path.ends_with("00000000000000000000") {
                return path;
            }
        }
    }
    panic!("no segment below {}", dir.display());
}
