//! Pulling: every outcome of a look at a queue, subscriptions, filters, limits, and waiting for messages.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::time::Duration;

use platform::{Disk, OpenMode, OsDisk};
use protocol::{Command, Language, RequestCode as code, ResponseCode};
use tokio::time::Instant;

use crate::support::*;

const WITH_SUBSCRIPTION: i32 = 4;
const MAY_WAIT: i32 = 2;
const WITH_OFFSET: i32 = 1;

#[tokio::test]
async fn each_place_of_a_queue_has_its_answer() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 2, 6).await;
    for n in 0..3 {
        peer.send("T", 0, "TAGS\u{1}a\u{2}", &format!("m{n}")).await;
    }
    let (ok, none, moved) = (0, ResponseCode::PULL_NOT_FOUND, ResponseCode::PULL_OFFSET_MOVED);
    for (queue_id, offset, wanted, next, remark) in [
        (0, 0, ok, 3, "FOUND"),
        (0, 2, ok, 3, "FOUND"),
        (0, 3, none, 3, "OFFSET_OVERFLOW_ONE"),
        (0, 4, moved, 3, "OFFSET_OVERFLOW_BADLY"),
        (0, i64::MAX, moved, 3, "OFFSET_OVERFLOW_BADLY"),
        (0, -1, moved, 0, "OFFSET_TOO_SMALL"),
        (0, i64::MIN, moved, 0, "OFFSET_TOO_SMALL"),
        (1, 0, none, 0, "NO_MESSAGE_IN_QUEUE"),
        (1, 7, moved, 0, "NO_MESSAGE_IN_QUEUE"),
    ] {
        let told = peer.pull("CG", "T", queue_id, offset).await;
        let context = format!("queue {queue_id} from {offset}");
        assert_eq!((told.0.code, told.0.remark.as_deref()), (wanted, Some(remark)), "{context}");
        let max = if queue_id == 0 { 3 } else { 0 };
        let numbers = ["nextBeginOffset", "minOffset", "maxOffset"].map(|name| told.number(name));
        assert_eq!(numbers, [next, 0, max], "{context}");
        assert_eq!(told.units().len() as i64, if wanted == ok { 3 - offset } else { 0 }, "{context}");
    }
    let nothing_matches = pull("CG", "T", 0, 0, WITH_SUBSCRIPTION, 0).with("subscription", "b || c");
    let told = Pulled(peer.call(nothing_matches).await);
    assert_eq!((told.0.code, told.number("nextBeginOffset")), (ResponseCode::PULL_RETRY_IMMEDIATELY, 3));
    let cannot_be_read = pull("CG", "T", 0, 0, WITH_SUBSCRIPTION, 0).with("subscription", "||");
    assert_eq!(peer.call(cannot_be_read).await.code, ResponseCode::SUBSCRIPTION_PARSE_FAILED);
    node.stop().await;
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_passed_over() {
    let node = Node::start("maxMessageSize=16384\nmappedFileSizeCommitLog=131072\nfileReservedTime=0").await;
    let peer = node.connect().await;
    let body = "x".repeat(10_000);
    for _ in 0..60 {
        peer.send("Old", 0, "", &body).await;
    }
    // Segments go one after the other: whatever is the first message now may be gone at the next question.
    let min = within("old segments to go, and the first message left to be read", async {
        loop {
            peer.ok(Command::request(code::DELETE_EXPIRED_COMMITLOG)).await;
            let ask = Command::request(code::GET_MIN_OFFSET).with("topic", "Old").with("queueId", 0);
            let min = peer.ok(ask).await.ext.required_i64("offset").unwrap();
            let told = peer.pull("CG", "Old", 0, min).await;
            if min > 0 && told.0.code == 0 {
                assert_eq!(told.units()[0].queue_offset, min);
                return min;
            }
        }
    })
    .await;
    let told = peer.pull("CG", "Old", 0, min - 1).await;
    assert_eq!(told.0.code, ResponseCode::PULL_OFFSET_MOVED);
    assert_eq!(told.0.remark.as_deref(), Some("OFFSET_TOO_SMALL"));
    assert_eq!((told.number("nextBeginOffset"), told.number("minOffset")), (min, min));
    // A new group does not begin at a first message that is gone.
    assert_eq!(peer.consumer_offset("New", "Old", 0).await, (ResponseCode::QUERY_NOT_FOUND, None));
    node.stop().await;
}

