//! Request and response codes by name, as of release 5.3.3. Source: Java's `RequestCode` and `ResponseCode`.

/// Request codes. Some numbers are asked of the name server, some of a broker, some by a broker of its clients.
pub mod request {
    /// To the broker: send message.
    pub const SEND_MESSAGE: i32 = 10;
    /// To the broker: pull message.
    pub const PULL_MESSAGE: i32 = 11;
    /// To the broker: query message.
    pub const QUERY_MESSAGE: i32 = 12;
    /// To the broker: query broker offset.
    pub const QUERY_BROKER_OFFSET: i32 = 13;
    /// To the broker: query consumer offset.
    pub const QUERY_CONSUMER_OFFSET: i32 = 14;
    /// To the broker: update consumer offset.
    pub const UPDATE_CONSUMER_OFFSET: i32 = 15;
    /// To the broker: update and create topic.
    pub const UPDATE_AND_CREATE_TOPIC: i32 = 17;
    /// To the broker: update and create topic list.
    pub const UPDATE_AND_CREATE_TOPIC_LIST: i32 = 18;
    /// To the broker: get all topic config.
    pub const GET_ALL_TOPIC_CONFIG: i32 = 21;
    /// To the broker: get topic config list.
    pub const GET_TOPIC_CONFIG_LIST: i32 = 22;
    /// To the broker: get topic name list.
    pub const GET_TOPIC_NAME_LIST: i32 = 23;
    /// To the broker: update broker config.
    pub const UPDATE_BROKER_CONFIG: i32 = 25;
    /// To the broker: get broker config.
    pub const GET_BROKER_CONFIG: i32 = 26;
    /// To the broker: trigger delete files.
    pub const TRIGGER_DELETE_FILES: i32 = 27;
    /// To the broker: get broker runtime info.
    pub const GET_BROKER_RUNTIME_INFO: i32 = 28;
    /// To the broker: search offset by timestamp.
    pub const SEARCH_OFFSET_BY_TIMESTAMP: i32 = 29;
    /// To the broker: get max offset.
    pub const GET_MAX_OFFSET: i32 = 30;
    /// To the broker: get min offset.
    pub const GET_MIN_OFFSET: i32 = 31;
    /// To the broker: get earliest msg storetime.
    pub const GET_EARLIEST_MSG_STORETIME: i32 = 32;
    /// To the broker: view message by id.
    pub const VIEW_MESSAGE_BY_ID: i32 = 33;
    /// To the broker: heart beat.
    pub const HEART_BEAT: i32 = 34;
    /// To the broker: unregister client.
    pub const UNREGISTER_CLIENT: i32 = 35;
    /// To the broker: consumer send msg back.
    pub const CONSUMER_SEND_MSG_BACK: i32 = 36;
    /// To the broker: end transaction.
    pub const END_TRANSACTION: i32 = 37;
    /// To the broker: get consumer list by group.
    pub const GET_CONSUMER_LIST_BY_GROUP: i32 = 38;
    /// From the broker to a client: check transaction state.
    pub const CHECK_TRANSACTION_STATE: i32 = 39;
    /// From the broker to a client: notify consumer ids changed.
    pub const NOTIFY_CONSUMER_IDS_CHANGED: i32 = 40;
    /// To the broker: lock batch mq.
    pub const LOCK_BATCH_MQ: i32 = 41;
    /// To the broker: unlock batch mq.
    pub const UNLOCK_BATCH_MQ: i32 = 42;
    /// To the broker: get all consumer offset.
    pub const GET_ALL_CONSUMER_OFFSET: i32 = 43;
    /// To the broker: get all delay offset.
    pub const GET_ALL_DELAY_OFFSET: i32 = 45;
    /// To the broker: check client config.
    pub const CHECK_CLIENT_CONFIG: i32 = 46;
    /// To the broker: get client config.
    pub const GET_CLIENT_CONFIG: i32 = 47;
    /// To the broker: get timer check point.
    pub const GET_TIMER_CHECK_POINT: i32 = 60;
    /// To the broker: get timer metrics.
    pub const GET_TIMER_METRICS: i32 = 61;
    /// To the name server: put kv config.
    pub const PUT_KV_CONFIG: i32 = 100;
    /// To the name server: get kv config.
    pub const GET_KV_CONFIG: i32 = 101;
    /// To the name server: delete kv config.
    pub const DELETE_KV_CONFIG: i32 = 102;
    /// To the name server: register broker.
    pub const REGISTER_BROKER: i32 = 103;
    /// To the name server: unregister broker.
    pub const UNREGISTER_BROKER: i32 = 104;
    /// To the name server: get routeinfo by topic.
    pub const GET_ROUTEINFO_BY_TOPIC: i32 = 105;
    /// To the name server: get broker cluster info.
    pub const GET_BROKER_CLUSTER_INFO: i32 = 106;
    /// To the broker: update and create subscriptiongroup.
    pub const UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: i32 = 200;
    /// To the broker: get all subscriptiongroup config.
    pub const GET_ALL_SUBSCRIPTIONGROUP_CONFIG: i32 = 201;
    /// To the broker: get topic stats info.
    pub const GET_TOPIC_STATS_INFO: i32 = 202;
    /// To the broker: get consumer connection list.
    pub const GET_CONSUMER_CONNECTION_LIST: i32 = 203;
    /// To the broker: get producer connection list.
    pub const GET_PRODUCER_CONNECTION_LIST: i32 = 204;
    /// To the name server: wipe write perm of broker.
    pub const WIPE_WRITE_PERM_OF_BROKER: i32 = 205;
    /// To the name server: get all topic list from nameserver.
    pub const GET_ALL_TOPIC_LIST_FROM_NAMESERVER: i32 = 206;
    /// To the broker: delete subscriptiongroup.
    pub const DELETE_SUBSCRIPTIONGROUP: i32 = 207;
    /// To the broker: get consume stats.
    pub const GET_CONSUME_STATS: i32 = 208;
    /// To the broker: suspend consumer.
    pub const SUSPEND_CONSUMER: i32 = 209;
    /// To the broker: resume consumer.
    pub const RESUME_CONSUMER: i32 = 210;
    /// To the broker: reset consumer offset in consumer.
    pub const RESET_CONSUMER_OFFSET_IN_CONSUMER: i32 = 211;
    /// To the broker: reset consumer offset in broker.
    pub const RESET_CONSUMER_OFFSET_IN_BROKER: i32 = 212;
    /// To the broker: adjust consumer thread pool.
    pub const ADJUST_CONSUMER_THREAD_POOL: i32 = 213;
    /// To the broker: who consume the message.
    pub const WHO_CONSUME_THE_MESSAGE: i32 = 214;
    /// To the broker: delete topic in broker.
    pub const DELETE_TOPIC_IN_BROKER: i32 = 215;
    /// To the name server: delete topic in namesrv.
    pub const DELETE_TOPIC_IN_NAMESRV: i32 = 216;
    /// To the name server: register topic in namesrv.
    pub const REGISTER_TOPIC_IN_NAMESRV: i32 = 217;
    /// To the name server: get kvlist by namespace.
    pub const GET_KVLIST_BY_NAMESPACE: i32 = 219;
    /// From the broker to a client: reset consumer client offset.
    pub const RESET_CONSUMER_CLIENT_OFFSET: i32 = 220;
    /// From the broker to a client: get consumer status from client.
    pub const GET_CONSUMER_STATUS_FROM_CLIENT: i32 = 221;
    /// To the broker: invoke broker to reset offset.
    pub const INVOKE_BROKER_TO_RESET_OFFSET: i32 = 222;
    /// To the broker: invoke broker to get consumer status.
    pub const INVOKE_BROKER_TO_GET_CONSUMER_STATUS: i32 = 223;
    /// To the name server: get topics by cluster.
    pub const GET_TOPICS_BY_CLUSTER: i32 = 224;
    /// To the broker: update and create subscriptiongroup list.
    pub const UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST: i32 = 225;
    /// To the broker: query topic consume by who.
    pub const QUERY_TOPIC_CONSUME_BY_WHO: i32 = 300;
    /// To the broker: register filter server.
    pub const REGISTER_FILTER_SERVER: i32 = 301;
    /// To the broker: register message filter class.
    pub const REGISTER_MESSAGE_FILTER_CLASS: i32 = 302;
    /// To the broker: query consume time span.
    pub const QUERY_CONSUME_TIME_SPAN: i32 = 303;
    /// To the name server: get system topic list from ns.
    pub const GET_SYSTEM_TOPIC_LIST_FROM_NS: i32 = 304;
    /// To the broker: get system topic list from broker.
    pub const GET_SYSTEM_TOPIC_LIST_FROM_BROKER: i32 = 305;
    /// To the broker: clean expired consumequeue.
    pub const CLEAN_EXPIRED_CONSUMEQUEUE: i32 = 306;
    /// Asked of the broker, which relays it to one client: get consumer running info.
    pub const GET_CONSUMER_RUNNING_INFO: i32 = 307;
    /// To the broker: query correction offset.
    pub const QUERY_CORRECTION_OFFSET: i32 = 308;
    /// Asked of the broker, which relays it to one client: consume message directly.
    pub const CONSUME_MESSAGE_DIRECTLY: i32 = 309;
    /// To the broker: send message v2.
    pub const SEND_MESSAGE_V2: i32 = 310;
    /// To the name server: get unit topic list.
    pub const GET_UNIT_TOPIC_LIST: i32 = 311;
    /// To the name server: get has unit sub topic list.
    pub const GET_HAS_UNIT_SUB_TOPIC_LIST: i32 = 312;
    /// To the name server: get has unit sub ununit topic list.
    pub const GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST: i32 = 313;
    /// To the broker: clone group offset.
    pub const CLONE_GROUP_OFFSET: i32 = 314;
    /// To the broker: view broker stats data.
    pub const VIEW_BROKER_STATS_DATA: i32 = 315;
    /// To the broker: clean unused topic.
    pub const CLEAN_UNUSED_TOPIC: i32 = 316;
    /// To the broker: get broker consume stats.
    pub const GET_BROKER_CONSUME_STATS: i32 = 317;
    /// To the name server: update namesrv config.
    pub const UPDATE_NAMESRV_CONFIG: i32 = 318;
    /// To the name server: get namesrv config.
    pub const GET_NAMESRV_CONFIG: i32 = 319;
    /// To the broker: send batch message.
    pub const SEND_BATCH_MESSAGE: i32 = 320;
    /// To the broker: query consume queue.
    pub const QUERY_CONSUME_QUEUE: i32 = 321;
    /// To the name server: query data version.
    pub const QUERY_DATA_VERSION: i32 = 322;
    /// To the broker: resume check half message.
    pub const RESUME_CHECK_HALF_MESSAGE: i32 = 323;
    /// To the broker: send reply message.
    pub const SEND_REPLY_MESSAGE: i32 = 324;
    /// To the broker: send reply message v2.
    pub const SEND_REPLY_MESSAGE_V2: i32 = 325;
    /// From the broker to a client: push reply message to client.
    pub const PUSH_REPLY_MESSAGE_TO_CLIENT: i32 = 326;
    /// To the name server: add write perm of broker.
    pub const ADD_WRITE_PERM_OF_BROKER: i32 = 327;
    /// To the broker: get all producer info.
    pub const GET_ALL_PRODUCER_INFO: i32 = 328;
    /// To the broker: delete expired commitlog.
    pub const DELETE_EXPIRED_COMMITLOG: i32 = 329;
    /// To the broker: query topics by consumer.
    pub const QUERY_TOPICS_BY_CONSUMER: i32 = 343;
    /// To the broker: query subscription by consumer.
    pub const QUERY_SUBSCRIPTION_BY_CONSUMER: i32 = 345;
    /// To the broker: get topic config.
    pub const GET_TOPIC_CONFIG: i32 = 351;
    /// To the broker: get subscriptiongroup config.
    pub const GET_SUBSCRIPTIONGROUP_CONFIG: i32 = 352;
    /// To the broker: update and get group forbidden.
    pub const UPDATE_AND_GET_GROUP_FORBIDDEN: i32 = 353;
    /// To the broker: check rocksdb cq write progress.
    pub const CHECK_ROCKSDB_CQ_WRITE_PROGRESS: i32 = 354;
    /// To the broker: export rocksdb config to json.
    pub const EXPORT_ROCKSDB_CONFIG_TO_JSON: i32 = 355;
    /// To the broker: lite pull message.
    pub const LITE_PULL_MESSAGE: i32 = 361;
    /// To the broker: recall message.
    pub const RECALL_MESSAGE: i32 = 370;
    /// To the broker: query assignment.
    pub const QUERY_ASSIGNMENT: i32 = 400;
    /// To the broker: set message request mode.
    pub const SET_MESSAGE_REQUEST_MODE: i32 = 401;
    /// To the broker: get all message request mode.
    pub const GET_ALL_MESSAGE_REQUEST_MODE: i32 = 402;
    /// To the broker: update and create static topic.
    pub const UPDATE_AND_CREATE_STATIC_TOPIC: i32 = 513;
    /// To the name server: get broker member group.
    pub const GET_BROKER_MEMBER_GROUP: i32 = 901;
    /// To the broker: add broker.
    pub const ADD_BROKER: i32 = 902;
    /// To the broker: remove broker.
    pub const REMOVE_BROKER: i32 = 903;
    /// To the name server: broker heartbeat.
    pub const BROKER_HEARTBEAT: i32 = 904;
    /// From a name server to a broker: notify min broker id change.
    pub const NOTIFY_MIN_BROKER_ID_CHANGE: i32 = 905;
    /// To the broker: exchange broker ha info.
    pub const EXCHANGE_BROKER_HA_INFO: i32 = 906;
    /// To the broker: get broker ha status.
    pub const GET_BROKER_HA_STATUS: i32 = 907;
    /// To the broker: reset master flush offset.
    pub const RESET_MASTER_FLUSH_OFFSET: i32 = 908;
    /// Controller mode: controller alter sync state set.
    pub const CONTROLLER_ALTER_SYNC_STATE_SET: i32 = 1001;
    /// Controller mode: controller elect master.
    pub const CONTROLLER_ELECT_MASTER: i32 = 1002;
    /// Controller mode: controller register broker.
    pub const CONTROLLER_REGISTER_BROKER: i32 = 1003;
    /// Controller mode: controller get replica info.
    pub const CONTROLLER_GET_REPLICA_INFO: i32 = 1004;
    /// Controller mode: controller get metadata info.
    pub const CONTROLLER_GET_METADATA_INFO: i32 = 1005;
    /// Controller mode: controller get sync state data.
    pub const CONTROLLER_GET_SYNC_STATE_DATA: i32 = 1006;
    /// To the broker: get broker epoch cache.
    pub const GET_BROKER_EPOCH_CACHE: i32 = 1007;
    /// Controller mode: notify broker role changed.
    pub const NOTIFY_BROKER_ROLE_CHANGED: i32 = 1008;
    /// Controller mode: update controller config.
    pub const UPDATE_CONTROLLER_CONFIG: i32 = 1009;
    /// Controller mode: get controller config.
    pub const GET_CONTROLLER_CONFIG: i32 = 1010;
    /// Controller mode: clean broker data.
    pub const CLEAN_BROKER_DATA: i32 = 1011;
    /// Controller mode: controller get next broker id.
    pub const CONTROLLER_GET_NEXT_BROKER_ID: i32 = 1012;
    /// Controller mode: controller apply broker id.
    pub const CONTROLLER_APPLY_BROKER_ID: i32 = 1013;
    /// Controller mode: broker close channel request.
    pub const BROKER_CLOSE_CHANNEL_REQUEST: i32 = 1014;
    /// Controller mode: check not active broker request.
    pub const CHECK_NOT_ACTIVE_BROKER_REQUEST: i32 = 1015;
    /// Controller mode: get broker live info request.
    pub const GET_BROKER_LIVE_INFO_REQUEST: i32 = 1016;
    /// Controller mode: get sync state data request.
    pub const GET_SYNC_STATE_DATA_REQUEST: i32 = 1017;
    /// Controller mode: raft broker heart beat event request.
    pub const RAFT_BROKER_HEART_BEAT_EVENT_REQUEST: i32 = 1018;
    /// To the broker: update cold data flow ctr config.
    pub const UPDATE_COLD_DATA_FLOW_CTR_CONFIG: i32 = 2001;
    /// To the broker: remove cold data flow ctr config.
    pub const REMOVE_COLD_DATA_FLOW_CTR_CONFIG: i32 = 2002;
    /// To the broker: get cold data flow ctr info.
    pub const GET_COLD_DATA_FLOW_CTR_INFO: i32 = 2003;
    /// To the broker: set commitlog read mode.
    pub const SET_COMMITLOG_READ_MODE: i32 = 2004;
    /// To the broker: auth create user.
    pub const AUTH_CREATE_USER: i32 = 3001;
    /// To the broker: auth update user.
    pub const AUTH_UPDATE_USER: i32 = 3002;
    /// To the broker: auth delete user.
    pub const AUTH_DELETE_USER: i32 = 3003;
    /// To the broker: auth get user.
    pub const AUTH_GET_USER: i32 = 3004;
    /// To the broker: auth list user.
    pub const AUTH_LIST_USER: i32 = 3005;
    /// To the broker: auth create acl.
    pub const AUTH_CREATE_ACL: i32 = 3006;
    /// To the broker: auth update acl.
    pub const AUTH_UPDATE_ACL: i32 = 3007;
    /// To the broker: auth delete acl.
    pub const AUTH_DELETE_ACL: i32 = 3008;
    /// To the broker: auth get acl.
    pub const AUTH_GET_ACL: i32 = 3009;
    /// To the broker: auth list acl.
    pub const AUTH_LIST_ACL: i32 = 3010;
    /// To the broker: pop message.
    pub const POP_MESSAGE: i32 = 200_050;
    /// To the broker: ack message.
    pub const ACK_MESSAGE: i32 = 200_051;
    /// To the broker: peek message.
    pub const PEEK_MESSAGE: i32 = 200_052;
    /// To the broker: change message invisibletime.
    pub const CHANGE_MESSAGE_INVISIBLETIME: i32 = 200_053;
    /// To the broker: notification.
    pub const NOTIFICATION: i32 = 200_054;
    /// To the broker: polling info.
    pub const POLLING_INFO: i32 = 200_055;
    /// To the broker: pop rollback.
    pub const POP_ROLLBACK: i32 = 200_056;
    /// To the broker: batch ack message.
    pub const BATCH_ACK_MESSAGE: i32 = 200_151;
}

