//! Sending: sizes, names, queues, batches, one-way, topics made on the way.

use protocol::message::batch::{self, BatchItem};
use protocol::message::properties;
use protocol::{Command, RequestCode as code, ResponseCode};

use crate::support::*;

const BODY_MAX: usize = 4_194_304;
const PROPERTIES_MAX: usize = 32_767;

#[tokio::test]
async fn a_body_of_the_limit_is_taken_whole_and_one_byte_more_is_not() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("Big", 1, 6).await;
    let body: Vec<u8> = (0..BODY_MAX).map(|n| (n % 251) as u8).collect();
    peer.ok(send("Big", 0, "", body.clone())).await;
    let told = peer.call(send("Big", 0, "", vec![7; BODY_MAX + 1])).await;
    assert_eq!(told.code, ResponseCode::MESSAGE_ILLEGAL, "{:?}", told.remark);
    let remark = told.remark.unwrap();
    assert!(remark.contains("4194305") && remark.contains("4194304"), "{remark}");
    assert_eq!(peer.max_offset("Big", 0).await, 1);
    let pulled = peer.pull("CG", "Big", 0, 0).await;
    assert!(pulled.units()[0].body == body, "the body came back otherwise");
    node.stop().await;
}

#[tokio::test]
async fn properties_of_the_limit_are_taken_and_one_byte_more_is_not() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("Props", 1, 6).await;
    let with_bytes = |bytes: usize| format!("UNIQ_KEY\u{1}K\u{2}long\u{1}{}\u{2}", "v".repeat(bytes - 17));
    let told = peer.ok(send("Props", 0, &with_bytes(1_000), "x")).await;
    let stored = peer.pull("CG", "Props", 0, 0).await.units()[0].properties.len();
    let added = stored - 1_000; // region, trace switch and cluster
    assert_eq!(told.ext.get("transactionId"), Some("K"));
    peer.ok(send("Props", 0, &with_bytes(PROPERTIES_MAX - added), "x")).await;
    assert_eq!(peer.pull("CG", "Props", 0, 1).await.units()[0].properties.len(), PROPERTIES_MAX);
    let told = peer.call(send("Props", 0, &with_bytes(PROPERTIES_MAX - added + 1), "x")).await;
    assert_eq!(told.code, ResponseCode::MESSAGE_ILLEGAL, "{:?}", told.remark);
    assert!(told.remark.unwrap().contains("32768"), "tells both numbers");
    node.stop().await;
}

#[tokio::test]
async fn topics_and_queues_that_cannot_be_are_refused() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 2, 6).await;
    let long = "x".repeat(128);
    for (topic, queue_id, wanted) in [
        ("T", 1, 0),
        ("T", 2, ResponseCode::INVALID_PARAMETER),
        ("T", i32::MAX, ResponseCode::INVALID_PARAMETER),
        ("bad topic", 0, ResponseCode::INVALID_PARAMETER),
        ("主题", 0, ResponseCode::INVALID_PARAMETER),
        ("", 0, ResponseCode::INVALID_PARAMETER),
        (" ", 0, ResponseCode::INVALID_PARAMETER),
        (&long, 0, ResponseCode::INVALID_PARAMETER),
        (&long[..127], 0, 0),
        ("SCHEDULE_TOPIC_XXXX", 0, ResponseCode::NO_PERMISSION),
        ("RMQ_SYS_TRANS_HALF_TOPIC", 0, ResponseCode::NO_PERMISSION),
    ] {
        let told = peer.call(send(topic, queue_id, "", "x")).await;
        assert_eq!(told.code, wanted, "{topic}/{queue_id}: {:?}", told.remark);
        assert_eq!(told.ext.get("MSG_REGION"), Some("DefaultRegion"));
    }
    let unknown = send("Nope", 0, "", "x").with("c", "NoTemplate");
    assert_eq!(peer.call(unknown).await.code, ResponseCode::TOPIC_NOT_EXIST);
    for _ in 0..16 {
        let told = peer.ok(send("T", -1, "", "x")).await;
        assert!((0..2).contains(&told.ext.required_i32("queueId").unwrap()), "any queue of the topic");
    }
    node.stop().await;
}