/// S17: the files of a consume queue have no checksum, and the log knows better.
#[tokio::test]
async fn a_damaged_consume_queue_hides_no_message() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    for n in 0..100 {
        peer.send("T", 0, "", &format!("m{n}")).await;
    }
    let path = node.dir().join("store/consumequeue/T/0/00000000000000000000");
    let file = within("the queue to be written out", async {
        loop {
            if let Ok(file) = OsDisk.open(&path, OpenMode::ReadWrite)
                && file.len().unwrap() >= 100 * 20
            {
                return file;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    // A unit that points elsewhere, one with another size, one that was never written, and one at its neighbour's message.
    for (at, bytes) in [(10_u64, vec![0x7f; 8]), (30, vec![0; 20]), (31, vec![0; 20])] {
        file.write_all_at(&[IoSlice::new(&bytes)], at * 20).unwrap();
    }
    file.write_all_at(&[IoSlice::new(&[0, 0, 0, 7])], 20 * 20 + 8).unwrap();
    let mut neighbour = [0; 20];
    file.read_exact_at(&mut neighbour, 51 * 20).unwrap();
    file.write_all_at(&[IoSlice::new(&neighbour)], 50 * 20).unwrap();
    let mut next = 0;
    while next < 100 {
        let told = peer.pull("CG", "T", 0, next).await;
        assert_eq!(told.0.code, 0, "at {next}: {:?}", told.0.remark);
        for unit in told.units() {
            assert_eq!((unit.queue_offset, unit.body), (next, format!("m{next}").as_bytes()));
            next += 1;
        }
        assert_eq!(told.number("nextBeginOffset"), next);
    }
    node.stop().await;
}

#[tokio::test]
async fn a_pull_carries_as_much_as_allowed_and_always_one() {
    let node = Node::start("maxTransferBytesOnMessageInMemory=30000").await;
    let peer = node.connect().await;
    peer.create_topic("T", 2, 6).await;
    for _ in 0..40 {
        peer.send("T", 0, "", "small").await;
    }
    for _ in 0..3 {
        peer.send("T", 1, "", &"x".repeat(20_000)).await;
    }
    let many = pull("CG", "T", 0, 0, WITH_SUBSCRIPTION, 0).with("maxMsgNums", 1_000);
    assert_eq!(Pulled(peer.ok(many).await).units().len(), 32, "bounded by their number");
    let few = pull("CG", "T", 0, 0, WITH_SUBSCRIPTION, 0).with("maxMsgNums", 5);
    assert_eq!(Pulled(peer.ok(few).await).number("nextBeginOffset"), 5);
    assert_eq!(peer.pull("CG", "T", 1, 0).await.units().len(), 1, "bounded by their bytes");
    node.stop().await;
}

#[tokio::test]
async fn who_may_not_pull_is_told_why() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    peer.create_topic("WriteOnly", 1, 2).await;
    peer.ok(Command::request(code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP)
        .with_body(r#"{"groupName":"Off","consumeEnable":false}"#))
        .await;
    let call = |command: Command| peer.call(command);
    let told = call(pull("CG", "WriteOnly", 0, 0, WITH_SUBSCRIPTION, 0)).await;
    assert_eq!((told.code, told.ext.get("forbiddenType")), (ResponseCode::NO_PERMISSION, Some("3")));
    let told = call(pull("Off", "T", 0, 0, WITH_SUBSCRIPTION, 0)).await;
    assert_eq!((told.code, told.ext.get("forbiddenType")), (ResponseCode::NO_PERMISSION, Some("2")));
    for queue_id in [-1, 1] {
        let told = call(pull("CG", "T", queue_id, 0, WITH_SUBSCRIPTION, 0)).await;
        assert_eq!(told.code, ResponseCode::INVALID_PARAMETER);
    }
    let told = call(pull("CG", "Nope", 0, 0, WITH_SUBSCRIPTION, 0)).await;
    assert_eq!(told.code, ResponseCode::TOPIC_NOT_EXIST);
    let told = call(pull("bad group!", "T", 0, 0, WITH_SUBSCRIPTION, 0)).await;
    assert_eq!(told.code, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    let told = call(pull("CG", "T", 0, 0, WITH_SUBSCRIPTION, 0).with("expressionType", "SQL92")).await;
    assert_eq!(told.code, ResponseCode::SYSTEM_ERROR);
    node.stop().await;
}

#[tokio::test]
async fn a_pull_without_subscription_goes_by_the_heartbeat() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    peer.create_topic("U", 1, 6).await;
    for tag in ["a", "b"] {
        peer.send("T", 0, &format!("TAGS\u{1}{tag}\u{2}"), tag).await;
    }
    let bare = |topic: &str, version: i64| pull("CG", topic, 0, 0, 0, 0).with("subVersion", version);
    let told = peer.call(bare("T", 0)).await;
    assert_eq!(told.code, ResponseCode::SUBSCRIPTION_NOT_EXIST, "nobody of the group is here");
    peer.heartbeat(&consumer_heartbeat("c", "CG", "T", "b", 7)).await;
    for version in [0, 7] {
        let told = Pulled(peer.ok(bare("T", version)).await);
        assert_eq!((told.units().len(), told.units()[0].body), (1, &b"b"[..]), "version {version}");
    }
    assert_eq!(peer.call(bare("T", 8)).await.code, ResponseCode::SUBSCRIPTION_NOT_LATEST);
    assert_eq!(peer.call(bare("U", 0)).await.code, ResponseCode::SUBSCRIPTION_NOT_EXIST);
    let broadcast = consumer_heartbeat("c", "CG", "T", "b", 7).replace("CLUSTERING", "BROADCASTING");
    peer.heartbeat(&broadcast).await;
    peer.ok(bare("T", 0)).await;
    peer.ok(Command::request(code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP)
        .with_body(r#"{"groupName":"CG","consumeBroadcastEnable":false}"#))
        .await;
    let told = peer.call(bare("T", 0)).await;
    assert_eq!((told.code, told.ext.get("forbiddenType")), (ResponseCode::NO_PERMISSION, Some("4")));
    node.stop().await;
}

#[tokio::test]
async fn a_waiting_pull_is_woken_by_its_message_and_by_no_other() {
    let node = Node::start("").await;
    let (peer, sender) = (node.connect().await, node.connect().await);
    peer.create_topic("T", 2, 6).await;
    peer.pull("CG", "T", 0, 0).await; // makes the group, which takes its time
    let waiting = pull("CG", "T", 0, 0, WITH_SUBSCRIPTION | MAY_WAIT, 25_000).with("subscription", "a");
    let began = Instant::now();
    let mut held = Box::pin(peer.connection.call(waiting, DEADLINE));
    assert!(step(&mut held).await.is_none());
    // Answered behind it on the same connection: it is held by then.
    peer.max_offset("T", 0).await;
    sender.send("T", 0, "TAGS\u{1}b\u{2}", "for somebody else").await;
    sender.send("T", 1, "TAGS\u{1}a\u{2}", "of another queue").await;
    peer.max_offset("T", 0).await;
    let woken = step(&mut held).await;
    assert!(woken.is_none(), "woken by a message that is not for it: {woken:?}");
    sender.send("T", 0, "TAGS\u{1}a\u{2}", "for it").await;
    let told = Pulled(held.await.unwrap());
    assert_eq!((told.0.code, told.number("nextBeginOffset")), (0, 2));
    assert_eq!(told.units()[0].body, b"for it");
    assert!(began.elapsed() < Duration::from_secs(20), "woken, not timed out");
    node.stop().await;
}

#[tokio::test]
async fn a_pull_that_waited_in_vain_is_answered_at_its_time() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.send("T", 0, "", "x").await;
    let began = Instant::now();
    let told = Pulled(peer.call(pull("CG", "T", 0, 1, WITH_SUBSCRIPTION | MAY_WAIT, 400)).await);
    assert_eq!(told.0.code, ResponseCode::PULL_NOT_FOUND);
    assert_eq!(told.number("nextBeginOffset"), 1);
    assert!(began.elapsed() >= Duration::from_millis(400), "after {:?}", began.elapsed());
    // One that must not wait does not.
    let began = Instant::now();
    peer.call(pull("CG", "T", 0, 1, WITH_SUBSCRIPTION, 20_000)).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    node.stop().await;
}

/// As Java clients write it, queues as names of members included.
const RUNNING_INFO: &str = r#"{"mqPopTable":{},"mqTable":{{"brokerName":"G","queueId":0,"topic":"T"}:{"cachedMsgCount":0,"commitOffset":0}},"properties":{"PROP_CONSUME_TYPE":"CONSUME_PASSIVELY"},"statusTable":{"T":{"pullRT":0.0}},"subscriptionSet":[{"classFilterMode":false,"codeSet":[97],"expressionType":"TAG","subString":"a","subVersion":8,"tagsSet":["a"],"topic":"T"}],"userConsumerInfo":{}}"#;

#[tokio::test]
async fn a_java_client_ahead_of_its_heartbeat_is_asked_for_its_subscription() {
    let node = Node::start("").await;
    let info = Command::request(0).with_body(RUNNING_INFO);
    let mut peer = Peer::connect(&node.addr, BTreeMap::from([(code::GET_CONSUMER_RUNNING_INFO, info)])).await;
    peer.create_topic("T", 1, 6).await;
    for tag in ["a", "b"] {
        peer.send("T", 0, &format!("TAGS\u{1}{tag}\u{2}"), tag).await;
    }
    peer.heartbeat(&consumer_heartbeat("c", "CG", "T", "b", 7)).await;
    assert_eq!(peer.next_push("the notice").await.code, code::NOTIFY_CONSUMER_IDS_CHANGED);
    let ahead = |version: i64, language| {
        let request = pull("CG", "T", 0, 0, 0, 0).with("subVersion", version);
        Command { language, ..request }
    };
    // Others than Java's do not tell.
    assert_eq!(peer.call(ahead(8, Language::Cpp)).await.code, ResponseCode::SUBSCRIPTION_NOT_LATEST);
    let told = Pulled(peer.ok(ahead(8, Language::Java)).await);
    assert_eq!((told.units().len(), told.units()[0].body), (1, &b"a"[..]), "by the expression of now");
    let asked = peer.next_push("the question").await;
    assert_eq!((asked.code, asked.ext.get("clientId")), (code::GET_CONSUMER_RUNNING_INFO, Some("c")));
    // It is known now, and nobody is asked again.
    peer.ok(ahead(8, Language::Java)).await;
    assert!(peer.pushes.try_recv().is_err());
    // What the client does not have itself stays refused.
    assert_eq!(peer.call(ahead(9, Language::Java)).await.code, ResponseCode::SUBSCRIPTION_NOT_LATEST);
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_stops_answers_those_that_wait() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.send("T", 0, "", "x").await;
    peer.pull("CG", "T", 0, 1).await;
    let waiting = pull("CG", "T", 0, 1, WITH_SUBSCRIPTION | MAY_WAIT, 25_000);
    let mut held = Box::pin(peer.connection.call(waiting, DEADLINE));
    assert!(step(&mut held).await.is_none());
    peer.max_offset("T", 0).await;
    node.stop().await;
    // An answer or a closed connection, and at once.
    let told = within("the pull to end", held).await;
    assert!(told.is_err() || told.is_ok_and(|told| told.code == ResponseCode::PULL_NOT_FOUND));
}

#[tokio::test]
async fn a_pull_may_bring_a_consumer_offset_along() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    for _ in 0..3 {
        peer.send("T", 0, "", "x").await;
    }
    let told =
        peer.call(pull("CG", "T", 0, 3, WITH_SUBSCRIPTION | WITH_OFFSET, 0).with("commitOffset", 2)).await;
    assert_eq!(told.code, ResponseCode::PULL_NOT_FOUND, "stored whatever was found");
    assert_eq!(peer.consumer_offset("CG", "T", 0).await, (0, Some(2)));
    peer.call(pull("CG", "T", 0, 3, WITH_SUBSCRIPTION, 0).with("commitOffset", 1)).await;
    assert_eq!(peer.consumer_offset("CG", "T", 0).await, (0, Some(2)), "only if it says so");
    node.stop().await;
}
