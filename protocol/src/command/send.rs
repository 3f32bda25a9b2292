//! Sending: requests 10, 310, 320, 324, 325; sending back (36); the end of transactions (37, 39); replies (326).

use super::header;
use crate::code::request;
use crate::command::{Command, Header};
use crate::ext::{ExtFields, FieldError};

/// Answer field with the broker's region; on every answer to a send.
pub const MSG_REGION: &str = "MSG_REGION";
/// Answer field with the broker's trace switch; on every answer to a send.
pub const TRACE_ON: &str = "TRACE_ON";
/// Answer field that tells Java to report one id for a whole inner batch.
pub const BATCH_UNIQ_ID: &str = "batchUniqId";
/// Answer field with which a delayed message can be called back.
pub const RECALL_HANDLE: &str = "recallHandle";

/// A send. Long names travel with codes 10 and 324, one letter each with 310, 320 and 325.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendRequest {
    /// The producer group.
    pub producer_group: String,
    /// The topic.
    pub topic: String,
    /// The topic to take as a template when the topic does not exist.
    pub default_topic: String,
    /// How many queues a topic made for this send should have.
    pub default_topic_queue_nums: i32,
    /// The queue; negative lets the broker choose.
    pub queue_id: i32,
    /// See [`crate::message::sys_flag`]; as it came, host bits included.
    pub sys_flag: i32,
    /// When it was sent, by the sender's clock.
    pub born_timestamp_ms: i64,
    /// The sender's own flag.
    pub flag: i32,
    /// The properties text, see [`crate::message::properties`].
    pub properties: String,
    /// How often it has been consumed before.
    pub reconsume_times: i32,
    /// Unit mode; retry topics made for this send are marked so.
    pub unit_mode: bool,
    /// How often it may be consumed; for retry topics only.
    pub max_reconsume_times: Option<i32>,
    /// Whether the body is a batch. This decides, not the code.
    pub batch: bool,
}

/// The field names of one of the two forms.
struct Names {
    producer_group: &'static str,
    topic: &'static str,
    default_topic: &'static str,
    default_topic_queue_nums: &'static str,
    queue_id: &'static str,
    sys_flag: &'static str,
    born_timestamp: &'static str,
    flag: &'static str,
    properties: &'static str,
    reconsume_times: &'static str,
    unit_mode: &'static str,
    max_reconsume_times: &'static str,
    batch: &'static str,
}

const LONG: Names = Names {
    producer_group: "producerGroup",
    topic: "topic",
    default_topic: "defaultTopic",
    default_topic_queue_nums: "defaultTopicQueueNums",
    queue_id: "queueId",
    sys_flag: "sysFlag",
    born_timestamp: "bornTimestamp",
    flag: "flag",
    properties: "properties",
    reconsume_times: "reconsumeTimes",
    unit_mode: "unitMode",
    max_reconsume_times: "maxReconsumeTimes",
    batch: "batch",
};

const SHORT: Names = Names {
    producer_group: "a",
    topic: "b",
    default_topic: "c",
    default_topic_queue_nums: "d",
    queue_id: "e",
    sys_flag: "f",
    born_timestamp: "g",
    flag: "h",
    properties: "i",
    reconsume_times: "j",
    unit_mode: "k",
    max_reconsume_times: "l",
    batch: "m",
};

/// Whether a code goes with the one-letter names.
fn has_short_names(code: i32) -> bool {
    matches!(code, request::SEND_MESSAGE_V2 | request::SEND_BATCH_MESSAGE | request::SEND_REPLY_MESSAGE_V2)
}

impl SendRequest {
    /// Reads the fields of `command`, in the form that goes with its code.
    ///
    /// # Errors
    /// If a required field is missing, or one cannot be read.
    pub fn read(command: &Command) -> Result<Self, FieldError> {
        let names = if has_short_names(command.code) { &SHORT } else { &LONG };
        let ext = &command.ext;
        Ok(Self {
            producer_group: ext.required(names.producer_group)?.to_owned(),
            topic: ext.required(names.topic)?.to_owned(),
            default_topic: ext.required(names.default_topic)?.to_owned(),
            default_topic_queue_nums: ext.required_i32(names.default_topic_queue_nums)?,
            queue_id: ext.required_i32(names.queue_id)?,
            sys_flag: ext.required_i32(names.sys_flag)?,
            born_timestamp_ms: ext.required_i64(names.born_timestamp)?,
            flag: ext.required_i32(names.flag)?,
            properties: ext.get(names.properties).unwrap_or_default().to_owned(),
            reconsume_times: ext.i32(names.reconsume_times)?.unwrap_or(0),
            unit_mode: ext.bool(names.unit_mode).unwrap_or(false),
            max_reconsume_times: ext.i32(names.max_reconsume_times)?,
            batch: ext.bool(names.batch).unwrap_or(false),
        })
    }

    /// A request with this header, in the form that goes with `code`.
    pub fn to_command(&self, code: i32) -> Command {
        let mut command = Command::request(code);
        self.write_names(&mut command.ext, if has_short_names(code) { &SHORT } else { &LONG });
        command
    }

    /// Puts the fields into `ext` by their one-letter names, for codes 310, 320 and 325.
    pub fn write(&self, ext: &mut ExtFields) {
        self.write_names(ext, &SHORT);
    }

    /// Puts the fields into `ext` by their long names, for codes 10 and 324.
    pub fn write_long(&self, ext: &mut ExtFields) {
        self.write_names(ext, &LONG);
    }

