//! Leaders come and go; what was acknowledged stays.

use std::time::Duration;

use bytes::Bytes;
use raft::{Proposal, ProposeError, ReadIndexError, Role};

use crate::group::{Group, wait_for};

#[tokio::test]
async fn three_nodes_elect_one_leader_and_agree() {
    let group = Group::start(3);
    for n in 0..100 {
        group.command(&format!("command {n}")).await;
    }
    let state = group.settle().await;
    assert_eq!(state.commands.len(), 100);
    let leader = group.leader().await;
    let leaders = group.running().into_iter().filter(|id| group.view(*id).role == Role::Leader);
    assert_eq!(leaders.collect::<Vec<_>>(), [leader]);
    let view = group.view(leader);
    assert_eq!(view.voters, [1, 2, 3]);
    assert!(view.peers.iter().all(|peer| peer.about == format!("node {}", peer.id)), "{view:?}");
    let follower = group.running().into_iter().find(|id| *id != leader).unwrap();
    let refused = group.node(follower).propose(Proposal::command(Bytes::new())).await;
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(leader) }));
    let refused = group.node(follower).read_index(Duration::from_secs(1)).await;
    assert_eq!(refused, Err(ReadIndexError::NotLeader { leader: Some(leader) }));
}

#[tokio::test]
async fn the_leader_dies_again_and_again_and_nothing_acknowledged_is_lost() {
    let mut group = Group::start(3);
    let mut sent = Vec::new();
    for round in 0..5 {
        for n in 0..20 {
            let command = format!("round {round} command {n}");
            group.command(&command).await;
            sent.push(command.into_bytes());
        }
        let leader = group.leader().await;
        let term = group.view(leader).term;
        group.crash(leader).await;
        let next = group.leader().await;
        assert!(group.view(next).term > term);
        let command = format!("after round {round}");
        group.command(&command).await;
        sent.push(command.into_bytes());
        group.run(leader);
        let state = group.settle().await;
        let applied: Vec<_> = state.commands.into_iter().map(|(_, command)| command).collect();
        assert_eq!(applied, sent);
    }
}

#[tokio::test]
async fn without_a_majority_nothing_is_acknowledged_and_the_leader_is_not_ready() {
    let mut group = Group::start(3);
    let leader = group.leader().await;
    let others: Vec<_> = group.running().into_iter().filter(|id| *id != leader).collect();
    for id in &others {
        group.crash(*id).await;
    }
    wait_for("the leader to know that it is alone", || {
        let view = group.view(leader);
        if view.is_ready() { Err(view) } else { Ok(()) }
    })
    .await;
    let node = group.node(leader);
    let read = node.read_index(Duration::from_millis(500)).await;
    assert!(matches!(read, Err(ReadIndexError::NoQuorum(_) | ReadIndexError::NotLeader { .. })), "{read:?}");
    let lost = tokio::time::timeout(Duration::from_secs(5), node.propose(Proposal::command("alone"))).await;
    assert!(!matches!(lost, Ok(Ok(_))), "acknowledged without a majority: {lost:?}");
    group.run(others[0]);
    group.command("together").await;
    group.run(others[1]);
    let state = group.settle().await;
    assert_eq!(state.commands.last().unwrap().1, b"together");
}

#[tokio::test]
async fn all_die_at_once_and_come_back_with_everything() {
    let mut group = Group::start(3);
    for n in 0..200 {
        group.command(&format!("command {n}")).await;
    }
    for id in group.running() {
        group.crash(id).await;
    }
    for id in 1..=3 {
        group.run(id);
    }
    group.command("again").await;
    let state = group.settle().await;
    assert_eq!(state.commands.len(), 201);
}

#[tokio::test]
async fn the_first_look_at_a_node_that_came_back_tells_of_no_older_term() {
    let mut group = Group::start(3);
    group.command("before").await;
    for id in group.running() {
        for _ in 0..5 {
            group.settle().await;
            let before = group.view(id);
            group.crash(id).await;
            group.run(id);
            let first = group.view(id);
            assert!(first.term >= before.term, "{first:?} after {before:?}");
            assert!(first.last_log_index >= before.last_log_index, "{first:?} after {before:?}");
        }
    }
}
