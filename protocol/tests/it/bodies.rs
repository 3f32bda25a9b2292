//! JSON bodies: what Java reads leniently, what was recorded, and what we write.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use protocol::command::{admin, heartbeat, offset, route};
use protocol::frame::decode;
use protocol::json::{self, JsonError};
use protocol::route::MessageQueue;
use protocol::{code::request, subscription};
use serde_json::{Value, json};

use crate::vectors::{cases, frames, is_exception};

/// Both texts as values, objects as keys included.
fn same_json(ours: &[u8], theirs: &[u8]) -> bool {
    json::parse(ours).unwrap() == json::parse(theirs).unwrap()
}

#[test]
fn bodies_are_as_lenient_as_in_5_3_3() {
    for case in cases(include_str!("../vectors/golden/lenient_json.json")) {
        let text = case["json"].as_str().unwrap().as_bytes();
        let ours: Result<Bytes, JsonError> = match case["class"].as_str().unwrap() {
            "ClusterInfo" => route::ClusterInfo::read(text).map(|body| body.to_bytes()),
            "ResetOffsetBody" => offset::ResetOffsetBody::read(text).map(|body| body.to_bytes()),
            "ConsumerData" => json::from_slice::<heartbeat::ConsumerData>(text).map(|body| body.to_bytes()),
            "SubscriptionData" => subscription::SubscriptionData::read(text).map(|body| body.to_bytes()),
            "SubscriptionGroupConfig" => {
                admin::SubscriptionGroupConfig::read(text).map(|body| body.to_bytes())
            }
            "ConsumerOffsetSerializeWrapper" => offset::ConsumerOffsetTable::read(text).map(|mut body| {
                // Java leaves an absent version away; ours is all zeros.
                assert_eq!(body.data_version, route::DataVersion::default());
                body.data_version.timestamp = 0;
                json::to_bytes(&json!({"offsetTable": body.offset_table}))
            }),
            other => panic!("{other} is not known"),
        };
        let theirs = &case["reencoded"];
        if is_exception(theirs) {
            assert!(ours.is_err(), "{case}");
            continue;
        }
        let ours = ours.unwrap_or_else(|error| panic!("{error}: {case}"));
        let theirs = theirs.as_str().unwrap().as_bytes();
        assert!(
            same_json(&ours, theirs),
            "{}\n{}",
            String::from_utf8_lossy(&ours),
            String::from_utf8_lossy(theirs)
        );
    }
}

/// Reads a recorded body as what it is and writes it again; `None` for those that we only hand on.
fn again(code: i32, is_request: bool, body: &[u8]) -> Option<Result<Bytes, JsonError>> {
    macro_rules! body {
        ($($type:ident)::+) => {
            $($type)::+::read(body).map(|body| body.to_bytes())
        };
    }
    Some(match (code, is_request) {
        (request::HEART_BEAT, true) => body!(heartbeat::HeartbeatData),
        (request::LOCK_BATCH_MQ | request::UNLOCK_BATCH_MQ, true) => body!(heartbeat::LockBatch),
        (request::LOCK_BATCH_MQ, false) => body!(heartbeat::LockedQueues),
        (request::GET_CONSUMER_LIST_BY_GROUP, false) => body!(heartbeat::ConsumerList),
        (request::CHECK_CLIENT_CONFIG, true) => body!(heartbeat::CheckClientConfig),
        (request::GET_ROUTEINFO_BY_TOPIC, false) => body!(route::TopicRouteData),
        (request::GET_BROKER_CLUSTER_INFO, false) => body!(route::ClusterInfo),
        (request::GET_BROKER_MEMBER_GROUP, false) => body!(route::BrokerMemberGroupBody),
        (request::QUERY_DATA_VERSION, _) => body!(route::DataVersion),
        (
            request::REGISTER_BROKER | request::GET_KVLIST_BY_NAMESPACE | request::GET_BROKER_RUNTIME_INFO,
            false,
        ) => {
            body!(route::KvTable)
        }
        (
            request::GET_ALL_TOPIC_LIST_FROM_NAMESERVER
            | request::GET_TOPICS_BY_CLUSTER
            | request::GET_SYSTEM_TOPIC_LIST_FROM_NS
            | request::GET_SYSTEM_TOPIC_LIST_FROM_BROKER
            | request::QUERY_TOPICS_BY_CONSUMER,
            false,
        ) => body!(route::TopicList),
        (request::GET_ALL_TOPIC_CONFIG, false) => body!(route::TopicConfigWrapper),
        (request::GET_TOPIC_CONFIG, false) => body!(route::TopicConfig),
        (request::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, true) => body!(admin::SubscriptionGroupConfig),
        (request::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, true) => body!(admin::CreateGroups),
        (request::GET_SUBSCRIPTIONGROUP_CONFIG, false) => body!(admin::SubscriptionGroupConfig),
        (request::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, false) => body!(admin::SubscriptionGroupWrapper),
        (request::GET_CONSUMER_CONNECTION_LIST, false) => body!(admin::ConsumerConnection),
        (request::GET_PRODUCER_CONNECTION_LIST, false) => body!(admin::ProducerConnection),
        (request::GET_ALL_PRODUCER_INFO, false) => body!(admin::ProducerTable),
        (request::QUERY_TOPIC_CONSUME_BY_WHO, false) => body!(admin::GroupList),
        (request::GET_TOPIC_STATS_INFO, false) => body!(admin::TopicStatsTable),
        (request::GET_CONSUME_STATS, false) => body!(admin::ConsumeStats),
        (request::GET_BROKER_CONSUME_STATS, false) => body!(admin::BrokerConsumeStats),
        (request::VIEW_BROKER_STATS_DATA, false) => body!(admin::BrokerStatsData),
        (request::QUERY_SUBSCRIPTION_BY_CONSUMER, false) => body!(admin::CheckedGroup),
        (request::UPDATE_AND_GET_GROUP_FORBIDDEN, false) => body!(admin::GroupForbidden),
        (request::GET_BROKER_HA_STATUS, false) => body!(admin::HaStatus),
        (request::INVOKE_BROKER_TO_RESET_OFFSET, false) => body!(offset::ResetOffsetBody),
        (request::INVOKE_BROKER_TO_GET_CONSUMER_STATUS, false) => body!(offset::ConsumerStatusBody),
        (request::QUERY_CORRECTION_OFFSET, false) => body!(offset::CorrectionOffsets),
        (request::QUERY_ASSIGNMENT, true) => body!(admin::QueryAssignment),
        (request::QUERY_ASSIGNMENT, false) => body!(admin::Assignments),
        _ => return None,
    })
}

