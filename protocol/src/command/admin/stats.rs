//! Statistics.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use serde_json::Value;

use crate::json::body::json_body;
use crate::json::{FromJson, JsonError, Members, push_string, write_queue_map};
use crate::route::MessageQueue;

json_body! {
    /// The ends of one queue.
    #[derive(Copy, Eq)]
    pub struct TopicOffset {
        /// Store time of the last message, ms; 0 for none.
        pub last_update_timestamp: i64 => "lastUpdateTimestamp",
        /// The queue offset behind the last message.
        pub max_offset: i64 => "maxOffset",
        /// The first queue offset.
        pub min_offset: i64 => "minOffset",
    }

    /// How far a group has come in one queue.
    #[derive(Copy, Eq)]
    pub struct OffsetWrapper {
        /// The queue offset behind the last message.
        pub broker_offset: i64 => "brokerOffset",
        /// The consumer offset; 0 for none.
        pub consumer_offset: i64 => "consumerOffset",
        /// Store time of the last message consumed, ms; 0 for none.
        pub last_timestamp: i64 => "lastTimestamp",
        /// How far it has pulled.
        pub pull_offset: i64 => "pullOffset",
    }

    /// One statistic over three spans; the answer to 315.
    pub struct BrokerStatsData {
        /// The last day.
        pub stats_day: BrokerStatsItem => "statsDay",
        /// The last hour.
        pub stats_hour: BrokerStatsItem => "statsHour",
        /// The last minute.
        pub stats_minute: BrokerStatsItem => "statsMinute",
    }

    /// One statistic over one span.
    #[derive(Copy)]
    pub struct BrokerStatsItem {
        /// The average of one call.
        pub avgpt: f64 => "avgpt",
        /// The sum.
        pub sum: i64 => "sum",
        /// A second.
        pub tps: f64 => "tps",
    }

    /// Since when a group's queues wait; the answer to 303.
    pub struct ConsumeTimeSpan {
        /// The queues.
        pub consume_time_span_set: Vec<QueueTimeSpan> => "consumeTimeSpanSet",
    }

    /// Since when a queue waits for a group.
    pub struct QueueTimeSpan {
        /// Store time of the last message consumed, ms.
        pub consume_time_stamp: i64 => "consumeTimeStamp",
        /// How old the next one is, ms.
        pub delay_time: i64 => "delayTime",
        /// Store time of the last message, ms.
        pub max_time_stamp: i64 => "maxTimeStamp",
        /// The queue.
        pub message_queue: MessageQueue => "messageQueue",
        /// Store time of the first message, ms.
        pub min_time_stamp: i64 => "minTimeStamp",
    }

    /// How the copies of a log stand; the answer to 907.
    pub struct HaStatus {
        /// A follower's own view; all zeros on a leader.
        pub ha_client_runtime_info: Value => "haClientRuntimeInfo" = serde_json::json!({
            "lastReadTimestamp": 0, "lastWriteTimestamp": 0, "masterFlushOffset": 0, "maxOffset": 0,
            "transferredByteInSecond": 0
        }),
        /// The followers, as the leader sees them.
        pub ha_connection_info: Vec<HaConnectionInfo> => "haConnectionInfo",
        /// How many followers keep up.
        pub in_sync_slave_nums: i32 => "inSyncSlaveNums",
        /// Whether this is the leader.
        pub master: bool => "master",
        /// The end of the leader's log.
        pub master_commit_log_max_offset: i64 => "masterCommitLogMaxOffset",
    }

    /// How one follower stands.
    pub struct HaConnectionInfo {
        /// Its address.
        pub addr: String => "addr",
        /// How many bytes it lacks.
        pub diff: i64 => "diff",
        /// Whether it keeps up.
        pub in_sync: bool => "inSync",
        /// The end of its log.
        pub slave_ack_offset: i64 => "slaveAckOffset",
        /// Where its next bytes come from.
        pub transfer_from_where: i64 => "transferFromWhere",
        /// How many bytes it gets a second.
        pub transferred_byte_in_second: i64 => "transferredByteInSecond",
    }
}

