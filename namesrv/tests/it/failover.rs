//! What clients see of a three-node group while its leader changes.

use std::collections::BTreeMap;

use protocol::Command;
use protocol::code::request;
use protocol::route::TopicRouteData;

use crate::support::*;

const TOPICS: &[(&str, i32, i32, i32)] = &[("T", 4, 4, READ_WRITE), ("TBW102", 8, 8, ALL)];

fn node(id: i64, port: u16, term: i64) -> Broker {
    Broker::new("RaftCluster", "RaftNode00", id, &format!("127.0.0.1:{port}"), TOPICS).version(term, 5, 1)
}

/// `id=port` of each node.
fn nodes(route: Option<&TopicRouteData>) -> String {
    let addrs: BTreeMap<i64, String> =
        route.map(|route| route.broker_datas[0].broker_addrs.clone()).unwrap_or_default();
    let nodes: Vec<_> =
        addrs.iter().map(|(id, addr)| format!("{id}={}", addr.rsplit_once(':').unwrap().1)).collect();
    nodes.join(" ")
}

#[tokio::test]
async fn a_killed_leader_leaves_the_route_at_once_and_its_successor_enters_it_at_once() {
    let story = Story::start("").await;
    let (a, b, c, client) =
        (story.connect().await, story.connect().await, story.connect().await, story.connect().await);
    node(0, 30911, 1).register(&a).await;
    node(2, 30921, 1).register(&b).await;
    let answer = node(3, 30931, 1).register(&c).await;
    assert_eq!(answer.ext.get("masterAddr"), Some("127.0.0.1:30911"));
    assert_eq!(nodes(client.route("T").await.as_ref()), "0=30911 2=30921 3=30931");

    a.connection.close(); // what the kernel does for a killed process
    let now = |route: Option<TopicRouteData>| (nodes(route.as_ref()) == "2=30921 3=30931").then_some(());
    client.wait_for_route("T", "the dead leader to go", now).await;
    let queues = client.route("T").await.unwrap().queue_datas;
    assert_eq!((queues.len(), queues[0].write_queue_nums), (1, 4), "the topics stay");

    node(0, 30921, 2).register(&b).await;
    assert_eq!(nodes(client.route("T").await.as_ref()), "0=30921 3=30931");
    let a = story.connect().await;
    node(0, 30911, 1).register(&a).await;
    assert_eq!(nodes(client.route("T").await.as_ref()), "0=30921 3=30931", "its reign is over");
    node(1, 30911, 2).register(&a).await;
    assert_eq!(nodes(client.route("T").await.as_ref()), "0=30921 1=30911 3=30931");
}

#[tokio::test]
async fn the_old_connection_of_a_broker_that_registered_anew_takes_nothing_with_it() {
    let story = Story::start("").await;
    let (old, new, client) = (story.connect().await, story.connect().await, story.connect().await);
    node(0, 30911, 1).register(&old).await;
    node(0, 30911, 1).register(&new).await;
    old.connection.close();
    // When a broker that registered over the old one too is gone, its closing was seen.
    let witness = Broker::new(
        "RaftCluster",
        "witness",
        0,
        "127.0.0.1:1",
        &[("W", 1, 1, READ_WRITE), ("X", 1, 1, READ_WRITE)],
    );
    let third = story.connect().await;
    witness.register(&third).await;
    third.connection.close();
    client.wait_for_route("W", "the witness to go", |route| route.is_none().then_some(())).await;
    assert_eq!(nodes(client.route("T").await.as_ref()), "0=30911");
    new.connection.close();
    client.wait_for_route("T", "the broker to go", |route| route.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_removed_and_its_connection_closed() {
    let story = Story::start("scanNotActiveBrokerInterval=10").await;
    let (silent, loud, client) = (story.connect().await, story.connect().await, story.connect().await);
    let mut broker = node(0, 30911, 1);
    broker.header.heartbeat_timeout_ms = Some(1_500);
    broker.register(&silent).await;
    let mut other = Broker::new(
        "RaftCluster",
        "other",
        0,
        "127.0.0.1:2",
        &[("O", 1, 1, READ_WRITE), ("P", 1, 1, READ_WRITE)],
    );
    other.header.heartbeat_timeout_ms = Some(1_500);
    other.register(&loud).await;
    let beat = Command::request(request::BROKER_HEARTBEAT)
        .with("clusterName", "RaftCluster")
        .with("brokerName", "other")
        .with("brokerAddr", "127.0.0.1:2");
    within("the silent broker to go", async {
        loop {
            loud.connection.oneway(beat.clone()).unwrap();
            if client.route("T").await.is_none() {
                break;
            }
        }
    })
    .await;
    within("its connection to be closed", async {
        while silent.connection.is_open() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(client.route("O").await.is_some(), "whoever sends heartbeats stays");
}

#[tokio::test]
async fn http_tells_who_leads() {
    let story = Story::start("").await;
    assert_eq!(story.http("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(story.http("/groups").await, (200, "{\"groups\":[]}\n".to_owned()));
    let (status, body) = story.http("/groups/RaftNode00/leader").await;
    assert_eq!(status, 404);
    assert_eq!(body.trim_end(), r#"{"error":"no broker of a group \"RaftNode00\" is registered here"}"#);
    let (status, _) = story.http("/nonsense").await;
    assert_eq!(status, 404);

    let (a, b) = (story.connect().await, story.connect().await);
    node(0, 30911, 7).register(&a).await;
    node(2, 30921, 7).register(&b).await;
    let (status, body) = story.http("/groups/RaftNode00/leader").await;
    let view: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(view["group"], "RaftNode00");
    assert_eq!(view["cluster"], "RaftCluster");
    assert_eq!(view["leader"], "127.0.0.1:30911");
    assert_eq!(view["term"], 7);
    assert_eq!(view["nodes"][1]["id"], 2);
    assert_eq!(view["nodes"][1]["addr"], "127.0.0.1:30921");
    assert!(view["nodes"][1]["lastHeardMs"].as_u64().unwrap() < 20_000);

    a.connection.close();
    within("the leader to go", async {
        while !story.http("/groups/RaftNode00/leader").await.1.contains(r#""leader":null,"term":7"#) {}
    })
    .await;
    let (_, all) = story.http("/groups").await;
    assert!(all.starts_with(r#"{"groups":[{"group":"RaftNode00""#), "{all}");
}
