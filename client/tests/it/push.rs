//! The push consumer: division of queues, offsets, retries, leader changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::protocol::RequestCode;
use client::{
    Consume, ConsumeFrom, Message, Producer, PullConsumer, PushConsumer, PushConsumerBuilder, ReceivedMessage,
};

use crate::fake::{Cluster, lock, wait_for};

type Bodies = Arc<Mutex<Vec<String>>>;

fn builder(cluster: &Cluster) -> PushConsumerBuilder {
    PushConsumer::builder("cg", cluster.config())
        .subscribe("T", "TagA")
        .consume_from(ConsumeFrom::First)
        .store_interval(Duration::from_millis(20))
}

async fn start(cluster: &Cluster, bodies: &Bodies) -> PushConsumer {
    let bodies = bodies.clone();
    let handler = move |message: Arc<ReceivedMessage>| {
        let bodies = bodies.clone();
        async move {
            bodies.lock().unwrap().push(String::from_utf8_lossy(&message.body).into_owned());
            Consume::Success
        }
    };
    builder(cluster).start(handler).await.unwrap()
}

async fn send(producer: &Producer, from: usize, count: usize) {
    for number in from..from + count {
        let message = Message::new("T", format!("m{number:04}")).with_tag("TagA");
        producer.send(message).await.unwrap();
        producer.send(Message::new("T", "not wanted").with_tag("TagB")).await.unwrap();
    }
}

fn all_of(count: usize) -> BTreeSet<String> {
    (0..count).map(|number| format!("m{number:04}")).collect()
}

