//! What `mqadmin` shows of a broker: each test stands for a line that it printed differently from RocketMQ once.

use protocol::{Command, RequestCode as code, ResponseCode};

use crate::support::*;

const PULL: i32 = 4; // with a subscription in the request

fn stats_of(group: &str, topic: &str) -> Command {
    Command::request(code::GET_CONSUME_STATS).with("consumerGroup", group).with("topic", topic)
}

fn place(topic: &str, queue_id: i32) -> String {
    format!(r#"{{"brokerName":"{BROKER}","queueId":{queue_id},"topic":"{topic}"}}"#)
}

#[tokio::test]
async fn a_topic_that_an_online_group_does_not_read_has_no_progress() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.send("T", 0, "", "x").await;
    peer.send("U", 0, "", "x").await;
    let shown = async |topic| json(&peer.ok(stats_of("CG", topic)).await.body)["offsetTable"].clone();
    assert!(shown("U").await.get(place("U", 0)).is_some(), "offline, whatever is asked for is shown");
    peer.heartbeat(&consumer_heartbeat("c", "CG", "T", "*", 1)).await;
    assert!(shown("T").await.get(place("T", 0)).is_some());
    assert!(shown("U").await.get(place("U", 0)).is_none(), "online, only what is subscribed to");
    let listed = stats_of("CG", "U").with("topicList", "U;");
    let listed = json(&peer.ok(listed).await.body);
    assert!(listed["offsetTable"].get(place("U", 0)).is_some(), "a list is taken at its word");
    node.stop().await;
}

#[tokio::test]
async fn what_was_pulled_and_not_consumed_is_in_flight() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    for _ in 0..3 {
        peer.send("T", 0, "", "x").await;
    }
    let of = async || {
        let table = json(&peer.ok(stats_of("CG", "T")).await.body)["offsetTable"][place("T", 0)].clone();
        (table["consumerOffset"].as_i64().unwrap(), table["pullOffset"].as_i64().unwrap())
    };
    assert_eq!(of().await, (0, 0));
    peer.ok(pull("CG", "T", 0, 0, PULL, 0)).await;
    peer.call(pull("CG", "T", 0, 3, PULL, 0)).await;
    assert_eq!(of().await, (0, 3));
    peer.store_offset("CG", "T", 0, 2).await;
    assert_eq!(of().await, (2, 3));
    let all = Command::request(code::GET_BROKER_CONSUME_STATS).with("isOrder", false);
    assert_eq!(json(&peer.ok(all).await.body)["totalInflightDiff"], 1);
    // Set forward by an operator, nothing is in flight any more.
    peer.store_offset("CG", "T", 0, 3).await;
    assert_eq!(of().await, (3, 3));
    peer.ok(Command::request(code::DELETE_SUBSCRIPTIONGROUP)
        .with("groupName", "CG")
        .with("cleanOffset", true))
        .await;
    assert_eq!(of().await, (0, 0));
    node.stop().await;
}

#[tokio::test]
async fn a_look_into_a_queue_tells_whether_the_group_is_online() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.send("T", 0, "", "x").await;
    let look = Command::request(code::QUERY_CONSUME_QUEUE)
        .with("topic", "T")
        .with("queueId", 0)
        .with("index", 0)
        .with("count", 1);
    let nobody = json(&peer.ok(look.clone()).await.body);
    assert!(nobody.get("filterData").is_none() && nobody.get("subscriptionData").is_none(), "{nobody}");
    for (index, remark) in [
        (1, "Index 1 of 0@T is not exist! It begins at 0 and ends before 1."),
        (-5, "Index -5 of 0@T is not exist! It begins at 0 and ends before 1."),
    ] {
        let told = peer.call(look.clone().with("index", index)).await;
        assert_eq!((told.code, told.remark.as_deref()), (ResponseCode::SYSTEM_ERROR, Some(remark)));
    }
    let look = look.with("consumerGroup", "CG");
    let offline = json(&peer.ok(look.clone()).await.body);
    assert_eq!(offline["filterData"], "CG@T is not online!");
    peer.heartbeat(&consumer_heartbeat("c", "CG", "T", "a || b", 1)).await;
    let online = json(&peer.ok(look).await.body);
    assert_eq!(online["subscriptionData"]["subString"], "a || b");
    assert!(online.get("filterData").is_none(), "{online}");
    node.stop().await;
}

