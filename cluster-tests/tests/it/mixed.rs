//! Builds of two feature levels in one group, as during a rolling upgrade.

use cluster_tests::{ClusterOptions, http};
use serde_json::Value;

use crate::delay::Later;
use crate::story::{ASK_WITHIN, Story};

/// The feature level of this build.
const NEWEST: u64 = 3;

/// What a node says of feature levels, `build` or `group`.
async fn level(story: &Story, node: usize, which: &str) -> Option<u64> {
    let answer = http::get(&story.cluster.http_addr(node), "/status", ASK_WITHIN).await.ok()?;
    answer.body["featureLevel"][which].as_u64()
}

/// Waits until every node says that the group has this level.
async fn group_level(story: &Story, wanted: u64) {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    let deadline = tokio::time::Instant::now() + cluster_tests::WAIT;
    loop {
        tick.tick().await;
        let mut levels = Vec::new();
        for node in 0..3 {
            levels.push(level(story, node, "group").await);
        }
        if levels.iter().all(|level| *level == Some(wanted)) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "levels {levels:?}, wanted {wanted}");
    }
}

/// The old node reads all that the group writes, the group's level rises once it is gone, and then it cannot come back.
#[tokio::test]
async fn the_level_of_a_group_rises_with_its_last_member_and_never_falls() {
    let mut options = ClusterOptions::new("mixed");
    options.old = vec![(2, 1)];
    let mut story = Story::begin_with(options).await;
    let load = story.load("mixed");
    let later = Later::start(&story, "mixed").await;
    load.wait_for_acks(100).await;
    assert_eq!(level(&story, 0, "build").await, Some(NEWEST));
    assert_eq!(level(&story, 2, "build").await, Some(1));
    group_level(&story, 1).await;
    // Under each node as the leader, the old one among them.
    for node in 0..3 {
        let leader = story.whole().await;
        if leader != node {
            story.cluster.transfer_leader(leader, node).await.unwrap();
        }
        load.wait_for_acks(50).await;
    }
    group_level(&story, 1).await;
    story.cluster.stop(2).await.unwrap();
    story.cluster.set_feature_level_max(2, None);
    story.cluster.start_node(2).await.unwrap();
    story.whole().await;
    group_level(&story, NEWEST).await;
    load.wait_for_acks(50).await;
    // Delivered in the old form and in the new one.
    later.end(&story).await;
    // From now on the members' addresses are in the log.
    story.cluster.wait_for("every node to apply everything", cluster_tests::View::whole).await;
    let members = |status: Value| status["membership"][2]["raft"].as_str().map(str::to_owned);
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    let deadline = tokio::time::Instant::now() + cluster_tests::WAIT;
    loop {
        tick.tick().await;
        let status = http::get(&story.cluster.http_addr(0), "/status", ASK_WITHIN).await.unwrap().body;
        if members(status.clone()).is_some() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{status}");
    }
    // An old build cannot go back: it says so and ends, and the others go on.
    story.cluster.stop(2).await.unwrap();
    story.cluster.set_feature_level_max(2, Some(1));
    story.cluster.start_node(2).await.unwrap();
    let cluster = &story.cluster;
    cluster.wait_for("the old build to end", |_| cluster.ended().into_iter().next()).await;
    let logs = (1..9)
        .filter_map(|start| cluster_tests::files::read(&cluster.dir().join(format!("n2.{start}.log"))).ok());
    let words = format!("feature level is {NEWEST}, this build has 1; it takes a newer build");
    assert!(logs.into_iter().any(|log| log.contains(&words)), "{words:?} is nowhere");
    story.cluster.set_feature_level_max(2, None);
    story.cluster.start_node(2).await.unwrap();
    story.whole().await;
    load.wait_for_acks(50).await;
    story.stop(load).await;
    story.end().await;
}
