//! A node stands still and does not know that time went on.

use cluster_tests::Role;

use crate::story::Story;

#[tokio::test]
async fn a_leader_that_slept_past_its_lease_wakes_as_a_follower_and_acknowledges_nothing() {
    let mut story = Story::begin("pause-leader").await;
    let old = story.whole().await;
    let term = story.cluster.view().await.term().unwrap();
    let load = story.load("a");
    load.wait_for_acks(50).await;
    story.cluster.pause(old).await.unwrap();
    let new = story.another_leader(old).await;
    load.wait_for_acks(50).await;
    story.cluster.resume(old).await.unwrap();
    // What was on its way to the sleeper arrives now. None of it may be acknowledged in the old term; the
    // audit finds what was and is not there.
    let woken = story
        .cluster
        .wait_for("the sleeper to follow", |view| {
            view.status(old)
                .filter(|status| status.role == Role::Follower && status.leader.is_some())
                .cloned()
        })
        .await;
    assert!(woken.term > term, "term {} after {term}", woken.term);
    load.wait_for_acks(50).await;
    let ledger = story.stop(load).await;
    assert!(ledger.acked().count() >= 150);
    assert_ne!(new, old);
    story.whole().await;
    story.end().await;
}

#[tokio::test]
async fn a_follower_that_slept_catches_up_and_unseats_nobody() {
    let mut story = Story::begin("pause-follower").await;
    let leader = story.whole().await;
    let term = story.cluster.view().await.term();
    let [follower, _] = story.followers(leader);
    let load = story.load_to("a", vec![story.cluster.broker_addr(leader)]);
    load.wait_for_acks(50).await;
    story.cluster.pause(follower).await.unwrap();
    load.wait_for_acks(400).await;
    story.cluster.resume(follower).await.unwrap();
    assert_eq!(story.whole().await, leader);
    let ledger = story.stop(load).await;
    assert_eq!(ledger.not_acked().len(), 0, "{:?}", ledger.not_acked());
    assert_eq!(story.cluster.view().await.term(), term, "pre-vote keeps a late sleeper quiet");
    story.end().await;
}
