//! A subscription group's configuration as it is replicated. Source: RocketMQ `SubscriptionGroupConfig`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One subscription group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "RocketMQ's own switches, one each")]
pub struct GroupConfig {
    /// Its name.
    pub name: String,
    /// Its consumers may pull.
    pub consume_enable: bool,
    /// Kept for clients; the broker does not use it.
    pub consume_from_min_enable: bool,
    /// Its consumers may consume in broadcast mode.
    pub consume_broadcast_enable: bool,
    /// Kept for clients; the broker does not use it.
    pub consume_message_orderly: bool,
    /// Queues of its retry topic; none and below means that messages sent back are dropped.
    pub retry_queue_nums: i32,
    /// Tries after which a message goes to the dead-letter topic.
    pub retry_max_times: i32,
    /// Broker id to read from when reading keeps up.
    pub broker_id: i64,
    /// Broker id to read from when reading is far behind.
    pub which_broker_when_consume_slowly: i64,
    /// Its consumers are told when their number changes.
    pub notify_consumer_ids_changed_enable: bool,
    /// Handed to clients with every pull.
    pub sys_flag: i32,
    /// Kept for clients; minutes.
    pub consume_timeout_minute: i32,
    /// The retry policy's JSON as it came, for tools and proxies.
    pub retry_policy: String,
    /// Attributes, without the sign that requests carry.
    pub attributes: BTreeMap<String, String>,
}

impl GroupConfig {
    /// A group with RocketMQ's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            consume_enable: true,
            consume_from_min_enable: true,
            consume_broadcast_enable: true,
            consume_message_orderly: false,
            retry_queue_nums: 1,
            retry_max_times: 16,
            broker_id: 0,
            which_broker_when_consume_slowly: 1,
            notify_consumer_ids_changed_enable: true,
            sys_flag: 0,
            consume_timeout_minute: 15,
            retry_policy: String::from(r#"{"type":"CUSTOMIZED"}"#),
            attributes: BTreeMap::new(),
        }
    }
}