#[tokio::test]
async fn an_empty_body_is_a_message_too() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.send("Empty", 0, "TAGS\u{1}t\u{2}", "").await;
    let pulled = peer.pull("CG", "Empty", 0, 0).await;
    assert_eq!((pulled.units().len(), pulled.units()[0].body), (1, &b""[..]));
    node.stop().await;
}

/// RocketMQ keeps the bits, and the record cannot be read any more.
#[tokio::test]
async fn a_client_cannot_claim_hosts_of_another_kind() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    for sys_flag in [0x10, 0x20, 0x30] {
        peer.ok(send("Hosts", 0, "", "x").with("f", sys_flag)).await;
    }
    let pulled = peer.pull("CG", "Hosts", 0, 0).await;
    assert_eq!(pulled.units().iter().map(|unit| unit.sys_flag).collect::<Vec<_>>(), [0, 0, 0]);
    assert!(pulled.units().iter().all(|unit| unit.born_host.is_ipv4()));
    node.stop().await;
}

#[tokio::test]
async fn a_one_way_request_is_never_answered() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    // Answers would come over the connection before that of the request behind them, and match no request.
    for oneway in [
        send("T", 0, "", "a").oneway(),
        send("bad topic!", 0, "", "b").oneway(),
        Command::request(999_999).oneway(),
        pull("CG", "T", 0, 99, 4, 0).oneway(),
        update_offset("CG", "T", 0, 1).oneway(),
        Command::request(code::HEART_BEAT).with_body("{broken").oneway(),
    ] {
        peer.connection.oneway(oneway).unwrap();
    }
    peer.wait_for_end("T", 0, 1).await;
    let mut raw = Raw::connect(&node.addr).await;
    let mut send_then_ask = send("T", 0, "", "c").oneway();
    send_then_ask.opaque = 1;
    let mut ask = Command::request(code::GET_MAX_OFFSET).with("topic", "T").with("queueId", 0);
    ask.opaque = 2;
    raw.write(&[send_then_ask.encode().unwrap(), ask.encode().unwrap()].concat()).await;
    assert_eq!(raw.read().await.unwrap().opaque, 2, "the first answer is the second request's");
    node.stop().await;
}

#[tokio::test]
async fn a_batch_takes_one_place_a_member() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("Batch", 1, 6).await;
    let mut body = Vec::new();
    for n in 0..3_u8 {
        let (text, properties) =
            (format!("member {n}"), format!("UNIQ_KEY\u{1}ID{n}\u{2}TAGS\u{1}t{n}\u{2}"));
        let bytes = 22 + text.len() + properties.len();
        body.extend(u32::try_from(bytes).unwrap().to_be_bytes());
        body.extend([0; 8]);
        body.extend(u32::from(n).to_be_bytes());
        body.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
        body.extend(u16::try_from(properties.len()).unwrap().to_be_bytes());
        body.extend(properties.as_bytes());
    }
    let mut batch = send("Batch", 0, "UNIQ_KEY\u{1}ALL\u{2}", body.clone()).with("m", true);
    batch.code = code::SEND_BATCH_MESSAGE;
    let told = peer.ok(batch.clone()).await;
    assert_eq!(told.ext.get("msgId").unwrap().split(',').count(), 3);
    assert_eq!(told.ext.get("transactionId"), Some("ALL"));
    let pulled = peer.pull("CG", "Batch", 0, 0).await;
    let ids: Vec<_> =
        pulled.units().iter().map(|unit| unit.property(properties::UNIQ_KEY).map(str::to_owned)).collect();
    assert_eq!(ids, ["ID0", "ID1", "ID2"].map(|id| Some(id.to_owned())), "each by its own id");
    assert_eq!(pulled.units().iter().map(|unit| unit.flag).collect::<Vec<_>>(), [0, 1, 2]);
    let delayed = batch.clone().with("i", "DELAY\u{1}1\u{2}");
    assert_eq!(peer.call(delayed).await.code, ResponseCode::MESSAGE_ILLEGAL);
    let cut = Command { body: body[..20].to_vec().into(), ..batch };
    assert_eq!(peer.call(cut).await.code, ResponseCode::MESSAGE_ILLEGAL);
    assert_eq!(peer.max_offset("Batch", 0).await, 3);
    node.stop().await;
}

