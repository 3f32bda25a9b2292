//! Names of topics and groups: which are allowed, and which the system keeps for itself. Source: Java's
//! `TopicValidator`, `MixAll`.

use thiserror::Error;

/// The longest topic that a client may send to, characters.
pub const TOPIC_CHARS_MAX: usize = 127;
/// The longest consumer group, characters, as in 5.3.3.
pub const GROUP_CHARS_MAX: usize = 255;

/// What a consumer group's retry topic begins with.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// What a consumer group's dead letter topic begins with.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// What a light queue's name begins with.
pub const LMQ_PREFIX: &str = "%LMQ%";
/// What names of system topics begin with.
pub const SYSTEM_TOPIC_PREFIX: &str = "rmq_sys_";
/// What names of system consumer groups begin with.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// The template of automatically created topics.
pub const AUTO_CREATE_TOPIC: &str = "TBW102";
/// Where delayed messages wait.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// For benchmarks.
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// Where half messages wait.
pub const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Where the outcome of half messages is kept.
pub const OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Where half messages end whose producer never answered.
pub const TRANS_CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Where clients send their traces.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// For self tests.
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// Legacy.
pub const OFFSET_MOVED_EVENT: &str = "OFFSET_MOVED_EVENT";
/// Legacy.
pub const CHECKPOINT_TOPIC: &str = "CHECKPOINT_TOPIC";
/// Where messages with a delivery time wait.
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// What the name of a broker's log of popped messages begins with; its cluster follows.
pub const REVIVE_LOG_PREFIX: &str = "rmq_sys_REVIVE_LOG_";
/// What the name of a broker's member topic begins with; its broker group follows.
pub const SYNC_MEMBER_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";
/// What the name of a cluster's reply topic ends with.
pub const REPLY_TOPIC_SUFFIX: &str = "_REPLY_TOPIC";

/// Key-value namespace of the order configuration of topics.
pub const ORDER_TOPIC_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";

/// The producer group that every Java client has for its own messages.
pub const CLIENT_INNER_PRODUCER_GROUP: &str = "CLIENT_INNER_PRODUCER";

/// The topics that every broker keeps for itself. Its cluster, its broker group, its reply topic and everything with
/// [`SYSTEM_TOPIC_PREFIX`] come on top.
pub const SYSTEM_TOPICS: [&str; 10] = [
    AUTO_CREATE_TOPIC,
    SCHEDULE_TOPIC,
    BENCHMARK_TOPIC,
    HALF_TOPIC,
    TRACE_TOPIC,
    OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT,
    CHECKPOINT_TOPIC,
];

/// The system topics that no client may send to.
pub const NOT_SENDABLE_TOPICS: [&str; 6] = [
    SCHEDULE_TOPIC,
    HALF_TOPIC,
    OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT,
];

/// The consumer groups that a broker has from its first boot on.
pub const SYSTEM_GROUPS: [&str; 8] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_RMQ_SYS_TRANS",
];

/// Why a name is not allowed. The messages about topics are Java's, word for word: tools show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Empty, or only white space.
    #[error("The specified {0} is blank.")]
    Blank(&'static str),
    /// A character outside of `% | a-z A-Z 0-9 _ -`.
    #[error("The specified {0} contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")]
    IllegalCharacter(&'static str),
    /// Longer than allowed.
    #[error("The specified {0} is longer than {0} max length.")]
    TooLong(&'static str),
}

/// Checks the name of a topic that a client gives.
///
/// # Errors
/// If it is not allowed.
pub fn validate_topic(topic: &str) -> Result<(), NameError> {
    validate("topic", topic, TOPIC_CHARS_MAX)
}

/// Checks the name of a consumer group that is to be created.
///
/// # Errors
/// If it is not allowed.
pub fn validate_group(group: &str) -> Result<(), NameError> {
    validate("group", group, GROUP_CHARS_MAX)
}

fn validate(what: &'static str, name: &str, chars_max: usize) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Blank(what));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%|_-".contains(&byte)) {
        return Err(NameError::IllegalCharacter(what));
    }
    if name.len() > chars_max {
        return Err(NameError::TooLong(what));
    }
    Ok(())
}

/// Whether a topic belongs to every broker's system, whatever the names of its cluster and group are.
pub fn is_system_topic(topic: &str) -> bool {
    SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_TOPIC_PREFIX)
}

/// Whether no client may send to a topic.
pub fn is_not_sendable(topic: &str) -> bool {
    NOT_SENDABLE_TOPICS.contains(&topic)
}

/// Whether a group belongs to the system and is created even when automatic creation is off.
pub fn is_system_group(group: &str) -> bool {
    group.starts_with(SYSTEM_GROUP_PREFIX)
}

/// The retry topic of a consumer group.
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// The dead letter topic of a consumer group.
pub fn dlq_topic(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

/// The reply topic of a cluster.
pub fn reply_topic(cluster: &str) -> String {
    format!("{cluster}{REPLY_TOPIC_SUFFIX}")
}

/// The consumer group of a retry topic; `None` for other topics.
pub fn group_of_retry_topic(topic: &str) -> Option<&str> {
    topic.strip_prefix(RETRY_PREFIX)
}

/// The consumer group of a dead letter topic; `None` for other topics.
pub fn group_of_dlq_topic(topic: &str) -> Option<&str> {
    topic.strip_prefix(DLQ_PREFIX)
}
