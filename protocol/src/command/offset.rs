//! Consumer offsets and the ends of queues: requests 14, 15, 29–32, 43, 220, 222, 308, 314.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;

use super::header;
use crate::json::body::{json_body, json_enum};
use crate::json::{FromJson, JsonError, Members, push_string, write_queue_map};
use crate::route::{DataVersion, MessageQueue};

json_enum! {
    /// Which message a time that falls between two means.
    pub enum BoundaryType {
        /// The first at or after it.
        #[default]
        Lower = "LOWER",
        /// The last at or before it.
        Upper = "UPPER",
    }
}

header! {
    /// 14: how far a group has come.
    pub struct QueryConsumerOffset {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
        /// The topic.
        pub topic: String => "topic",
        /// The queue.
        pub queue_id: i32 => "queueId",
        /// False: do not answer 0 in place of nothing.
        pub set_zero_if_not_found: Option<bool> => "setZeroIfNotFound",
    }

    /// 15: how far a group has come. Often oneway.
    pub struct UpdateConsumerOffset {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
        /// The topic.
        pub topic: String => "topic",
        /// The queue.
        pub queue_id: i32 => "queueId",
        /// The queue offset to consume next.
        pub commit_offset: i64 => "commitOffset",
    }

    /// The answer to 14, 29, 30 and 31.
    pub struct OffsetResponse {
        /// A queue offset.
        pub offset: i64 => "offset",
    }

    /// 30 and 31: the end or the start of a queue.
    pub struct QueueOffsetRequest {
        /// The topic.
        pub topic: String => "topic",
        /// The queue.
        pub queue_id: i32 => "queueId",
    }

    /// 29: the queue offset of a store time.
    pub struct SearchOffset {
        /// The topic.
        pub topic: String => "topic",
        /// The queue.
        pub queue_id: i32 => "queueId",
        /// The store time.
        pub timestamp_ms: i64 => "timestamp",
        /// `LOWER` or `UPPER`; see [`SearchOffset::boundary`].
        pub boundary_type: Option<String> => "boundaryType",
    }

    /// 32: the store time of the first message of a queue.
    pub struct EarliestStoreTime {
        /// The topic.
        pub topic: String => "topic",
        /// The queue.
        pub queue_id: i32 => "queueId",
    }

    /// The answer to 32.
    pub struct TimestampResponse {
        /// A time; -1 for none.
        pub timestamp_ms: i64 => "timestamp",
    }

    /// 222: an administrator sets the offsets of a group.
    pub struct ResetOffset {
        /// The topic.
        pub topic: String => "topic",
        /// The consumer group.
        pub group: String => "group",
        /// The store time to go to; -1 for the end.
        pub timestamp_ms: i64 => "timestamp",
        /// Also forward.
        pub is_force: bool => "isForce",
        /// The queue; -1 or absent for all.
        pub queue_id: Option<i32> => "queueId",
        /// The queue offset; -1 or absent for by time.
        pub offset: Option<i64> => "offset",
    }

    /// 223, and 221 to a client: how far the members of a group say they have come.
    pub struct ConsumerStatus {
        /// The topic.
        pub topic: String => "topic",
        /// The consumer group.
        pub group: String => "group",
        /// One client; absent for all.
        pub client_addr: Option<String> => "clientAddr",
    }

    /// 308: offsets that other groups have passed.
    pub struct QueryCorrectionOffset {
        /// Groups to look at, separated by commas.
        pub filter_groups: Option<String> => "filterGroups",
        /// The group to compare with.
        pub compare_group: String => "compareGroup",
        /// The topic.
        pub topic: String => "topic",
    }

    /// 314: copies a group's offsets.
    pub struct CloneGroupOffset {
        /// The group to copy from.
        pub src_group: String => "srcGroup",
        /// The group to copy to.
        pub dest_group: String => "destGroup",
        /// One topic; absent for all.
        pub topic: Option<String> => "topic",
        /// Whether members of the group may be online.
        pub offline: bool => "offline",
    }
}

