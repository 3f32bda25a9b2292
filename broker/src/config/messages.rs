//! What a node grants to producers and consumers.

use settings::Reader;

/// RocketMQ's 18 levels of delay.
const DELAY_LEVELS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";
/// Beside its body a message has properties and fields of at most this many bytes, and so has its log entry.
/// Source: RocketMQ `MessageExtEncoder` (64 KiB over the body).
const BESIDE_BODY_BYTES: u64 = 64 * 1024;
/// Larger frames are refused by every RocketMQ endpoint. Source: RocketMQ `NettyDecoder`.
const FRAME_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Limits and switches of sending, pulling, delays and transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of RocketMQ's by itself")]
pub struct Messages {
    /// `maxMessageSize`: largest body in bytes. Default 4,194,304.
    pub body_bytes_max: u64,
    /// `autoCreateTopicEnable`: whether sending to an unknown topic makes it. Default true.
    pub auto_create_topic: bool,
    /// `autoCreateSubscriptionGroup`: whether an unknown consumer group is made at its first use. Default true.
    pub auto_create_group: bool,
    /// `defaultTopicQueueNums`: most queues of a topic made by sending to it. Default 8.
    pub default_topic_queues: u32,
    /// `flushConsumerOffsetInterval`: milliseconds. Consumer offsets are in the Raft log long before. Default 5,000.
    pub flush_consumer_offset_interval_ms: u64,
    /// `longPollingEnable`: whether a pull that finds nothing waits as long as the client allows. Default true.
    pub long_polling: bool,
    /// `shortPollingTimeMills`: milliseconds it waits otherwise. Default 1,000.
    pub short_polling_ms: u64,
    /// `waitTimeMillsInSendQueue`: milliseconds a send may wait before it is taken up. Default 200.
    pub wait_in_send_queue_ms: u64,
    /// `maxTransferBytesOnMessageInMemory`: most bytes of one pull near the end of the log. Default 262,144.
    pub pull_bytes_max_in_memory: u64,
    /// `maxTransferCountOnMessageInMemory`: most messages of such a pull. Default 32.
    pub pull_count_max_in_memory: u64,
    /// `maxTransferBytesOnMessageInDisk`: most bytes of one pull far behind the end. Default 65,536.
    pub pull_bytes_max_on_disk: u64,
    /// `maxTransferCountOnMessageInDisk`: most messages of such a pull. Default 8.
    pub pull_count_max_on_disk: u64,
    /// `messageDelayLevel`: milliseconds of level 1, 2 and so on; the same on every node of a group.
    pub delay_levels_ms: Vec<u64>,
    /// `timerWheelEnable`: whether messages may name any time of delivery. Default true.
    pub timers: bool,
    /// `rejectTransactionMessage`: whether half messages are refused. Default false.
    pub reject_transactions: bool,
    /// `transactionTimeOut`: milliseconds before a half message is asked about. Default 6,000.
    pub transaction_timeout_ms: u64,
    /// `transactionCheckInterval`: milliseconds between two rounds of asking. Default 30,000.
    pub transaction_check_interval_ms: u64,
    /// `transactionCheckMax`: after so many questions a half message is given up. Default 15.
    pub transaction_checks_max: u32,
    /// `enablePropertyFilter`: whether consumers may filter by SQL92 over properties. Default false.
    pub property_filter: bool,
    /// `traceOn`, told to clients in each answer: whether they may trace. Default true.
    pub trace_on: bool,
    /// `traceTopicEnable`: whether the trace topic is made at start. Default false.
    pub trace_topic: bool,
    /// `msgTraceTopicName`. Default `RMQ_SYS_TRACE_TOPIC`.
    pub trace_topic_name: String,
}

/// Known, checked and shown, and nothing here goes by them: offsets are in the log within a tenth of a second, sends
/// are turned away by the bytes that wait, and the rest belongs to what is not built yet.
const WITHOUT_EFFECT: &[&str] = &[
    "flushConsumerOffsetInterval",
    "rejectTransactionMessage",
    "timerWheelEnable",
    "transactionCheckInterval",
    "transactionCheckMax",
    "transactionTimeOut",
    "waitTimeMillsInSendQueue",
];

