//! Names known without a field of their own, and what we refuse rather than leave out silently.

use settings::{Reader, Vocabulary};

/// Spellings we take for RocketMQ's, and names of RocketMQ's that change nothing here.
///
/// RocketMQ writes `DLeger`, one `d` fewer than the product; half the world writes it right.
pub(super) const VOCABULARY: Vocabulary = Vocabulary {
    aliases: &[
        ("enableDLedgerCommitLog", "enableDLegerCommitLog"),
        ("dLedgerGroup", "dLegerGroup"),
        ("dLedgerPeers", "dLegerPeers"),
        ("dLedgerSelfId", "dLegerSelfId"),
        ("preferredLeaderIds", "preferredLeaderId"),
    ],
    without_effect: &[
        "*ThreadPoolNums",
        "*ThreadPoolQueueCapacity",
        "asyncSendEnable",
        "compressedRegister",
        "duplicationEnable",
        "enableSlaveActingMaster",
        "flushCommitLogTimed",
        "forceRegister",
        "haHousekeepingInterval",
        "haSendHeartbeatInterval",
        "inSyncReplicas",
        "rocketmqHome",
        "server*Threads",
        "slaveReadEnable",
        "tls.*",
        "totalReplicas",
        "useEpollNativeSelector",
        "useReentrantLockWhenPutMessage",
    ],
};

/// What `mqbroker -m` prints.
pub(super) const IMPORTANT: &[&str] = &[
    "brokerClusterName",
    "brokerName",
    "namesrvAddr",
    "brokerIP1",
    "listenPort",
    "httpPort",
    "enableDLegerCommitLog",
    "dLegerGroup",
    "dLegerPeers",
    "dLegerSelfId",
    "storePathRootDir",
    "storePathCommitLog",
    "flushDiskType",
    "autoCreateTopicEnable",
    "autoCreateSubscriptionGroup",
    "fileReservedTime",
    "maxMessageSize",
];

/// Access control and TLS are not built. An operator who asks for them must not get an open port instead.
pub(super) fn read_security(reader: &mut Reader) {
    for name in ["aclEnable", "authenticationEnabled", "authorizationEnabled"] {
        if reader.bool(name, false) {
            reader
                .refuse(&[name], "access control is not built yet, and the broker would be open to everyone");
        }
    }
    let modes = [("disabled", false), ("permissive", false), ("enforcing", true)];
    if reader.one_of("tls.server.mode", &false, &modes) {
        reader.refuse(&["tls.server.mode"], "TLS is not built yet, and the broker would speak plain text");
    } else {
        reader.has_no_effect("tls.server.mode");
    }
}