/// The ends of a topic's queues; the answer to 202.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicStatsTable {
    /// The queues.
    pub offset_table: BTreeMap<MessageQueue, TopicOffset>,
    /// Messages stored a second.
    pub topic_put_tps: f64,
}

/// How far a group has come; the answer to 208.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConsumeStats {
    /// Messages consumed a second.
    pub consume_tps: f64,
    /// The queues.
    pub offset_table: BTreeMap<MessageQueue, OffsetWrapper>,
}

/// How far all groups of a broker have come; the answer to 317.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BrokerConsumeStats {
    /// The broker's address.
    pub broker_addr: String,
    /// One element a group: its name, and its statistics topic by topic.
    pub consume_stats_list: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
    /// Messages not consumed yet, in all.
    pub total_diff: i64,
    /// Messages pulled and not consumed yet, in all.
    pub total_inflight_diff: i64,
}

impl TopicStatsTable {
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
        push_number(&mut text, ",\"topicPutTps\":", self.topic_put_tps);
        text.push('}');
        Bytes::from(text)
    }
}

impl ConsumeStats {
    /// Reads the body leniently.
    ///
    /// # Errors
    /// If it is not such a body.
    pub fn read(body: &[u8]) -> Result<Self, JsonError> {
        crate::json::from_slice(body)
    }

    /// The text of the body.
    pub fn to_bytes(&self) -> Bytes {
        let mut text = String::new();
        self.push(&mut text);
        Bytes::from(text)
    }

    fn push(&self, text: &mut String) {
        push_number(text, "{\"consumeTps\":", self.consume_tps);
        text.push_str(",\"offsetTable\":");
        write_queue_map(text, &self.offset_table);
        text.push('}');
    }
}

impl BrokerConsumeStats {
    /// Reads the body leniently.
    ///
    /// # Errors
    /// If it is not such a body.
    pub fn read(body: &[u8]) -> Result<Self, JsonError> {
        crate::json::from_slice(body)
    }

    /// The text of the body.
    pub fn to_bytes(&self) -> Bytes {
        let mut text = String::from("{\"brokerAddr\":");
        push_string(&mut text, &self.broker_addr);
        text.push_str(",\"consumeStatsList\":");
        push_list(&mut text, &self.consume_stats_list, |text, groups| {
            text.push('{');
            for (index, (group, topics)) in groups.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                push_string(text, group);
                text.push(':');
                push_list(text, topics, |text, stats| stats.push(text));
            }
            text.push('}');
        });
        write!(
            text,
            ",\"totalDiff\":{},\"totalInflightDiff\":{}}}",
            self.total_diff, self.total_inflight_diff
        )
        .expect("writing to a string never fails");
        Bytes::from(text)
    }
}

fn push_list<T>(text: &mut String, items: &[T], push: impl Fn(&mut String, &T)) {
    text.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push(text, item);
    }
    text.push(']');
}

/// Appends a fraction, always with its point; what is not a number becomes 0.
fn push_number(text: &mut String, before: &str, value: f64) {
    let value = if value.is_finite() { value } else { 0.0 };
    write!(text, "{before}{value:?}").expect("writing to a string never fails");
}

impl FromJson for TopicStatsTable {
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let members = Members::of(value)?;
        Ok(Self { offset_table: members.read("offsetTable")?, topic_put_tps: members.read("topicPutTps")? })
    }
}

impl FromJson for ConsumeStats {
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let members = Members::of(value)?;
        Ok(Self { consume_tps: members.read("consumeTps")?, offset_table: members.read("offsetTable")? })
    }
}

impl FromJson for BrokerConsumeStats {
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let members = Members::of(value)?;
        Ok(Self {
            broker_addr: members.read("brokerAddr")?,
            consume_stats_list: members.read("consumeStatsList")?,
            total_diff: members.read("totalDiff")?,
            total_inflight_diff: members.read("totalInflightDiff")?,
        })
    }
}
