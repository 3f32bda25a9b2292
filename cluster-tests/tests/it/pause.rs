//! A node stands still and does not know that time went on.

use harness::outcome::Outcome;
use harness::views::Role;

use crate::story::{ASK_WITHIN, GROUP, Story};

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

#[tokio::test]
async fn a_follower_does_not_wait_for_a_leader_that_hangs_once_another_one_leads() {
    let mut story = Story::begin("pause-forward").await;
    let old = story.whole().await;
    let followers = story.followers(old).map(|id| story.cluster.broker_addr(id));
    let load = story.load_to("a", followers.to_vec());
    load.wait_for_acks(50).await;
    story.cluster.pause(old).await.unwrap();
    story.another_leader(old).await;
    load.wait_for_acks(50).await;
    story.cluster.resume(old).await.unwrap();
    let ledger = story.stop(load).await;
    // What was on its way to the sleeper. Its answers never came, and the followers did not use up their patience.
    let given_up =
        |outcome: &Outcome| matches!(outcome, Outcome::Unknown(why) if why.contains("no longer leads"));
    assert!(ledger.not_acked().iter().any(|attempt| given_up(&attempt.outcome)), "{:?}", ledger.not_acked());
    story.whole().await;
    story.end().await;
}

/// S9: requests that waited in the socket of a stopped leader are answered when it goes on, before it hears of the
/// new term. What it knows is from the past then, and it must know that.
#[tokio::test]
async fn a_leader_that_slept_past_its_lease_tells_nothing_from_the_past() {
    let mut story = Story::begin("pause-stale").await;
    let queue = Story::queues().remove(0);
    let first = story.leader_addr().await;
    story.client.create_group(&first, GROUP, ASK_WITHIN).await.unwrap();
    for round in 0..6 {
        let old = story.whole().await;
        let asleep = story.cluster.broker_addr(old);
        // Its connection is open, and it has something to remember wrongly.
        story.send_some(&format!("a{round}")).await;
        let end = story.client.max_offset(&asleep, &queue, ASK_WITHIN).await.unwrap();
        story.client.store_offset(&asleep, &queue, end, ASK_WITHIN).await.unwrap();
        story.cluster.pause(old).await.unwrap();
        let awake = story.cluster.broker_addr(story.another_leader(old).await);
        let load = story.load_to(&format!("b{round}"), vec![awake.clone()]);
        load.wait_for_acks(60).await;
        story.stop(load).await;
        let truth = story.client.max_offset(&awake, &queue, ASK_WITHIN).await.unwrap();
        story.client.store_offset(&awake, &queue, truth, ASK_WITHIN).await.unwrap();
        assert!(truth > end, "round {round}: the queue still ends at {end}");

        let ask = |what: &'static str| {
            let (client, asleep, queue) = (story.client.clone(), asleep.clone(), queue.clone());
            tokio::spawn(async move {
                match what {
                    "maximum" => client.max_offset(&asleep, &queue, ASK_WITHIN).await,
                    "consumer offset" => client.query_offset(&asleep, &queue, ASK_WITHIN).await,
                    _ => client.pull(&asleep, &queue, truth, 32, ASK_WITHIN).await.map(|page| page.next),
                }
            })
        };
        let asked = ["maximum", "consumer offset", "place to go on"].map(|what| (what, ask(what)));
        // So that the questions are written before it wakes.
        story.client.max_offset(&awake, &queue, ASK_WITHIN).await.unwrap();
        story.cluster.resume(old).await.unwrap();
        for (what, asked) in asked {
            // Giving no answer is not a lie.
            if let Ok(told) = asked.await.unwrap() {
                assert!(
                    told >= truth,
                    "round {round}: {what} told as {told}, but it was {truth} before the question"
                );
            }
        }
    }
    story.end().await;
}
