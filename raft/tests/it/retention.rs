//! Old segments go, and a follower that needs them gets the snapshot instead.

use bytes::Bytes;
use store::CommitlogOffset;

use crate::group::{Group, wait_for};

/// Makes the log longer by about `count` times 100 KiB.
async fn fill(group: &Group, name: &str, count: usize) {
    for n in 0..count {
        group.command(&format!("{name} {n} {}", "x".repeat(100 << 10))).await;
    }
}

async fn purge_two_segments(group: &Group, id: u64) {
    wait_for("a checkpoint at a boundary", || {
        let segments = group.node(id).log().segments();
        if segments.len() > 3 { Ok(()) } else { Err(segments) }
    })
    .await;
    let boundary = CommitlogOffset(2 << 20);
    // The checkpoint may still be on its way to the disk.
    let mut min = group.node(id).log().ends().min;
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(10));
    while min < boundary {
        tick.tick().await;
        min = group.node(id).purge_before(boundary).await.unwrap();
    }
    assert_eq!(min, boundary);
    assert!(group.view(id).purged_index > 0 || group.node(id).log().purged().is_some());
}

#[tokio::test]
async fn a_follower_beyond_the_purge_point_gets_a_snapshot_and_then_the_log() {
    let mut group = Group::start(3);
    let leader = group.leader().await;
    let away = group.running().into_iter().find(|id| *id != leader).unwrap();
    fill(&group, "before", 3).await;
    group.settle().await;
    group.crash(away).await;
    fill(&group, "during", 40).await;
    for id in group.running() {
        purge_two_segments(&group, id).await;
    }
    group.run(away);
    let state = group.settle().await;
    assert_eq!(state.commands.len(), 43);
    assert_eq!(group.recorder(away).state().installs, 1);
    assert_eq!(group.node(away).log().ends().min, CommitlogOffset(2 << 20));
    // And what it has it keeps.
    group.crash(away).await;
    fill(&group, "after", 2).await;
    group.run(away);
    assert_eq!(group.settle().await.commands.len(), 45);
}

#[tokio::test]
async fn a_purged_log_restarts_where_it_was() {
    let mut group = Group::start(1);
    fill(&group, "some", 45).await;
    let before = group.recorder(1).state();
    purge_two_segments(&group, 1).await;
    group.node(1).checkpoint_now().await.unwrap();
    group.crash(1).await;
    group.run(1);
    group.leader().await;
    let after = group.recorder(1).state();
    assert_eq!(before.commands, after.commands);
    assert_eq!(group.node(1).log().ends().min, CommitlogOffset(2 << 20));
    group.command("more").await;
    let nothing = group.node(1).purge_before(CommitlogOffset(1 << 20)).await.unwrap();
    assert_eq!(nothing, CommitlogOffset(2 << 20));
    assert_eq!(Bytes::from(group.recorder(1).commands().pop().unwrap()), "more");
}
