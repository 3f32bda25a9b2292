//! Response codes. What a producer or consumer does with each is a client's business; the notes say what matters
//! for choosing one.

super::table::codes! {
    /// Client side only, never on the wire.
    RPC_TIME_OUT = -1006,
    /// Client side only, never on the wire.
    RPC_SEND_TO_CHANNEL_FAILED = -1004,
    /// Client side only, never on the wire.
    RPC_ADDR_IS_NULL = -1002,
    /// Client side only, never on the wire.
    RPC_UNKNOWN = -1000,
    /// Done.
    SUCCESS = 0,
    /// Failed; the remark says why. Producers try again.
    SYSTEM_ERROR = 1,
    /// Too busy, or not in a state to serve; producers try again, but Java 4.9 and Go do not.
    SYSTEM_BUSY = 2,
    /// The receiver does not know this request code.
    REQUEST_CODE_NOT_SUPPORTED = 3,
    /// Legacy.
    TRANSACTION_FAILED = 4,
    /// Stored, but not confirmed to be on disk in time. Clients count it as sent.
    FLUSH_DISK_TIMEOUT = 10,
    /// Stored, but no replica was there. Clients count it as sent.
    SLAVE_NOT_AVAILABLE = 11,
    /// Stored, but no replica confirmed in time. Clients count it as sent.
    FLUSH_SLAVE_TIMEOUT = 12,
    /// The message is not acceptable: its body, properties, topic or time.
    MESSAGE_ILLEGAL = 13,
    /// Not available now: shutting down, disk full, or not the leader. All producers try again.
    SERVICE_NOT_AVAILABLE = 14,
    /// The peer's version does not support this.
    VERSION_NOT_SUPPORTED = 15,
    /// Forbidden by the permission of broker, topic or group.
    NO_PERMISSION = 16,
    /// No such topic.
    TOPIC_NOT_EXIST = 17,
    /// The topic exists already.
    TOPIC_EXIST_ALREADY = 18,
    /// Pull: no new message yet.
    PULL_NOT_FOUND = 19,
    /// Pull: nothing matched here, ask again at once from `nextBeginOffset`.
    PULL_RETRY_IMMEDIATELY = 20,
    /// Pull: the offset is out of range; go on from `nextBeginOffset`, which the client stores.
    PULL_OFFSET_MOVED = 21,
    /// Nothing found: a key, an offset, a message.
    QUERY_NOT_FOUND = 22,
    /// The filter expression does not parse.
    SUBSCRIPTION_PARSE_FAILED = 23,
    /// The group has no subscription for the topic.
    SUBSCRIPTION_NOT_EXIST = 24,
    /// The group's subscription is older than the request's.
    SUBSCRIPTION_NOT_LATEST = 25,
    /// No such consumer group.
    SUBSCRIPTION_GROUP_NOT_EXIST = 26,
    /// No filter is registered for the group and topic.
    FILTER_DATA_NOT_EXIST = 27,
    /// The registered filter is older than the request's.
    FILTER_DATA_NOT_LATEST = 28,
    /// A field has an unacceptable value: an illegal name, a queue id out of range.
    INVALID_PARAMETER = 29,
    /// Legacy.
    TRANSACTION_SHOULD_COMMIT = 200,
    /// Legacy.
    TRANSACTION_SHOULD_ROLLBACK = 201,
    /// Legacy.
    TRANSACTION_STATE_UNKNOW = 202,
    /// Legacy.
    TRANSACTION_STATE_GROUP_WRONG = 203,
    /// Legacy; producers try again.
    NO_BUYER_ID = 204,
    /// Legacy; producers try again.
    NOT_IN_CURRENT_UNIT = 205,
    /// The group has no live consumer.
    CONSUMER_NOT_ONLINE = 206,
    /// A client did not answer in time.
    CONSUME_MSG_TIMEOUT = 207,
    /// No message.
    NO_MESSAGE = 208,
    /// Pop: too many waiting requests.
    POLLING_FULL = 209,
    /// Pop: the wait is over.
    POLLING_TIMEOUT = 210,
    /// No such broker.
    BROKER_NOT_EXIST = 211,
    /// The consume queues are still being built.
    BROKER_DISPATCH_NOT_COMPLETE = 212,
    /// A broadcast group: its offsets are not on the broker.
    BROADCAST_CONSUMPTION = 213,
    /// Pull: too fast, ask again shortly.
    FLOW_CONTROL = 215,
    /// Static topics only.
    NOT_LEADER_FOR_QUEUE = 501,
    /// Not allowed in this state.
    ILLEGAL_OPERATION = 604,
    /// The server is going away; connect again.
    GO_AWAY = 1500,
    /// Controller mode only.
    CONTROLLER_FENCED_MASTER_EPOCH = 2000,
    /// Controller mode only.
    CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH = 2001,
    /// Controller mode only.
    CONTROLLER_INVALID_MASTER = 2002,
    /// Controller mode only.
    CONTROLLER_INVALID_REPLICAS = 2003,
    /// Controller mode only.
    CONTROLLER_MASTER_NOT_AVAILABLE = 2004,
    /// Controller mode only.
    CONTROLLER_INVALID_REQUEST = 2005,
    /// Controller mode only.
    CONTROLLER_BROKER_NOT_ALIVE = 2006,
    /// Controller mode only.
    CONTROLLER_NOT_LEADER = 2007,
    /// Controller mode only.
    CONTROLLER_BROKER_METADATA_NOT_EXIST = 2008,
    /// Controller mode only.
    CONTROLLER_INVALID_CLEAN_BROKER_METADATA = 2009,
    /// Controller mode only.
    CONTROLLER_BROKER_NEED_TO_BE_REGISTERED = 2010,
    /// Controller mode only.
    CONTROLLER_MASTER_STILL_EXIST = 2011,
    /// Controller mode only.
    CONTROLLER_ELECT_MASTER_FAILED = 2012,
    /// Controller mode only.
    CONTROLLER_ALTER_SYNC_STATE_SET_FAILED = 2013,
    /// Controller mode only.
    CONTROLLER_BROKER_ID_INVALID = 2014,
    /// Controller mode only.
    CONTROLLER_JRAFT_INTERNAL_ERROR = 2015,
    /// Controller mode only.
    CONTROLLER_BROKER_LIVE_INFO_NOT_EXISTS = 2016,
    /// No such user.
    USER_NOT_EXIST = 3001,
    /// No such policy.
    POLICY_NOT_EXIST = 3002,
}
