//! Consumer offsets, the ends of queues, search by time, and resets.

use protocol::command::offset::ResetOffsetBody;
use protocol::{Command, RequestCode as code, ResponseCode};

use crate::support::*;

#[tokio::test]
async fn a_group_without_an_offset_begins_at_0_where_the_first_message_is_still_there_or_to_come() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 2, 6).await;
    peer.send("T", 0, "", "x").await;
    let none = (ResponseCode::QUERY_NOT_FOUND, None);
    assert_eq!(peer.consumer_offset("New", "T", 0).await, (0, Some(0)));
    assert_eq!(peer.consumer_offset("New", "T", 1).await, (0, Some(0)), "nothing was ever there");
    assert_eq!(peer.consumer_offset("New", "Nope", 0).await, none);
    let ask = |zero: bool| {
        Command::request(code::QUERY_CONSUMER_OFFSET)
            .with("consumerGroup", "New")
            .with("topic", "T")
            .with("queueId", 0)
            .with("setZeroIfNotFound", zero)
    };
    assert_eq!(peer.call(ask(false)).await.code, ResponseCode::QUERY_NOT_FOUND);
    assert_eq!(peer.call(ask(true)).await.ext.get("offset"), Some("0"));
    node.stop().await;
}

#[tokio::test]
async fn a_stored_offset_is_read_back_at_once_and_after_a_restart() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 2, 6).await;
    assert_eq!(peer.store_offset("Nobody", "T", 0, 1).await.code, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    peer.pull("CG", "T", 0, 0).await; // makes the group
    assert_eq!(peer.store_offset("CG", "Nope", 0, 1).await.code, ResponseCode::TOPIC_NOT_EXIST);
    let without_offset = Command::request(code::UPDATE_CONSUMER_OFFSET)
        .with("consumerGroup", "CG")
        .with("topic", "T")
        .with("queueId", 0);
    assert_eq!(peer.call(without_offset).await.code, ResponseCode::INVALID_PARAMETER);
    assert_eq!(peer.store_offset("CG", "T", 0, 7).await.code, 0);
    assert_eq!(peer.consumer_offset("CG", "T", 0).await, (0, Some(7)));
    peer.connection.oneway(update_offset("CG", "T", 0, 3).oneway()).unwrap();
    assert_eq!(peer.consumer_offset("CG", "T", 0).await, (0, Some(3)), "backwards, and read back at once");
    // What waits for its answer takes along what came before.
    assert_eq!(peer.store_offset("CG", "T", 1, 9).await.code, 0);
    let node = node.restart("").await;
    let peer = node.connect().await;
    assert_eq!(peer.consumer_offset("CG", "T", 0).await, (0, Some(3)));
    assert_eq!(peer.consumer_offset("CG", "T", 1).await, (0, Some(9)));
    let all = json(&peer.ok(Command::request(code::GET_ALL_CONSUMER_OFFSET)).await.body);
    assert_eq!(all["offsetTable"]["T@CG"], serde_json::json!({"0": 3, "1": 9}));
    node.stop().await;
}

#[tokio::test]
async fn a_time_between_two_messages_means_the_later_or_the_earlier_one() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    // Until three of them have different times.
    within("messages of three moments", async {
        loop {
            peer.send("T", 0, "", "x").await;
            let pulled = peer.pull("CG", "T", 0, 0).await;
            let mut times: Vec<i64> = pulled.units().iter().map(|unit| unit.store_timestamp_ms).collect();
            times.dedup();
            if times.len() >= 3 || peer.max_offset("T", 0).await >= 32 {
                return;
            }
        }
    })
    .await;
    let pulled = peer.pull("CG", "T", 0, 0).await;
    let times: Vec<i64> = pulled.units().iter().map(|unit| unit.store_timestamp_ms).collect();
    let end = times.len() as i64;
    let (first, last) = (times[0], times[times.len() - 1]);
    let count = |is: &dyn Fn(i64) -> bool| times.iter().filter(|time| is(**time)).count() as i64;
    let mut cases = vec![
        (1_000, "LOWER", 0),
        (1_000, "UPPER", 0),
        (first, "LOWER", 0),
        (last + 1, "LOWER", end),
        (last + 1, "UPPER", end - 1),
    ];
    for time in &times {
        cases.push((*time, "LOWER", count(&|other| other < *time)));
        cases.push((*time, "UPPER", count(&|other| other <= *time) - 1));
    }
    for (time, boundary, wanted) in cases {
        let ask = Command::request(code::SEARCH_OFFSET_BY_TIMESTAMP)
            .with("topic", "T")
            .with("queueId", 0)
            .with("timestamp", time)
            .with("boundaryType", boundary);
        let told = peer.ok(ask).await.ext.required_i64("offset").unwrap();
        assert_eq!(told, wanted, "{boundary} of {time} in {times:?}");
    }
    let earliest = Command::request(code::GET_EARLIEST_MSG_STORETIME).with("topic", "T").with("queueId", 0);
    assert_eq!(peer.ok(earliest).await.ext.required_i64("timestamp").unwrap(), first);
    node.stop().await;
}