    fn write_names(&self, ext: &mut ExtFields, names: &Names) {
        let bool_text = |value: bool| if value { "true" } else { "false" };
        ext.insert(names.producer_group, &self.producer_group);
        ext.insert(names.topic, &self.topic);
        ext.insert(names.default_topic, &self.default_topic);
        ext.insert_display(names.default_topic_queue_nums, self.default_topic_queue_nums);
        ext.insert_display(names.queue_id, self.queue_id);
        ext.insert_display(names.sys_flag, self.sys_flag);
        ext.insert_display(names.born_timestamp, self.born_timestamp_ms);
        ext.insert_display(names.flag, self.flag);
        ext.insert(names.properties, &self.properties);
        ext.insert_display(names.reconsume_times, self.reconsume_times);
        ext.insert(names.unit_mode, bool_text(self.unit_mode));
        if let Some(max_reconsume_times) = self.max_reconsume_times {
            ext.insert_display(names.max_reconsume_times, max_reconsume_times);
        }
        ext.insert(names.batch, bool_text(self.batch));
    }
}

impl Header for SendRequest {
    fn read(command: &Command) -> Result<Self, FieldError> {
        Self::read(command)
    }

    fn write(&self, ext: &mut ExtFields) {
        Self::write(self, ext);
    }
}

header! {
    /// The answer to a send that was stored. Clients read every field as text, and Java needs all but the last.
    pub struct SendResponse {
        /// Offset message id; for a batch one a message, joined by commas.
        pub msg_id: String => "msgId",
        /// The queue it is in.
        pub queue_id: i32 => "queueId",
        /// Its place there; of a batch, that of the first.
        pub queue_offset: i64 => "queueOffset",
        /// The message's unique key.
        pub transaction_id: Option<String> => "transactionId",
    }

    /// 36: a consumer gives a message back, to have it later again.
    pub struct SendBackRequest {
        /// The commitlog offset of the message.
        pub offset: i64 => "offset",
        /// The consumer group.
        pub group: String => "group",
        /// Negative: to the dead letters. 0: by how often it came. Else the level.
        pub delay_level: i32 => "delayLevel",
        /// The id of its first delivery.
        pub origin_msg_id: Option<String> => "originMsgId",
        /// Its topic.
        pub origin_topic: Option<String> => "originTopic",
        /// Unit mode.
        pub unit_mode: bool => "unitMode",
        /// How often it may be consumed; the group says if absent.
        pub max_reconsume_times: Option<i32> => "maxReconsumeTimes",
    }

    /// 37: a producer tells the outcome of a transaction.
    pub struct EndTransaction {
        /// The producer group.
        pub producer_group: String => "producerGroup",
        /// The queue offset of the half message.
        pub tran_state_table_offset: i64 => "tranStateTableOffset",
        /// The commitlog offset of the half message.
        pub commit_log_offset: i64 => "commitLogOffset",
        /// 0 unknown, 8 commit, 12 rollback.
        pub commit_or_rollback: i32 => "commitOrRollback",
        /// Whether the broker had asked.
        pub from_transaction_check: bool => "fromTransactionCheck",
        /// The unique key.
        pub msg_id: String => "msgId",
        /// The id of the transaction.
        pub transaction_id: Option<String> => "transactionId",
        /// The topic; only from 5.x clients.
        pub topic: Option<String> => "topic",
    }

    /// 39: a broker asks a producer for the outcome of a transaction. The body is the half message.
    pub struct CheckTransactionState {
        /// The topic.
        pub topic: Option<String> => "topic",
        /// The queue offset of the half message.
        pub tran_state_table_offset: i64 => "tranStateTableOffset",
        /// The commitlog offset of the half message.
        pub commit_log_offset: i64 => "commitLogOffset",
        /// The unique key.
        pub msg_id: Option<String> => "msgId",
        /// The id of the transaction, again the unique key.
        pub transaction_id: Option<String> => "transactionId",
        /// The offset message id of the half message.
        pub offset_msg_id: Option<String> => "offsetMsgId",
    }

    /// 326: a broker hands a reply to the client that waits for it. The body is the reply's.
    pub struct PushReply {
        /// The group of who replied.
        pub producer_group: String => "producerGroup",
        /// The reply topic.
        pub topic: String => "topic",
        /// As it was sent.
        pub default_topic: String => "defaultTopic",
        /// As it was sent.
        pub default_topic_queue_nums: i32 => "defaultTopicQueueNums",
        /// The queue.
        pub queue_id: i32 => "queueId",
        /// See [`crate::message::sys_flag`].
        pub sys_flag: i32 => "sysFlag",
        /// When the reply was sent.
        pub born_timestamp_ms: i64 => "bornTimestamp",
        /// The sender's own flag.
        pub flag: i32 => "flag",
        /// The properties text.
        pub properties: Option<String> => "properties",
        /// How often it has been consumed.
        pub reconsume_times: Option<i32> => "reconsumeTimes",
        /// Unit mode.
        pub unit_mode: bool => "unitMode",
        /// `ip:port` of who replied.
        pub born_host: String => "bornHost",
        /// `ip:port` of the broker.
        pub store_host: String => "storeHost",
        /// When the broker took it.
        pub store_timestamp_ms: i64 => "storeTimestamp",
    }

    /// 370: a producer calls a delayed message back.
    pub struct RecallMessage {
        /// The producer group.
        pub producer_group: Option<String> => "producerGroup",
        /// The topic.
        pub topic: String => "topic",
        /// What the send was answered.
        pub recall_handle: String => "recallHandle",
    }
}
