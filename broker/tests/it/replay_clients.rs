//! Recorded requests of real clients in five languages: each is understood.
//!
//! What a client is answered depends on what others had done on the recorded broker, so here only the kind of answer
//! counts: success stays success where the node knows topic and group, and no request is one we do not know.

use std::collections::BTreeSet;

use protocol::{RequestCode as code, ResponseCode};

use crate::recording::{Recording, recording};
use crate::support::*;

/// Codes of features that are not built.
const NOT_BUILT: [i32; 14] = [
    code::END_TRANSACTION,
    code::SEND_REPLY_MESSAGE,
    code::SEND_REPLY_MESSAGE_V2,
    code::POP_MESSAGE,
    code::ACK_MESSAGE,
    code::CHANGE_MESSAGE_INVISIBLETIME,
    code::BATCH_ACK_MESSAGE,
    code::RECALL_MESSAGE,
    code::RESUME_CHECK_HALF_MESSAGE,
    // Between RocketMQ's own nodes.
    code::GET_TIMER_CHECK_POINT,
    code::GET_TIMER_METRICS,
    code::EXCHANGE_BROKER_HA_INFO,
    code::GET_BROKER_EPOCH_CACHE,
    code::RESET_MASTER_FLUSH_OFFSET,
];

fn topic_of(request: &protocol::Command) -> Option<&str> {
    let name =
        if matches!(request.code, code::SEND_MESSAGE_V2 | code::SEND_BATCH_MESSAGE) { "b" } else { "topic" };
    request.ext.get(name)
}

async fn understood(recording: Recording) -> (usize, Vec<String>) {
    let node = Node::start("").await;
    let peer = node.connect().await;
    let with_answer: Vec<_> = recording.requests.iter().collect();
    let topics: BTreeSet<&str> = with_answer
        .iter()
        .filter(|(_, answer)| {
            answer.as_ref().is_none_or(|answer| answer.code != ResponseCode::TOPIC_NOT_EXIST)
        })
        .filter_map(|(request, _)| topic_of(&request.command))
        .collect();
    for topic in topics {
        // A system topic is there, and an illegal one is refused.
        peer.call(create_topic(topic, 8, 6)).await;
    }
    let (mut complaints, mut replayed) = (Vec::new(), 0);
    for (request, answer) in with_answer {
        let mut command = request.command.clone();
        if NOT_BUILT.contains(&command.code) {
            continue;
        }
        replayed += 1;
        if command.is_oneway() {
            peer.connection.oneway(command).unwrap();
            continue;
        }
        if matches!(command.code, code::PULL_MESSAGE | code::LITE_PULL_MESSAGE) {
            command.ext.insert("suspendTimeoutMillis", "0");
        }
        let told = peer.call(command.clone()).await;
        let context = format!("{} {}: {} {:?}", request.id, request.scenario, told.code, told.remark);
        let Some(answer) = answer else { continue };
        let unsupported = told.code == ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
        if unsupported != (answer.code == ResponseCode::REQUEST_CODE_NOT_SUPPORTED) {
            complaints.push(format!("{context}: code {} is not supported", command.code));
        }
        // Only these depend on the request alone.
        let alone = [
            code::SEND_MESSAGE,
            code::SEND_MESSAGE_V2,
            code::SEND_BATCH_MESSAGE,
            code::HEART_BEAT,
            code::UNREGISTER_CLIENT,
            code::GET_MAX_OFFSET,
            code::GET_MIN_OFFSET,
            code::SEARCH_OFFSET_BY_TIMESTAMP,
            code::LOCK_BATCH_MQ,
            code::UNLOCK_BATCH_MQ,
            code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
            code::GET_ALL_TOPIC_CONFIG,
            code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
            code::GET_BROKER_RUNTIME_INFO,
            code::GET_BROKER_CONFIG,
            code::DELETE_SUBSCRIPTIONGROUP,
        ];
        let not_built = told.remark.as_deref().is_some_and(|remark| {
            ["transaction messages", "timer messages", "queue.type", "SQL92"]
                .iter()
                .any(|part| remark.contains(part))
        });
        if alone.contains(&command.code) && answer.code == 0 && told.code != 0 && !not_built {
            complaints.push(format!("{context}, recorded 0"));
        }
        if answer.encoding != told.encoding {
            complaints.push(format!("{context}: answered in another encoding"));
        }
    }
    node.stop().await;
    (replayed, complaints)
}

macro_rules! understands {
    ($($name:ident: $file:literal, $least:literal;)+) => {$(
        #[tokio::test]
        async fn $name() {
            let (replayed, complaints) = understood(recording!($file)).await;
            assert!(replayed >= $least, "only {replayed} were replayed");
            assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        }
    )+};
}

understands! {
    go_client: "client-go-4.5.2-broker-5.3.3", 15;
    older_cpp_client: "client-cpp-3.1.8-broker-5.3.3", 10;
    newer_cpp_client: "client-cpp-4.6.0-broker-5.3.3", 10;
    node_client: "client-java-3.4.9-broker-5.3.3", 8;
    java_4_9_7_client: "client-java-4.9.7-broker-5.3.3", 60;
    java_5_3_3_client: "client-java-5.3.3-broker-5.3.3", 80;
    java_5_3_3_client_with_binary_headers: "client-java-5.3.3-broker-5.3.3-binary", 70;
}