#[tokio::test]
async fn a_topic_made_by_sending_is_at_the_name_server_when_the_send_is_answered() {
    let name_server = NameServer::start().await;
    let node = Node::start(&format!("namesrvAddr={}", name_server.addr)).await;
    let peer = node.connect().await;
    within("a first registration", async {
        while !name_server.knows("TBW102") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for n in 0..5 {
        let topic = format!("MadeOnTheWay{n}");
        peer.send(&topic, 0, "", "x").await;
        assert!(name_server.knows(&topic), "{topic} is not known yet");
    }
    peer.create_topic("MadeByCommand", 1, 6).await;
    assert!(name_server.knows("MadeByCommand"));
    peer.heartbeat(&consumer_heartbeat("c1", "MadeByHeartbeat", "T", "*", 1)).await;
    assert!(name_server.knows("%RETRY%MadeByHeartbeat"));
    node.stop().await;
}

#[tokio::test]
async fn topics_are_not_made_where_that_is_switched_off() {
    let node = Node::start("autoCreateTopicEnable=false\nautoCreateSubscriptionGroup=false").await;
    let peer = node.connect().await;
    let told = peer.call(send("New", 0, "", "x")).await;
    assert_eq!(told.code, ResponseCode::TOPIC_NOT_EXIST, "{:?}", told.remark);
    peer.create_topic("T", 1, 6).await;
    let told = peer.pull("NewGroup", "T", 0, 0).await.0;
    assert_eq!(told.code, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    node.stop().await;
}

/// S15: what a single message is refused for, a batch is too, in its header and in each of its members.
#[tokio::test]
async fn a_batch_is_refused_what_a_single_message_is() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("Batch", 1, 6).await;
    let body = |properties: &str| {
        let mut body = bytes::BytesMut::new();
        for properties in ["", properties] {
            let item = BatchItem { flag: 0, body: b"x", properties: properties.into() };
            batch::encode(&item, &mut body).unwrap();
        }
        body.freeze()
    };
    for named in ["TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS", "TRAN_MSG", "DELAY", "INNER_NUM"] {
        let value = match named {
            "TRAN_MSG" => "True",
            "DELAY" => "18",
            _ => "1",
        };
        let properties = format!("{named}\u{1}{value}\u{2}");
        let single = peer.call(send("Batch", 0, &properties, "x")).await;
        let mut in_member = send("Batch", 0, "", body(&properties)).with("m", true);
        let mut in_header = send("Batch", 0, &properties, body("")).with("m", true);
        in_member.code = code::SEND_BATCH_MESSAGE;
        in_header.code = code::SEND_BATCH_MESSAGE;
        for batch in [in_member, in_header] {
            let told = peer.call(batch).await;
            assert_ne!(told.code, 0, "{named}: {:?}", told.remark);
            if named != "DELAY" {
                assert_eq!(told.code, single.code, "{named}: {:?}", told.remark);
            }
        }
    }
    assert_eq!(peer.max_offset("Batch", 0).await, 0);
    node.stop().await;
}

/// S33: without automatic creation no topic serves as a template.
#[tokio::test]
async fn without_automatic_creation_every_template_is_closed() {
    let node = Node::start("autoCreateTopicEnable=false").await;
    let peer = node.connect().await;
    peer.create_topic("Template", 1, 7).await;
    for template in ["TBW102", "Template"] {
        let told = peer.call(send("New", 0, "", "x").with("c", template)).await;
        assert_eq!(told.code, ResponseCode::TOPIC_NOT_EXIST, "{template}");
    }
    node.stop().await;
}
