//! Clients come and go: heartbeats of all dialects, consumer lists, notices, queue locks.

use protocol::command::heartbeat::{ConsumerList, LockedQueues};
use protocol::{Command, RequestCode as code, ResponseCode};

use crate::support::*;

async fn members(peer: &Peer, group: &str) -> (i32, Vec<String>) {
    let told =
        peer.call(Command::request(code::GET_CONSUMER_LIST_BY_GROUP).with("consumerGroup", group)).await;
    let list = if told.code == 0 { ConsumerList::read(&told.body).unwrap().consumer_id_list } else { vec![] };
    (told.code, list)
}

#[tokio::test]
async fn a_heartbeat_of_each_dialect_is_understood() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    for tag in ["TagA", "TagB"] {
        peer.send("T", 0, &format!("TAGS\u{1}{tag}\u{2}"), tag).await;
    }
    let cases = [
        (
            "Cpp",
            r#"{"clientID":"c","consumerDataSet":[{"consumeFromWhere":0,"consumeType":1,"groupName":"Cpp","messageModel":1,"subscriptionDataSet":[{"codeSet":[0,0],"subString":"TagB","subVersion":"1795247958336","tagsSet":["TagB"],"topic":"T"}]}]}"#,
        ),
        (
            "GoNull",
            r#"{"clientID":"c","producerDataSet":null,"consumerDataSet":[{"groupName":"GoNull","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"UNKNOWN","subscriptionDataSet":[{"classFilterMode":false,"topic":"T","subString":"TagB","tagsSet":null,"codeSet":null,"subVersion":1795247958336,"expressionType":"TAG"}],"unitMode":false}]}"#,
        ),
        (
            "Go",
            r#"{"clientID":"c","producerDataSet":[],"consumerDataSet":[{"groupName":"Go","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"classFilterMode":false,"topic":"T","subString":"TagB","tagsSet":["TagB"],"codeSet":[2598920],"subVersion":1795247958336,"expressionType":"TAG"}],"unitMode":false}]}"#,
        ),
        (
            "Ref",
            r#"{"clientID":"c","consumerDataSet":[{"consumeType":"CONSUME_PASSIVELY","groupName":"Ref","messageModel":"CLUSTERING","subscriptionDataSet":[{"subString":"TagB","subVersion":1,"tagsSet":["TagB"],"topic":"T"}]},{"consumeType":"CONSUME_PASSIVELY","groupName":"Ref2","messageModel":"CLUSTERING","subscriptionDataSet":[{"$ref":"$.consumerDataSet[0].subscriptionDataSet[0]"}]}],"producerDataSet":[]}"#,
        ),
        ("Ref2", ""),
    ];
    for (group, body) in cases {
        if !body.is_empty() {
            peer.heartbeat(body).await;
        }
        assert_eq!(members(&peer, group).await, (0, vec!["c".to_owned()]), "{group}");
        let told = Pulled(peer.ok(pull(group, "T", 0, 0, 0, 0)).await);
        assert_eq!(told.units().iter().map(|unit| unit.body).collect::<Vec<_>>(), [b"TagB"], "{group}");
        // Its retry topic is there before the answer: it asks for that next.
        let retry = Command::request(code::GET_TOPIC_CONFIG).with("topic", format!("%RETRY%{group}"));
        peer.ok(retry).await;
    }
    for wrong in ["", "{not json", "[]", "7"] {
        let told = peer.call(Command::request(code::HEART_BEAT).with_body(wrong)).await;
        assert_eq!(told.code, ResponseCode::SYSTEM_ERROR, "{wrong:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn the_others_of_a_group_are_told_who_comes_and_goes() {
    let node = Node::start("").await;
    let mut first = node.connect().await;
    let second = node.connect().await;
    first.heartbeat(&consumer_heartbeat("c1", "CG", "T", "*", 1)).await;
    let own = first.next_push("its own arrival").await;
    assert_eq!(own.code, code::NOTIFY_CONSUMER_IDS_CHANGED);
    assert_eq!(own.ext.get("consumerGroup"), Some("CG"));
    assert!(own.is_oneway());
    assert_eq!(
        own.language,
        protocol::Language::Java,
        "Java 3.x drops the connection over any that it does not know"
    );
    second.heartbeat(&consumer_heartbeat("c2", "CG", "T", "*", 1)).await;
    first.next_push("another one's arrival").await;
    assert_eq!(members(&first, "CG").await, (0, vec!["c1".to_owned(), "c2".to_owned()]));
    second
        .ok(Command::request(code::UNREGISTER_CLIENT).with("clientID", "c2").with("consumerGroup", "CG"))
        .await;
    first.next_push("another one's leave").await;
    assert_eq!(members(&first, "CG").await.1, ["c1"]);
    second.heartbeat(&consumer_heartbeat("c2", "CG", "T", "*", 1)).await;
    first.next_push("its coming back").await;
    second.connection.close();
    first.next_push("another one's connection to break").await;
    assert_eq!(members(&first, "CG").await.1, ["c1"]);
    // A subscription that changes is news; the same again is none.
    first.heartbeat(&consumer_heartbeat("c1", "CG", "U", "*", 1)).await;
    first.next_push("a changed subscription").await;
    first.heartbeat(&consumer_heartbeat("c1", "CG", "U", "*", 1)).await;
    first.max_offset("T", 0).await;
    assert!(first.pushes.try_recv().is_err());
    assert_eq!(members(&first, "Nobody").await.0, ResponseCode::SYSTEM_ERROR);
    node.stop().await;
}

#[tokio::test]
async fn who_consumes_in_broadcast_mode_is_not_told() {
    let node = Node::start("").await;
    let mut first = node.connect().await;
    let second = node.connect().await;
    let broadcast =
        |client: &str| consumer_heartbeat(client, "BG", "T", "*", 1).replace("CLUSTERING", "BROADCASTING");
    first.heartbeat(&broadcast("c1")).await;
    second.heartbeat(&broadcast("c2")).await;
    first.max_offset("T", 0).await;
    assert!(first.pushes.try_recv().is_err());
    node.stop().await;
}

#[tokio::test]
async fn a_queue_lock_has_one_holder() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    let body = |client: &str, queues: &[i32]| {
        let queue =
            |queue_id: &i32| format!(r#"{{"brokerName":"{BROKER}","queueId":{queue_id},"topic":"T"}}"#);
        let queues: Vec<_> = queues.iter().map(queue).collect();
        format!(r#"{{"clientId":"{client}","consumerGroup":"CG","mqSet":[{}]}}"#, queues.join(","))
    };
    let lock = async |client: &str, queues: &[i32]| {
        let told = peer.ok(Command::request(code::LOCK_BATCH_MQ).with_body(body(client, queues))).await;
        let locked = LockedQueues::read(&told.body).unwrap().lock_ok_mq_set;
        locked.into_iter().map(|queue| queue.queue_id).collect::<Vec<_>>()
    };
    let unlock = async |client: &str, queues: &[i32]| {
        peer.ok(Command::request(code::UNLOCK_BATCH_MQ).with_body(body(client, queues))).await;
    };
    assert_eq!(lock("a", &[0, 1]).await, [0, 1]);
    assert_eq!(lock("a", &[0]).await, [0], "again");
    assert_eq!(lock("b", &[0, 1, 2]).await, [2]);
    unlock("b", &[0]).await;
    assert_eq!(lock("b", &[0]).await, [0; 0], "not its own to give back");
    unlock("a", &[0]).await;
    assert_eq!(lock("b", &[0, 1]).await, [0]);
    assert_eq!(lock("c", &[]).await, [0; 0]);
    for code in [code::LOCK_BATCH_MQ, code::UNLOCK_BATCH_MQ] {
        assert_eq!(peer.call(Command::request(code)).await.code, ResponseCode::SYSTEM_ERROR, "no body");
    }
    // A restarted node does not hand a held queue to somebody else.
    let node = node.restart("").await;
    let peer = node.connect().await;
    let told = peer.ok(Command::request(code::LOCK_BATCH_MQ).with_body(body("c", &[1, 3]))).await;
    let locked = LockedQueues::read(&told.body).unwrap().lock_ok_mq_set;
    assert_eq!(locked.iter().map(|queue| queue.queue_id).collect::<Vec<_>>(), [3]);
    node.stop().await;
}
