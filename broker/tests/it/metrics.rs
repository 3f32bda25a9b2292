//! What Prometheus is told of a node.

use super::support::Node;

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
