//! What operators ask: topics and groups in bulk, properties, progress of groups, questions to clients, assignments.

use std::collections::BTreeMap;

use protocol::{Command, RequestCode as code, ResponseCode};
use serde_json::json as value;

use crate::support::*;

#[tokio::test]
async fn properties_may_be_set_while_the_node_runs_and_stay_set() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    let set = |text: &str| Command::request(code::UPDATE_BROKER_CONFIG).with_body(text.to_owned());
    peer.ok(set("autoCreateTopicEnable=false\ntraceOn=false\n")).await;
    let told = peer.call(send("New", 0, "", "x")).await;
    assert_eq!((told.code, told.ext.get("TRACE_ON")), (ResponseCode::TOPIC_NOT_EXIST, Some("false")));
    let listing = async |peer: &Peer| {
        String::from_utf8(peer.ok(Command::request(code::GET_BROKER_CONFIG)).await.body.to_vec()).unwrap()
    };
    assert!(listing(&peer).await.contains("autoCreateTopicEnable=false\n"));
    for (text, code, why) in [
        ("listenPort=1\n", ResponseCode::SYSTEM_ERROR, "cannot be changed while the broker runs"),
        ("traceOn=true\nlistenPort=1\n", ResponseCode::SYSTEM_ERROR, "listenPort"),
        ("autoCreatTopicEnable=true\n", ResponseCode::SYSTEM_ERROR, "did you mean autoCreateTopicEnable?"),
        ("brokerPermission=7\n", ResponseCode::SYSTEM_ERROR, "allowed is 2 or 4 or 6"),
        ("rocketmqHome=/\n", ResponseCode::NO_PERMISSION, "black list"),
    ] {
        let told = peer.call(set(text)).await;
        assert_eq!(told.code, code, "{text}");
        assert!(told.remark.as_deref().unwrap().contains(why), "{text}: {:?}", told.remark);
    }
    assert!(listing(&peer).await.contains("traceOn=false\n"), "all or none");
    let node = node.restart("").await;
    let peer = node.connect().await;
    assert!(listing(&peer).await.contains("autoCreateTopicEnable=false\n"), "over a restart too");
    peer.create_topic("T", 1, 6).await;
    peer.ok(set("brokerPermission=2\n")).await;
    let told = peer.pull("CG", "T", 0, 0).await.0;
    assert_eq!((told.code, told.ext.get("forbiddenType")), (ResponseCode::NO_PERMISSION, Some("1")));
    peer.ok(set("brokerPermission=6\nmaxMessageSize=100\n")).await;
    assert_eq!(peer.call(send("T", 0, "", vec![0; 101])).await.code, ResponseCode::MESSAGE_ILLEGAL);
    peer.ok(send("T", 0, "", vec![0; 100])).await;
    node.stop().await;
}

