//! Leadership changes hands on purpose.

use crate::story::Story;

#[tokio::test]
async fn a_planned_change_of_leader_fails_no_send() {
    let mut story = Story::begin("transfer").await;
    let load = story.load("a");
    for _ in 0..6 {
        let from = story.whole().await;
        let [to, _] = story.followers(from);
        load.wait_for_acks(40).await;
        story.cluster.transfer_leader(from, to).await.unwrap();
        story
            .cluster
            .wait_for("the chosen node to lead", |view| view.whole().filter(|leader| *leader == to))
            .await;
    }
    load.wait_for_acks(40).await;
    let ledger = story.stop(load).await;
    assert_eq!(ledger.not_acked().len(), 0, "{:?}", ledger.not_acked());
    let longest = ledger.acked().map(|(attempt, _)| attempt.ended.saturating_sub(attempt.begun)).max();
    println!("six planned changes of leader; the longest send took {longest:?}");
    story.end().await;
}