impl SearchOffset {
    /// Which message is meant; the lower one unless said otherwise.
    pub fn boundary(&self) -> BoundaryType {
        self.boundary_type.as_deref().and_then(BoundaryType::from_name).unwrap_or_default()
    }
}

json_body! {
    /// 43: all consumer offsets of a broker. Keys are `topic@group`.
    pub struct ConsumerOffsetTable {
        /// Which state this is.
        pub data_version: DataVersion => "dataVersion",
        /// `topic@group` to queue to consumer offset.
        pub offset_table: BTreeMap<String, BTreeMap<i32, i64>> => "offsetTable",
    }

    /// 45: all offsets of the delay levels.
    pub struct DelayOffsetTable {
        /// Which state this is.
        pub data_version: DataVersion => "dataVersion",
        /// Level to queue offset.
        pub offset_table: BTreeMap<i32, i64> => "offsetTable",
    }

    /// The answer to 308.
    pub struct CorrectionOffsets {
        /// Queue to offset.
        pub correction_offsets: BTreeMap<i32, i64> => "correctionOffsets",
    }
}

/// The answer to 222 and the body of 220: queues and their new offsets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResetOffsetBody {
    /// Queue to queue offset.
    pub offset_table: BTreeMap<MessageQueue, i64>,
}

impl ResetOffsetBody {
    /// Reads the body leniently.
    ///
    /// # Errors
    /// If it is not such a body.
    pub fn read(body: &[u8]) -> Result<Self, JsonError> {
        crate::json::from_slice(body)
    }

    /// The text of the body.
    pub fn to_bytes(&self) -> Bytes {
        let mut text = String::from("{\"offsetTable\":");
        write_queue_map(&mut text, &self.offset_table);
        text.push('}');
        Bytes::from(text)
    }

    /// The list form, which is the only one that C++ clients read.
    pub fn to_list_bytes(&self) -> Bytes {
        let mut text = String::from("{\"offsetTable\":[");
        for (index, (queue, offset)) in self.offset_table.iter().enumerate() {
            text.push_str(if index == 0 { "{\"brokerName\":" } else { ",{\"brokerName\":" });
            push_string(&mut text, &queue.broker_name);
            write!(text, ",\"offset\":{offset},\"queueId\":{},\"topic\":", queue.queue_id)
                .expect("writing to a string never fails");
            push_string(&mut text, &queue.topic);
            text.push('}');
        }
        text.push_str("]}");
        Bytes::from(text)
    }
}

impl FromJson for ResetOffsetBody {
    fn from_json(value: &serde_json::Value) -> Result<Self, JsonError> {
        Ok(Self { offset_table: Members::of(value)?.read("offsetTable")? })
    }
}

/// The answer to 221 and 223: what clients say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsumerStatusBody {
    /// Client id to its queues and offsets; of 223.
    pub consumer_table: BTreeMap<String, BTreeMap<MessageQueue, i64>>,
    /// Queues and offsets of one client; of 221.
    pub message_queue_table: BTreeMap<MessageQueue, i64>,
}

impl ConsumerStatusBody {
    /// Reads the body leniently.
    ///
    /// # Errors
    /// If it is not such a body.
    pub fn read(body: &[u8]) -> Result<Self, JsonError> {
        crate::json::from_slice(body)
    }

    /// The text of the body.
    pub fn to_bytes(&self) -> Bytes {
        let mut text = String::from("{\"consumerTable\":{");
        for (index, (client_id, table)) in self.consumer_table.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_string(&mut text, client_id);
            text.push(':');
            write_queue_map(&mut text, table);
        }
        text.push_str("},\"messageQueueTable\":");
        write_queue_map(&mut text, &self.message_queue_table);
        text.push('}');
        Bytes::from(text)
    }
}

impl FromJson for ConsumerStatusBody {
    fn from_json(value: &serde_json::Value) -> Result<Self, JsonError> {
        let members = Members::of(value)?;
        Ok(Self {
            consumer_table: members.read("consumerTable")?,
            message_queue_table: members.read("messageQueueTable")?,
        })
    }
}
