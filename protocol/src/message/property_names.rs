//! The names of well-known message properties. Source: Java's `MessageConst`.
/// Business keys, separated by spaces; each is indexed.
pub const KEYS: &str = "KEYS";
/// The tag that filters go by.
pub const TAGS: &str = "TAGS";
/// `false`: the sender does not wait for the flush.
pub const WAIT: &str = "WAIT";
/// Delay level, 0 for none.
pub const DELAY_TIME_LEVEL: &str = "DELAY";
/// The first topic of a message that was sent back.
pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
/// Where a delayed or half message really belongs.
pub const REAL_TOPIC: &str = "REAL_TOPIC";
/// The queue it really belongs to.
pub const REAL_QUEUE_ID: &str = "REAL_QID";
/// `true`: a half message.
pub const TRANSACTION_PREPARED: &str = "TRAN_MSG";
/// The producer group to ask about a transaction.
pub const PRODUCER_GROUP: &str = "PGROUP";
/// Added by consumers to what they pulled.
pub const MIN_OFFSET: &str = "MIN_OFFSET";
/// Added by consumers to what they pulled.
pub const MAX_OFFSET: &str = "MAX_OFFSET";
/// `BUYER_ID`
pub const BUYER_ID: &str = "BUYER_ID";
/// The id of the first delivery, kept over retries.
pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// `TRANSFER_FLAG`
pub const TRANSFER_FLAG: &str = "TRANSFER_FLAG";
/// `CORRECTION_FLAG`
pub const CORRECTION_FLAG: &str = "CORRECTION_FLAG";
/// `MQ2_FLAG`
pub const MQ2_FLAG: &str = "MQ2_FLAG";
/// How often it was consumed, on a consumer's own retry send.
pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
/// The broker's region.
pub const MSG_REGION: &str = "MSG_REGION";
/// The broker's trace switch.
pub const TRACE_SWITCH: &str = "TRACE_ON";
/// The client's own message id; indexed.
pub const UNIQ_KEY: &str = "UNIQ_KEY";
/// `EXTEND_UNIQ_INFO`
pub const EXTEND_UNIQ_INFO: &str = "EXTEND_UNIQ_INFO";
/// How often it may be consumed, likewise.
pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
/// `CONSUME_START_TIME`
pub const CONSUME_START_TIMESTAMP: &str = "CONSUME_START_TIME";
/// How many messages an inner batch has.
pub const INNER_NUM: &str = "INNER_NUM";
/// `INNER_BASE`
pub const INNER_BASE: &str = "INNER_BASE";
/// `DUP_INFO`
pub const DUP_INFO: &str = "DUP_INFO";
/// `CHECK_IMMUNITY_TIME_IN_SECONDS`
pub const CHECK_IMMUNITY_TIME_IN_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
/// `TRAN_PREPARED_QUEUE_OFFSET`
pub const TRANSACTION_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
/// The transaction's id.
pub const TRANSACTION_ID: &str = "__transactionId__";
/// `TRANSACTION_CHECK_TIMES`
pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
/// `INSTANCE_ID`
pub const INSTANCE_ID: &str = "INSTANCE_ID";
/// Matches a reply to its request.
pub const CORRELATION_ID: &str = "CORRELATION_ID";
/// The client id that waits for a reply.
pub const MESSAGE_REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
/// How long a requester waits, ms.
pub const MESSAGE_TTL: &str = "TTL";
/// `ARRIVE_TIME`
pub const REPLY_MESSAGE_ARRIVE_TIME: &str = "ARRIVE_TIME";
/// `PUSH_REPLY_TIME`
pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
/// The broker cluster, for replies.
pub const CLUSTER: &str = "CLUSTER";
/// `reply` for a reply.
pub const MESSAGE_TYPE: &str = "MSG_TYPE";
/// Never taken from a sender.
pub const POP_CK: &str = "POP_CK";
/// `POP_CK_OFFSET`
pub const POP_CK_OFFSET: &str = "POP_CK_OFFSET";
/// `1ST_POP_TIME`
pub const FIRST_POP_TIME: &str = "1ST_POP_TIME";
/// The key that chose the queue of an ordered message.
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
/// `PROPERTY_FORWARD_QUEUE_ID`
pub const FORWARD_QUEUE_ID: &str = "PROPERTY_FORWARD_QUEUE_ID";
/// `REDIRECT`
pub const REDIRECT: &str = "REDIRECT";
/// `INNER_MULTI_DISPATCH`
pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
/// `INNER_MULTI_QUEUE_OFFSET`
pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
/// `TRACE_CONTEXT`
pub const TRACE_CONTEXT: &str = "TRACE_CONTEXT";
/// `TIMER_DELAY_SEC`
pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
/// `TIMER_DELIVER_MS`
pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
/// `__BORNHOST`
pub const BORN_HOST: &str = "__BORNHOST";
/// `BORN_TIMESTAMP`
pub const BORN_TIMESTAMP: &str = "BORN_TIMESTAMP";
/// What begins so is never stored.
pub const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";
/// `__RMQ.TRANSIENT.TOPIC_SYS_FLAG`
pub const TRANSIENT_TOPIC_CONFIG: &str = "__RMQ.TRANSIENT.TOPIC_SYS_FLAG";
/// `__RMQ.TRANSIENT.GROUP_SYS_FLAG`
pub const TRANSIENT_GROUP_CONFIG: &str = "__RMQ.TRANSIENT.GROUP_SYS_FLAG";
/// Between two keys of one message.
pub const KEY_SEPARATOR: char = ' ';
/// `TIMER_ENQUEUE_MS`
pub const TIMER_ENQUEUE_MS: &str = "TIMER_ENQUEUE_MS";
/// `TIMER_DEQUEUE_MS`
pub const TIMER_DEQUEUE_MS: &str = "TIMER_DEQUEUE_MS";
/// `TIMER_ROLL_TIMES`
pub const TIMER_ROLL_TIMES: &str = "TIMER_ROLL_TIMES";
/// `TIMER_OUT_MS`
pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
/// `TIMER_DEL_UNIQKEY`
pub const TIMER_DEL_UNIQKEY: &str = "TIMER_DEL_UNIQKEY";
/// `TIMER_DELAY_LEVEL`
pub const TIMER_DELAY_LEVEL: &str = "TIMER_DELAY_LEVEL";
/// `TIMER_DELAY_MS`
pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
/// Checksum of the unit before it, its least significant digit first.
pub const CRC32: &str = "__CRC32#";
/// `DLQ_ORIGIN_TOPIC`
pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
/// `DLQ_ORIGIN_MESSAGE_ID`
pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
