//! The name server is only a hint: it may die, and it learns again.

use harness::{WAIT, eventually};

use crate::story::{ASK_WITHIN, Story, TOPIC};

#[tokio::test]
async fn a_name_server_that_comes_back_empty_learns_the_route_again() {
    let mut story = Story::begin("namesrv").await;
    let leader = story.whole().await;
    route_names(&story, leader).await;
    let load = story.load_to("a", vec![story.cluster.broker_addr(leader)]);
    load.wait_for_acks(30).await;
    story.cluster.kill_namesrv().await.unwrap();
    load.wait_for_acks(100).await;
    story.cluster.start_namesrv().await.unwrap();
    route_names(&story, leader).await;
    let ledger = story.stop(load).await;
    assert_eq!(ledger.not_acked().len(), 0, "sending needs no name server: {:?}", ledger.not_acked());
    story.cluster.kill(leader).await.unwrap();
    let new = story.another_leader(leader).await;
    route_names(&story, new).await;
    story.cluster.start_node(leader).await.unwrap();
    story.whole().await;
    route_names(&story, new).await;
    story.send_some("b").await;
    story.end().await;
}

/// Waits until the route of the story's topic has that node as broker id 0, which is where clients send.
async fn route_names(story: &Story, leader: usize) {
    let wanted = story.cluster.broker_addr(leader);
    let namesrv = story.cluster.namesrv_addr();
    eventually(&format!("the name server to route to {wanted}"), WAIT, async || {
        let route = story.client.route(&namesrv, TOPIC, ASK_WITHIN).await.ok()?;
        (route["brokerDatas"][0]["brokerAddrs"]["0"] == wanted).then_some(())
    })
    .await;
}
