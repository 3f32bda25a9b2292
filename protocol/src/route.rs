//! Who has which queues of a topic: what name servers tell clients, and brokers tell name servers.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;
use thiserror::Error;

use crate::json::body::{json_body, json_enum};
use crate::json::{FromJson, FromKey, JsonError, Members};
use crate::perm;

/// One queue of a topic. The order is Java's: topic, broker group, queue id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageQueue {
    /// The topic.
    pub topic: String,
    /// The broker group.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
}

impl Serialize for MessageQueue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("MessageQueue", 3)?;
        members.serialize_field("brokerName", &self.broker_name)?;
        members.serialize_field("queueId", &self.queue_id)?;
        members.serialize_field("topic", &self.topic)?;
        members.end()
    }
}

impl FromJson for MessageQueue {
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let members = Members::of(value)?;
        Ok(Self {
            topic: members.read("topic")?,
            broker_name: members.read("brokerName")?,
            queue_id: members.read("queueId")?,
        })
    }
}

/// As a key of a map the queue is the text of its object.
impl FromKey for MessageQueue {
    fn from_key(key: &str) -> Option<Self> {
        crate::json::from_slice(key.as_bytes()).ok()
    }
}

json_enum! {
    /// How a topic's tags are read. Brokers treat both alike but for one bit of the system flag.
    pub enum TopicFilterType {
        /// One tag a message.
        #[default]
        SingleTag = "SINGLE_TAG",
        /// Several tags a message.
        MultiTag = "MULTI_TAG",
    }
}

json_body! {
    /// Which state of a table this is. Equal in all three, or different; the state version goes first where two are
    /// compared. A Raft group puts its term there.
    #[derive(Copy, Eq)]
    pub struct DataVersion {
        /// Counts changes.
        pub counter: i64 => "counter",
        /// The term of the leader that registered; 0 for a plain broker.
        pub state_version: i64 => "stateVersion",
        /// When it changed last, ms.
        pub timestamp: i64 => "timestamp",
    }

    /// A topic on one broker group. What is absent is 16 queues, read and write.
    #[derive(Eq)]
    pub struct TopicConfig {
        /// Such as `message.type` = `FIFO`.
        pub attributes: BTreeMap<String, String> => "attributes",
        /// Ordered: its queue count is fixed in the name servers.
        pub order: bool => "order",
        /// See [`crate::perm`].
        pub perm: i32 => "perm" = perm::READ_WRITE,
        /// Queues that consumers see.
        pub read_queue_nums: i32 => "readQueueNums" = DEFAULT_QUEUE_NUMS,
        /// How its tags are read.
        pub topic_filter_type: TopicFilterType => "topicFilterType",
        /// The topic.
        pub topic_name: String => "topicName",
        /// Bit 0: unit. Bit 1: unit subscription.
        pub topic_sys_flag: i32 => "topicSysFlag",
        /// Queues that producers see.
        pub write_queue_nums: i32 => "writeQueueNums" = DEFAULT_QUEUE_NUMS,
    }

    /// The queues of a topic on one broker group.
    #[derive(Eq)]
    pub struct QueueData {
        /// The broker group.
        pub broker_name: String => "brokerName",
        /// See [`crate::perm`].
        pub perm: i32 => "perm",
        /// Queues that consumers see.
        pub read_queue_nums: i32 => "readQueueNums",
        /// Bit 0: unit. Bit 1: unit subscription.
        pub topic_sys_flag: i32 => "topicSysFlag",
        /// Queues that producers see.
        pub write_queue_nums: i32 => "writeQueueNums",
    }

    /// The nodes of one broker group. Keys are always written quoted; Go takes this text apart by hand and the Rust
    /// client wants every member.
    #[derive(Eq)]
    pub struct BrokerData {
        /// Broker id to `ip:port`. Id 0 is the leader.
        pub broker_addrs: BTreeMap<i64, String> => "brokerAddrs",
        /// The broker group.
        pub broker_name: String => "brokerName",
        /// The broker cluster.
        pub cluster: String => "cluster",
        /// Of Java's master and slave mode; always false for a Raft group.
        pub enable_acting_master: bool => "enableActingMaster",
        /// The zone, if the brokers said one.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub zone_name: Option<String> => "zoneName",
    }

    /// The route of a topic.
    #[derive(Eq)]
    pub struct TopicRouteData {
        /// The nodes of each broker group that has the topic.
        pub broker_datas: Vec<BrokerData> => "brokerDatas",
        /// Legacy, but must be there.
        pub filter_server_table: BTreeMap<String, Vec<String>> => "filterServerTable",
        /// `group:queues` joined by `;`, without one at the end: Go panics on that.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub order_topic_conf: Option<String> => "orderTopicConf",
        /// The queues on each broker group that has the topic.
        pub queue_datas: Vec<QueueData> => "queueDatas",
    }

    /// All that a name server knows of brokers.
    #[derive(Eq)]
    pub struct ClusterInfo {
        /// Broker group to its nodes.
        pub broker_addr_table: BTreeMap<String, BrokerData> => "brokerAddrTable",
        /// Broker cluster to its broker groups.
        pub cluster_addr_table: BTreeMap<String, Vec<String>> => "clusterAddrTable",
    }

    /// Names and values.
    #[derive(Eq)]
    pub struct KvTable {
        /// The values by their names.
        pub table: BTreeMap<String, String> => "table",
    }

    /// A list of topics.
    #[derive(Eq)]
    pub struct TopicList {
        /// Some broker, for tools that ask on there.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub broker_addr: Option<String> => "brokerAddr",
        /// The topics.
        pub topic_list: Vec<String> => "topicList",
    }
}

