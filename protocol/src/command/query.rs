//! Looking messages up: requests 12, 33, 321.

use super::header;
use crate::json::body::json_body;
use crate::subscription::SubscriptionData;

/// Field of a query: the key is a unique key.
pub const UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";

header! {
    /// 12: messages by key. The answer's body is their units.
    pub struct QueryMessage {
        /// The topic.
        pub topic: String => "topic",
        /// The key, or the unique key.
        pub key: String => "key",
        /// The most messages wanted.
        pub max_num: i32 => "maxNum",
        /// The earliest store time, inclusive.
        pub begin_timestamp_ms: i64 => "beginTimestamp",
        /// The latest store time, inclusive.
        pub end_timestamp_ms: i64 => "endTimestamp",
        /// Whether the key is a unique key.
        pub is_unique_key: bool => "_UNIQUE_KEY_QUERY",
    }

    /// The answer's header, found or not.
    pub struct QueryMessageResponse {
        /// The store time of the last message in the index.
        pub index_last_update_timestamp: i64 => "indexLastUpdateTimestamp",
        /// The commitlog offset of the last message in the index.
        pub index_last_update_phyoffset: i64 => "indexLastUpdatePhyoffset",
    }

    /// 33: one message by its commitlog offset. The answer's body is its unit.
    pub struct ViewMessage {
        /// The commitlog offset.
        pub offset: i64 => "offset",
        /// The topic; from 5.x clients, and not needed.
        pub topic: Option<String> => "topic",
    }

    /// 321: a look into a consume queue.
    pub struct QueryConsumeQueue {
        /// The topic.
        pub topic: String => "topic",
        /// The queue.
        pub queue_id: i32 => "queueId",
        /// The first queue offset wanted.
        pub index: i64 => "index",
        /// How many units.
        pub count: i32 => "count",
        /// Whose filter to try on them.
        pub consumer_group: Option<String> => "consumerGroup",
    }
}

json_body! {
    /// The answer to 321.
    pub struct QueryConsumeQueueBody {
        /// What the filter knows.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub filter_data: Option<String> => "filterData",
        /// The queue offset behind the last unit.
        pub max_queue_index: i64 => "maxQueueIndex",
        /// The first queue offset.
        pub min_queue_index: i64 => "minQueueIndex",
        /// The units.
        pub queue_data: Vec<ConsumeQueueData> => "queueData",
        /// The group's subscription.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub subscription_data: Option<SubscriptionData> => "subscriptionData",
    }

    /// One unit of a consume queue.
    pub struct ConsumeQueueData {
        /// Whether the filter lets it pass.
        pub eval: bool => "eval",
        /// Commitlog offset of the message.
        pub physic_offset: i64 => "physicOffset",
        /// Size of the message's unit.
        pub physic_size: i32 => "physicSize",
        /// The tag hash.
        pub tags_code: i64 => "tagsCode",
    }
}
