//! What Prometheus is told of a node.

use super::support::{Node, consumer_heartbeat, pull, within};

/// Names that dashboards may use already, each with labels that it has to have.
const KNOWN: &[(&str, &[&str])] = &[
    ("rocketmq_raft_term", &[]),
    ("rocketmq_raft_leader", &[]),
    ("rocketmq_raft_ready", &[]),
    ("rocketmq_raft_role", &["role=\"leader\""]),
    ("rocketmq_raft_commit_index", &[]),
    ("rocketmq_raft_applied_index", &[]),
    ("rocketmq_raft_last_log_index", &[]),
    ("rocketmq_raft_quorum_ack_age_milliseconds", &[]),
    ("rocketmq_raft_fenced", &[]),
    ("rocketmq_alarms", &[]),
    ("rocketmq_log_lines_lost_total", &[]),
    ("rocketmq_storage_size_bytes", &["storage_type=\"local\"", "storage_medium=\"disk\""]),
    ("rocketmq_storage_flush_behind_bytes", &["storage_type=\"local\"", "storage_medium=\"disk\""]),
    ("rocketmq_storage_dispatch_behind_bytes", &["storage_type=\"local\"", "storage_medium=\"disk\""]),
    ("rocketmq_storage_damaged_bytes", &[]),
    ("rocketmq_storage_repaired_total", &[]),
    ("rocketmq_disk_available_bytes", &[]),
    ("rocketmq_disk_total_bytes", &[]),
    ("rocketmq_disk_full", &[]),
    ("rocketmq_storage_unwritten_bytes", &[]),
    ("rocketmq_cold_reads", &[]),
    ("rocketmq_messages_in_total", &["topic=\"T\"", "is_system=\"false\""]),
    ("rocketmq_throughput_in_total", &["topic=\"T\"", "is_system=\"false\""]),
    ("rocketmq_delayed_set_aside_total", &["level=\"18\""]),
    ("rocketmq_topic_number", &[]),
    ("rocketmq_consumer_group_number", &[]),
    ("rocketmq_broker_permission", &[]),
    ("rocketmq_messages_out_total", &["topic=\"T\"", "consumer_group=\"CG\"", "is_retry=\"false\""]),
    ("rocketmq_throughput_out_total", &["topic=\"T\"", "consumer_group=\"CG\"", "is_system=\"false\""]),
    ("rocketmq_consumer_lag_messages", &["topic=\"T\"", "consumer_group=\"CG\"", "is_retry=\"false\""]),
    ("rocketmq_held_pulls", &[]),
];

#[tokio::test]
async fn names_and_labels_stay_what_they_are_in_both_forms() {
    let node = Node::start("").await;
    let client = node.connect().await;
    client.create_topic("T", 1, 6).await;
    client.send("T", 0, "", "one").await;
    client.wait_for_end("T", 0, 1).await;
    client.pull("CG", "T", 0, 0).await;
    client.store_offset("CG", "T", 0, 0).await;
    let (head, old) = node.http("/metrics", "").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let (head, new) = node.http("/metrics", "accept: application/openmetrics-text;version=1.0.0\r\n").await;
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(new.ends_with("# EOF\n") && !old.contains("# EOF"));
    for text in [&old, &new] {
        assert!(!text.contains("_total_total"), "{text}");
        for (name, labels) in KNOWN {
            let start = format!(
                "{name}{{cluster=\"VecCluster\",node_type=\"broker\",node_id=\"broker-a\",peer_id=\"n0\""
            );
            let is_told = text
                .lines()
                .any(|line| line.starts_with(&start) && labels.iter().all(|label| line.contains(label)));
            assert!(is_told, "{name} {labels:?} is not in\n{text}");
        }
    }
    // A counter's type stands at its samples' name in the old form, and without the ending in the new one.
    assert!(old.contains("# TYPE rocketmq_messages_in_total counter\n"), "{old}");
    assert!(new.contains("# TYPE rocketmq_messages_in counter\n"), "{new}");
    node.stop().await;
}