#[tokio::test]
async fn topics_and_groups_come_in_lists_all_or_none() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    let topics = |names: [&str; 2]| {
        let one = |name| {
            value!({"topicName": name, "readQueueNums": 3, "writeQueueNums": 2, "perm": 6,
            "attributes": {"+message.type": "FIFO"}})
        };
        let list = value!({"topicConfigList": names.map(one)});
        Command::request(code::UPDATE_AND_CREATE_TOPIC_LIST).with_body(list.to_string())
    };
    let topic =
        async |name: &str| peer.call(Command::request(code::GET_TOPIC_CONFIG).with("topic", name)).await;
    assert_eq!(peer.call(topics(["L1", "bad name"])).await.code, ResponseCode::INVALID_PARAMETER);
    assert_eq!(topic("L1").await.code, ResponseCode::TOPIC_NOT_EXIST);
    peer.ok(topics(["L1", "L2"])).await;
    peer.ok(topics(["L2", "L3"])).await;
    for name in ["L1", "L2", "L3"] {
        let config = json(&topic(name).await.body);
        assert_eq!((&config["readQueueNums"], &config["writeQueueNums"]), (&value!(3), &value!(2)));
        assert_eq!(config["attributes"], value!({"message.type": "FIFO"}));
    }
    let groups = |names: [&str; 2]| {
        let list =
            value!({"groupConfigList": names.map(|name| value!({"groupName": name, "retryMaxTimes": 3}))});
        Command::request(code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST).with_body(list.to_string())
    };
    assert_eq!(peer.call(groups(["G1", "bad group"])).await.code, ResponseCode::INVALID_PARAMETER);
    peer.ok(groups(["G1", "G2"])).await;
    let all = json(&peer.ok(Command::request(code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG)).await.body);
    assert_eq!(all["subscriptionGroupTable"]["G2"]["retryMaxTimes"], value!(3));
    // What is deleted is gone, and deleting it again is not an error.
    for _ in 0..2 {
        peer.ok(Command::request(code::DELETE_TOPIC_IN_BROKER).with("topic", "L1")).await;
        peer.ok(Command::request(code::DELETE_SUBSCRIPTIONGROUP)
            .with("groupName", "G1")
            .with("cleanOffset", true))
            .await;
    }
    assert_eq!(topic("L1").await.code, ResponseCode::TOPIC_NOT_EXIST);
    let told = peer.call(Command::request(code::DELETE_TOPIC_IN_BROKER).with("topic", "TBW102")).await;
    assert_eq!(told.code, ResponseCode::INVALID_PARAMETER);
    node.stop().await;
}

