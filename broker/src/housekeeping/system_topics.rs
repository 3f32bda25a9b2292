//! The topics and groups that every RocketMQ broker has.

use std::sync::Arc;

use protocol::{names, perm};
use tokio::sync::watch;
use tracing::warn;

use crate::node::Node;
use crate::state::{Change, GroupConfig, TopicConfig};

/// Creates the topics and groups that every RocketMQ broker has, when this node comes to lead and they are missing.
pub async fn create(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    let mut views = node.group.raft.views();
    loop {
        tokio::select! {
            ready = views.wait_for(raft::View::is_ready) => if ready.is_err() { return },
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        let (topics, groups) = missing_system_tables(&node);
        let now_ms = node.now_ms();
        let mut created = Ok(());
        if !topics.is_empty() {
            created = node.group.submit(Change::PutTopics { topics, only_new: true, now_ms }).await.map(drop);
        }
        if created.is_ok() && !groups.is_empty() {
            created = node.group.submit(Change::PutGroups { groups, only_new: true, now_ms }).await.map(drop);
        }
        if let Err(error) = created {
            warn!(%error, "system topics and groups not created yet");
        } else {
            node.registrar.now();
        }
        tokio::select! {
            lost = views.wait_for(|view| !view.is_ready()) => if lost.is_err() { return },
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

fn missing_system_tables(node: &Node) -> (Vec<TopicConfig>, Vec<GroupConfig>) {
    let messages = &node.config.messages;
    let cluster = &node.config.identity.cluster;
    let mut topics = vec![
        TopicConfig::new(names::SELF_TEST_TOPIC, 1, perm::READ_WRITE),
        TopicConfig::new(names::BENCHMARK_TOPIC, 1_024, perm::READ_WRITE),
        TopicConfig::new(cluster, 16, perm::ALL),
        TopicConfig::new(node.group.name(), 1, perm::ALL),
        TopicConfig::new(names::OFFSET_MOVED_EVENT, 1, perm::READ_WRITE),
        TopicConfig::new(names::SCHEDULE_TOPIC, 18, perm::READ_WRITE),
        TopicConfig::new(names::reply_topic(cluster), 1, perm::READ_WRITE),
        TopicConfig::new(format!("{}{}", names::SYNC_MEMBER_PREFIX, node.group.name()), 1, perm::INHERIT),
        TopicConfig::new(names::HALF_TOPIC, 1, perm::READ_WRITE),
        TopicConfig::new(names::OP_HALF_TOPIC, 1, perm::READ_WRITE),
    ];
    if messages.auto_create_topic {
        topics.push(TopicConfig::new(
            names::AUTO_CREATE_TOPIC,
            messages.default_topic_queues as i32,
            perm::ALL,
        ));
    }
    if messages.trace_topic {
        topics.push(TopicConfig::new(&messages.trace_topic_name, 1, perm::READ_WRITE));
    }
    let tables = node.group.tables();
    topics.retain(|topic| tables.topic(&topic.name).is_none());
    let groups = names::SYSTEM_GROUPS.iter().filter(|group| tables.group(group).is_none());
    (topics, groups.map(|group| GroupConfig::new(*group)).collect())
}