#[tokio::test]
async fn a_reset_stands_until_the_consumer_has_followed() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 2, 6).await;
    for queue_id in [0, 0, 0, 1] {
        peer.send("T", queue_id, "", "x").await;
    }
    peer.pull("CG", "T", 0, 0).await;
    peer.store_offset("CG", "T", 0, 3).await;
    let reset = |timestamp: i64| {
        Command::request(code::INVOKE_BROKER_TO_RESET_OFFSET)
            .with("topic", "T")
            .with("group", "CG")
            .with("timestamp", timestamp)
            .with("isForce", true)
    };
    let told = ResetOffsetBody::read(&peer.ok(reset(0)).await.body).unwrap();
    assert_eq!(told.offset_table.values().copied().collect::<Vec<_>>(), [0, 0]);
    let told = peer.store_offset("CG", "T", 0, 2).await;
    assert_eq!((told.code, told.remark.as_deref()), (0, Some("Offset has been previously reset")));
    assert_eq!(peer.consumer_offset("CG", "T", 0).await, (0, Some(0)));
    let told = peer.pull("CG", "T", 0, 3).await;
    assert_eq!(
        (told.0.code, told.0.remark.as_deref()),
        (ResponseCode::PULL_OFFSET_MOVED, Some("OFFSET_RESET"))
    );
    assert_eq!(told.number("nextBeginOffset"), 0);
    assert_eq!(peer.pull("CG", "T", 0, 3).await.0.code, ResponseCode::PULL_NOT_FOUND, "told once");
    assert_eq!(peer.store_offset("CG", "T", 0, 2).await.remark, None);
    assert_eq!(peer.consumer_offset("CG", "T", 0).await, (0, Some(2)));
    let told = ResetOffsetBody::read(&peer.ok(reset(-1)).await.body).unwrap();
    assert_eq!(told.offset_table.values().copied().collect::<Vec<_>>(), [3, 1], "-1 is the end");
    let beyond = reset(-1).with("queueId", 0).with("offset", 5);
    assert_eq!(peer.call(beyond).await.code, ResponseCode::SYSTEM_ERROR);
    let just = reset(-1).with("queueId", 1).with("offset", 1);
    peer.ok(just).await;
    node.stop().await;
}

/// S33, S16: neither a negative offset nor one of a queue that there is not.
#[tokio::test]
async fn an_offset_that_makes_no_sense_is_refused() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 2, 6).await;
    peer.pull("CG", "T", 0, 0).await;
    for (queue_id, offset) in [(0, -1), (0, i64::MIN), (2, 1), (-1, 1), (i32::MAX, 1)] {
        let told = peer.store_offset("CG", "T", queue_id, offset).await;
        assert_eq!(told.code, ResponseCode::INVALID_PARAMETER, "queue {queue_id}, offset {offset}");
    }
    assert_eq!(peer.store_offset("CG", "T", 1, 0).await.code, 0);
    // A topic that has fewer queues than once: what its old ones hold is still consumed.
    peer.send("T", 1, "", "x").await;
    peer.create_topic("T", 1, 6).await;
    assert_eq!(peer.store_offset("CG", "T", 1, 1).await.code, 0);
    node.stop().await;
}

/// S13: a topic that was deleted and made again is a new one to every group.
#[tokio::test]
async fn a_topic_made_again_is_read_from_its_first_message_on() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    for _ in 0..10 {
        peer.send("T", 0, "", "old").await;
    }
    peer.pull("CG", "T", 0, 0).await;
    peer.store_offset("CG", "T", 0, 10).await;
    peer.ok(Command::request(code::DELETE_TOPIC_IN_BROKER).with("topic", "T")).await;
    peer.create_topic("T", 1, 6).await;
    assert_eq!(peer.consumer_offset("CG", "T", 0).await, (0, Some(10)), "before the first one comes");
    for n in 0..12 {
        peer.send("T", 0, "", &format!("new {n}")).await;
    }
    for round in 0..2 {
        for group in ["CG", "Other"] {
            assert_eq!(peer.consumer_offset(group, "T", 0).await, (0, Some(10)), "{group}, round {round}");
        }
        if round == 0 {
            continue;
        }
        let pulled = peer.pull("CG", "T", 0, 10).await;
        assert_eq!((pulled.units().len(), pulled.units()[0].body), (12, &b"new 0"[..]));
    }
    let node = node.restart("").await;
    let peer = node.connect().await;
    assert_eq!(peer.consumer_offset("CG", "T", 0).await, (0, Some(10)), "after a restart too");
    let ask = Command::request(code::GET_CONSUME_STATS).with("consumerGroup", "CG").with("topicList", "T");
    let stats = String::from_utf8(peer.ok(ask).await.body.to_vec()).unwrap();
    assert!(stats.contains(r#""brokerOffset":22"#) && stats.contains(r#""consumerOffset":10"#), "{stats}");
    node.stop().await;
}
