//! Names, permissions, subscriptions, allocation and configuration texts against the Java libraries.

use std::collections::BTreeSet;

use protocol::allocate::Strategy;
use protocol::command::pull;
use protocol::route::{MessageQueue, TopicConfig};
use protocol::subscription::SubscriptionData;
use protocol::{delay, names, perm};
use serde_json::Value;

use crate::vectors::{cases, constants, is_exception};

#[test]
fn names_are_allowed_and_reserved_as_in_5_3_3() {
    for case in cases(include_str!("../vectors/golden/names.json")) {
        let name = case["name"].as_str().unwrap();
        let checked = names::validate_topic(name);
        let remark = checked.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(remark, case["topicValidator"]["remark"], "{name:?}");
        assert_eq!(names::validate_group(name).is_ok(), case["clientCheckGroup"] == "ok", "{name:?}");
        assert_eq!(names::is_system_topic(name), case["system"], "{name:?}");
        assert_eq!(names::is_not_sendable(name), case["notAllowedSend"], "{name:?}");
    }
    assert_eq!(names::group_of_retry_topic(&names::retry_topic("g")), Some("g"));
    assert_eq!(names::group_of_dlq_topic(&names::dlq_topic("g")), Some("g"));
    assert_eq!(names::group_of_dlq_topic("%RETRY%g"), None);
}

#[test]
fn permissions_print_as_in_java() {
    for case in cases(include_str!("../vectors/golden/perm.json")) {
        let bits = case["perm"].as_i64().unwrap() as i32;
        assert_eq!(perm::text(bits), case["string"]);
        assert_eq!(perm::is_readable(bits), case["readable"]);
        assert_eq!(perm::is_writable(bits), case["writeable"]);
        assert_eq!(perm::is_inherited(bits), case["inherited"]);
    }
}

#[test]
fn pull_flags_are_built_as_in_java() {
    for case in cases(include_str!("../vectors/golden/pull_sys_flag.json")) {
        let set = |name: &str| case[name].as_bool().unwrap();
        let flag = pull::sys_flag::build(
            set("commitOffset"),
            set("suspend"),
            set("subscription"),
            set("classFilter"),
        );
        assert_eq!(i64::from(flag), case["sysFlag"].as_i64().unwrap());
    }
}

#[test]
fn subscriptions_are_parsed_as_in_java() {
    for case in cases(include_str!("../vectors/golden/subscription_data.json")) {
        let expression = case["expression"].as_str().unwrap_or_default();
        let parsed = SubscriptionData::parse("T", expression);
        let expected = &case["result"];
        if is_exception(expected) {
            assert!(parsed.is_err(), "{expression:?}");
            continue;
        }
        let parsed = parsed.unwrap();
        let texts: BTreeSet<&str> =
            expected["tagsSet"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(
            parsed.tags_set.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            texts,
            "{expression:?}"
        );
        let codes: BTreeSet<i64> =
            expected["codeSet"].as_array().unwrap().iter().filter_map(Value::as_i64).collect();
        assert_eq!(
            parsed.code_set.iter().copied().map(i64::from).collect::<BTreeSet<_>>(),
            codes,
            "{expression:?}"
        );
        assert_eq!(parsed.sub_string.as_deref(), expected["subString"].as_str(), "{expression:?}");
        assert_eq!(
            (parsed.topic.as_str(), parsed.expression_type.as_str(), parsed.sub_version),
            ("T", "TAG", 0)
        );
    }
}

#[test]
fn tags_match_by_their_hash_and_not_by_what_cpp_sends() {
    let sent = SubscriptionData {
        sub_string: Some("TagA || TagB".to_owned()),
        code_set: vec![0, 0],
        tags_set: vec!["TagA".to_owned(), "TagB".to_owned()],
        ..SubscriptionData::default()
    };
    assert!(!sent.matches(2_598_919));
    let fixed = sent.with_tag_codes();
    assert!(
        fixed.matches(2_598_919)
            && fixed.matches(2_598_920)
            && !fixed.matches(2_598_921)
            && !fixed.matches(0)
    );
    let all = SubscriptionData::parse("T", "*").unwrap();
    assert!(all.matches(0) && all.matches(-7));
}

#[test]
fn queues_are_shared_as_in_java() {
    for case in cases(include_str!("../vectors/golden/allocate.json")) {
        let Some(strategy) = Strategy::from_name(case["strategy"].as_str().unwrap()) else { continue };
        let Some(queues) = case["queues"].as_u64() else { continue };
        let queues: Vec<u64> = (0..queues).collect();
        let clients: Vec<String> =
            (0..case["clients"].as_u64().unwrap()).map(|id| format!("cid{id}")).collect();
        for (client, expected) in case["queueIds"].as_object().unwrap() {
            let expected: Vec<u64> =
                expected.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
            assert_eq!(strategy.allocate(client, &queues, &clients), expected, "{case}");
        }
        assert!(strategy.allocate("stranger", &queues, &clients).is_empty());
    }
}

#[test]
fn queues_sort_as_in_java() {
    let (_, order) = &constants(include_str!("../vectors/golden/message_queue_sort_order.json"))[0];
    let queues: Vec<MessageQueue> = order.as_array().unwrap().iter().map(queue_of).collect();
    let mut sorted = queues.clone();
    sorted.reverse();
    sorted.sort();
    assert_eq!(sorted, queues);
}

/// A queue such as `T/broker-a/10`.
fn queue_of(text: &Value) -> MessageQueue {
    let parts: Vec<&str> = text.as_str().unwrap().split('/').collect();
    MessageQueue {
        topic: parts[0].to_owned(),
        broker_name: parts[1].to_owned(),
        queue_id: parts[2].parse().unwrap(),
    }
}

#[test]
fn delay_levels_are_parsed_as_in_java() {
    for case in cases(include_str!("../vectors/golden/delay_levels.json")) {
        let text = case["messageDelayLevel"].as_str().unwrap();
        let parsed = delay::parse_levels(text);
        assert_eq!(parsed.is_ok(), case["result"]["ok"], "{text:?}");
        if let Ok(delays) = parsed {
            let levels = delays.iter().enumerate().map(|(index, delay)| format!("{}={delay}", index + 1));
            let printed = format!("{{{}}}", levels.collect::<Vec<_>>().join(", "));
            assert_eq!(printed, case["result"]["millisByLevel"]);
        }
    }
    assert_eq!(delay::parse_levels(delay::DEFAULT_LEVELS).unwrap().len(), 18);
}

#[test]
fn topic_lines_are_read_and_written_as_in_5_3_3() {
    for case in cases(include_str!("../vectors/golden/topic_config_text.json")) {
        let text = case["text"].as_str().unwrap();
        let read = TopicConfig::from_text(text);
        let decoded = &case["decode"];
        assert_eq!(read.is_ok(), decoded["ok"] == true, "{text}");
        if let Ok(config) = read {
            assert_eq!(config.to_text(), decoded["encoded"], "{text}");
            assert_eq!(serde_json::to_value(&config).unwrap(), decoded["config"], "{text}");
        }
    }
}