/// Response codes. What a producer or consumer does with each is a client's business; the notes say what matters
/// for choosing one.
pub mod response {
    /// Client side only, never on the wire.
    pub const RPC_TIME_OUT: i32 = -1006;
    /// Client side only, never on the wire.
    pub const RPC_SEND_TO_CHANNEL_FAILED: i32 = -1004;
    /// Client side only, never on the wire.
    pub const RPC_ADDR_IS_NULL: i32 = -1002;
    /// Client side only, never on the wire.
    pub const RPC_UNKNOWN: i32 = -1000;
    /// Done.
    pub const SUCCESS: i32 = 0;
    /// Failed; the remark says why. Producers try again.
    pub const SYSTEM_ERROR: i32 = 1;
    /// Too busy, or not in a state to serve; producers try again, but Java 4.9 and Go do not.
    pub const SYSTEM_BUSY: i32 = 2;
    /// The receiver does not know this request code.
    pub const REQUEST_CODE_NOT_SUPPORTED: i32 = 3;
    /// Legacy.
    pub const TRANSACTION_FAILED: i32 = 4;
    /// Stored, but not confirmed to be on disk in time. Clients count it as sent.
    pub const FLUSH_DISK_TIMEOUT: i32 = 10;
    /// Stored, but no replica was there. Clients count it as sent.
    pub const SLAVE_NOT_AVAILABLE: i32 = 11;
    /// Stored, but no replica confirmed in time. Clients count it as sent.
    pub const FLUSH_SLAVE_TIMEOUT: i32 = 12;
    /// The message is not acceptable: its body, properties, topic or time.
    pub const MESSAGE_ILLEGAL: i32 = 13;
    /// Not available now: shutting down, disk full, or not the leader. All producers try again.
    pub const SERVICE_NOT_AVAILABLE: i32 = 14;
    /// The peer's version does not support this.
    pub const VERSION_NOT_SUPPORTED: i32 = 15;
    /// Forbidden by the permission of broker, topic or group.
    pub const NO_PERMISSION: i32 = 16;
    /// No such topic.
    pub const TOPIC_NOT_EXIST: i32 = 17;
    /// The topic exists already.
    pub const TOPIC_EXIST_ALREADY: i32 = 18;
    /// Pull: no new message yet.
    pub const PULL_NOT_FOUND: i32 = 19;
    /// Pull: nothing matched here, ask again at once from `nextBeginOffset`.
    pub const PULL_RETRY_IMMEDIATELY: i32 = 20;
    /// Pull: the offset is out of range; go on from `nextBeginOffset`, which the client stores.
    pub const PULL_OFFSET_MOVED: i32 = 21;
    /// Nothing found: a key, an offset, a message.
    pub const QUERY_NOT_FOUND: i32 = 22;
    /// The filter expression does not parse.
    pub const SUBSCRIPTION_PARSE_FAILED: i32 = 23;
    /// The group has no subscription for the topic.
    pub const SUBSCRIPTION_NOT_EXIST: i32 = 24;
    /// The group's subscription is older than the request's.
    pub const SUBSCRIPTION_NOT_LATEST: i32 = 25;
    /// No such consumer group.
    pub const SUBSCRIPTION_GROUP_NOT_EXIST: i32 = 26;
    /// No filter is registered for the group and topic.
    pub const FILTER_DATA_NOT_EXIST: i32 = 27;
    /// The registered filter is older than the request's.
    pub const FILTER_DATA_NOT_LATEST: i32 = 28;
    /// A field has an unacceptable value: an illegal name, a queue id out of range.
    pub const INVALID_PARAMETER: i32 = 29;
    /// Legacy.
    pub const TRANSACTION_SHOULD_COMMIT: i32 = 200;
    /// Legacy.
    pub const TRANSACTION_SHOULD_ROLLBACK: i32 = 201;
    /// Legacy.
    pub const TRANSACTION_STATE_UNKNOW: i32 = 202;
    /// Legacy.
    pub const TRANSACTION_STATE_GROUP_WRONG: i32 = 203;
    /// Legacy; producers try again.
    pub const NO_BUYER_ID: i32 = 204;
    /// Legacy; producers try again.
    pub const NOT_IN_CURRENT_UNIT: i32 = 205;
    /// The group has no live consumer.
    pub const CONSUMER_NOT_ONLINE: i32 = 206;
    /// A client did not answer in time.
    pub const CONSUME_MSG_TIMEOUT: i32 = 207;
    /// No message.
    pub const NO_MESSAGE: i32 = 208;
    /// Pop: too many waiting requests.
    pub const POLLING_FULL: i32 = 209;
    /// Pop: the wait is over.
    pub const POLLING_TIMEOUT: i32 = 210;
    /// No such broker.
    pub const BROKER_NOT_EXIST: i32 = 211;
    /// The consume queues are still being built.
    pub const BROKER_DISPATCH_NOT_COMPLETE: i32 = 212;
    /// A broadcast group: its offsets are not on the broker.
    pub const BROADCAST_CONSUMPTION: i32 = 213;
    /// Pull: too fast, ask again shortly.
    pub const FLOW_CONTROL: i32 = 215;
    /// Static topics only.
    pub const NOT_LEADER_FOR_QUEUE: i32 = 501;
    /// Not allowed in this state.
    pub const ILLEGAL_OPERATION: i32 = 604;
    /// The server is going away; connect again.
    pub const GO_AWAY: i32 = 1500;
    /// Controller mode only.
    pub const CONTROLLER_FENCED_MASTER_EPOCH: i32 = 2000;
    /// Controller mode only.
    pub const CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH: i32 = 2001;
    /// Controller mode only.
    pub const CONTROLLER_INVALID_MASTER: i32 = 2002;
    /// Controller mode only.
    pub const CONTROLLER_INVALID_REPLICAS: i32 = 2003;
    /// Controller mode only.
    pub const CONTROLLER_MASTER_NOT_AVAILABLE: i32 = 2004;
    /// Controller mode only.
    pub const CONTROLLER_INVALID_REQUEST: i32 = 2005;
    /// Controller mode only.
    pub const CONTROLLER_BROKER_NOT_ALIVE: i32 = 2006;
    /// Controller mode only.
    pub const CONTROLLER_NOT_LEADER: i32 = 2007;
    /// Controller mode only.
    pub const CONTROLLER_BROKER_METADATA_NOT_EXIST: i32 = 2008;
    /// Controller mode only.
    pub const CONTROLLER_INVALID_CLEAN_BROKER_METADATA: i32 = 2009;
    /// Controller mode only.
    pub const CONTROLLER_BROKER_NEED_TO_BE_REGISTERED: i32 = 2010;
    /// Controller mode only.
    pub const CONTROLLER_MASTER_STILL_EXIST: i32 = 2011;
    /// Controller mode only.
    pub const CONTROLLER_ELECT_MASTER_FAILED: i32 = 2012;
    /// Controller mode only.
    pub const CONTROLLER_ALTER_SYNC_STATE_SET_FAILED: i32 = 2013;
    /// Controller mode only.
    pub const CONTROLLER_BROKER_ID_INVALID: i32 = 2014;
    /// Controller mode only.
    pub const CONTROLLER_JRAFT_INTERNAL_ERROR: i32 = 2015;
    /// Controller mode only.
    pub const CONTROLLER_BROKER_LIVE_INFO_NOT_EXISTS: i32 = 2016;
    /// No such user.
    pub const USER_NOT_EXIST: i32 = 3001;
    /// No such policy.
    pub const POLICY_NOT_EXIST: i32 = 3002;
}

