//! Nodes die by `kill -9`, alone and together.

use std::time::Duration;

use harness::views::{Ask, ViewError};
use harness::{WAIT, eventually};

use crate::story::Story;

const KILLS: usize = 20;

/// Also prints the figure that people ask for first: from the kill to the next acknowledged send.
#[tokio::test]
async fn the_leader_is_killed_again_and_again_under_load() {
    let mut story = Story::begin("kill-leader").await;
    let load = story.load("a");
    let mut kills = Vec::new();
    for _ in 0..KILLS {
        let old = story.whole().await;
        load.wait_for_acks(40).await;
        kills.push(load.now());
        story.cluster.kill(old).await.unwrap();
        story.another_leader(old).await;
        load.wait_for_acks(20).await;
        story.cluster.start_node(old).await.unwrap();
    }
    story.whole().await;
    let ledger = story.stop(load).await;
    let mut gaps: Vec<Duration> = kills.iter().map(|at| ledger.next_ack(*at).unwrap()).collect();
    gaps.sort();
    println!(
        "kill -9 of the leader to the next acknowledged send, {KILLS} rounds: p50 {} ms, max {} ms; {gaps:?}",
        gaps[KILLS / 2].as_millis(),
        gaps[KILLS - 1].as_millis()
    );
    story.end().await;
}

#[tokio::test]
async fn a_killed_follower_costs_no_message_and_catches_up() {
    let mut story = Story::begin("kill-follower").await;
    let leader = story.whole().await;
    let [follower, _] = story.followers(leader);
    let term = story.cluster.view().await.term();
    let load = story.load_to("a", vec![story.cluster.broker_addr(leader)]);
    load.wait_for_acks(50).await;
    story.cluster.kill(follower).await.unwrap();
    load.wait_for_acks(300).await;
    story.cluster.start_node(follower).await.unwrap();
    assert_eq!(story.whole().await, leader, "a follower's death changes nothing");
    let ledger = story.stop(load).await;
    assert_eq!(ledger.not_acked().len(), 0, "{:?}", ledger.not_acked());
    assert_eq!(story.cluster.view().await.term(), term);
    story.end().await;
}

#[tokio::test]
async fn with_two_nodes_dead_nothing_is_acknowledged_and_one_back_is_enough() {
    let mut story = Story::begin("kill-two").await;
    let leader = story.whole().await;
    story.send_some("a").await;
    let [one, other] = story.followers(leader);
    story.cluster.kill_together(&[one, other]).await.unwrap();
    let alone = story.load_to("b", vec![story.cluster.broker_addr(leader)]);
    eventually("the leader without a majority to answer 503", WAIT, async || {
        let asked = story.cluster.ask_leader(leader, Ask::Majority).await;
        matches!(asked, Err(ViewError::Refused { status: 503, .. })).then_some(())
    })
    .await;
    story.cluster.start_node(one).await.unwrap();
    alone.wait_for_acks(30).await;
    story.stop(alone).await;
    story.cluster.start_node(other).await.unwrap();
    story.whole().await;
    story.send_some("c").await;
    story.end().await;
}

#[tokio::test]
async fn all_nodes_killed_together_come_back_with_everything() {
    let mut story = Story::begin("kill-all").await;
    let load = story.load("a");
    for _ in 0..2 {
        load.wait_for_acks(100).await;
        story.cluster.kill_together(&[0, 1, 2]).await.unwrap();
        for node in 0..3 {
            story.cluster.start_node(node).await.unwrap();
        }
        story.whole().await;
    }
    load.wait_for_acks(50).await;
    story.stop(load).await;
    story.end().await;
}
