//! A group finds its first leader, and says the same of it everywhere.

use harness::views::{Ask, Role};
use harness::{ClusterOptions, View, node_name};

use crate::story::Story;

#[tokio::test]
async fn the_first_election_has_one_leader_that_all_nodes_name() {
    let mut story = Story::begin("first-election").await;
    let leader = story.whole().await;
    let view = story.cluster.view().await;
    let leading: Vec<_> = view.statuses().filter(|(_, status)| status.role == Role::Leader).collect();
    assert_eq!(leading.len(), 1, "{view}");
    let term = leading[0].1.term;
    for node in 0..story.cluster.size() {
        for (ask, linearizable) in [(Ask::Majority, true), (Ask::Local, false)] {
            let told = story.cluster.ask_leader(node, ask).await.unwrap();
            assert_eq!(told.leader, Some(node_name(leader)), "{told:?}");
            assert_eq!((told.term, told.linearizable), (term, linearizable), "{told:?}");
            assert_eq!(told.addr, Some(story.cluster.broker_addr(leader)), "{told:?}");
        }
    }
    story.send_some("a").await;
    assert_eq!(story.ledger().not_acked().len(), 0, "nothing was wrong");
    story.end().await;
}

#[tokio::test]
async fn a_group_of_one_serves_by_itself_and_again_after_a_kill() {
    let mut options = ClusterOptions::new("one-node");
    options.nodes = 1;
    let mut story = Story::begin_with(options).await;
    story.send_some("a").await;
    story.cluster.kill(0).await.unwrap();
    story.cluster.start_node(0).await.unwrap();
    story.cluster.wait_for("the node to lead itself again", View::leader).await;
    story.send_some("b").await;
    story.end().await;
}
