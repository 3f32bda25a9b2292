//! A node that was away for longer than the others keep their log.

use harness::ClusterOptions;
use protocol::{Command, RequestCode};

use crate::story::{ASK_WITHIN, Story};

/// Small, since retention drops whole segments, and yet large enough for one message with its properties.
const SEGMENT_BYTES: u64 = 128 << 10;
const MESSAGE_BYTES_MAX: u64 = 4 << 10;

#[tokio::test]
async fn a_follower_that_lags_past_the_purge_boundary_gets_the_rest() {
    let options = ClusterOptions::new("lag-past-purge")
        .with("mappedFileSizeCommitLog", SEGMENT_BYTES)
        .with("maxMessageSize", MESSAGE_BYTES_MAX)
        .with("fileReservedTime", 0);
    let mut story = Story::begin_with(options).await;
    let leader = story.whole().await;
    let [follower, _] = story.followers(leader);
    story.send_some("a").await;
    story.cluster.kill(follower).await.unwrap();
    let missed = story.cluster.view().await.status(leader).unwrap().last_log_index;
    let load = story.load_to("b", vec![story.cluster.broker_addr(leader)]);
    load.wait_for_acks(1_500).await;
    story.stop(load).await;
    for node in (0..3).filter(|node| *node != follower) {
        let request = Command::request(RequestCode::DELETE_EXPIRED_COMMITLOG);
        story.client.ask(&story.cluster.broker_addr(node), request, ASK_WITHIN).await.unwrap();
    }
    story
        .cluster
        .wait_for("the others to have purged what the follower misses", |view| {
            let others = (0..3).filter(|node| *node != follower);
            let purged = others.map(|node| view.status(node).map(|status| status.purged_index));
            purged.min().flatten().filter(|purged| *purged > missed)
        })
        .await;
    story.cluster.start_node(follower).await.unwrap();
    story.whole().await;
    story.send_some("c").await;
    story.end().await;
}