/// How many queues a topic has whose configuration does not say.
const DEFAULT_QUEUE_NUMS: i32 = 16;

impl BrokerData {
    /// The address of the leader, if one is known.
    pub fn leader_addr(&self) -> Option<&str> {
        self.broker_addrs.get(&crate::command::route::LEADER_BROKER_ID).map(String::as_str)
    }
}

/// Why the text of a topic's configuration cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopicConfigError {
    /// It has too few parts.
    #[error("topic configuration has {parts} parts, the least is {least}")]
    TooFewParts {
        /// What it has.
        parts: usize,
        /// What it needs.
        least: usize,
    },
    /// A part is not what it has to be.
    #[error("{part} of a topic configuration is {text:?}")]
    Part {
        /// Which part.
        part: &'static str,
        /// What stands there.
        text: String,
    },
}

impl TopicConfig {
    /// Reads the line of a compressed registration: `name reads writes perm filterType [attributes]`. Attributes that
    /// cannot be read are left out.
    ///
    /// # Errors
    /// If a part is missing or is not a number or filter type.
    pub fn from_text(text: &str) -> Result<Self, TopicConfigError> {
        const PARTS_MIN: usize = 5;
        let parts: Vec<&str> = text.splitn(PARTS_MIN + 1, ' ').collect();
        let [topic_name, reads, writes, perm, filter_type, attributes @ ..] = &parts[..] else {
            return Err(TopicConfigError::TooFewParts { parts: parts.len(), least: PARTS_MIN });
        };
        let wrong = |part, text: &str| TopicConfigError::Part { part, text: text.to_owned() };
        let number = |part, text: &str| text.parse::<i32>().map_err(|_| wrong(part, text));
        let attributes = attributes.first().and_then(|text| crate::json::from_slice(text.as_bytes()).ok());
        Ok(Self {
            attributes: attributes.unwrap_or_default(),
            perm: number("perm", perm)?,
            read_queue_nums: number("readQueueNums", reads)?,
            topic_filter_type: TopicFilterType::ALL
                .iter()
                .copied()
                .find(|one| one.name() == *filter_type)
                .ok_or_else(|| wrong("topicFilterType", filter_type))?,
            topic_name: (*topic_name).to_owned(),
            write_queue_nums: number("writeQueueNums", writes)?,
            ..Self::default()
        })
    }

    /// The line of a compressed registration, in the form of 5.x: order and system flag do not travel in it.
    pub fn to_text(&self) -> String {
        let attributes = crate::json::to_bytes(&self.attributes);
        format!(
            "{} {} {} {} {} {}",
            self.topic_name,
            self.read_queue_nums,
            self.write_queue_nums,
            self.perm,
            self.topic_filter_type.name(),
            String::from_utf8_lossy(&attributes)
        )
    }
}
