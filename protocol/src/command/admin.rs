//! Administration: topics, groups, connections, statistics, configuration.

mod group;
mod stats;

use super::header;
use crate::json::body::json_body;
use crate::route::TopicConfig;
use crate::subscription::SubscriptionData;

pub use super::route::TopicConfigWrapper;
pub use group::{
    CheckedGroup, Connection, ConsumerConnection, CreateGroups, GetAllGroupConfig, GroupForbidden, GroupList,
    ProducerConnection, ProducerInfo, ProducerTable, SubscriptionGroupConfig, SubscriptionGroupWrapper,
};
pub use stats::{
    BrokerConsumeStats, BrokerStatsData, BrokerStatsItem, ConsumeStats, ConsumeTimeSpan, HaConnectionInfo,
    HaStatus, OffsetWrapper, QueueTimeSpan, TopicOffset, TopicStatsTable,
};

header! {
    /// 17: creates a topic, or changes it.
    pub struct CreateTopic {
        /// The topic.
        pub topic: String => "topic",
        /// Not used.
        pub default_topic: Option<String> => "defaultTopic",
        /// Queues that consumers see.
        pub read_queue_nums: i32 => "readQueueNums",
        /// Queues that producers see.
        pub write_queue_nums: i32 => "writeQueueNums",
        /// See [`crate::perm`].
        pub perm: i32 => "perm",
        /// `SINGLE_TAG` or `MULTI_TAG`.
        pub topic_filter_type: Option<String> => "topicFilterType",
        /// Bit 0: unit. Bit 1: unit subscription.
        pub topic_sys_flag: Option<i32> => "topicSysFlag",
        /// Ordered.
        pub order: bool => "order",
        /// `+name=value` to set, `-name` to remove, separated by commas.
        pub attributes: Option<String> => "attributes",
    }

    /// 215, 202, 300 and others: a topic.
    pub struct TopicRequest {
        /// The topic.
        pub topic: String => "topic",
    }

    /// 351: the configuration of a topic, answered with a [`TopicConfig`].
    pub struct GetTopicConfig {
        /// The topic.
        pub topic: String => "topic",
        /// Static topics only.
        pub is_logical: bool => "lo",
    }

    /// 21: all topics, answered with a [`TopicConfigWrapper`]. Often comes without any field.
    pub struct GetAllTopicConfig {
        /// How many the asker has.
        pub topic_seq: Option<i32> => "topicSeq",
        /// The most it wants.
        pub max_topic_num: Option<i32> => "maxTopicNum",
        /// The version it has, as JSON.
        pub data_version: Option<String> => "dataVersion",
    }

    /// 207: removes a consumer group.
    pub struct DeleteGroup {
        /// The consumer group.
        pub group_name: String => "groupName",
        /// Also its offsets.
        pub clean_offset: bool => "cleanOffset",
    }

    /// 343, 352: a consumer group.
    pub struct GroupRequest {
        /// The consumer group.
        pub group: String => "group",
    }

    /// 203: the members of a group, answered with a [`ConsumerConnection`].
    pub struct GetConsumerConnections {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
    }

    /// 204: the members of a producer group, answered with a [`ProducerConnection`].
    pub struct GetProducerConnections {
        /// The producer group.
        pub producer_group: String => "producerGroup",
    }

    /// 208: how far a group has come, answered with [`ConsumeStats`].
    pub struct GetConsumeStats {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
        /// One topic; absent for all.
        pub topic: Option<String> => "topic",
        /// Several, separated by `;`.
        pub topic_list: Option<String> => "topicList",
    }

    /// 303, 345: a topic and a consumer group.
    pub struct TopicGroupRequest {
        /// The topic.
        pub topic: String => "topic",
        /// The consumer group.
        pub group: String => "group",
    }

    /// 317: how far all groups have come, answered with [`BrokerConsumeStats`].
    pub struct GetBrokerConsumeStats {
        /// Only ordered topics.
        pub is_order: bool => "isOrder",
    }

    /// 315: one statistic, answered with [`BrokerStatsData`].
    pub struct ViewBrokerStats {
        /// Which, such as `TOPIC_PUT_NUMS`.
        pub stats_name: String => "statsName",
        /// Of what, such as a topic.
        pub stats_key: String => "statsKey",
    }

    /// 353: lets or forbids a group to read a topic, answered with [`GroupForbidden`].
    pub struct UpdateGroupForbidden {
        /// The consumer group.
        pub group: String => "group",
        /// The topic.
        pub topic: String => "topic",
        /// Absent: only ask.
        pub readable: Option<bool> => "readable",
    }

    /// 307, relayed to one client: what it is doing.
    pub struct GetConsumerRunningInfo {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
        /// The client.
        pub client_id: String => "clientId",
        /// Also its threads.
        pub jstack_enable: bool => "jstackEnable",
    }

    /// 309, relayed to one client: consume this message now.
    pub struct ConsumeMessageDirectly {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
        /// The client.
        pub client_id: Option<String> => "clientId",
        /// The offset message id.
        pub msg_id: Option<String> => "msgId",
        /// The topic.
        pub topic: Option<String> => "topic",
        /// Set by the broker.
        pub broker_name: Option<String> => "brokerName",
        /// Set by the broker.
        pub topic_sys_flag: Option<i32> => "topicSysFlag",
        /// Set by the broker.
        pub group_sys_flag: Option<i32> => "groupSysFlag",
    }

    /// 323: gives a half message another round of checks.
    pub struct ResumeCheckHalfMessage {
        /// The topic.
        pub topic: Option<String> => "topic",
        /// The offset message id.
        pub msg_id: String => "msgId",
    }

    /// The answer to 26. The body is the configuration as `name=value` lines.
    pub struct GetBrokerConfigResponse {
        /// A data version, as JSON.
        pub version: String => "version",
    }

    /// The answer to 906.
    pub struct HaInfoResponse {
        /// The leader's HA address.
        pub master_ha_address: Option<String> => "masterHaAddress",
        /// How far the leader has flushed.
        pub master_flush_offset: Option<i64> => "masterFlushOffset",
        /// The leader's address.
        pub master_address: Option<String> => "masterAddress",
    }
}

