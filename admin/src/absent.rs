//! Verbs of RocketMQ 4.9 and 5.3 that have nothing to act on here, and why.

use std::ffi::OsString;

const ACCESS: &str = "there are no users and no access lists; keep the ports to whom you trust";
const CONTROLLER: &str =
    "there is no controller: a broker group elects its leader itself; see leader, status and transferLeader";
const CONTAINER: &str = "there are no broker containers; each node is a process of its own";
const STATIC: &str = "there are no static topics; a queue stays in its broker group";
const ROCKSDB: &str =
    "nothing is kept in RocksDB; topics, groups and offsets are in the replicated log; see exportMetadata";
const COLD: &str = "there is no cold data flow control";
const COMPACTION: &str = "there are no compaction topics";
const POP: &str = "there is no pop mode, so there are no pop records";
const FLUSH: &str = "the end of a leader's log is what a majority has, and nobody sets it by hand";
const MONITOR: &str = "there is no monitor; consumerProgress tells what waits for whom, and every node has its figures at HTTP /metrics";

/// Verb and reason.
const ABSENT: &[(&str, &str)] = &[
    ("createUser", ACCESS),
    ("updateUser", ACCESS),
    ("deleteUser", ACCESS),
    ("getUser", ACCESS),
    ("listUser", ACCESS),
    ("copyUser", ACCESS),
    ("createAcl", ACCESS),
    ("updateAcl", ACCESS),
    ("deleteAcl", ACCESS),
    ("getAcl", ACCESS),
    ("listAcl", ACCESS),
    ("copyAcl", ACCESS),
    ("updateAclConfig", ACCESS),
    ("deleteAclConfig", ACCESS),
    ("getAclConfig", ACCESS),
    ("getAccessConfigSubCommand", ACCESS),
    ("clusterAclConfigVersion", ACCESS),
    ("updateGlobalWhiteAddr", ACCESS),
    ("getControllerConfig", CONTROLLER),
    ("updateControllerConfig", CONTROLLER),
    ("getControllerMetaData", CONTROLLER),
    ("electMaster", CONTROLLER),
    ("cleanBrokerMetadata", CONTROLLER),
    ("getSyncStateSet", CONTROLLER),
    ("getBrokerEpoch", CONTROLLER),
    ("addBroker", CONTAINER),
    ("removeBroker", CONTAINER),
    ("updateStaticTopic", STATIC),
    ("remappingStaticTopic", STATIC),
    ("exportMetadataInRocksDB", ROCKSDB),
    ("rocksDBConfigToJson", ROCKSDB),
    ("checkRocksdbCqWriteProgress", ROCKSDB),
    ("getColdDataFlowCtrInfo", COLD),
    ("updateColdDataFlowCtrGroupConfig", COLD),
    ("removeColdDataFlowCtrGroupConfig", COLD),
    ("setCommitLogReadAheadMode", "reading ahead is left to the system; there is nothing to switch"),
    ("dumpCompactionLog", COMPACTION),
    ("exportPopRecord", POP),
    ("resetMasterFlushOffset", FLUSH),
    ("startMonitoring", MONITOR),
];

/// The verb of this command line and the reason, if it is one of these.
pub(crate) fn find(args: &[OsString]) -> Option<(&'static str, &'static str)> {
    let verbs = crate::verbs::commands();
    // The first word that is any verb is the verb; what follows may be values that are spelled like one.
    args.iter().skip(1).filter_map(|arg| arg.to_str()).find_map(|word| {
        if verbs.iter().any(|verb| verb.get_name() == word) {
            return Some(None);
        }
        ABSENT.iter().find(|(verb, _)| verb.eq_ignore_ascii_case(word)).map(|found| Some(*found))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<&'static str> {
        find(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).map(|(verb, _)| verb)
    }

    #[test]
    fn absent_verbs_are_found_in_any_case_and_values_are_not() {
        assert_eq!(found("mqadmin -n a:1 CREATEUSER -c C"), Some("createUser"));
        assert_eq!(found("mqadmin topicRoute -t createUser"), None);
        assert_eq!(found("mqadmin nonsense"), None);
    }

    #[test]
    fn none_of_them_is_there_after_all() {
        let verbs = crate::verbs::commands();
        for (verb, _) in ABSENT {
            assert!(verbs.iter().all(|known| known.get_name() != *verb), "{verb}");
        }
    }
}
