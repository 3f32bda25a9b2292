//! What keeps moving when something else stands still: sends under way, silent leaders, handlers that never end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::protocol::RequestCode;
use client::{
    ClientError, Compression, Consume, ConsumeFrom, Message, Producer, PushConsumer, ReceivedMessage,
};

use crate::fake::{Cluster, OnSend, lock, wait_for};

fn message(number: usize) -> Message {
    Message::new("T", number.to_string()).with_tag("TagA")
}

#[tokio::test]
async fn asynchronous_sends_wait_for_room_and_a_flush_for_their_end() {
    let cluster = Cluster::start(2, 4).await;
    let producer = Producer::builder("pg", cluster.config()).async_max(2, 1_000).start().await.unwrap();
    producer.send(message(0)).await.unwrap();
    cluster.on_send(0, OnSend::Silent);
    let first = producer.send_async(message(1)).await.unwrap();
    drop(producer.send_async(message(2)).await.unwrap()); // goes on all the same
    let third = producer.send_async(message(3));
    tokio::pin!(third);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut third).await.is_err(), "three of two");
    assert!(tokio::time::timeout(Duration::from_millis(50), producer.flush()).await.is_err());
    cluster.elect(1);
    let msg_id = first.msg_id().to_owned();
    assert_eq!(first.await.unwrap().msg_id, msg_id);
    drop(third.await.unwrap());
    producer.shutdown().await;
    assert_eq!(cluster.stored(), 4, "closing waits for what is under way");
    let late = producer.send_async(message(4)).await.unwrap_err();
    assert!(matches!(*late.source, ClientError::Stopped), "{late:?}");
    cluster.stop().await;
}

#[tokio::test]
async fn compressed_bodies_come_out_plain() {
    let cluster = Cluster::start(1, 1).await;
    let body = "压缩 compressible ".repeat(500);
    for kind in [Compression::Zlib, Compression::Lz4, Compression::Zstd] {
        let producer = Producer::builder("pg", cluster.config()).compression(kind).start().await.unwrap();
        producer.send(Message::new("T", body.clone())).await.unwrap();
        producer.shutdown().await;
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let consumer = keep(&cluster, "*", &seen).await;
    wait_for("all three", || (seen.lock().unwrap().len() == 3).then_some(())).await;
    assert!(seen.lock().unwrap().iter().all(|got| *got == body));
    consumer.shutdown().await;
    cluster.stop().await;
}

async fn keep(cluster: &Cluster, expression: &str, seen: &Arc<Mutex<Vec<String>>>) -> PushConsumer {
    let seen = seen.clone();
    PushConsumer::builder("cg", cluster.config())
        .subscribe("T", expression)
        .consume_from(ConsumeFrom::First)
        .start(move |message: Arc<ReceivedMessage>| {
            seen.lock().unwrap().push(String::from_utf8_lossy(&message.body).into_owned());
            async { Consume::Success }
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_pull_that_a_silent_leader_holds_is_begun_anew_at_the_next() {
    let cluster = Cluster::start(2, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    producer.send(message(0)).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let consumer = keep(&cluster, "*", &seen).await;
    wait_for("the first message", || (seen.lock().unwrap().len() == 1).then_some(())).await;
    // Its connections stay open, and nothing comes any more.
    cluster.freeze(0);
    cluster.elect(1);
    producer.send(message(1)).await.unwrap();
    // The pull alone would be waited for for 25 s.
    wait_for("the second message", || (seen.lock().unwrap().len() == 2).then_some(())).await;
    consumer.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_handler_that_never_ends_does_not_hold_its_queue() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    for number in 0..5 {
        producer.send(message(number)).await.unwrap();
    }
    let consumer = PushConsumer::builder("cg", cluster.config())
        .subscribe("T", "*")
        .consume_from(ConsumeFrom::First)
        .consume_timeout(Duration::from_millis(100))
        .store_interval(Duration::from_millis(20))
        .start(|message: Arc<ReceivedMessage>| async move {
            if message.queue_offset == 2 {
                std::future::pending::<()>().await;
            }
            Consume::Success
        })
        .await
        .unwrap();
    let key = ("cg".to_owned(), "T".to_owned(), 0);
    wait_for("the stored offset", || (lock(&cluster.world).offsets.get(&key) == Some(&5)).then_some(()))
        .await;
    let back = |(_, code): &&(String, i32)| *code == RequestCode::CONSUMER_SEND_MSG_BACK;
    assert_eq!(lock(&cluster.world).seen.iter().filter(back).count(), 1);
    consumer.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_changed_subscription_counts_from_the_next_message_on() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    producer.send(message(0)).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let consumer = keep(&cluster, "TagB", &seen).await;
    let is_at = |offset: i64| {
        let queues = consumer.queues();
        queues.iter().any(|(queue, at)| queue.topic == "T" && *at == offset).then_some(())
    };
    wait_for("the filtered message", || is_at(1)).await;
    consumer.subscribe("T", "TagA").unwrap();
    assert!(consumer.subscribe("T", "||").is_err(), "no tag at all");
    producer.send(message(1)).await.unwrap();
    wait_for("the next message", || (*seen.lock().unwrap() == ["1"]).then_some(())).await;
    consumer.unsubscribe("T");
    wait_for("the end of the topic", || {
        consumer.queues().iter().all(|(queue, _)| queue.topic != "T").then_some(())
    })
    .await;
    consumer.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_member_that_polls_goes_back_where_it_wants() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    for number in 0..5 {
        producer.send(message(number)).await.unwrap();
    }
    let mut member = PushConsumer::builder("cg", cluster.config())
        .subscribe("T", "*")
        .consume_from(ConsumeFrom::First)
        .start_polled()
        .await
        .unwrap();
    let wait = Duration::from_secs(5);
    let mut offsets = Vec::new();
    while offsets.len() < 5 {
        offsets.extend(member.poll(wait).await.unwrap().iter().map(|message| message.queue_offset));
    }
    let (queue, _) = member.queues().into_iter().find(|(queue, _)| queue.topic == "T").unwrap();
    member.seek(&queue, 3).await.unwrap();
    while offsets.len() < 7 {
        offsets.extend(member.poll(wait).await.unwrap().iter().map(|message| message.queue_offset));
    }
    assert_eq!(offsets, [0, 1, 2, 3, 4, 3, 4]);
    member.commit().await.unwrap();
    assert_eq!(lock(&cluster.world).offsets[&("cg".to_owned(), "T".to_owned(), 0)], 5);
    let other = client::MessageQueue::new("T", "group", 9);
    assert!(matches!(member.seek(&other, 0).await, Err(ClientError::NotAssigned { .. })));
    member.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_dropped_client_leaves_no_connection_behind() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    producer.send(message(0)).await.unwrap();
    wait_for("its connection", || (cluster.connections() == 1).then_some(())).await;
    drop(producer);
    wait_for("its end", || (cluster.connections() == 0).then_some(())).await;
    cluster.stop().await;
}