json_body! {
    /// 307: of all that a client tells of itself, what it subscribes to. Source: Java `ConsumerRunningInfo`.
    pub struct RunningSubscriptions {
        /// One a topic, in the version the client has now.
        pub subscription_set: Vec<SubscriptionData> => "subscriptionSet",
    }

    /// 18: topics to create.
    pub struct CreateTopics {
        /// The topics.
        pub topic_config_list: Vec<TopicConfig> => "topicConfigList",
    }

    /// 400: which queues a consumer has, by the broker's reckoning.
    pub struct QueryAssignment {
        /// The client.
        pub client_id: String => "clientId",
        /// Its consumer group.
        pub consumer_group: String => "consumerGroup",
        /// `CLUSTERING` or `BROADCASTING`.
        pub message_model: String => "messageModel",
        /// See [`crate::allocate::Strategy`].
        pub strategy_name: String => "strategyName",
        /// The topic.
        pub topic: String => "topic",
    }

    /// The answer to 400.
    pub struct Assignments {
        /// The queues and how to get at them.
        pub message_queue_assignments: Vec<Assignment> => "messageQueueAssignments",
    }

    /// One queue of an assignment.
    pub struct Assignment {
        /// The queue.
        pub message_queue: crate::route::MessageQueue => "messageQueue",
        /// `PULL` or `POP`.
        pub mode: String => "mode",
    }

    /// 401: how a group is to get at a topic.
    pub struct SetMessageRequestMode {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
        /// `PULL` or `POP`.
        pub mode: String => "mode",
        /// With `POP`: how many others share a queue.
        pub pop_share_queue_num: i32 => "popShareQueueNum",
        /// The topic.
        pub topic: String => "topic",
    }
}