/// The name of a request code, for logs and refusals; `None` for a number that 5.3.3 does not know.
pub fn request_name(code: i32) -> Option<&'static str> {
    let name = match code {
        10 => "SEND_MESSAGE",
        11 => "PULL_MESSAGE",
        12 => "QUERY_MESSAGE",
        13 => "QUERY_BROKER_OFFSET",
        14 => "QUERY_CONSUMER_OFFSET",
        15 => "UPDATE_CONSUMER_OFFSET",
        17 => "UPDATE_AND_CREATE_TOPIC",
        18 => "UPDATE_AND_CREATE_TOPIC_LIST",
        21 => "GET_ALL_TOPIC_CONFIG",
        22 => "GET_TOPIC_CONFIG_LIST",
        23 => "GET_TOPIC_NAME_LIST",
        25 => "UPDATE_BROKER_CONFIG",
        26 => "GET_BROKER_CONFIG",
        27 => "TRIGGER_DELETE_FILES",
        28 => "GET_BROKER_RUNTIME_INFO",
        29 => "SEARCH_OFFSET_BY_TIMESTAMP",
        30 => "GET_MAX_OFFSET",
        31 => "GET_MIN_OFFSET",
        32 => "GET_EARLIEST_MSG_STORETIME",
        33 => "VIEW_MESSAGE_BY_ID",
        34 => "HEART_BEAT",
        35 => "UNREGISTER_CLIENT",
        36 => "CONSUMER_SEND_MSG_BACK",
        37 => "END_TRANSACTION",
        38 => "GET_CONSUMER_LIST_BY_GROUP",
        39 => "CHECK_TRANSACTION_STATE",
        40 => "NOTIFY_CONSUMER_IDS_CHANGED",
        41 => "LOCK_BATCH_MQ",
        42 => "UNLOCK_BATCH_MQ",
        43 => "GET_ALL_CONSUMER_OFFSET",
        45 => "GET_ALL_DELAY_OFFSET",
        46 => "CHECK_CLIENT_CONFIG",
        47 => "GET_CLIENT_CONFIG",
        60 => "GET_TIMER_CHECK_POINT",
        61 => "GET_TIMER_METRICS",
        100 => "PUT_KV_CONFIG",
        101 => "GET_KV_CONFIG",
        102 => "DELETE_KV_CONFIG",
        103 => "REGISTER_BROKER",
        104 => "UNREGISTER_BROKER",
        105 => "GET_ROUTEINFO_BY_TOPIC",
        106 => "GET_BROKER_CLUSTER_INFO",
        200 => "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP",
        201 => "GET_ALL_SUBSCRIPTIONGROUP_CONFIG",
        202 => "GET_TOPIC_STATS_INFO",
        203 => "GET_CONSUMER_CONNECTION_LIST",
        204 => "GET_PRODUCER_CONNECTION_LIST",
        205 => "WIPE_WRITE_PERM_OF_BROKER",
        206 => "GET_ALL_TOPIC_LIST_FROM_NAMESERVER",
        207 => "DELETE_SUBSCRIPTIONGROUP",
        208 => "GET_CONSUME_STATS",
        209 => "SUSPEND_CONSUMER",
        210 => "RESUME_CONSUMER",
        211 => "RESET_CONSUMER_OFFSET_IN_CONSUMER",
        212 => "RESET_CONSUMER_OFFSET_IN_BROKER",
        213 => "ADJUST_CONSUMER_THREAD_POOL",
        214 => "WHO_CONSUME_THE_MESSAGE",
        215 => "DELETE_TOPIC_IN_BROKER",
        216 => "DELETE_TOPIC_IN_NAMESRV",
        217 => "REGISTER_TOPIC_IN_NAMESRV",
        219 => "GET_KVLIST_BY_NAMESPACE",
        220 => "RESET_CONSUMER_CLIENT_OFFSET",
        221 => "GET_CONSUMER_STATUS_FROM_CLIENT",
        222 => "INVOKE_BROKER_TO_RESET_OFFSET",
        223 => "INVOKE_BROKER_TO_GET_CONSUMER_STATUS",
        224 => "GET_TOPICS_BY_CLUSTER",
        225 => "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST",
        300 => "QUERY_TOPIC_CONSUME_BY_WHO",
        301 => "REGISTER_FILTER_SERVER",
        302 => "REGISTER_MESSAGE_FILTER_CLASS",
        303 => "QUERY_CONSUME_TIME_SPAN",
        304 => "GET_SYSTEM_TOPIC_LIST_FROM_NS",
        305 => "GET_SYSTEM_TOPIC_LIST_FROM_BROKER",
        306 => "CLEAN_EXPIRED_CONSUMEQUEUE",
        307 => "GET_CONSUMER_RUNNING_INFO",
        308 => "QUERY_CORRECTION_OFFSET",
        309 => "CONSUME_MESSAGE_DIRECTLY",
        310 => "SEND_MESSAGE_V2",
        311 => "GET_UNIT_TOPIC_LIST",
        312 => "GET_HAS_UNIT_SUB_TOPIC_LIST",
        313 => "GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST",
        314 => "CLONE_GROUP_OFFSET",
        315 => "VIEW_BROKER_STATS_DATA",
        316 => "CLEAN_UNUSED_TOPIC",
        317 => "GET_BROKER_CONSUME_STATS",
        318 => "UPDATE_NAMESRV_CONFIG",
        319 => "GET_NAMESRV_CONFIG",
        320 => "SEND_BATCH_MESSAGE",
        321 => "QUERY_CONSUME_QUEUE",
        322 => "QUERY_DATA_VERSION",
        323 => "RESUME_CHECK_HALF_MESSAGE",
        324 => "SEND_REPLY_MESSAGE",
        325 => "SEND_REPLY_MESSAGE_V2",
        326 => "PUSH_REPLY_MESSAGE_TO_CLIENT",
        327 => "ADD_WRITE_PERM_OF_BROKER",
        328 => "GET_ALL_PRODUCER_INFO",
        329 => "DELETE_EXPIRED_COMMITLOG",
        343 => "QUERY_TOPICS_BY_CONSUMER",
        345 => "QUERY_SUBSCRIPTION_BY_CONSUMER",
        351 => "GET_TOPIC_CONFIG",
        352 => "GET_SUBSCRIPTIONGROUP_CONFIG",
        353 => "UPDATE_AND_GET_GROUP_FORBIDDEN",
        354 => "CHECK_ROCKSDB_CQ_WRITE_PROGRESS",
        355 => "EXPORT_ROCKSDB_CONFIG_TO_JSON",
        361 => "LITE_PULL_MESSAGE",
        370 => "RECALL_MESSAGE",
        400 => "QUERY_ASSIGNMENT",
        401 => "SET_MESSAGE_REQUEST_MODE",
        402 => "GET_ALL_MESSAGE_REQUEST_MODE",
        513 => "UPDATE_AND_CREATE_STATIC_TOPIC",
        901 => "GET_BROKER_MEMBER_GROUP",
        902 => "ADD_BROKER",
        903 => "REMOVE_BROKER",
        904 => "BROKER_HEARTBEAT",
        905 => "NOTIFY_MIN_BROKER_ID_CHANGE",
        906 => "EXCHANGE_BROKER_HA_INFO",
        907 => "GET_BROKER_HA_STATUS",
        908 => "RESET_MASTER_FLUSH_OFFSET",
        1001 => "CONTROLLER_ALTER_SYNC_STATE_SET",
        1002 => "CONTROLLER_ELECT_MASTER",
        1003 => "CONTROLLER_REGISTER_BROKER",
        1004 => "CONTROLLER_GET_REPLICA_INFO",
        1005 => "CONTROLLER_GET_METADATA_INFO",
        1006 => "CONTROLLER_GET_SYNC_STATE_DATA",
        1007 => "GET_BROKER_EPOCH_CACHE",
        1008 => "NOTIFY_BROKER_ROLE_CHANGED",
        1009 => "UPDATE_CONTROLLER_CONFIG",
        1010 => "GET_CONTROLLER_CONFIG",
        1011 => "CLEAN_BROKER_DATA",
        1012 => "CONTROLLER_GET_NEXT_BROKER_ID",
        1013 => "CONTROLLER_APPLY_BROKER_ID",
        1014 => "BROKER_CLOSE_CHANNEL_REQUEST",
        1015 => "CHECK_NOT_ACTIVE_BROKER_REQUEST",
        1016 => "GET_BROKER_LIVE_INFO_REQUEST",
        1017 => "GET_SYNC_STATE_DATA_REQUEST",
        1018 => "RAFT_BROKER_HEART_BEAT_EVENT_REQUEST",
        2001 => "UPDATE_COLD_DATA_FLOW_CTR_CONFIG",
        2002 => "REMOVE_COLD_DATA_FLOW_CTR_CONFIG",
        2003 => "GET_COLD_DATA_FLOW_CTR_INFO",
        2004 => "SET_COMMITLOG_READ_MODE",
        3001 => "AUTH_CREATE_USER",
        3002 => "AUTH_UPDATE_USER",
        3003 => "AUTH_DELETE_USER",
        3004 => "AUTH_GET_USER",
        3005 => "AUTH_LIST_USER",
        3006 => "AUTH_CREATE_ACL",
        3007 => "AUTH_UPDATE_ACL",
        3008 => "AUTH_DELETE_ACL",
        3009 => "AUTH_GET_ACL",
        3010 => "AUTH_LIST_ACL",
        200_050 => "POP_MESSAGE",
        200_051 => "ACK_MESSAGE",
        200_052 => "PEEK_MESSAGE",
        200_053 => "CHANGE_MESSAGE_INVISIBLETIME",
        200_054 => "NOTIFICATION",
        200_055 => "POLLING_INFO",
        200_056 => "POP_ROLLBACK",
        200_151 => "BATCH_ACK_MESSAGE",
        _ => return None,
    };
    Some(name)
}

