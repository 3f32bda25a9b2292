//! The producer through leader changes, refusals and silence.

use std::time::Duration;

use client::protocol::{RequestCode, ResponseCode};
use client::{ClientError, Message, MessageQueue, Outcome, Producer, QueueChoice, RetryPolicy, SendOptions};

use crate::fake::{Cluster, OnSend, lock};

fn message() -> Message {
    Message::new("T", "hello").with_tag("TagA")
}

#[tokio::test]
async fn messages_go_round_the_queues_of_the_leader() {
    let cluster = Cluster::start(3, 2).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    let mut places = Vec::new();
    for _ in 0..4 {
        let sent = producer.send(message()).await.unwrap();
        assert_eq!((sent.node.as_str(), sent.attempts), (cluster.nodes[0].as_str(), 1));
        places.push((sent.queue.queue_id, sent.queue_offset));
    }
    places.sort_unstable();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_send_waits_for_the_election_and_for_nothing_else() {
    let mut cluster = Cluster::start(3, 4).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    producer.send(message()).await.unwrap();
    for node in [1, 2] {
        cluster.on_send(node, OnSend::Refuse(ResponseCode::SERVICE_NOT_AVAILABLE));
    }
    cluster.kill(0).await;
    let send = producer.send(message());
    tokio::pin!(send);
    // The election takes its time; the send does not give up.
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut send).await.is_err());
    cluster.on_send(2, OnSend::Store);
    cluster.elect(2);
    // Well below the 30 s of the route poll and the pauses of other clients.
    let sent = tokio::time::timeout(Duration::from_millis(500), send).await.unwrap().unwrap();
    assert_eq!(sent.node, cluster.nodes[2]);
    assert!(sent.attempts > 1);
    assert_eq!(cluster.stored(), 2);
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_silent_leader_is_left_as_soon_as_another_leads() {
    let cluster = Cluster::start(3, 4).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    cluster.on_send(0, OnSend::Silent);
    let send = producer.send(message());
    tokio::pin!(send);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut send).await.is_err());
    cluster.elect(1);
    // The attempt alone could take 1.5 s.
    let sent = tokio::time::timeout(Duration::from_secs(1), send).await.unwrap().unwrap();
    assert_eq!(sent.node, cluster.nodes[1]);
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn without_retries_there_is_one_attempt_and_the_next_send_finds_the_new_leader() {
    let mut cluster = Cluster::start(3, 4).await;
    let producer = Producer::builder("pg", cluster.config()).retries(0).start().await.unwrap();
    producer.send(message()).await.unwrap();
    cluster.kill(0).await;
    cluster.elect(1);
    let error = producer.send(message()).await.unwrap_err();
    assert_eq!((error.attempts, error.outcome), (1, Outcome::Failed), "{error:?}");
    let sent = loop {
        // The refresh runs beside us.
        if let Ok(sent) = producer.send(message()).await {
            break sent;
        }
    };
    assert_eq!(sent.node, cluster.nodes[1]);
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn an_unanswered_send_has_an_unknown_outcome() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).retries(0).start().await.unwrap();
    cluster.on_send(0, OnSend::Silent);
    let retry =
        RetryPolicy { deadline: Duration::from_millis(50), retries_max: Some(0), ..RetryPolicy::default() };
    let options = SendOptions { retry: Some(retry), ..SendOptions::default() };
    let error = producer.send_with(message(), options).await.unwrap_err();
    assert!(error.is_unknown());
    assert!(matches!(*error.source, ClientError::NoAnswer { .. }));
    assert!(!error.msg_id.is_empty());
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_refusal_for_good_is_not_tried_again() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    cluster.on_send(0, OnSend::Refuse(ResponseCode::MESSAGE_ILLEGAL));
    let error = producer.send(message()).await.unwrap_err();
    assert_eq!((error.attempts, error.code()), (1, Some(ResponseCode::MESSAGE_ILLEGAL)));
    assert_eq!(error.outcome, Outcome::Failed);
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_made_by_sending_to_it() {
    let cluster = Cluster::start(1, 8).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    assert_eq!(producer.queues("New").await.unwrap().len(), 4);
    producer.send(Message::new("New", "x")).await.unwrap();
    assert!(lock(&cluster.world).topics.contains(&"New".to_owned()));
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn one_key_has_one_queue_and_a_given_queue_is_kept() {
    let cluster = Cluster::start(1, 8).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    let first = producer.send_by_key(message(), "order-7").await.unwrap();
    for _ in 0..5 {
        assert_eq!(producer.send_by_key(message(), "order-7").await.unwrap().queue, first.queue);
    }
    let queue = MessageQueue::new("T", "group", 5);
    assert_eq!(producer.send_to(message(), queue.clone()).await.unwrap().queue, queue);
    let options = SendOptions { queue: QueueChoice::Queue(queue.clone()), ..SendOptions::default() };
    let batch = producer.send_batch_with(vec![message(), message()], options).await.unwrap();
    assert_eq!(batch.msg_id.split(',').count(), 2);
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_dead_name_server_beside_a_live_one_does_not_matter() {
    let cluster = Cluster::start(1, 1).await;
    let mut config = cluster.config();
    config.namesrv.insert(0, "127.0.0.1:1".into());
    let producer = Producer::builder("pg", config).start().await.unwrap();
    producer.send(message()).await.unwrap();
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_name_server_that_swallows_questions_does_not_lengthen_an_outage() {
    let mut cluster = Cluster::start(3, 1).await;
    let silent = crate::fake::silent_server().await;
    let mut config = cluster.config();
    config.namesrv.insert(0, silent.local_addr().to_string());
    let producer = Producer::builder("pg", config).start().await.unwrap();
    producer.send(message()).await.unwrap();
    cluster.kill(0).await;
    cluster.elect(1);
    // One question to the silent one would take a second.
    let sent = tokio::time::timeout(Duration::from_millis(700), producer.send(message())).await;
    assert_eq!(sent.unwrap().unwrap().node, cluster.nodes[1]);
    producer.shutdown().await;
    silent.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_oneway_send_arrives_without_an_answer() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    producer.send_oneway(message()).await.unwrap();
    crate::fake::wait_for("the message", || (cluster.stored() == 1).then_some(())).await;
    let sends =
        lock(&cluster.world).seen.iter().filter(|(_, code)| *code == RequestCode::SEND_MESSAGE_V2).count();
    assert_eq!(sends, 1);
    producer.shutdown().await;
    cluster.stop().await;
}
