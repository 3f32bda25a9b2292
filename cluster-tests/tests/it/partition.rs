//! Links are cut: clients still reach every node, nodes do not reach each other.

use harness::outcome::Outcome;
use harness::{Run, View};

use crate::story::Story;

#[tokio::test]
async fn a_leader_cut_off_acknowledges_nothing_more_and_the_others_go_on() {
    let mut story = Story::begin("leader-alone").await;
    let old = story.whole().await;
    story.send_some("a").await;
    story.cluster.links().isolate(old);
    let to_old = story.load_to("b", vec![story.cluster.broker_addr(old)]);
    let new = story.another_leader(old).await;
    let to_others = story.load_to(
        "c",
        (0..3).filter(|node| *node != old).map(|node| story.cluster.broker_addr(node)).collect(),
    );
    to_others.wait_for_acks(100).await;
    let apart = to_old.now();
    to_others.wait_for_acks(100).await;
    story.cluster.links().heal();
    let healed = to_old.now();
    assert_ne!(story.whole().await, old);
    to_old.wait_for_acks(20).await;
    story.stop(to_others).await;
    let ledger = story.stop(to_old).await;
    let acked_apart = ledger.acked().filter(|(attempt, _)| attempt.begun >= apart && attempt.ended < healed);
    assert_eq!(acked_apart.count(), 0, "the old leader has no majority to acknowledge with");
    assert_ne!(new, old);
    story.end().await;
}

/// Writes that only the cut-off leader has are in nobody's way: its log is cut back to what the others have.
#[tokio::test]
async fn a_conflicting_tail_is_cut_back() {
    let mut story = Story::begin("conflict").await;
    let old = story.whole().await;
    story.send_some("a").await;
    let before = story.cluster.view().await.status(old).unwrap().last_log_index;
    story.cluster.links().isolate(old);
    let to_old = story.load_to("lonely", vec![story.cluster.broker_addr(old)]);
    story
        .cluster
        .wait_for("the cut-off leader to take entries that it cannot commit", |view| {
            view.status(old)
                .filter(|status| {
                    status.last_log_index > before && status.last_log_index > status.commit_index
                })
                .map(|_| ())
        })
        .await;
    story.another_leader(old).await;
    let others = (0..3).filter(|node| *node != old).map(|node| story.cluster.broker_addr(node)).collect();
    let to_others = story.load_to("majority", others);
    to_others.wait_for_acks(200).await;
    story.stop(to_others).await;
    let lonely = story.stop(to_old).await;
    story.cluster.links().heal();
    story.whole().await;
    let unknown = lonely.attempts.iter().filter(|attempt| matches!(attempt.outcome, Outcome::Unknown(_)));
    assert!(unknown.count() > 0, "the lonely leader's clients cannot know: {:?}", lonely.attempts);
    story.send_some("b").await;
    story.end().await;
}

#[tokio::test]
async fn a_leader_that_is_not_heard_is_replaced() {
    one_way("leader-not-heard", |story, leader, other| story.cluster.links().cut_one_way(leader, other))
        .await;
}

#[tokio::test]
async fn a_leader_that_does_not_hear_is_replaced() {
    one_way("leader-does-not-hear", |story, leader, other| story.cluster.links().cut_one_way(other, leader))
        .await;
}

async fn one_way(name: &str, cut: impl Fn(&Story, usize, usize)) {
    let mut story = Story::begin(name).await;
    let old = story.whole().await;
    let load = story.load("a");
    load.wait_for_acks(50).await;
    for other in (0..3).filter(|node| *node != old) {
        cut(&story, old, other);
    }
    let term = story.cluster.view().await.term();
    story
        .cluster
        .wait_for("another leader, or the same one of a later term", |view| {
            view.leader().filter(|leader| *leader != old || view.term() > term)
        })
        .await;
    load.wait_for_acks(50).await;
    story.cluster.links().heal();
    story.whole().await;
    load.wait_for_acks(50).await;
    story.stop(load).await;
    story.end().await;
}

#[tokio::test]
async fn a_follower_cut_off_changes_nothing_and_comes_back_quietly() {
    let mut story = Story::begin("follower-alone").await;
    let leader = story.whole().await;
    let term = story.cluster.view().await.term();
    let [follower, _] = story.followers(leader);
    let load = story.load_to("a", vec![story.cluster.broker_addr(leader)]);
    load.wait_for_acks(50).await;
    story.cluster.links().isolate(follower);
    story
        .cluster
        .wait_for("the follower to miss its leader", |view| {
            view.status(follower).filter(|status| status.leader.is_none()).map(|_| ())
        })
        .await;
    load.wait_for_acks(200).await;
    story.cluster.links().heal();
    assert_eq!(story.whole().await, leader, "it must not unseat a leader that works");
    let ledger = story.stop(load).await;
    assert_eq!(ledger.not_acked().len(), 0, "{:?}", ledger.not_acked());
    assert_eq!(story.cluster.view().await.term(), term, "and must not have raised the term");
    story.end().await;
}

/// Connections break and come back without anybody being cut off.
#[tokio::test]
async fn broken_connections_are_made_again() {
    let mut story = Story::begin("resets").await;
    let leader = story.whole().await;
    let load = story.load("a");
    for _ in 0..5 {
        load.wait_for_acks(30).await;
        for other in (0..3).filter(|node| *node != leader) {
            story.cluster.links().reset(leader, other);
        }
    }
    load.wait_for_acks(50).await;
    story.stop(load).await;
    let view: View = story.cluster.view().await;
    assert!(view.nodes.iter().all(|node| node.run == Run::Up), "{view}");
    story.whole().await;
    story.end().await;
}
