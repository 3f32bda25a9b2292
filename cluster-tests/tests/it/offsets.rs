//! Everything acknowledged as made is there after the failover that follows at once: not only messages.

use harness::raw_client::Queue;

use crate::story::{ASK_WITHIN, GROUP, Story};

#[tokio::test]
async fn consumer_offsets_survive_the_leader_that_took_them() {
    let mut story = Story::begin("offsets").await;
    story.send_some("a").await;
    story.client.create_group(&story.leader_addr().await, GROUP, ASK_WITHIN).await.unwrap();
    for round in 0..3 {
        let leader = story.whole().await;
        let addr = story.cluster.broker_addr(leader);
        for (number, queue) in Story::queues().iter().enumerate() {
            let offset = 3 * round + number as u64;
            story.client.store_offset(&addr, queue, offset, ASK_WITHIN).await.unwrap();
        }
        story.cluster.kill(leader).await.unwrap();
        let new = story.another_leader(leader).await;
        let addr = story.cluster.broker_addr(new);
        for (number, queue) in Story::queues().iter().enumerate() {
            let offset = story.client.query_offset(&addr, queue, ASK_WITHIN).await.unwrap();
            assert_eq!(offset, 3 * round + number as u64, "{queue} in round {round}");
        }
        story.cluster.start_node(leader).await.unwrap();
    }
    story.whole().await;
    story.end().await;
}

#[tokio::test]
async fn a_topic_and_a_group_made_just_before_the_kill_are_there_after_it() {
    let mut story = Story::begin("made-before-kill").await;
    for round in 0..3 {
        let leader = story.whole().await;
        let addr = story.cluster.broker_addr(leader);
        let (topic, group) = (format!("topic-{round}"), format!("group-{round}"));
        story.client.create_topic(&addr, &topic, 2, ASK_WITHIN).await.unwrap();
        story.client.create_group(&addr, &group, ASK_WITHIN).await.unwrap();
        story.cluster.kill(leader).await.unwrap();
        let new = story.cluster.broker_addr(story.another_leader(leader).await);
        let queue = Queue { topic: topic.as_str().into(), queue_id: 1 };
        let max = story.client.max_offset(&new, &queue, ASK_WITHIN).await.unwrap();
        assert_eq!(max, 0, "{queue} is new");
        let body = harness::body::encode("x-0-0", "x-0-0.0", 64);
        let (outcome, sent) = story.client.send(&new, &queue, body, ASK_WITHIN).await;
        assert_eq!(sent.map(|sent| sent.queue_offset), Some(0), "{queue}: {outcome:?}");
        let groups = story.client.groups(&new, ASK_WITHIN).await.unwrap().to_string();
        assert!(groups.contains(&format!("\"{group}\"")), "{group} is not in {groups}");
        story.cluster.start_node(leader).await.unwrap();
    }
    story.whole().await;
    story.send_some("a").await;
    story.end().await;
}
