//! A broker that answers nobody while Raft, on a thread of its own, keeps its heartbeats going.

use harness::views::Role;

use crate::story::Story;

/// S23: no follower would ever ask for votes, so the group would be out of service for as long as it lasts.
#[tokio::test]
async fn a_leader_whose_broker_hangs_gives_the_lead_to_another_and_follows_when_it_goes_on() {
    let mut story = Story::begin("hang-leader").await;
    let old = story.whole().await;
    let load = story.load("a");
    load.wait_for_acks(50).await;
    story.cluster.hang_broker(old).unwrap();
    let new = story.another_leader(old).await;
    assert_ne!(new, old);
    load.wait_for_acks(100).await;
    assert!(story.cluster.ended().is_empty(), "{:?}", story.cluster.ended());
    story.cluster.end_hang(old);
    story
        .cluster
        .wait_for("the one that hung to follow", |view| {
            view.status(old)
                .filter(|status| status.role == Role::Follower && status.leader.is_some())
                .map(|_| ())
        })
        .await;
    load.wait_for_acks(50).await;
    story.stop(load).await;
    story.whole().await;
    story.end().await;
}

#[tokio::test]
async fn a_follower_whose_broker_hangs_costs_the_group_nothing() {
    let mut story = Story::begin("hang-follower").await;
    let leader = story.whole().await;
    let [follower, _] = story.followers(leader);
    let load = story.load_to("a", vec![story.cluster.broker_addr(leader)]);
    load.wait_for_acks(50).await;
    story.cluster.hang_broker(follower).unwrap();
    load.wait_for_acks(400).await;
    story.cluster.end_hang(follower);
    assert_eq!(story.whole().await, leader);
    let ledger = story.stop(load).await;
    assert_eq!(ledger.not_acked().len(), 0, "{:?}", ledger.not_acked());
    story.end().await;
}
