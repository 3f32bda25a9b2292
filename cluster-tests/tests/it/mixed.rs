//! Builds of two feature levels in one group, as during a rolling upgrade.

use harness::ClusterOptions;

use crate::delay::Later;
use crate::story::Story;

/// The feature level of this build.
const NEWEST: u16 = 3;

/// Whose feature level.
#[derive(Clone, Copy)]
enum Which {
    Build,
    Group,
}

/// What a node says of feature levels.
async fn level(story: &Story, node: usize, which: Which) -> Option<u16> {
    let level = story.cluster.status(node).await.ok()?.feature_level;
    Some(match which {
        Which::Build => level.build,
        Which::Group => level.group,
    })
}

/// Waits until every node says that the group has this level.
async fn group_level(story: &Story, wanted: u16) {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    let deadline = tokio::time::Instant::now() + harness::WAIT;
    loop {
        tick.tick().await;
        let mut levels = Vec::new();
        for node in 0..3 {
            levels.push(level(story, node, Which::Group).await);
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
    assert_eq!(level(&story, 0, Which::Build).await, Some(NEWEST));
    assert_eq!(level(&story, 2, Which::Build).await, Some(1));
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
    story.cluster.wait_for("every node to apply everything", harness::View::whole).await;
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    let deadline = tokio::time::Instant::now() + harness::WAIT;
    loop {
        tick.tick().await;
        let membership = story.cluster.status(0).await.unwrap().membership;
        if membership.get(2).is_some_and(|member| member.raft.is_some()) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{membership:?}");
    }
    // An old build cannot go back: it says so and ends, and the others go on.
    story.cluster.stop(2).await.unwrap();
    story.cluster.set_feature_level_max(2, Some(1));
    story.cluster.start_node(2).await.unwrap();
    let cluster = &story.cluster;
    cluster.wait_for("the old build to end", |_| cluster.ended().into_iter().next()).await;
    let logs =
        (1..9).filter_map(|start| harness::files::read(&cluster.dir().join(format!("n2.{start}.log"))).ok());
    let words = format!("feature level is {NEWEST}, this build has 1; it takes a newer build");
    assert!(logs.into_iter().any(|log| log.contains(&words)), "{words:?} is nowhere");
    story.cluster.set_feature_level_max(2, None);
    story.cluster.start_node(2).await.unwrap();
    story.whole().await;
    load.wait_for_acks(50).await;
    story.stop(load).await;
    story.end().await;
}
