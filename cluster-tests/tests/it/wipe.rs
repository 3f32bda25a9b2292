//! Files are gone: all of a node's, as after a change of its disk, or those that can be built again.

use platform::{Disk, OsDisk};

use crate::story::Story;

/// A node with a new disk has forgotten what it acknowledged and whom it voted for. It must not unseat or stop
/// the leader, and has no vote before it has everything again; then it may lead.
#[tokio::test]
async fn a_node_with_a_new_disk_comes_back_quietly_and_has_everything_again() {
    let mut story = Story::begin("new-disk").await;
    let leader = story.whole().await;
    let [victim, other] = story.followers(leader);
    let load = story.load("a");
    load.wait_for_acks(200).await;
    story.cluster.kill(victim).await.unwrap();
    OsDisk.remove_dir_all(&story.cluster.store_dir(victim)).unwrap();
    load.wait_for_acks(50).await;
    story.cluster.start_node(victim).await.unwrap();
    story.whole().await;
    load.wait_for_acks(50).await;
    story.stop(load).await;
    story.cluster.wait_for_rest().await;
    // It counts again: the group lives on with it when another one dies.
    story.cluster.kill(other).await.unwrap();
    story.send_some("b").await;
    story.cluster.start_node(other).await.unwrap();
    story.whole().await;
    story.end().await;
}

/// Consume queues and key index are computed from the log, and computed again when they are gone.
#[tokio::test]
async fn deleted_queues_and_index_are_built_again() {
    let mut story = Story::begin("derived-files").await;
    let leader = story.whole().await;
    story.send_some("a").await;
    story.cluster.wait_for_rest().await;
    for (node, is_clean) in [(leader, true), ((leader + 1) % 3, false)] {
        if is_clean {
            story.cluster.stop(node).await.unwrap();
        } else {
            story.cluster.kill(node).await.unwrap();
        }
        for derived in ["consumequeue", "index"] {
            OsDisk.remove_dir_all(&story.cluster.store_dir(node).join(derived)).unwrap();
        }
        story.cluster.start_node(node).await.unwrap();
        story.whole().await;
        story.send_some(&format!("after{node}")).await;
    }
    // The end compares the digest of every queue on all nodes.
    story.end().await;
}