/// The name of a response code, for logs; `None` for a number that 5.3.3 does not know.
pub fn response_name(code: i32) -> Option<&'static str> {
    let name = match code {
        -1006 => "RPC_TIME_OUT",
        -1004 => "RPC_SEND_TO_CHANNEL_FAILED",
        -1002 => "RPC_ADDR_IS_NULL",
        -1000 => "RPC_UNKNOWN",
        0 => "SUCCESS",
        1 => "SYSTEM_ERROR",
        2 => "SYSTEM_BUSY",
        3 => "REQUEST_CODE_NOT_SUPPORTED",
        4 => "TRANSACTION_FAILED",
        10 => "FLUSH_DISK_TIMEOUT",
        11 => "SLAVE_NOT_AVAILABLE",
        12 => "FLUSH_SLAVE_TIMEOUT",
        13 => "MESSAGE_ILLEGAL",
        14 => "SERVICE_NOT_AVAILABLE",
        15 => "VERSION_NOT_SUPPORTED",
        16 => "NO_PERMISSION",
        17 => "TOPIC_NOT_EXIST",
        18 => "TOPIC_EXIST_ALREADY",
        19 => "PULL_NOT_FOUND",
        20 => "PULL_RETRY_IMMEDIATELY",
        21 => "PULL_OFFSET_MOVED",
        22 => "QUERY_NOT_FOUND",
        23 => "SUBSCRIPTION_PARSE_FAILED",
        24 => "SUBSCRIPTION_NOT_EXIST",
        25 => "SUBSCRIPTION_NOT_LATEST",
        26 => "SUBSCRIPTION_GROUP_NOT_EXIST",
        27 => "FILTER_DATA_NOT_EXIST",
        28 => "FILTER_DATA_NOT_LATEST",
        29 => "INVALID_PARAMETER",
        200 => "TRANSACTION_SHOULD_COMMIT",
        201 => "TRANSACTION_SHOULD_ROLLBACK",
        202 => "TRANSACTION_STATE_UNKNOW",
        203 => "TRANSACTION_STATE_GROUP_WRONG",
        204 => "NO_BUYER_ID",
        205 => "NOT_IN_CURRENT_UNIT",
        206 => "CONSUMER_NOT_ONLINE",
        207 => "CONSUME_MSG_TIMEOUT",
        208 => "NO_MESSAGE",
        209 => "POLLING_FULL",
        210 => "POLLING_TIMEOUT",
        211 => "BROKER_NOT_EXIST",
        212 => "BROKER_DISPATCH_NOT_COMPLETE",
        213 => "BROADCAST_CONSUMPTION",
        215 => "FLOW_CONTROL",
        501 => "NOT_LEADER_FOR_QUEUE",
        604 => "ILLEGAL_OPERATION",
        1500 => "GO_AWAY",
        2000 => "CONTROLLER_FENCED_MASTER_EPOCH",
        2001 => "CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH",
        2002 => "CONTROLLER_INVALID_MASTER",
        2003 => "CONTROLLER_INVALID_REPLICAS",
        2004 => "CONTROLLER_MASTER_NOT_AVAILABLE",
        2005 => "CONTROLLER_INVALID_REQUEST",
        2006 => "CONTROLLER_BROKER_NOT_ALIVE",
        2007 => "CONTROLLER_NOT_LEADER",
        2008 => "CONTROLLER_BROKER_METADATA_NOT_EXIST",
        2009 => "CONTROLLER_INVALID_CLEAN_BROKER_METADATA",
        2010 => "CONTROLLER_BROKER_NEED_TO_BE_REGISTERED",
        2011 => "CONTROLLER_MASTER_STILL_EXIST",
        2012 => "CONTROLLER_ELECT_MASTER_FAILED",
        2013 => "CONTROLLER_ALTER_SYNC_STATE_SET_FAILED",
        2014 => "CONTROLLER_BROKER_ID_INVALID",
        2015 => "CONTROLLER_JRAFT_INTERNAL_ERROR",
        2016 => "CONTROLLER_BROKER_LIVE_INFO_NOT_EXISTS",
        3001 => "USER_NOT_EXIST",
        3002 => "POLICY_NOT_EXIST",
        _ => return None,
    };
    Some(name)
}
