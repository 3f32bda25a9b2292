//! Between the replicated configuration and RocketMQ's JSON of it.

use protocol::command::admin::SubscriptionGroupConfig;
use protocol::route::{self, DataVersion};

use super::{FilterType, GroupConfig, TopicConfig, Version};

/// A table's version as RocketMQ tells it; `state` is the term where name servers are told, else 0.
pub fn data_version(version: Version, state: u64) -> DataVersion {
    DataVersion {
        counter: version.counter as i64,
        state_version: state as i64,
        timestamp: version.timestamp_ms as i64,
    }
}

impl From<route::TopicFilterType> for FilterType {
    fn from(kind: route::TopicFilterType) -> Self {
        match kind {
            route::TopicFilterType::SingleTag => Self::SingleTag,
            route::TopicFilterType::MultiTag => Self::MultiTag,
        }
    }
}

impl From<&TopicConfig> for route::TopicConfig {
    fn from(topic: &TopicConfig) -> Self {
        Self {
            attributes: topic.attributes.clone(),
            order: topic.order,
            perm: topic.perm,
            read_queue_nums: topic.read_queue_nums,
            topic_filter_type: match topic.filter_type {
                FilterType::SingleTag => route::TopicFilterType::SingleTag,
                FilterType::MultiTag => route::TopicFilterType::MultiTag,
            },
            topic_name: topic.name.clone(),
            topic_sys_flag: topic.sys_flag,
            write_queue_nums: topic.write_queue_nums,
        }
    }
}

impl From<&GroupConfig> for SubscriptionGroupConfig {
    fn from(group: &GroupConfig) -> Self {
        Self {
            attributes: group.attributes.clone(),
            broker_id: group.broker_id,
            consume_broadcast_enable: group.consume_broadcast_enable,
            consume_enable: group.consume_enable,
            consume_from_min_enable: group.consume_from_min_enable,
            consume_message_orderly: group.consume_message_orderly,
            consume_timeout_minute: group.consume_timeout_minute,
            group_name: group.name.clone(),
            group_retry_policy: serde_json::from_str(&group.retry_policy).unwrap_or_default(),
            group_sys_flag: group.sys_flag,
            notify_consumer_ids_changed_enable: group.notify_consumer_ids_changed_enable,
            retry_max_times: group.retry_max_times,
            retry_queue_nums: group.retry_queue_nums,
            subscription_data_set: serde_json::Value::Null,
            which_broker_when_consume_slowly: group.which_broker_when_consume_slowly,
        }
    }
}

impl From<SubscriptionGroupConfig> for GroupConfig {
    fn from(group: SubscriptionGroupConfig) -> Self {
        Self {
            name: group.group_name,
            consume_enable: group.consume_enable,
            consume_from_min_enable: group.consume_from_min_enable,
            consume_broadcast_enable: group.consume_broadcast_enable,
            consume_message_orderly: group.consume_message_orderly,
            retry_queue_nums: group.retry_queue_nums,
            retry_max_times: group.retry_max_times,
            broker_id: group.broker_id,
            which_broker_when_consume_slowly: group.which_broker_when_consume_slowly,
            notify_consumer_ids_changed_enable: group.notify_consumer_ids_changed_enable,
            sys_flag: group.group_sys_flag,
            consume_timeout_minute: group.consume_timeout_minute,
            retry_policy: group.group_retry_policy.to_string(),
            attributes: group.attributes,
        }
    }
}