/// Members that Java computes and we do not keep, or that only some programs send.
const DROPPED: [&str; 6] =
    ["tags", "minTimeStampStr", "maxTimeStampStr", "zzz", "topicMessageType", "attachments"];

/// Takes away what may differ: null members and [`DROPPED`] ones of theirs, members of ours that theirs lacks (the
/// defaults), and the types of numbers and texts.
fn assert_holds(name: &str, theirs: &Value, ours: &Value) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (member, value) in theirs
                .iter()
                .filter(|(member, value)| !value.is_null() && !DROPPED.contains(&member.as_str()))
            {
                let kept = ours.get(member).unwrap_or_else(|| panic!("{name}: {member} is lost"));
                assert_holds(&format!("{name}.{member}"), value, kept);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            assert_eq!(theirs.len(), ours.len(), "{name}");
            theirs.iter().zip(ours).for_each(|(theirs, ours)| assert_holds(name, theirs, ours));
        }
        _ => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert!(
                text(theirs) == text(ours) || theirs.is_u64() && ours.is_string(),
                "{name}: {theirs} became {ours}"
            );
        }
    }
}

#[test]
fn recorded_bodies_are_read_and_nothing_is_lost() {
    let mut read = 0;
    for recorded in frames().iter().filter(|frame| frame.line["body_kind"] == "JSON") {
        let command = decode(&mut BytesMut::from(recorded.bytes)).unwrap().unwrap();
        // Names that nobody knows are dropped, as in Java.
        if !recorded.is_request() && command.code != 0 || recorded.scenario().contains("unknown-enum") {
            continue;
        }
        let Some(ours) = again(recorded.request_code() as i32, recorded.is_request(), recorded.body()) else {
            continue;
        };
        let Ok(theirs) = json::parse(recorded.body()) else {
            assert!(
                ours.is_err() && recorded.line["file"].as_str().unwrap().starts_with("handmade"),
                "{}",
                recorded.name()
            );
            continue;
        };
        let ours = match ours {
            Ok(ours) => json::parse(&ours).unwrap(),
            Err(error) => {
                assert!(
                    recorded.line["file"].as_str().unwrap().starts_with("handmade"),
                    "{}: {error}",
                    recorded.name()
                );
                continue;
            }
        };
        assert_holds(&recorded.name(), &theirs, &ours);
        read += 1;
    }
    assert!(read > 300, "only {read}");
}

#[test]
fn recorded_registrations_are_read_plain_and_compressed() {
    let (mut plain, mut compressed, mut refused) = (0, 0, 0);
    for recorded in frames().iter().filter(|frame| frame.is_request() && frame.request_code() == 103) {
        let command = decode(&mut BytesMut::from(recorded.bytes)).unwrap().unwrap();
        let header = route::RegisterBroker::read(&command).unwrap();
        match route::RegisterBrokerBody::decode(&command.body, &header) {
            Ok(body) => {
                *(if header.compressed { &mut compressed } else { &mut plain }) += 1;
                for form in [false, true] {
                    let (bytes, crc) = body.encode(form);
                    let header =
                        route::RegisterBroker { compressed: form, body_crc32: Some(crc), ..header.clone() };
                    let again = route::RegisterBrokerBody::decode(&bytes, &header).unwrap();
                    let (ours, theirs) =
                        (&again.topic_config_serialize_wrapper, &body.topic_config_serialize_wrapper);
                    assert_eq!(ours.data_version, theirs.data_version);
                    assert_eq!(ours.topic_config_table.len(), theirs.topic_config_table.len());
                    assert!(form || again == body, "{}", recorded.name());
                }
            }
            Err(error) => {
                // Brokers 5.3.x deflate the body and say that they do not; name servers refuse that, and so do we.
                let is_mislabeled =
                    recorded.line["body_kind"] == "RegisterBrokerBody, deflated" && !header.compressed;
                let is_wrong =
                    is_mislabeled || recorded.line["file"].as_str().unwrap().starts_with("handmade");
                assert!(is_wrong, "{}: {error}", recorded.name());
                refused += 1;
            }
        }
    }
    assert!(
        plain > 30 && compressed > 2 && refused > 0,
        "{plain} plain, {compressed} compressed, {refused} refused"
    );
}