/// S31: names that RocketMQ emits, and dashboards draw.
#[tokio::test]
async fn what_comes_in_and_waits_is_told_under_rocketmqs_names() {
    let node = Node::start("").await;
    let client = node.connect().await;
    client.create_topic("T", 1, 6).await;
    client.heartbeat(&consumer_heartbeat("c1", "CG", "T", "*", 1)).await;
    client.send("T", 0, "", "one").await;
    client.send("T", 0, "", &"x".repeat(5_000)).await;
    client.send("T", 0, "__SHARDINGKEY\u{1}k\u{2}", "three").await;
    client.send("T", 0, "DELAY\u{1}18\u{2}", "in two hours").await;
    client.wait_for_end("T", 0, 3).await;
    client.call(pull("CG", "T", 0, 3, 2, 1)).await; // waits for a message in vain
    let told = async |name: &str, labels: &[&str]| node.metric(name, labels).await;
    let (topic, normal, fifo) = ("topic=\"T\"", "message_type=\"normal\"", "message_type=\"fifo\"");
    for (name, labels, value) in [
        ("rocketmq_messages_in_total", &[topic, normal][..], 2.0),
        ("rocketmq_messages_in_total", &[topic, fifo], 1.0),
        ("rocketmq_messages_in_total", &[topic, "message_type=\"delay\""], 1.0),
        ("rocketmq_message_size_bucket", &[topic, normal, "le=\"1024\""], 1.0),
        ("rocketmq_message_size_bucket", &[topic, normal, "le=\"524288\""], 2.0),
        ("rocketmq_message_size_count", &[topic, normal], 2.0),
        (
            "rocketmq_rpc_latency_milliseconds_count",
            &["protocol_type=\"remoting\"", "request_code=\"send_message_v2\"", "response_code=\"success\""],
            4.0,
        ),
        (
            "rocketmq_rpc_latency_milliseconds_count",
            &[
                "request_code=\"pull_message\"",
                "response_code=\"pull_not_found\"",
                "is_long_polling=\"true\"",
            ],
            1.0,
        ),
        (
            "rocketmq_topic_create_execution_time_milliseconds_count",
            &["invocation_status=\"success\"", "is_system=\"false\""],
            1.0,
        ),
        ("rocketmq_consumer_group_create_execution_time_milliseconds_count", &["failure", "\"false\""], 0.0),
        ("rocketmq_producer_connections", &["language=\"", "version=\"v", "protocol_type=\"remoting\""], 1.0),
        ("rocketmq_consumer_connections", &["consumer_group=\"CG\"", "consume_mode=\"push\""], 1.0),
    ] {
        assert_eq!(told(name, labels).await, Some(value), "{name} {labels:?}");
    }
    for name in [
        "rocketmq_storage_fsync_latency_milliseconds_count",
        "rocketmq_raft_append_latency_milliseconds_count",
    ] {
        assert!(told(name, &[]).await.is_some_and(|count| count > 0.0), "{name}");
    }
    assert!(told("rocketmq_storage_message_reserve_time_milliseconds", &[]).await.is_some());
    within("the election to be counted", async {
        while told("rocketmq_raft_elections_total", &[]).await != Some(1.0) {}
    })
    .await;
    within("the way to the lead to be told", async {
        while told("rocketmq_raft_last_failover_milliseconds", &["part=\"first_ack\""]).await.is_none() {}
    })
    .await;
    // What waits has an age; what is consumed has none.
    let lag = ["consumer_group=\"CG\"", topic, "is_retry=\"false\""];
    client.store_offset("CG", "T", 0, 1).await;
    within("the lag to age", async {
        while told("rocketmq_consumer_lag_latency_milliseconds", &lag).await.is_none_or(|age| age <= 0.0) {}
    })
    .await;
    assert_eq!(told("rocketmq_consumer_lag_messages", &lag).await, Some(2.0));
    client.store_offset("CG", "T", 0, 3).await;
    within("the lag to end", async {
        while told("rocketmq_consumer_lag_latency_milliseconds", &lag).await != Some(0.0) {}
    })
    .await;
    node.stop().await;
}