impl Messages {
    pub(super) fn read(reader: &mut Reader, segment_bytes: u64) -> Self {
        let body_bytes_max =
            reader.integer("maxMessageSize", 4_194_304, 1..=FRAME_BYTES_MAX - 2 * BESIDE_BODY_BYTES, "bytes");
        let needed = body_bytes_max + BESIDE_BODY_BYTES;
        if needed > segment_bytes {
            reader.refuse(
                &["maxMessageSize", "mappedFileSizeCommitLog"],
                format!(
                    "a message of up to {needed} bytes does not fit into a segment of {segment_bytes} bytes"
                ),
            );
        }
        let bytes = 1..=FRAME_BYTES_MAX;
        let count = 1..=100_000;
        let ms = 0..=u64::from(u32::MAX);
        let messages = Self {
            body_bytes_max,
            auto_create_topic: reader.bool("autoCreateTopicEnable", true),
            auto_create_group: reader.bool("autoCreateSubscriptionGroup", true),
            default_topic_queues: reader.integer("defaultTopicQueueNums", 8, 1..=65_535, "") as u32,
            flush_consumer_offset_interval_ms: reader.integer(
                "flushConsumerOffsetInterval",
                5_000,
                ms.clone(),
                "ms",
            ),
            long_polling: reader.bool("longPollingEnable", true),
            short_polling_ms: reader.integer("shortPollingTimeMills", 1_000, ms.clone(), "ms"),
            wait_in_send_queue_ms: reader.integer("waitTimeMillsInSendQueue", 200, ms.clone(), "ms"),
            pull_bytes_max_in_memory: reader.integer(
                "maxTransferBytesOnMessageInMemory",
                262_144,
                bytes.clone(),
                "bytes",
            ),
            pull_count_max_in_memory: reader.integer(
                "maxTransferCountOnMessageInMemory",
                32,
                count.clone(),
                "",
            ),
            pull_bytes_max_on_disk: reader.integer("maxTransferBytesOnMessageInDisk", 65_536, bytes, "bytes"),
            pull_count_max_on_disk: reader.integer("maxTransferCountOnMessageInDisk", 8, count, ""),
            delay_levels_ms: read_delay_levels(reader),
            timers: reader.bool("timerWheelEnable", true),
            reject_transactions: reader.bool("rejectTransactionMessage", false),
            transaction_timeout_ms: reader.integer("transactionTimeOut", 6_000, ms.clone(), "ms"),
            transaction_check_interval_ms: reader.integer("transactionCheckInterval", 30_000, ms, "ms"),
            transaction_checks_max: reader.integer("transactionCheckMax", 15, 0..=1_000_000, "") as u32,
            property_filter: reader.bool("enablePropertyFilter", false),
            trace_on: reader.bool("traceOn", true),
            trace_topic: reader.bool("traceTopicEnable", false),
            trace_topic_name: reader.text("msgTraceTopicName", "RMQ_SYS_TRACE_TOPIC"),
        };
        for name in WITHOUT_EFFECT {
            reader.has_no_effect(name);
        }
        if messages.property_filter {
            reader.warn("enablePropertyFilter = true: SQL92 filters are not built yet, consumers that ask for one are refused");
        }
        messages
    }
}

fn read_delay_levels(reader: &mut Reader) -> Vec<u64> {
    let default = DELAY_LEVELS.to_owned();
    let allowed = "times such as 1s 5m 2h 1d, separated by blanks";
    let is_sound =
        |text: &str| !text.is_empty() && text.split_whitespace().all(|level| level_ms(level).is_some());
    let parse = |text: &str| is_sound(text).then(|| text.to_owned());
    let levels = reader.parsed("messageDelayLevel", default, allowed, parse, Clone::clone);
    levels.split_whitespace().filter_map(level_ms).collect()
}

fn level_ms(level: &str) -> Option<u64> {
    let unit = level.chars().last()?;
    let number: u64 = level[..level.len() - unit.len_utf8()].parse().ok()?;
    let unit_ms = match unit {
        's' => 1_000,
        'm' => 60 * 1_000,
        'h' => 3_600 * 1_000,
        'd' => 24 * 3_600 * 1_000,
        _ => return None,
    };
    number.checked_mul(unit_ms)
}
