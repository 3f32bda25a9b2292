//! What a node answers that does not lead, and what it tells the name servers of.

use protocol::{Command, RequestCode as code};
use serde_json::Value;

use platform::PortBlock;

use super::support::{NameServer, Node, consumer_heartbeat, json, within};

/// Three nodes of one group in this process; the leader comes first.
async fn group() -> ([Node; 3], PortBlock) {
    let ports = PortBlock::claim().unwrap();
    let peers = [0, 1, 2].map(|n| format!("n{n}-127.0.0.1:{}", ports.port(n + 1))).join(";");
    let more = |n: usize| {
        format!("enableDLegerCommitLog=true\ndLegerGroup=broker-a\ndLegerPeers={peers}\ndLegerSelfId=n{n}\n")
    };
    let (first, second, third) = (more(0), more(1), more(2));
    let (first, second, third) = tokio::join!(Node::start(&first), Node::start(&second), Node::start(&third));
    let mut nodes = [first, second, third];
    let leader = within("a leader", async {
        loop {
            for (at, node) in nodes.iter().enumerate() {
                let (_, told) = node.http("/leader?local=true", "").await;
                let told: Value = serde_json::from_str(&told).unwrap();
                if told["ready"] == true {
                    return at;
                }
            }
        }
    })
    .await;
    nodes.swap(0, leader);
    (nodes, ports)
}

/// S33: a follower answered with the clients that it had met itself, and consumers shared the queues out wrongly.
#[tokio::test]
async fn a_follower_answers_with_the_leaders_members_of_a_group() {
    let (nodes, _ports) = group().await;
    let leader = nodes[0].connect().await;
    let follower = nodes[1].connect().await;
    let mut connected = Vec::new();
    for client in ["c1", "c2"] {
        connected.push(nodes[0].connect().await);
        let beat = consumer_heartbeat(client, "CG", "T", "*", 1);
        connected.last().unwrap().heartbeat(&beat).await;
    }
    follower.heartbeat(&consumer_heartbeat("only-here", "CG", "T", "*", 1)).await;
    let ask = || Command::request(code::GET_CONSUMER_LIST_BY_GROUP).with("consumerGroup", "CG");
    let members = |told: &Command| json(&told.body)["consumerIdList"].to_string();
    assert_eq!(members(&leader.ok(ask()).await), r#"["c1","c2"]"#);
    assert_eq!(members(&follower.ok(ask()).await), r#"["c1","c2"]"#);
    for node in nodes {
        node.stop().await;
    }
}

/// S33: a topic that was deleted at the broker kept its route, and producers went on sending to it.
#[tokio::test]
async fn a_deleted_topic_leaves_the_routes() {
    let name_server = NameServer::start().await;
    let node = Node::start(&format!("namesrvAddr={}\n", name_server.addr)).await;
    let client = node.connect().await;
    client.create_topic("Gone", 2, 6).await;
    within("the route", async {
        while !name_server.knows("Gone") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    client.ok(Command::request(code::DELETE_TOPIC_IN_BROKER).with("topic", "Gone")).await;
    within("the route to go", async {
        while name_server.knows("Gone") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(name_server.knows("TBW102"), "the others stay");
    node.stop().await;
}