async fn wait_for_all(bodies: &Bodies, count: usize) {
    let wanted = all_of(count);
    wait_for("all messages", || {
        let got: BTreeSet<String> = bodies.lock().unwrap().iter().cloned().collect();
        (got == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_wanted_message_comes_once_and_the_offsets_are_stored() {
    let cluster = Cluster::start(1, 4).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    send(&producer, 0, 20).await;
    let bodies = Bodies::default();
    let consumer = start(&cluster, &bodies).await;
    wait_for_all(&bodies, 20).await;
    send(&producer, 20, 20).await; // now the pulls are being held
    wait_for_all(&bodies, 40).await;
    consumer.shutdown().await;
    assert_eq!(bodies.lock().unwrap().len(), 40, "nothing comes twice");
    {
        let world = lock(&cluster.world);
        for (queue, units) in &world.stored {
            let stored = world.offsets[&("cg".to_owned(), queue.0.clone(), queue.1)];
            assert_eq!(stored, units.len() as i64);
        }
        assert!(world.consumers.is_empty(), "it took its leave");
    }
    // A second consumer begins behind the first.
    let later = Bodies::default();
    let consumer = start(&cluster, &later).await;
    send(&producer, 0, 1).await;
    wait_for_all(&later, 1).await;
    consumer.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn no_message_is_forgotten_while_all_handlers_are_busy() {
    let cluster = Cluster::start(1, 4).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    send(&producer, 0, 200).await;
    let bodies = Bodies::default();
    let noted = bodies.clone();
    let consumer = builder(&cluster)
        .concurrency(2)
        .start(move |message: Arc<ReceivedMessage>| {
            let noted = noted.clone();
            async move {
                tokio::task::yield_now().await;
                noted.lock().unwrap().push(String::from_utf8_lossy(&message.body).into_owned());
                Consume::Success
            }
        })
        .await
        .unwrap();
    wait_for_all(&bodies, 200).await;
    wait_for("the ends of all queues", || {
        let world = lock(&cluster.world);
        let is_at_end = |(queue, offset): &(client::MessageQueue, i64)| {
            let units = world.stored.get(&(queue.topic.clone(), queue.queue_id));
            *offset == units.map_or(0, Vec::len) as i64
        };
        consumer.queues().iter().all(is_at_end).then_some(())
    })
    .await;
    consumer.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn an_offset_outside_the_queue_is_corrected_and_consuming_goes_on() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    send(&producer, 100, 5).await;
    let key = ("cg".to_owned(), "T".to_owned(), 0);
    lock(&cluster.world).offsets.insert(key.clone(), 1_000);
    let bodies = Bodies::default();
    let consumer = start(&cluster, &bodies).await;
    wait_for("the corrected offset", || (lock(&cluster.world).offsets.get(&key) == Some(&10)).then_some(()))
        .await;
    send(&producer, 0, 5).await;
    wait_for_all(&bodies, 5).await;
    consumer.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn members_divide_the_queues_and_take_over_from_one_that_leaves() {
    let cluster = Cluster::start(1, 4).await;
    let (one, two) = (Bodies::default(), Bodies::default());
    let first = start(&cluster, &one).await;
    let of_topic =
        |consumer: &PushConsumer| consumer.queues().iter().filter(|(queue, _)| queue.topic == "T").count();
    wait_for("all queues at the first", || (of_topic(&first) == 4).then_some(())).await;
    let second = start(&cluster, &two).await;
    wait_for("two queues each", || (of_topic(&first) == 2 && of_topic(&second) == 2).then_some(())).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    send(&producer, 0, 16).await;
    wait_for("all messages", || (one.lock().unwrap().len() + two.lock().unwrap().len() == 16).then_some(()))
        .await;
    second.shutdown().await;
    // No broker of this test tells the others, so that the next look at the members does it.
    lock(&cluster.world).consumers.values().for_each(|consumer| {
        let notice = client::protocol::Command::request(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED);
        consumer.oneway(notice.with("consumerGroup", "cg").oneway()).unwrap();
    });
    wait_for("all queues at the first again", || (of_topic(&first) == 4).then_some(())).await;
    first.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn consuming_goes_on_at_the_next_leader() {
    let mut cluster = Cluster::start(3, 2).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    let bodies = Bodies::default();
    let consumer = start(&cluster, &bodies).await;
    send(&producer, 0, 10).await;
    wait_for_all(&bodies, 10).await;
    cluster.kill(0).await;
    cluster.elect(1);
    send(&producer, 10, 10).await;
    wait_for_all(&bodies, 20).await;
    consumer.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn what_is_not_taken_goes_back_to_the_broker_and_does_not_hold_the_queue() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    send(&producer, 0, 5).await;
    let consumer = builder(&cluster)
        .start(|message: Arc<ReceivedMessage>| async move {
            match message.queue_offset {
                0 => Consume::Later,
                2 => panic!("as the test wants"),
                _ => Consume::Success,
            }
        })
        .await
        .unwrap();
    let key = ("cg".to_owned(), "T".to_owned(), 0);
    wait_for("the stored offset", || (lock(&cluster.world).offsets.get(&key) == Some(&10)).then_some(()))
        .await;
    let back = |(_, code): &&(String, i32)| *code == RequestCode::CONSUMER_SEND_MSG_BACK;
    assert_eq!(lock(&cluster.world).seen.iter().filter(back).count(), 2);
    consumer.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn in_order_a_message_waits_for_its_predecessor() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    send(&producer, 0, 5).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let consumer = builder(&cluster)
        .order_pause(Duration::from_millis(10))
        .start_in_order(move |message: Arc<ReceivedMessage>| {
            noted.lock().unwrap().push((message.queue_offset, message.reconsume_times));
            async move {
                if message.queue_offset == 2 && message.reconsume_times < 2 {
                    Consume::Later
                } else {
                    Consume::Success
                }
            }
        })
        .await
        .unwrap();
    wait_for("all messages", || (seen.lock().unwrap().len() == 7).then_some(())).await;
    consumer.shutdown().await;
    assert_eq!(*seen.lock().unwrap(), [(0, 0), (2, 0), (2, 1), (2, 2), (4, 0), (6, 0), (8, 0)]);
    let unlocks = |(_, code): &&(String, i32)| *code == RequestCode::UNLOCK_BATCH_MQ;
    assert!(lock(&cluster.world).seen.iter().filter(unlocks).count() >= 1);
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn broadcasting_gives_every_member_everything_and_remembers_in_a_file() {
    let cluster = Cluster::start(1, 2).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    send(&producer, 0, 6).await;
    let dir = tempfile::tempdir().unwrap();
    for (round, expected) in [6, 0].into_iter().enumerate() {
        let bodies = Bodies::default();
        let noted = bodies.clone();
        let consumer = builder(&cluster)
            .model(client::MessageModel::Broadcasting)
            .offsets_dir(dir.path())
            .start(move |message: Arc<ReceivedMessage>| {
                noted.lock().unwrap().push(String::from_utf8_lossy(&message.body).into_owned());
                async { Consume::Success }
            })
            .await
            .unwrap();
        let ends = |(queue, offset): &(client::MessageQueue, i64)| {
            let world = lock(&cluster.world);
            world.stored[&(queue.topic.clone(), queue.queue_id)].len() as i64 == *offset
        };
        wait_for("both queues consumed", || {
            let queues = consumer.queues();
            (queues.len() == 2 && queues.iter().all(ends)).then_some(())
        })
        .await;
        consumer.shutdown().await;
        assert_eq!(bodies.lock().unwrap().len(), expected, "round {round}");
    }
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_polled_member_has_its_messages_in_order_and_what_it_does_not_commit_comes_again() {
    let cluster = Cluster::start(1, 1).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    send(&producer, 0, 50).await;
    let key = ("cg".to_owned(), "T".to_owned(), 0);
    let mut polled = builder(&cluster).start_polled().await.unwrap();
    polled.set_auto_commit(false);
    let first = polled.poll(Duration::from_secs(5)).await.unwrap();
    assert!(!first.is_empty());
    polled.commit().await.unwrap();
    let committed = lock(&cluster.world).offsets[&key];
    assert!(committed > first.last().unwrap().queue_offset);
    assert!(!polled.poll(Duration::from_secs(5)).await.unwrap().is_empty());
    polled.shutdown().await;
    assert_eq!(lock(&cluster.world).offsets[&key], committed, "what was polled last is not committed");

    let mut again = builder(&cluster).start_polled().await.unwrap();
    let mut offsets: Vec<i64> = first.iter().map(|message| message.queue_offset).collect();
    while offsets.len() < 50 {
        let messages = again.poll(Duration::from_secs(5)).await.unwrap();
        assert!(!messages.is_empty(), "{} of 50 messages", offsets.len());
        offsets.extend(messages.iter().map(|message| message.queue_offset));
    }
    again.commit().await.unwrap();
    assert_eq!(offsets, (0..50).map(|number| number * 2).collect::<Vec<i64>>());
    assert_eq!(lock(&cluster.world).offsets[&key], 100);
    again.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_pull_consumer_reads_what_it_is_assigned_and_seeks() {
    let cluster = Cluster::start(1, 2).await;
    let producer = Producer::builder("pg", cluster.config()).start().await.unwrap();
    send(&producer, 0, 10).await;
    let mut consumer = PullConsumer::builder("readers", cluster.config())
        .expression("TagA")
        .consume_from(ConsumeFrom::First)
        .start()
        .await
        .unwrap();
    let queues = consumer.queues("T").await.unwrap();
    lock(&cluster.world).offsets.insert(("readers".into(), "T".into(), 0), 0);
    lock(&cluster.world).offsets.insert(("readers".into(), "T".into(), 1), 0);
    consumer.assign(queues.clone()).await.unwrap();
    let mut got = BTreeSet::new();
    while got.len() < 10 {
        let messages = consumer.poll(Duration::from_secs(5)).await.unwrap();
        assert!(!messages.is_empty(), "{} of 10 messages", got.len());
        got.extend(messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()));
    }
    assert_eq!(got, all_of(10));
    // What was filtered out moves the position too, but is not returned.
    let end_of = |queue: &client::MessageQueue| {
        lock(&cluster.world).stored[&("T".to_owned(), queue.queue_id)].len() as i64
    };
    while queues.iter().any(|queue| consumer.position(queue) != Some(end_of(queue))) {
        assert!(consumer.poll(Duration::from_millis(10)).await.unwrap().is_empty());
    }
    consumer.commit().await.unwrap();
    for queue in &queues {
        let end = end_of(queue);
        assert_eq!(consumer.committed(queue).await.unwrap(), Some(end));
        consumer.seek(queue, 0).unwrap();
    }
    assert!(!consumer.poll(Duration::from_secs(5)).await.unwrap().is_empty());
    consumer.shutdown().await;
    producer.shutdown().await;
    cluster.stop().await;
}
