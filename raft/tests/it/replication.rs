//! Followers that were away, and followers that were wrong.

use bytes::Bytes;
use raft::Proposal;

use crate::group::{Group, wait_for};

#[tokio::test]
async fn a_follower_that_was_away_catches_up() {
    let mut group = Group::start(3);
    let leader = group.leader().await;
    let away = group.running().into_iter().find(|id| *id != leader).unwrap();
    group.crash(away).await;
    for n in 0..300 {
        group.command(&format!("command {n}")).await;
    }
    group.run(away);
    assert_eq!(group.settle().await.commands.len(), 300);
}

#[tokio::test]
async fn what_only_a_dead_leader_had_is_cut_from_its_log() {
    let mut group = Group::start(3);
    group.command("kept").await;
    group.settle().await;
    let old = group.leader().await;
    let others: Vec<_> = group.running().into_iter().filter(|id| *id != old).collect();
    for id in &others {
        group.crash(*id).await;
    }
    // Nobody else has these; the old leader writes them while its lease lasts.
    let node = group.node(old);
    let before = group.view(old).last_log_index;
    let lost: Vec<_> =
        (0..10).map(|n| node.propose(Proposal::command(Bytes::from(format!("lost {n}"))))).collect();
    wait_for("the old leader to write them", || {
        let last = node.log().last();
        // They share entries, as many as waited when the one before went out.
        if last.is_some_and(|last| last.log_index > before) { Ok(()) } else { Err(last) }
    })
    .await;
    group.crash(old).await;
    for outcome in lost {
        assert!(outcome.await.is_err(), "acknowledged without a majority");
    }
    for id in &others {
        group.run(*id);
    }
    group.command("instead").await;
    group.run(old);
    let state = group.settle().await;
    let commands: Vec<_> = state.commands.into_iter().map(|(_, command)| command).collect();
    assert_eq!(commands, [b"kept".to_vec(), b"instead".to_vec()]);
}

#[tokio::test]
async fn applications_call_each_other() {
    let group = Group::start(3);
    group.leader().await;
    let within = std::time::Duration::from_secs(5);
    let answer = group.node(1).call_peer(3, "hello".into(), within).await.unwrap();
    assert_eq!(answer, "1 said hello");
    assert_eq!(group.node(2).about(3).unwrap(), "node 3");
    let calls = (0..500).map(|n| {
        let node = group.node(2);
        tokio::spawn(async move { (n, node.call_peer(1, Bytes::from(n.to_string()), within).await.unwrap()) })
    });
    for call in calls.collect::<Vec<_>>() {
        let (n, answer) = call.await.unwrap();
        assert_eq!(answer, format!("2 said {n}"));
    }
    assert!(group.node(1).call_peer(9, Bytes::new(), within).await.is_err());
}