#[tokio::test]
async fn a_group_may_be_kept_from_a_topic() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.send("T", 0, "", "x").await;
    peer.heartbeat(&consumer_heartbeat("c", "CG", "T", "*", 1)).await;
    let forbid =
        Command::request(code::UPDATE_AND_GET_GROUP_FORBIDDEN).with("group", "CG").with("topic", "T");
    let bare = || pull("CG", "T", 0, 0, 0, 0);
    for (readable, code) in [(false, ResponseCode::NO_PERMISSION), (true, 0)] {
        let told = json(&peer.ok(forbid.clone().with("readable", readable)).await.body);
        assert_eq!(told, value!({"group": "CG", "readable": readable, "topic": "T"}));
        assert_eq!(json(&peer.ok(forbid.clone()).await.body)["readable"], value!(readable), "asked only");
        let told = peer.call(bare()).await;
        assert_eq!(told.code, code);
        if !readable {
            assert_eq!(told.ext.get("forbiddenType"), Some("5"));
            let all = json(&peer.ok(Command::request(code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG)).await.body);
            assert_eq!(all["forbiddenTable"], value!({"CG": {"T": 4}}));
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn how_far_groups_are() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 2, 6).await;
    for queue_id in [0, 0, 0, 1] {
        peer.send("T", queue_id, "TAGS\u{1}a\u{2}", "x").await;
    }
    peer.pull("CG", "T", 0, 0).await;
    peer.pull("DG", "T", 0, 0).await;
    peer.store_offset("CG", "T", 0, 2).await;
    let place = |queue_id: i32| format!(r#"{{"brokerName":"{BROKER}","queueId":{queue_id},"topic":"T"}}"#);
    let ask = Command::request(code::GET_CONSUME_STATS).with("consumerGroup", "CG");
    let stats = json(&peer.ok(ask).await.body);
    let of = &stats["offsetTable"][place(0)];
    assert_eq!((&of["brokerOffset"], &of["consumerOffset"]), (&value!(3), &value!(2)), "{stats}");
    let of = &stats["offsetTable"][place(1)];
    assert_eq!((&of["brokerOffset"], &of["consumerOffset"]), (&value!(1), &value!(0)), "{stats}");
    let all =
        json(&peer.ok(Command::request(code::GET_BROKER_CONSUME_STATS).with("isOrder", false)).await.body);
    assert_eq!(all["totalDiff"], value!(2));
    let of_group =
        all["consumeStatsList"].as_array().unwrap().iter().find(|one| one.get("CG").is_some()).unwrap();
    assert_eq!(of_group["CG"].as_array().unwrap().len(), 1);
    let topics =
        json(&peer.ok(Command::request(code::QUERY_TOPICS_BY_CONSUMER).with("group", "CG")).await.body);
    assert_eq!(topics, value!({"brokerAddr": node.addr, "topicList": ["T"]}));
    let span = Command::request(code::QUERY_CONSUME_TIME_SPAN).with("topic", "T").with("group", "CG");
    let spans = json(&peer.ok(span).await.body)["consumeTimeSpanSet"].clone();
    let pulled = peer.pull("CG", "T", 0, 0).await;
    let times: Vec<_> = pulled.units().iter().map(|unit| unit.store_timestamp_ms).collect();
    assert_eq!(spans[0]["minTimeStamp"], value!(times[0]));
    assert_eq!(spans[0]["consumeTimeStamp"], value!(times[1]));
    assert_eq!(spans[0]["maxTimeStamp"], value!(times[2]));
    assert!(spans[0]["delayTime"].as_i64().unwrap() >= 0);
    let clone = Command::request(code::CLONE_GROUP_OFFSET)
        .with("srcGroup", "CG")
        .with("destGroup", "DG")
        .with("topic", "T")
        .with("offline", true);
    peer.ok(clone).await;
    assert_eq!(peer.consumer_offset("DG", "T", 0).await, (0, Some(2)));
    peer.store_offset("DG", "T", 0, 1).await;
    let correct = Command::request(code::QUERY_CORRECTION_OFFSET)
        .with("topic", "T")
        .with("compareGroup", "CG")
        .with("filterGroups", "CG");
    let told = json(&peer.ok(correct).await.body);
    assert_eq!(told, value!({"correctionOffsets": {"0": 1}}), "the other group is behind");
    let who =
        json(&peer.ok(Command::request(code::QUERY_TOPIC_CONSUME_BY_WHO).with("topic", "T")).await.body);
    assert_eq!(who, value!({"groupList": ["CG", "DG"]}));
    let look = Command::request(code::QUERY_CONSUME_QUEUE)
        .with("topic", "T")
        .with("queueId", 0)
        .with("index", 1)
        .with("count", 10);
    let look = json(&peer.ok(look).await.body);
    assert_eq!((&look["minQueueIndex"], &look["maxQueueIndex"]), (&value!(0), &value!(3)));
    assert_eq!(look["queueData"].as_array().unwrap().len(), 2);
    assert_eq!(look["queueData"][0]["physicOffset"], value!(pulled.units()[1].physical_offset));
    assert_eq!(look["queueData"][0]["tagsCode"], value!(97));
    node.stop().await;
}

#[tokio::test]
async fn clients_are_asked_on_behalf_of_the_operator() {
    let node = Node::start("").await;
    let running =
        Command::request(0).with_body(r#"{"mqTable":{{"brokerName":"b","queueId":0,"topic":"T"}:{}}}"#);
    let status = Command::request(0)
        .with_body(r#"{"messageQueueTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:5}}"#);
    let consumed = Command::request(0).with_body(r#"{"consumeResult":"CR_SUCCESS"}"#);
    let answers = BTreeMap::from([
        (code::GET_CONSUMER_RUNNING_INFO, running.clone()),
        (code::GET_CONSUMER_STATUS_FROM_CLIENT, status),
        (code::CONSUME_MESSAGE_DIRECTLY, consumed.clone()),
    ]);
    let mut client = Peer::connect(&node.addr, answers).await;
    let operator = node.connect().await;
    client.heartbeat(&consumer_heartbeat("c1", "CG", "T", "*", 1)).await;
    client.next_push("its own arrival").await;
    let told = operator
        .ok(Command::request(code::GET_CONSUMER_RUNNING_INFO)
            .with("consumerGroup", "CG")
            .with("clientId", "c1"))
        .await;
    assert_eq!(told.body, running.body, "byte for byte");
    client.next_push("the question").await;
    let told = operator
        .ok(Command::request(code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS)
            .with("group", "CG")
            .with("topic", "T"))
        .await;
    let place = format!(r#"{{"brokerName":"{BROKER}","queueId":0,"topic":"T"}}"#);
    assert_eq!(json(&told.body)["consumerTable"]["c1"][place], value!(5));
    let asked = client.next_push("the question").await;
    assert_eq!((asked.ext.get("topic"), asked.ext.get("group")), (Some("T"), Some("CG")));
    let sent = operator.ok(send("T", 0, "", "consume me")).await;
    let told = operator
        .ok(Command::request(code::CONSUME_MESSAGE_DIRECTLY)
            .with("consumerGroup", "CG")
            .with("clientId", "c1")
            .with("msgId", sent.ext.get("msgId").unwrap()))
        .await;
    assert_eq!(told.body, consumed.body);
    let asked = client.next_push("the message").await;
    assert_eq!(units(&asked.body)[0].body, b"consume me");
    assert_eq!((asked.ext.get("brokerName"), asked.ext.get("topicSysFlag")), (Some(BROKER), Some("0")));
    for code in [code::GET_CONSUMER_RUNNING_INFO, code::CONSUME_MESSAGE_DIRECTLY] {
        let ask = Command::request(code).with("consumerGroup", "CG").with("clientId", "nobody");
        assert_eq!(operator.call(ask).await.code, ResponseCode::SYSTEM_ERROR);
    }
    let gone =
        Command::request(code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS).with("group", "No").with("topic", "T");
    assert_eq!(operator.call(gone).await.code, ResponseCode::SYSTEM_ERROR);
    let who = json(
        &operator
            .ok(Command::request(code::GET_CONSUMER_CONNECTION_LIST).with("consumerGroup", "CG"))
            .await
            .body,
    );
    assert_eq!(who["connectionSet"][0]["clientId"], value!("c1"));
    let told =
        operator.call(Command::request(code::GET_CONSUMER_CONNECTION_LIST).with("consumerGroup", "No")).await;
    assert_eq!(told.code, ResponseCode::CONSUMER_NOT_ONLINE);
    let wants = Command::request(code::QUERY_SUBSCRIPTION_BY_CONSUMER).with("group", "CG").with("topic", "T");
    assert_eq!(json(&operator.ok(wants).await.body)["subscriptionData"]["subString"], value!("*"));
    node.stop().await;
}

#[tokio::test]
async fn queues_are_shared_out_among_the_clients_of_a_group() {
    let node = Node::start("").await;
    let (first, second) = (node.connect().await, node.connect().await);
    first.create_topic("T", 3, 6).await;
    first.heartbeat(&consumer_heartbeat("c1", "CG", "T", "*", 1)).await;
    second.heartbeat(&consumer_heartbeat("c2", "CG", "T", "*", 1)).await;
    let assigned = async |client: &str, model: &str, strategy: &str| {
        let ask = value!({"clientId": client, "consumerGroup": "CG", "messageModel": model,
            "strategyName": strategy, "topic": "T"});
        let told = first.ok(Command::request(code::QUERY_ASSIGNMENT).with_body(ask.to_string())).await;
        let list = json(&told.body)["messageQueueAssignments"].clone();
        list.as_array().map(|list| {
            assert!(list.iter().all(|one| one["mode"] == "PULL"));
            list.iter().map(|one| one["messageQueue"]["queueId"].as_i64().unwrap()).collect::<Vec<_>>()
        })
    };
    assert_eq!(assigned("c1", "CLUSTERING", "AVG").await, Some(vec![0, 1]));
    assert_eq!(assigned("c2", "CLUSTERING", "AVG").await, Some(vec![2]));
    assert_eq!(assigned("c2", "CLUSTERING", "AVG_BY_CIRCLE").await, Some(vec![1]));
    assert_eq!(assigned("c2", "BROADCASTING", "AVG").await, Some(vec![0, 1, 2]));
    assert_eq!(assigned("stranger", "CLUSTERING", "AVG").await, Some(vec![]));
    assert_eq!(assigned("c1", "CLUSTERING", "MACHINE_ROOM").await, None, "it keeps what it has");
    let mode = |mode: &str, topic: &str| {
        let body = value!({"consumerGroup": "CG", "mode": mode, "popShareQueueNum": 0, "topic": topic});
        Command::request(code::SET_MESSAGE_REQUEST_MODE).with_body(body.to_string())
    };
    assert_eq!(first.call(mode("POP", "T")).await.code, ResponseCode::INVALID_PARAMETER);
    assert_eq!(first.call(mode("PULL", "Nope")).await.code, ResponseCode::TOPIC_NOT_EXIST);
    assert_eq!(first.call(mode("PULL", "%RETRY%CG")).await.code, ResponseCode::NO_PERMISSION);
    first.ok(mode("PULL", "T")).await;
    let all = json(&first.ok(Command::request(code::GET_ALL_MESSAGE_REQUEST_MODE)).await.body);
    assert_eq!(all["messageRequestModeMap"]["T"]["CG"]["mode"], value!("PULL"));
    node.stop().await;
}

#[tokio::test]
async fn a_message_is_found_by_its_ids_and_keys() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    let (_, offset) = peer.send("T", 0, "KEYS\u{1}k1 键2\u{2}UNIQ_KEY\u{1}U1\u{2}", "find me").await;
    peer.send("T", 0, "KEYS\u{1}k1\u{2}UNIQ_KEY\u{1}U2\u{2}", "me too").await;
    let view = Command::request(code::VIEW_MESSAGE_BY_ID).with("offset", offset);
    assert_eq!(units(&peer.ok(view).await.body)[0].body, b"find me");
    for wrong in [offset + 1, -1, i64::MAX, 0] {
        let told = peer.call(Command::request(code::VIEW_MESSAGE_BY_ID).with("offset", wrong)).await;
        assert_eq!(told.code, ResponseCode::SYSTEM_ERROR, "{wrong}");
    }
    let query = |key: &str, unique: bool| {
        Command::request(code::QUERY_MESSAGE)
            .with("topic", "T")
            .with("key", key)
            .with("maxNum", 32)
            .with("beginTimestamp", 0)
            .with("endTimestamp", i64::MAX)
            .with("_UNIQUE_KEY_QUERY", unique)
    };
    for (key, unique, wanted) in [("k1", false, 2), ("键2", false, 1), ("U2", true, 1)] {
        assert_eq!(units(&peer.ok(query(key, unique)).await.body).len(), wanted, "{key}");
    }
    for nothing in ["k", "U3", ""] {
        assert_eq!(peer.call(query(nothing, false)).await.code, ResponseCode::QUERY_NOT_FOUND, "{nothing}");
    }
    let early = query("k1", false).with("endTimestamp", 1_000);
    assert_eq!(peer.call(early).await.code, ResponseCode::QUERY_NOT_FOUND);
    node.stop().await;
}

#[tokio::test]
async fn what_is_not_known_is_told_so_and_the_connection_stays() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    for unknown in [22, 23, 24, 47, 50, 999, -1, i32::MAX] {
        let told = peer.call(Command::request(unknown)).await;
        assert_eq!(told.code, ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
        assert_eq!(told.remark, Some(format!(" request type {unknown} not supported")));
    }
    let stats = |name: &str, key: &str| {
        Command::request(code::VIEW_BROKER_STATS_DATA).with("statsName", name).with("statsKey", key)
    };
    let told = peer.call(stats("TOPIC_PUT_NUMS", "none")).await;
    assert_eq!(told.remark.as_deref(), Some("The stats <TOPIC_PUT_NUMS> <none> not exist"));
    peer.send("T", 0, "", "x").await;
    let told = json(&peer.ok(stats("TOPIC_PUT_NUMS", "T")).await.body);
    assert!(["statsDay", "statsHour", "statsMinute"].iter().all(|name| told[*name]["sum"].is_number()));
    node.stop().await;
}
