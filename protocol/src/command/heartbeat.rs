//! Clients and what they hold: requests 34, 35, 38, 40, 41, 42, 46.

use super::header;
use crate::json::body::{json_body, json_enum};
use crate::message::java_hash_code;
use crate::route::MessageQueue;
use crate::subscription::SubscriptionData;

/// Answer field of a heartbeat: short heartbeats are understood.
pub const IS_SUPPORT_HEART_BEAT_V2: &str = "IS_SUPPORT_HEART_BEAT_V2";
/// Answer field of a heartbeat: the group's subscription has changed, send the whole next time.
pub const IS_SUB_CHANGE: &str = "IS_SUB_CHANGE";

json_enum! {
    /// How a consumer gets its messages.
    pub enum ConsumeType {
        /// The application pulls.
        ConsumeActively = "CONSUME_ACTIVELY",
        /// The client pulls and pushes to the application.
        #[default]
        ConsumePassively = "CONSUME_PASSIVELY",
        /// The client pops.
        ConsumePop = "CONSUME_POP",
    }

    /// Who of a group gets a message.
    pub enum MessageModel {
        /// Every member.
        Broadcasting = "BROADCASTING",
        /// One member.
        #[default]
        Clustering = "CLUSTERING",
    }

    /// Where a group without offsets begins. Brokers never use it.
    pub enum ConsumeFromWhere {
        /// The end.
        #[default]
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        /// Legacy.
        LastOffsetAndFromMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        /// Legacy.
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        /// Legacy.
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
        /// The start.
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        /// A time.
        Timestamp = "CONSUME_FROM_TIMESTAMP",
    }
}

json_body! {
    /// 34: what a client is and wants.
    pub struct HeartbeatData {
        /// The client.
        pub client_id: String => "clientID",
        /// Its consumer groups.
        pub consumer_data_set: Vec<ConsumerData> => "consumerDataSet",
        /// See [`HeartbeatData::fingerprint`]; 0 from clients that know no short heartbeats.
        pub heartbeat_fingerprint: i32 => "heartbeatFingerprint",
        /// Its producer groups.
        pub producer_data_set: Vec<ProducerData> => "producerDataSet",
        /// A short heartbeat: the subscriptions are as before.
        pub without_sub: bool => "withoutSub",
    }

    /// A producer group of a client.
    pub struct ProducerData {
        /// The group.
        pub group_name: String => "groupName",
    }

    /// A consumer group of a client.
    pub struct ConsumerData {
        /// Where it begins.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub consume_from_where: Option<ConsumeFromWhere> => "consumeFromWhere",
        /// How it consumes.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub consume_type: Option<ConsumeType> => "consumeType",
        /// The group.
        pub group_name: String => "groupName",
        /// Who gets a message.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub message_model: Option<MessageModel> => "messageModel",
        /// What it wants.
        pub subscription_data_set: Vec<SubscriptionData> => "subscriptionDataSet",
        /// Unit mode.
        pub unit_mode: bool => "unitMode",
    }

    /// The answer to 38.
    pub struct ConsumerList {
        /// The client ids of the group, one a connection.
        pub consumer_id_list: Vec<String> => "consumerIdList",
    }

    /// 41 and 42: queues to lock or unlock.
    pub struct LockBatch {
        /// The client.
        pub client_id: String => "clientId",
        /// Its consumer group.
        pub consumer_group: String => "consumerGroup",
        /// The queues.
        pub mq_set: Vec<MessageQueue> => "mqSet",
        /// Do not ask other replicas.
        pub only_this_broker: bool => "onlyThisBroker",
    }

    /// The answer to 41.
    pub struct LockedQueues {
        /// The queues that the client holds now.
        pub lock_ok_mq_set: Vec<MessageQueue> => "lockOKMQSet",
    }

    /// 46: a consumer asks whether its expression is understood.
    pub struct CheckClientConfig {
        /// The client.
        pub client_id: String => "clientId",
        /// Its consumer group.
        pub group: String => "group",
        /// Its namespace.
        pub namespace: String => "namespace",
        /// Its subscription.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub subscription_data: Option<SubscriptionData> => "subscriptionData",
    }
}

impl crate::json::FromJson for Option<SubscriptionData> {
    fn from_json(value: &serde_json::Value) -> Result<Self, crate::json::JsonError> {
        if value.is_null() { Ok(None) } else { SubscriptionData::from_json(value).map(Some) }
    }
}

impl HeartbeatData {
    /// The fingerprint of the whole heartbeat: the hash code of its text without what differs each time.
    pub fn fingerprint(&self) -> i32 {
        let mut plain = self.clone();
        plain.client_id.clear();
        plain.heartbeat_fingerprint = 0;
        plain.without_sub = false;
        let consumers = plain.consumer_data_set.iter_mut();
        consumers.flat_map(|data| &mut data.subscription_data_set).for_each(|data| data.sub_version = 0);
        java_hash_code(&String::from_utf8_lossy(&plain.to_bytes()))
    }
}

header! {
    /// 35: a client takes its leave.
    pub struct UnregisterClient {
        /// The client.
        pub client_id: String => "clientID",
        /// A producer group of it.
        pub producer_group: Option<String> => "producerGroup",
        /// A consumer group of it.
        pub consumer_group: Option<String> => "consumerGroup",
    }

    /// 38: the members of a group.
    pub struct GetConsumerList {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
    }

    /// 40, from the broker: the members of a group have changed.
    pub struct NotifyConsumerIdsChanged {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
    }
}
