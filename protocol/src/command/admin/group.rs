//! Groups: their configuration, and who is connected.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::command::heartbeat::{ConsumeFromWhere, ConsumeType, MessageModel};
use crate::json::body::json_body;
use crate::route::DataVersion;
use crate::subscription::SubscriptionData;

json_body! {
    /// A consumer group on a broker; also the body of 200.
    pub struct SubscriptionGroupConfig {
        /// Free for extensions.
        pub attributes: BTreeMap<String, String> => "attributes",
        /// Suggested to who keeps up.
        pub broker_id: i64 => "brokerId",
        /// Whether it may broadcast.
        pub consume_broadcast_enable: bool => "consumeBroadcastEnable" = true,
        /// Whether it may consume at all.
        pub consume_enable: bool => "consumeEnable" = true,
        /// Not used by brokers.
        pub consume_from_min_enable: bool => "consumeFromMinEnable" = true,
        /// Informational.
        pub consume_message_orderly: bool => "consumeMessageOrderly",
        /// Informational.
        pub consume_timeout_minute: i32 => "consumeTimeoutMinute" = 15,
        /// The group.
        pub group_name: String => "groupName",
        /// For proxies; kept as it came.
        pub group_retry_policy: Value => "groupRetryPolicy" = serde_json::json!({"type": "CUSTOMIZED"}),
        /// Told with every pull.
        pub group_sys_flag: i32 => "groupSysFlag",
        /// Whether members are told when others come and go.
        pub notify_consumer_ids_changed_enable: bool => "notifyConsumerIdsChangedEnable" = true,
        /// How often a message comes again.
        pub retry_max_times: i32 => "retryMaxTimes" = 16,
        /// Queues of the retry topic; none: what is sent back is dropped.
        pub retry_queue_nums: i32 => "retryQueueNums" = 1,
        /// A fixed subscription; kept as it came.
        #[serde(skip_serializing_if = "Value::is_null")]
        pub subscription_data_set: Value => "subscriptionDataSet",
        /// Suggested to who is far behind.
        pub which_broker_when_consume_slowly: i64 => "whichBrokerWhenConsumeSlowly" = 1,
    }

    /// All consumer groups of a broker; the answer to 201.
    pub struct SubscriptionGroupWrapper {
        /// Which state this is.
        pub data_version: DataVersion => "dataVersion",
        /// Group and topic to a bit mask of what is forbidden.
        pub forbidden_table: BTreeMap<String, BTreeMap<String, i32>> => "forbiddenTable",
        /// The groups by their names.
        pub subscription_group_table: BTreeMap<String, SubscriptionGroupConfig> => "subscriptionGroupTable",
    }

    /// 225: groups to create.
    pub struct CreateGroups {
        /// The groups.
        pub group_config_list: Vec<SubscriptionGroupConfig> => "groupConfigList",
    }

    /// The answer to 353.
    pub struct GroupForbidden {
        /// The group.
        pub group: String => "group",
        /// Whether it may read the topic.
        pub readable: bool => "readable",
        /// The topic.
        pub topic: String => "topic",
    }

    /// The answer to 300.
    pub struct GroupList {
        /// The groups.
        pub group_list: Vec<String> => "groupList",
    }

    /// One connected client.
    pub struct Connection {
        /// `ip:port` of its socket.
        pub client_addr: String => "clientAddr",
        /// The client.
        pub client_id: String => "clientId",
        /// Its language by name.
        pub language: String => "language",
        /// Its release.
        pub version: i32 => "version",
    }

    /// The answer to 203. Tools want all of it.
    pub struct ConsumerConnection {
        /// The members.
        pub connection_set: Vec<Connection> => "connectionSet",
        /// Where the group begins.
        pub consume_from_where: ConsumeFromWhere => "consumeFromWhere",
        /// How it consumes.
        pub consume_type: ConsumeType => "consumeType",
        /// Who gets a message.
        pub message_model: MessageModel => "messageModel",
        /// What it wants, by topic.
        pub subscription_table: BTreeMap<String, SubscriptionData> => "subscriptionTable",
    }

    /// The answer to 204.
    pub struct ProducerConnection {
        /// The members.
        pub connection_set: Vec<Connection> => "connectionSet",
    }

    /// The answer to 328.
    pub struct ProducerTable {
        /// The members by their groups.
        pub data: BTreeMap<String, Vec<ProducerInfo>> => "data",
    }

    /// One connected producer.
    pub struct ProducerInfo {
        /// The client.
        pub client_id: String => "clientId",
        /// Its language by name.
        pub language: String => "language",
        /// When it was heard of last, ms.
        pub last_update_timestamp: i64 => "lastUpdateTimestamp",
        /// `ip:port` of its socket.
        pub remote_ip: String => "remoteIP",
        /// Its release.
        pub version: i32 => "version",
    }

    /// The answer to 345.
    pub struct CheckedGroup {
        /// The group.
        pub group: String => "group",
        /// What it wants of the topic.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub subscription_data: Option<SubscriptionData> => "subscriptionData",
        /// The topic.
        pub topic: String => "topic",
    }
}

/// 201: all groups. Often comes without any field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GetAllGroupConfig {
    /// How many the asker has.
    pub group_seq: Option<i32>,
    /// The most it wants.
    pub max_group_num: Option<i32>,
}

impl GetAllGroupConfig {
    /// Reads the fields of `command`.
    ///
    /// # Errors
    /// If a field is there and is not a number.
    pub fn read(command: &crate::Command) -> Result<Self, crate::FieldError> {
        Ok(Self { group_seq: command.ext.i32("groupSeq")?, max_group_num: command.ext.i32("maxGroupNum")? })
    }
}
