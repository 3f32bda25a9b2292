//! Pulling: requests 11 and 361.

use super::header;

/// Bits of a pull's system flag. Source: Java's `PullSysFlag`.
pub mod sys_flag {
    /// Store `commitOffset` as the consumer offset.
    pub const COMMIT_OFFSET: i32 = 0x1;
    /// The broker may hold the request until a message comes.
    pub const SUSPEND: i32 = 0x2;
    /// The request's own subscription counts, not the heartbeat's.
    pub const SUBSCRIPTION: i32 = 0x4;
    /// Legacy.
    pub const CLASS_FILTER: i32 = 0x8;
    /// A lite pull, which comes with code 361.
    pub const LITE_PULL: i32 = 0x10;

    /// The flag with these bits.
    #[expect(clippy::fn_params_excessive_bools, reason = "one a bit, in the order of the bits")]
    pub fn build(commit_offset: bool, suspend: bool, subscription: bool, class_filter: bool) -> i32 {
        let bit = |set: bool, bit: i32| if set { bit } else { 0 };
        bit(commit_offset, COMMIT_OFFSET)
            | bit(suspend, SUSPEND)
            | bit(subscription, SUBSCRIPTION)
            | bit(class_filter, CLASS_FILTER)
    }
}

header! {
    /// A pull of one queue.
    pub struct PullRequest {
        /// The consumer group.
        pub consumer_group: String => "consumerGroup",
        /// The topic.
        pub topic: String => "topic",
        /// The queue.
        pub queue_id: i32 => "queueId",
        /// The first queue offset wanted.
        pub queue_offset: i64 => "queueOffset",
        /// The most messages wanted.
        pub max_msg_nums: i32 => "maxMsgNums",
        /// See [`sys_flag`].
        pub sys_flag: i32 => "sysFlag",
        /// The consumer offset to store, with [`sys_flag::COMMIT_OFFSET`].
        pub commit_offset: i64 => "commitOffset",
        /// How long the broker may hold the request, with [`sys_flag::SUSPEND`].
        pub suspend_timeout_ms: i64 => "suspendTimeoutMillis",
        /// The expression, with [`sys_flag::SUBSCRIPTION`].
        pub subscription: Option<String> => "subscription",
        /// The version of the subscription; 0 from pull consumers and Go.
        pub sub_version: i64 => "subVersion",
        /// `TAG` or `SQL92`; absent from C++.
        pub expression_type: Option<String> => "expressionType",
        /// The most bytes wanted; 5.3 ignores it.
        pub max_msg_bytes: Option<i32> => "maxMsgBytes",
    }

    /// The answer to a pull with code 0, 19, 20 or 21. The first four fields must be there, or Java fails.
    pub struct PullResponse {
        /// Where to pull next: 0 the leader.
        pub suggest_which_broker_id: i64 => "suggestWhichBrokerId",
        /// The queue offset to go on from.
        pub next_begin_offset: i64 => "nextBeginOffset",
        /// The first queue offset there is.
        pub min_offset: i64 => "minOffset",
        /// The queue offset behind the last.
        pub max_offset: i64 => "maxOffset",
        /// Static topics only.
        pub offset_delta: Option<i64> => "offsetDelta",
        /// The topic's system flag.
        pub topic_sys_flag: Option<i32> => "topicSysFlag",
        /// The group's system flag.
        pub group_sys_flag: Option<i32> => "groupSysFlag",
        /// With code 16, who forbids: 1 broker, 2 group, 3 topic, 4 broadcast, 5 subscription.
        pub forbidden_type: Option<i32> => "forbiddenType",
    }
}
