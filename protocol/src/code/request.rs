//! Request codes. Some numbers are asked of the name server, some of a broker, some by a broker of its clients.

super::table::codes! {
    /// To the broker.
    SEND_MESSAGE = 10,
    /// To the broker.
    PULL_MESSAGE = 11,
    /// To the broker.
    QUERY_MESSAGE = 12,
    /// To the broker.
    QUERY_BROKER_OFFSET = 13,
    /// To the broker.
    QUERY_CONSUMER_OFFSET = 14,
    /// To the broker.
    UPDATE_CONSUMER_OFFSET = 15,
    /// To the broker.
    UPDATE_AND_CREATE_TOPIC = 17,
    /// To the broker.
    UPDATE_AND_CREATE_TOPIC_LIST = 18,
    /// To the broker.
    GET_ALL_TOPIC_CONFIG = 21,
    /// To the broker.
    GET_TOPIC_CONFIG_LIST = 22,
    /// To the broker.
    GET_TOPIC_NAME_LIST = 23,
    /// To the broker.
    UPDATE_BROKER_CONFIG = 25,
    /// To the broker.
    GET_BROKER_CONFIG = 26,
    /// To the broker.
    TRIGGER_DELETE_FILES = 27,
    /// To the broker.
    GET_BROKER_RUNTIME_INFO = 28,
    /// To the broker.
    SEARCH_OFFSET_BY_TIMESTAMP = 29,
    /// To the broker.
    GET_MAX_OFFSET = 30,
    /// To the broker.
    GET_MIN_OFFSET = 31,
    /// To the broker.
    GET_EARLIEST_MSG_STORETIME = 32,
    /// To the broker.
    VIEW_MESSAGE_BY_ID = 33,
    /// To the broker.
    HEART_BEAT = 34,
    /// To the broker.
    UNREGISTER_CLIENT = 35,
    /// To the broker.
    CONSUMER_SEND_MSG_BACK = 36,
    /// To the broker.
    END_TRANSACTION = 37,
    /// To the broker.
    GET_CONSUMER_LIST_BY_GROUP = 38,
    /// From the broker to a client.
    CHECK_TRANSACTION_STATE = 39,
    /// From the broker to a client.
    NOTIFY_CONSUMER_IDS_CHANGED = 40,
    /// To the broker.
    LOCK_BATCH_MQ = 41,
    /// To the broker.
    UNLOCK_BATCH_MQ = 42,
    /// To the broker.
    GET_ALL_CONSUMER_OFFSET = 43,
    /// To the broker.
    GET_ALL_DELAY_OFFSET = 45,
    /// To the broker.
    CHECK_CLIENT_CONFIG = 46,
    /// To the broker.
    GET_CLIENT_CONFIG = 47,
    /// To the broker.
    GET_TIMER_CHECK_POINT = 60,
    /// To the broker.
    GET_TIMER_METRICS = 61,
    /// To the name server.
    PUT_KV_CONFIG = 100,
    /// To the name server.
    GET_KV_CONFIG = 101,
    /// To the name server.
    DELETE_KV_CONFIG = 102,
    /// To the name server.
    REGISTER_BROKER = 103,
    /// To the name server.
    UNREGISTER_BROKER = 104,
    /// To the name server.
    GET_ROUTEINFO_BY_TOPIC = 105,
    /// To the name server.
    GET_BROKER_CLUSTER_INFO = 106,
    /// To the broker.
    UPDATE_AND_CREATE_SUBSCRIPTIONGROUP = 200,
    /// To the broker.
    GET_ALL_SUBSCRIPTIONGROUP_CONFIG = 201,
    /// To the broker.
    GET_TOPIC_STATS_INFO = 202,
    /// To the broker.
    GET_CONSUMER_CONNECTION_LIST = 203,
    /// To the broker.
    GET_PRODUCER_CONNECTION_LIST = 204,
    /// To the name server.
    WIPE_WRITE_PERM_OF_BROKER = 205,
    /// To the name server.
    GET_ALL_TOPIC_LIST_FROM_NAMESERVER = 206,
    /// To the broker.
    DELETE_SUBSCRIPTIONGROUP = 207,
    /// To the broker.
    GET_CONSUME_STATS = 208,
    /// To the broker.
    SUSPEND_CONSUMER = 209,
    /// To the broker.
    RESUME_CONSUMER = 210,
    /// To the broker.
    RESET_CONSUMER_OFFSET_IN_CONSUMER = 211,
    /// To the broker.
    RESET_CONSUMER_OFFSET_IN_BROKER = 212,
    /// To the broker.
    ADJUST_CONSUMER_THREAD_POOL = 213,
    /// To the broker.
    WHO_CONSUME_THE_MESSAGE = 214,
    /// To the broker.
    DELETE_TOPIC_IN_BROKER = 215,
    /// To the name server.
    DELETE_TOPIC_IN_NAMESRV = 216,
    /// To the name server.
    REGISTER_TOPIC_IN_NAMESRV = 217,
    /// To the name server.
    GET_KVLIST_BY_NAMESPACE = 219,
    /// From the broker to a client.
    RESET_CONSUMER_CLIENT_OFFSET = 220,
    /// From the broker to a client.
    GET_CONSUMER_STATUS_FROM_CLIENT = 221,
    /// To the broker.
    INVOKE_BROKER_TO_RESET_OFFSET = 222,
    /// To the broker.
    INVOKE_BROKER_TO_GET_CONSUMER_STATUS = 223,
    /// To the name server.
    GET_TOPICS_BY_CLUSTER = 224,
    /// To the broker.
    UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST = 225,
    /// To the broker.
    QUERY_TOPIC_CONSUME_BY_WHO = 300,
    /// To the broker.
    REGISTER_FILTER_SERVER = 301,
    /// To the broker.
    REGISTER_MESSAGE_FILTER_CLASS = 302,
    /// To the broker.
    QUERY_CONSUME_TIME_SPAN = 303,
    /// To the name server.
    GET_SYSTEM_TOPIC_LIST_FROM_NS = 304,
    /// To the broker.
    GET_SYSTEM_TOPIC_LIST_FROM_BROKER = 305,
    /// To the broker.
    CLEAN_EXPIRED_CONSUMEQUEUE = 306,
    /// Asked of the broker, which relays it to one client.
    GET_CONSUMER_RUNNING_INFO = 307,
    /// To the broker.
    QUERY_CORRECTION_OFFSET = 308,
    /// Asked of the broker, which relays it to one client.
    CONSUME_MESSAGE_DIRECTLY = 309,
    /// To the broker.
    SEND_MESSAGE_V2 = 310,
    /// To the name server.
    GET_UNIT_TOPIC_LIST = 311,
    /// To the name server.
    GET_HAS_UNIT_SUB_TOPIC_LIST = 312,
    /// To the name server.
    GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST = 313,
    /// To the broker.
    CLONE_GROUP_OFFSET = 314,
    /// To the broker.
    VIEW_BROKER_STATS_DATA = 315,
    /// To the broker.
    CLEAN_UNUSED_TOPIC = 316,
    /// To the broker.
    GET_BROKER_CONSUME_STATS = 317,
    /// To the name server.
    UPDATE_NAMESRV_CONFIG = 318,
    /// To the name server.
    GET_NAMESRV_CONFIG = 319,
    /// To the broker.
    SEND_BATCH_MESSAGE = 320,
    /// To the broker.
    QUERY_CONSUME_QUEUE = 321,
    /// To the name server.
    QUERY_DATA_VERSION = 322,
    /// To the broker.
    RESUME_CHECK_HALF_MESSAGE = 323,
    /// To the broker.
    SEND_REPLY_MESSAGE = 324,
    /// To the broker.
    SEND_REPLY_MESSAGE_V2 = 325,
    /// From the broker to a client.
    PUSH_REPLY_MESSAGE_TO_CLIENT = 326,
    /// To the name server.
    ADD_WRITE_PERM_OF_BROKER = 327,
    /// To the broker.
    GET_ALL_PRODUCER_INFO = 328,
    /// To the broker.
    DELETE_EXPIRED_COMMITLOG = 329,
    /// To the broker.
    QUERY_TOPICS_BY_CONSUMER = 343,
    /// To the broker.
    QUERY_SUBSCRIPTION_BY_CONSUMER = 345,
    /// To the broker.
    GET_TOPIC_CONFIG = 351,
    /// To the broker.
    GET_SUBSCRIPTIONGROUP_CONFIG = 352,
    /// To the broker.
    UPDATE_AND_GET_GROUP_FORBIDDEN = 353,
    /// To the broker.
    CHECK_ROCKSDB_CQ_WRITE_PROGRESS = 354,
    /// To the broker.
    EXPORT_ROCKSDB_CONFIG_TO_JSON = 355,
    /// To the broker.
    LITE_PULL_MESSAGE = 361,
    /// To the broker.
    RECALL_MESSAGE = 370,
    /// To the broker.
    QUERY_ASSIGNMENT = 400,
    /// To the broker.
    SET_MESSAGE_REQUEST_MODE = 401,
    /// To the broker.
    GET_ALL_MESSAGE_REQUEST_MODE = 402,
    /// To the broker.
    UPDATE_AND_CREATE_STATIC_TOPIC = 513,
    /// To the name server.
    GET_BROKER_MEMBER_GROUP = 901,
    /// To the broker.
    ADD_BROKER = 902,
    /// To the broker.
    REMOVE_BROKER = 903,
    /// To the name server.
    BROKER_HEARTBEAT = 904,
    /// From a name server to a broker.
    NOTIFY_MIN_BROKER_ID_CHANGE = 905,
    /// To the broker.
    EXCHANGE_BROKER_HA_INFO = 906,
    /// To the broker.
    GET_BROKER_HA_STATUS = 907,
    /// To the broker.
    RESET_MASTER_FLUSH_OFFSET = 908,
    /// Controller mode.
    CONTROLLER_ALTER_SYNC_STATE_SET = 1001,
    /// Controller mode.
    CONTROLLER_ELECT_MASTER = 1002,
    /// Controller mode.
    CONTROLLER_REGISTER_BROKER = 1003,
    /// Controller mode.
    CONTROLLER_GET_REPLICA_INFO = 1004,
    /// Controller mode.
    CONTROLLER_GET_METADATA_INFO = 1005,
    /// Controller mode.
    CONTROLLER_GET_SYNC_STATE_DATA = 1006,
    /// To the broker.
    GET_BROKER_EPOCH_CACHE = 1007,
    /// Controller mode.
    NOTIFY_BROKER_ROLE_CHANGED = 1008,
    /// Controller mode.
    UPDATE_CONTROLLER_CONFIG = 1009,
    /// Controller mode.
    GET_CONTROLLER_CONFIG = 1010,
    /// Controller mode.
    CLEAN_BROKER_DATA = 1011,
    /// Controller mode.
    CONTROLLER_GET_NEXT_BROKER_ID = 1012,
    /// Controller mode.
    CONTROLLER_APPLY_BROKER_ID = 1013,
    /// Controller mode.
    BROKER_CLOSE_CHANNEL_REQUEST = 1014,
    /// Controller mode.
    CHECK_NOT_ACTIVE_BROKER_REQUEST = 1015,
    /// Controller mode.
    GET_BROKER_LIVE_INFO_REQUEST = 1016,
    /// Controller mode.
    GET_SYNC_STATE_DATA_REQUEST = 1017,
    /// Controller mode.
    RAFT_BROKER_HEART_BEAT_EVENT_REQUEST = 1018,
    /// To the broker.
    UPDATE_COLD_DATA_FLOW_CTR_CONFIG = 2001,
    /// To the broker.
    REMOVE_COLD_DATA_FLOW_CTR_CONFIG = 2002,
    /// To the broker.
    GET_COLD_DATA_FLOW_CTR_INFO = 2003,
    /// To the broker.
    SET_COMMITLOG_READ_MODE = 2004,
    /// To the broker.
    AUTH_CREATE_USER = 3001,
    /// To the broker.
    AUTH_UPDATE_USER = 3002,
    /// To the broker.
    AUTH_DELETE_USER = 3003,
    /// To the broker.
    AUTH_GET_USER = 3004,
    /// To the broker.
    AUTH_LIST_USER = 3005,
    /// To the broker.
    AUTH_CREATE_ACL = 3006,
    /// To the broker.
    AUTH_UPDATE_ACL = 3007,
    /// To the broker.
    AUTH_DELETE_ACL = 3008,
    /// To the broker.
    AUTH_GET_ACL = 3009,
    /// To the broker.
    AUTH_LIST_ACL = 3010,
    /// To the broker.
    POP_MESSAGE = 200_050,
    /// To the broker.
    ACK_MESSAGE = 200_051,
    /// To the broker.
    PEEK_MESSAGE = 200_052,
    /// To the broker.
    CHANGE_MESSAGE_INVISIBLETIME = 200_053,
    /// To the broker.
    NOTIFICATION = 200_054,
    /// To the broker.
    POLLING_INFO = 200_055,
    /// To the broker.
    POP_ROLLBACK = 200_056,
    /// To the broker.
    BATCH_ACK_MESSAGE = 200_151,
}