#[tokio::test]
async fn attributes_are_refused_in_rocketmqs_words() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.ok(create_topic("Old", 1, 6).with("attributes", "+message.type=FIFO")).await;
    for (topic, attributes, why) in [
        ("New", "+no.such=1", "unsupported key: no.such"),
        ("New", "-message.type", "only add attribute is supported while creating topic. key: message.type"),
        ("New", "+message.type=FIFO,+message.type=DELAY", "alter duplication key. key: message.type"),
        ("New", "+=1", "kv string format wrong."),
        ("New", "+message.type=ODD", "value is not in set: [UNSPECIFIED, TRANSACTION, FIFO, DELAY, NORMAL]"),
        ("New", "+reserve.time=-2", "value is not in range(-1, 9223372036854775807)"),
        ("New", "+reserve.time=long", "value is not in range(-1, 9223372036854775807)"),
        ("Old", "-reserve.time", "attempt to delete a nonexistent key: reserve.time"),
        ("Old", "+queue.type=SimpleCQ", "attempt to update an unchangeable attribute. key: queue.type"),
    ] {
        let told = peer.call(create_topic(topic, 1, 6).with("attributes", attributes)).await;
        assert_eq!(
            (told.code, told.remark.as_deref()),
            (ResponseCode::SYSTEM_ERROR, Some(why)),
            "{attributes}"
        );
    }
    peer.ok(create_topic("New", 1, 6).with("attributes", "+queue.type=SimpleCQ,+reserve.time=-1")).await;
    peer.ok(create_topic("Old", 1, 6).with("attributes", "-message.type,+reserve.time=7")).await;
    let old = json(&peer.ok(Command::request(code::GET_TOPIC_CONFIG).with("topic", "Old")).await.body);
    assert_eq!(old["attributes"], serde_json::json!({"reserve.time": "7"}));
    node.stop().await;
}

#[tokio::test]
async fn the_runtime_tells_what_was_found_and_how_long_it_took() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.send("T", 0, "", "x").await;
    peer.ok(pull("CG", "T", 0, 0, PULL, 0)).await;
    peer.call(pull("CG", "T", 0, 1, PULL, 0)).await;
    let table = json(&peer.ok(Command::request(code::GET_BROKER_RUNTIME_INFO)).await.body)["table"].clone();
    let shown =
        |name: &str| table[name].as_str().unwrap_or_else(|| panic!("no {name} in {table}")).to_owned();
    assert_eq!((shown("msgPutTotalTodayNow"), shown("msgGetTotalTodayNow")), ("1".into(), "1".into()));
    // A monitor that warns below some number of buffers must not warn where there is no pool of them.
    assert_eq!(shown("remainTransientStoreBufferNumbs"), "2147483647");
    assert_eq!(
        (shown("sendThreadPoolQueueCapacity"), shown("pullThreadPoolQueueCapacity")),
        ("10000".into(), "100000".into())
    );
    assert_eq!(shown("putMessageDistributeTime").split_whitespace().count(), 13);
    for rate in ["getFoundTps", "getMissTps", "getTotalTps", "getTransferredTps", "getTransferedTps"] {
        assert_eq!(shown(rate).split(' ').count(), 3, "{rate}");
    }
    for number in ["putMessageEntireTimeMax", "getMessageEntireTimeMax", "putLatency99", "putLatency999"] {
        assert!(shown(number).parse::<f64>().is_ok(), "{number}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_changed_permission_of_the_broker_is_in_the_routes_at_once() {
    let name_server = NameServer::start().await;
    let node = Node::start(&format!("namesrvAddr={}", name_server.addr)).await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    assert_eq!(name_server.perm("T"), Some(6));
    for permission in [4, 6] {
        let text = format!("brokerPermission={permission}\n");
        peer.ok(Command::request(code::UPDATE_BROKER_CONFIG).with_body(text)).await;
        assert_eq!(name_server.perm("T"), Some(permission));
    }
    node.stop().await;
}

#[tokio::test]
async fn the_configuration_tells_the_role_that_the_node_has() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    let told = peer.ok(Command::request(code::GET_BROKER_CONFIG)).await.body;
    let text = String::from_utf8(told.to_vec()).unwrap();
    let of = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let values: Vec<_> = lines.filter(|(key, _)| *key == name).map(|(_, value)| value).collect();
        assert_eq!(values.len(), 1, "{name} in {text}");
        values[0].to_owned()
    };
    assert_eq!((of("brokerId"), of("brokerRole")), ("0".into(), "SYNC_MASTER".into()), "it leads");
    assert!(of("clientCallbackExecutorThreads").parse::<u32>().unwrap() >= 1);
    assert_eq!(of("slaveReadEnable"), "false");
    node.stop().await;
}