#[test]
fn routes_are_compact_with_quoted_ids() {
    let body = route::TopicRouteData {
        broker_datas: vec![route::BrokerData {
            broker_addrs: BTreeMap::from([
                (0, "10.0.0.1:10911".to_owned()),
                (2, "10.0.0.2:10911".to_owned()),
            ]),
            broker_name: "broker-a".to_owned(),
            cluster: "DefaultCluster".to_owned(),
            ..route::BrokerData::default()
        }],
        queue_datas: vec![route::QueueData {
            broker_name: "broker-a".to_owned(),
            perm: protocol::perm::READ_WRITE,
            read_queue_nums: 4,
            write_queue_nums: 4,
            ..route::QueueData::default()
        }],
        ..route::TopicRouteData::default()
    };
    let expected = concat!(
        r#"{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911","2":"10.0.0.2:10911"},"brokerName":"broker-a","#,
        r#""cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"#,
        r#""queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#,
    );
    assert_eq!(body.to_bytes(), expected);
    assert_eq!(body.broker_datas[0].leader_addr(), Some("10.0.0.1:10911"));
}

#[test]
fn maps_of_queues_are_written_the_way_clients_split_them() {
    let queue = |queue_id| MessageQueue { topic: "T".to_owned(), broker_name: "b".to_owned(), queue_id };
    let body = offset::ResetOffsetBody { offset_table: BTreeMap::from([(queue(0), 77), (queue(1), 78)]) };
    let expected = r#"{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"T"}:77,{"brokerName":"b","queueId":1,"topic":"T"}:78}}"#;
    assert_eq!(body.to_bytes(), expected);
    assert_eq!(offset::ResetOffsetBody::read(expected.as_bytes()).unwrap(), body);
    let list = r#"{"offsetTable":[{"brokerName":"b","offset":77,"queueId":0,"topic":"T"},{"brokerName":"b","offset":78,"queueId":1,"topic":"T"}]}"#;
    assert_eq!(body.to_list_bytes(), list);

    let stats = admin::ConsumeStats {
        consume_tps: 1.5,
        offset_table: BTreeMap::from([(
            queue(0),
            admin::OffsetWrapper { broker_offset: 10, ..admin::OffsetWrapper::default() },
        )]),
    };
    let expected = r#"{"consumeTps":1.5,"offsetTable":{{"brokerName":"b","queueId":0,"topic":"T"}:{"brokerOffset":10,"consumerOffset":0,"lastTimestamp":0,"pullOffset":0}}}"#;
    assert_eq!(stats.to_bytes(), expected);
}

#[test]
fn fingerprints_are_javas() {
    for case in cases(include_str!("../vectors/golden/heartbeat_fingerprint.json")) {
        let heartbeat = heartbeat::HeartbeatData::read(case["json"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(i64::from(heartbeat.fingerprint()), case["fingerprint"].as_i64().unwrap(), "{case}");
    }
}

#[test]
fn references_are_followed_and_cannot_blow_a_text_up() {
    let value =
        json::parse(br#"{"a":[{"x":1},{"$ref":"$.a[0]"}],"b":{"$ref":"$.nowhere"},"c":{"$ref":"$"}}"#)
            .unwrap();
    assert_eq!(value["a"][1], json!({"x": 1}));
    assert_eq!(value["b"], json!({"$ref": "$.nowhere"}));
    assert_eq!(value["c"]["a"][1], json!({"$ref": "$.a[0]"}), "one level only");

    let references = vec![r#"{"$ref":"$.big"}"#; 40_000].join(",");
    let text = format!(r#"{{"big":[{}],"all":[{references}]}}"#, vec!["1"; 40_000].join(","));
    assert!(matches!(json::parse(text.as_bytes()), Err(JsonError::TooManyValues { .. })));
}

#[test]
fn texts_that_would_take_too_much_memory_are_refused() {
    let wide = format!("[{}]", "[],".repeat(3_000_000));
    assert!(matches!(json::parse(wide.as_bytes()), Err(JsonError::TooManyValues { .. })));
    let deep = "[".repeat(1_000_000);
    assert!(matches!(json::parse(deep.as_bytes()), Err(JsonError::TooDeep { .. })));
    let deep_keys = "{".repeat(1_000_000);
    assert!(matches!(json::parse(deep_keys.as_bytes()), Err(JsonError::TooDeep { .. })));
}
