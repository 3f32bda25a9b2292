//! Messages that come later, messages sent back, and dead letters.

use std::time::Duration;

use protocol::{Command, RequestCode as code, ResponseCode};
use tokio::time::Instant;

use crate::support::*;

const LEVELS: &str = "messageDelayLevel=1s 2s 3s";

#[tokio::test]
async fn a_message_of_level_1_comes_once_after_a_second() {
    let node = Node::start(LEVELS).await;
    let peer = node.connect().await;
    peer.create_topic("T", 2, 6).await;
    let began = Instant::now();
    let told = peer.ok(send("T", 1, "DELAY\u{1}1\u{2}TAGS\u{1}a\u{2}KEYS\u{1}k\u{2}", "later")).await;
    assert_eq!(told.ext.get("queueId"), Some("1"));
    peer.ok(send("T", 1, "DELAY\u{1}99\u{2}", "of the last level")).await;
    assert_eq!(peer.max_offset("T", 1).await, 0);
    peer.wait_for_end("T", 1, 1).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "after {:?}", began.elapsed());
    peer.wait_for_end("T", 1, 2).await;
    assert!(began.elapsed() >= Duration::from_secs(3), "after {:?}", began.elapsed());
    let pulled = peer.pull("CG", "T", 1, 0).await;
    let bodies: Vec<_> = pulled.units().iter().map(|unit| unit.body.to_vec()).collect();
    assert_eq!(bodies, [b"later".to_vec(), b"of the last level".to_vec()], "each once");
    let unit = &pulled.units()[0];
    assert_eq!((unit.property("TAGS"), unit.property("KEYS")), (Some("a"), Some("k")));
    let told = ["DELAY", "REAL_TOPIC", "REAL_QID"].map(|name| unit.property(name));
    assert_eq!(told, [Some("1"), Some("T"), Some("1")], "consumers read the level there");
    // Its tag counts again.
    let tagged = pull("CG", "T", 1, 0, 4, 0).with("subscription", "a");
    assert_eq!(Pulled(peer.ok(tagged).await).units().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_delayed_message_comes_after_a_restart_too_and_once() {
    let node = Node::start(LEVELS).await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    for n in 0..20 {
        peer.ok(send("T", 0, "DELAY\u{1}1\u{2}", format!("m{n}"))).await;
    }
    let node = node.restart(LEVELS).await;
    let peer = node.connect().await;
    peer.wait_for_end("T", 0, 20).await;
    // One more of the same level is behind all of them.
    peer.ok(send("T", 0, "DELAY\u{1}1\u{2}", "last")).await;
    peer.wait_for_end("T", 0, 21).await;
    let pulled = peer.pull("CG", "T", 0, 0).await;
    let bodies: Vec<_> =
        pulled.units().iter().map(|unit| String::from_utf8_lossy(unit.body).into_owned()).collect();
    let wanted: Vec<_> = (0..20).map(|n| format!("m{n}")).chain(["last".to_owned()]).collect();
    assert_eq!(bodies, wanted);
    node.stop().await;
}

fn send_back(group: &str, offset: i64, level: i32) -> Command {
    Command::request(code::CONSUMER_SEND_MSG_BACK)
        .with("offset", offset)
        .with("group", group)
        .with("delayLevel", level)
        .with("originTopic", "T")
        .with("maxReconsumeTimes", 2)
}

#[tokio::test]
async fn a_message_sent_back_comes_again_and_is_a_dead_letter_in_the_end() {
    let node = Node::start(LEVELS).await;
    let peer = node.connect().await;
    let (_, mut offset) =
        peer.send("T", 0, "TAGS\u{1}a\u{2}KEYS\u{1}k\u{2}UNIQ_KEY\u{1}U\u{2}", "try me").await;
    for tried in 1..=2 {
        peer.ok(send_back("CG", offset, 1)).await;
        peer.wait_for_end("%RETRY%CG", 0, tried).await;
        let pulled = peer.pull("CG", "%RETRY%CG", 0, tried - 1).await;
        let unit = &pulled.units()[0];
        assert_eq!((i64::from(unit.reconsume_times), unit.body), (tried, &b"try me"[..]));
        for (name, value) in [("RETRY_TOPIC", "T"), ("TAGS", "a"), ("KEYS", "k"), ("UNIQ_KEY", "U")] {
            assert_eq!(unit.property(name), Some(value), "{name} of try {tried}");
        }
        offset = unit.physical_offset;
    }
    peer.ok(send_back("CG", offset, 1)).await;
    let dead = peer.pull("CG", "%DLQ%CG", 0, 0).await;
    assert_eq!((dead.units().len(), dead.units()[0].body), (1, &b"try me"[..]));
    assert_eq!((dead.units()[0].reconsume_times, dead.units()[0].property("RETRY_TOPIC")), (3, Some("T")));
    assert_eq!(peer.max_offset("%RETRY%CG", 0).await, 2);
    node.stop().await;
}

#[tokio::test]
async fn what_cannot_be_sent_back_is_refused() {
    let node = Node::start(LEVELS).await;
    let peer = node.connect().await;
    let (_, offset) = peer.send("T", 0, "", "x").await;
    assert_eq!(peer.call(send_back("CG", offset + 1, 1)).await.code, ResponseCode::SYSTEM_ERROR);
    assert_eq!(peer.call(send_back("CG", 1 << 40, 1)).await.code, ResponseCode::SYSTEM_ERROR);
    let told = peer.call(send_back("bad group!", offset, 1)).await;
    assert_eq!(told.code, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    // At once a dead letter, if the consumer wants that.
    peer.ok(send_back("Now", offset, -1)).await;
    assert_eq!(peer.max_offset("%DLQ%Now", 0).await, 1);
    // A group without retries drops it, as in RocketMQ.
    let group = r#"{"groupName":"NoRetry","retryQueueNums":0}"#;
    peer.ok(Command::request(code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP).with_body(group)).await;
    peer.ok(send_back("NoRetry", offset, 1)).await;
    assert_eq!(peer.max_offset("%RETRY%NoRetry", 0).await, 0);
    node.stop().await;
}

/// Clients before 5.0 send it with as many tries as there may be, not with one more.
#[tokio::test]
async fn what_a_group_that_consumes_in_order_gives_up_is_a_dead_letter_at_once() {
    let node = Node::start(LEVELS).await;
    let peer = node.connect().await;
    let lock = r#"{"clientId":"c","consumerGroup":"CG",
        "mqSet":[{"brokerName":"broker-a","queueId":0,"topic":"T"}]}"#;
    peer.ok(Command::request(code::LOCK_BATCH_MQ).with_body(lock)).await;
    let given_up =
        send("%RETRY%CG", 0, "RETRY_TOPIC\u{1}T\u{2}DELAY\u{1}3\u{2}", "x").with("j", 1).with("l", 1);
    peer.ok(given_up.clone()).await;
    let dead = peer.pull("CG", "%DLQ%CG", 0, 0).await;
    assert_eq!((dead.units().len(), dead.units()[0].reconsume_times), (1, 1));
    // A group whose locks are given back does not consume in order any more.
    peer.ok(Command::request(code::UNLOCK_BATCH_MQ).with_body(lock)).await;
    peer.ok(given_up).await;
    assert_eq!(peer.max_offset("%DLQ%CG", 0).await, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_retry_sent_by_the_client_itself_dies_after_its_tries() {
    let node = Node::start(LEVELS).await;
    let peer = node.connect().await;
    let retry =
        |tried: i32| send("%RETRY%CG", 0, "RETRY_TOPIC\u{1}T\u{2}", "x").with("j", tried).with("l", 3);
    peer.ok(retry(3)).await;
    peer.ok(retry(4)).await;
    assert_eq!(peer.max_offset("%RETRY%CG", 0).await, 1);
    let dead = peer.pull("CG", "%DLQ%CG", 0, 0).await;
    assert_eq!((dead.units().len(), dead.units()[0].reconsume_times), (1, 4));
    node.stop().await;
}

/// S12: what is accepted is delivered, and nothing stands in the way of its level.
#[tokio::test]
async fn a_delayed_message_whose_properties_just_fit_is_delivered_and_so_is_the_next() {
    let node = Node::start(LEVELS).await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    let padded = |bytes: usize| format!("DELAY\u{1}1\u{2}PAD\u{1}{}\u{2}", "x".repeat(bytes));
    let (mut fits, mut too_many) = (30_000, 32_767);
    while too_many - fits > 1 {
        let middle = usize::midpoint(fits, too_many);
        // To a topic that is of no interest here.
        let told = peer.call(send("Probe", 0, &padded(middle), "x")).await;
        if told.code == 0 { fits = middle } else { too_many = middle }
    }
    // Topics of the same length: with another one the rest has another length too.
    let more = "Probe".len() - "T".len();
    for pad in [fits + more, fits + more - 1, fits + more - 40] {
        peer.ok(send("T", 0, &padded(pad), "just fits")).await;
    }
    assert_eq!(
        peer.call(send("T", 0, &padded(fits + more + 1), "x")).await.code,
        ResponseCode::MESSAGE_ILLEGAL
    );
    peer.ok(send("T", 0, "DELAY\u{1}1\u{2}", "next")).await;
    peer.wait_for_end("T", 0, 4).await;
    let pulled = peer.pull("CG", "T", 0, 3).await;
    assert_eq!(pulled.units()[0].body, b"next");
    // Sent back, it has no room for what that adds: refused, and nobody waits for it.
    let pulled = peer.pull("CG", "T", 0, 0).await;
    let told = peer.call(send_back("CG", pulled.units()[0].physical_offset, 1)).await;
    assert_eq!(told.code, ResponseCode::SYSTEM_ERROR);
    peer.ok(send_back("CG", peer.pull("CG", "T", 0, 3).await.units()[0].physical_offset, 1)).await;
    peer.wait_for_end("%RETRY%CG", 0, 1).await;
    node.stop().await;
}

fn group(name: &str, retry_queues: i32) -> Command {
    let group = format!(r#"{{"groupName":"{name}","retryQueueNums":{retry_queues}}}"#);
    Command::request(code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP).with_body(group)
}

async fn retry_queues(peer: &Peer) -> i64 {
    let ask = Command::request(code::GET_TOPIC_CONFIG).with("topic", "%RETRY%CG");
    json(&peer.ok(ask).await.body)["readQueueNums"].as_i64().unwrap()
}

/// S14: every retry comes into a queue that the group's consumers read.
#[tokio::test]
async fn more_or_fewer_retry_queues_strand_no_retry() {
    let node = Node::start(LEVELS).await;
    let peer = node.connect().await;
    let mut offsets = Vec::new();
    for n in 0..36 {
        offsets.push(peer.send("T", 0, "", &format!("m{n}")).await.1);
    }
    let mut offsets = offsets.chunks(12);
    let mut sent = 0;
    for retry_queues in [1, 4, 2] {
        peer.ok(group("CG", retry_queues)).await;
        for offset in offsets.next().unwrap() {
            peer.ok(send_back("CG", *offset, 1)).await;
            sent += 1;
        }
    }
    assert_eq!(retry_queues(&peer).await, 4, "as many as ever held retries");
    within("all retries in queues that are read", async {
        let mut there = 0;
        while there < sent {
            there = 0;
            for queue_id in 0..retry_queues(&peer).await {
                there += peer.max_offset("%RETRY%CG", queue_id as i32).await;
            }
        }
        assert_eq!(there, sent);
    })
    .await;
    // The topic's own settings strand none either.
    let narrow = create_topic("%RETRY%CG", 1, 6);
    let is_needed = peer.max_offset("%RETRY%CG", 1).await + peer.max_offset("%RETRY%CG", 2).await;
    assert!(is_needed > 0, "twelve retries over four queues and none in two of them");
    let refused = peer.call(narrow).await;
    assert_eq!(refused.code, ResponseCode::INVALID_PARAMETER, "{:?}", refused.remark);
    let refused = peer.call(group("CG", 1_000_000)).await;
    assert_eq!(refused.code, ResponseCode::INVALID_PARAMETER, "S16: {:?}", refused.remark);
    node.stop().await;
}
