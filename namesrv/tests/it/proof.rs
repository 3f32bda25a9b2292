//! S20: with `registerSecret`, nobody says who leads who does not know it.

use protocol::Command;
use protocol::code::{request, response};
use protocol::proof::{CHALLENGE, RegisterSecret};

use crate::support::*;

const SECRET: &str = "three banks of oars";
const TOPICS: &[(&str, i32, i32, i32)] = &[("T", 4, 4, READ_WRITE), ("TBW102", 8, 8, ALL)];

fn leader(port: u16, term: i64) -> Broker {
    Broker::new("RaftCluster", "RaftNode00", 0, &format!("127.0.0.1:{port}"), TOPICS).version(term, 5, 1)
}

async fn challenge(peer: &Peer, command: Command) -> String {
    let refused = peer.call(command).await;
    assert_eq!(refused.code, response::SYSTEM_ERROR);
    let remark = refused.remark.as_deref().unwrap_or_default();
    assert!(remark.contains("registerSecret"), "{remark}");
    refused.ext.get(CHALLENGE).expect("a challenge").to_owned()
}

async fn route_of_leader(peer: &Peer) -> Option<String> {
    peer.route("T").await.and_then(|route| route.broker_datas[0].broker_addrs.get(&0).cloned())
}

#[tokio::test]
async fn who_does_not_prove_that_he_knows_the_secret_changes_no_route() {
    let story = Story::start(&format!("registerSecret={SECRET}")).await;
    let (broker, stranger, client) = (story.connect().await, story.connect().await, story.connect().await);
    let secret = RegisterSecret::new(SECRET);

    let asked = challenge(&broker, leader(30911, 1).request()).await;
    assert_eq!(route_of_leader(&client).await, None);
    let proved = secret.prove(leader(30911, 1).request(), &asked);
    assert_eq!(broker.call(proved.clone()).await.code, response::SUCCESS);
    assert_eq!(route_of_leader(&client).await.as_deref(), Some("127.0.0.1:30911"));

    // Whoever it is has overheard it, or guesses, and wants the route, or wants none to be there.
    let theirs = challenge(&stranger, proved).await;
    assert_ne!(theirs, asked, "a challenge is for one connection");
    let guess = RegisterSecret::new("two banks of oars");
    challenge(&stranger, guess.prove(leader(1, 900).request(), &theirs)).await;
    let gone = Command::request(request::UNREGISTER_BROKER)
        .with("brokerName", "RaftNode00")
        .with("brokerAddr", "127.0.0.1:30911")
        .with("clusterName", "RaftCluster")
        .with("brokerId", 0);
    challenge(&stranger, gone.clone()).await;
    challenge(&stranger, Command::request(request::BROKER_HEARTBEAT).with("brokerName", "RaftNode00")).await;
    assert_eq!(route_of_leader(&client).await.as_deref(), Some("127.0.0.1:30911"));

    assert_eq!(broker.call(secret.prove(gone, &asked)).await.code, response::SUCCESS);
    assert_eq!(route_of_leader(&client).await, None);
}
