//! What is asked of a name server: registrations (103, 104, 322, 904), routes (105, 106, 901), key-value
//! configuration (100–102, 219), permissions and topics (205, 216, 217, 224, 327).

mod register;

use std::collections::BTreeMap;

use super::header;
use crate::json::body::json_body;

pub use crate::route::{
    BrokerData, ClusterInfo, DataVersion, KvTable, MessageQueue, QueueData, TopicConfig, TopicConfigError,
    TopicFilterType, TopicList, TopicRouteData,
};
pub use register::{RegisterBodyError, RegisterBrokerBody, TopicConfigWrapper};

/// The broker id of a leader, of which a broker group has at most one.
pub const LEADER_BROKER_ID: i64 = 0;

header! {
    /// 103: a broker registers. The body is a [`RegisterBrokerBody`].
    pub struct RegisterBroker {
        /// The broker group.
        pub broker_name: String => "brokerName",
        /// `ip:port` for clients.
        pub broker_addr: String => "brokerAddr",
        /// The broker cluster.
        pub cluster_name: String => "clusterName",
        /// Legacy, but must be there.
        pub ha_server_addr: String => "haServerAddr",
        /// 0 for the leader.
        pub broker_id: i64 => "brokerId",
        /// How long the registration holds, ms.
        pub heartbeat_timeout_ms: Option<i64> => "heartbeatTimeoutMillis",
        /// Absent from brokers before 5.0.
        pub enable_acting_master: Option<bool> => "enableActingMaster",
        /// Whether the body is deflated.
        pub compressed: bool => "compressed",
        /// Checksum of the body; absent or 0 for none.
        pub body_crc32: Option<i32> => "bodyCrc32",
        /// The broker's zone.
        pub zone_name: Option<String> => "__ZONE_NAME",
    }

    /// The answer to 103. The body is a [`KvTable`] of ordered topics, if there are any.
    pub struct RegisterBrokerResponse {
        /// Of the leader, for others.
        pub ha_server_addr: Option<String> => "haServerAddr",
        /// The leader's address, for others.
        pub master_addr: Option<String> => "masterAddr",
    }

    /// 104: a broker takes its leave.
    pub struct UnregisterBroker {
        /// The broker group.
        pub broker_name: String => "brokerName",
        /// `ip:port` for clients.
        pub broker_addr: String => "brokerAddr",
        /// The broker cluster.
        pub cluster_name: String => "clusterName",
        /// Its id; the address decides.
        pub broker_id: i64 => "brokerId",
    }

    /// 904: a broker is alive.
    pub struct BrokerHeartbeat {
        /// The broker cluster.
        pub cluster_name: String => "clusterName",
        /// `ip:port` for clients.
        pub broker_addr: String => "brokerAddr",
        /// The broker group.
        pub broker_name: String => "brokerName",
        /// Its id.
        pub broker_id: Option<i64> => "brokerId",
        /// Controller mode.
        pub epoch: Option<i32> => "epoch",
        /// Controller mode.
        pub max_offset: Option<i64> => "maxOffset",
        /// Controller mode.
        pub confirm_offset: Option<i64> => "confirmOffset",
        /// How long the heartbeat holds, ms.
        pub heartbeat_timeout_ms: Option<i64> => "heartbeatTimeoutMills",
    }

    /// 322: whether a broker has to register anew. The body is its [`DataVersion`].
    pub struct QueryDataVersion {
        /// The broker group.
        pub broker_name: String => "brokerName",
        /// `ip:port` for clients.
        pub broker_addr: String => "brokerAddr",
        /// The broker cluster.
        pub cluster_name: String => "clusterName",
        /// Its id.
        pub broker_id: i64 => "brokerId",
    }

    /// The answer to 322. The body is the version on record, if there is one.
    pub struct QueryDataVersionResponse {
        /// Whether it differs.
        pub changed: bool => "changed",
    }

    /// 105: the route of a topic.
    pub struct GetRouteInfo {
        /// The topic.
        pub topic: String => "topic",
        /// Whether keys must be quoted; ours always are.
        pub accept_standard_json_only: Option<bool> => "acceptStandardJsonOnly",
    }

    /// 901: the nodes of a broker group.
    pub struct GetBrokerMemberGroup {
        /// The broker cluster.
        pub cluster_name: String => "clusterName",
        /// The broker group.
        pub broker_name: String => "brokerName",
    }

    /// 100: sets a value. Without namespace or key it is answered 1.
    pub struct PutKvConfig {
        /// The namespace.
        pub namespace: String => "namespace",
        /// The key.
        pub key: String => "key",
        /// The value.
        pub value: String => "value",
    }

    /// 101: asks for a value.
    pub struct GetKvConfig {
        /// The namespace.
        pub namespace: String => "namespace",
        /// The key.
        pub key: String => "key",
    }

    /// The answer to 101.
    pub struct GetKvConfigResponse {
        /// The value.
        pub value: Option<String> => "value",
    }

    /// 102: removes a value.
    pub struct DeleteKvConfig {
        /// The namespace.
        pub namespace: String => "namespace",
        /// The key.
        pub key: String => "key",
    }

    /// 219: all values of a namespace, answered with a [`KvTable`].
    pub struct GetKvList {
        /// The namespace.
        pub namespace: String => "namespace",
    }

    /// 205 and 327: takes or gives the write permission of a broker group's queues.
    pub struct WritePerm {
        /// The broker group.
        pub broker_name: String => "brokerName",
    }

    /// The answer to 205.
    pub struct WipeWritePermResponse {
        /// How many topics changed.
        pub wipe_topic_count: i32 => "wipeTopicCount",
    }

    /// The answer to 327.
    pub struct AddWritePermResponse {
        /// How many topics changed.
        pub add_topic_count: i32 => "addTopicCount",
    }

    /// 216: forgets a topic.
    pub struct DeleteTopicInNamesrv {
        /// The topic.
        pub topic: String => "topic",
        /// Only on the brokers of this cluster.
        pub cluster_name: Option<String> => "clusterName",
    }

    /// 217: a new topic of a broker. The body is a [`TopicRouteData`] with its queues.
    pub struct RegisterTopic {
        /// The topic.
        pub topic: String => "topic",
    }

    /// 224: the topics of a cluster, answered with a [`TopicList`].
    pub struct GetTopicsByCluster {
        /// The broker cluster.
        pub cluster: String => "cluster",
    }
}

impl RegisterBroker {
    /// Ours, beside the header: "true" says that the body has all of the broker's topics, so that others of its group
    /// are gone. RocketMQ's name servers look at their own `deleteTopicWithBrokerRegistration` instead.
    pub const TOPICS_ARE_COMPLETE: &str = "topicsAreComplete";
}

json_body! {
    /// The answer to 901.
    pub struct BrokerMemberGroupBody {
        /// The nodes.
        pub broker_member_group: BrokerMemberGroup => "brokerMemberGroup",
    }

    /// The nodes of a broker group.
    pub struct BrokerMemberGroup {
        /// Broker id to `ip:port`.
        pub broker_addrs: BTreeMap<i64, String> => "brokerAddrs",
        /// The broker group.
        pub broker_name: String => "brokerName",
        /// The broker cluster.
        pub cluster: String => "cluster",
    }
}
