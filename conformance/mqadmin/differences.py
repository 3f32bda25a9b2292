"""The differences between a Trireme group and a DLedger group of RocketMQ that are meant to be, with their reasons."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Difference:
    """Lines that only one side says: `-` in front for RocketMQ, `+` for Trireme."""

    verbs: str  # a pattern that the verb's name begins with
    lines: str  # a pattern that the marked line begins with
    reason: str
    version: str = ""  # what the tool's version begins with

    def covers(self, version, name, line):
        """Whether it is about this line of this verb."""
        return bool(version.startswith(self.version) and re.match(self.verbs, name) and re.match(self.lines, line))


NOT_BUILT = "CODE: 3 DESC: request type"
POP_AND_TIMERS = "pop and timer messages are not built: their system topics are not there"
TOPIC_ITSELF = "5.3.3 lists a topic among its own consumer groups, by mistake"
STATIC_TOPICS = "static topics are not built"
COLD_DATA = "cold data flow control is not built"
ACCESS_CONTROL = "access control is not built; RocketMQ fails inside while it is switched off"
NO_POP = "pop is not built: its mode is refused, not stored"
ROCKSDB = "there is no RocksDB here; RocketMQ says nothing of substance where it does not use it"
LEGAL_NAMES = "an illegal group name is refused, as by 5.5.0; 5.3.3 stores it though no client can use it"
TYPOS = "a mistyped name or value is refused with the reason; RocketMQ says success and does nothing"
QUEUE_LOOKS = "a look where nothing is is refused with the reason; RocketMQ's answer makes the tool fail on a null"
SHORTER = "the reason is the same, without the address of the client and without Java's own frames"
OWN_PROPERTIES = "the properties that have an effect here; RocketMQ lists those of its own parts"
OWN_STATUS = "all that RocketMQ tells, and Raft's progress and 4.9's spelling beside it"
REPLICATION = "a DLedger group of RocketMQ has no answer; here Raft's progress is shown"
RETRY_QUEUE = "a new group begins an empty queue at 0, as with 4.9; with 5.3.3 it has no offset there, and may skip a message"
BELOW_0 = "a topic with less than no queue is refused; RocketMQ makes it"
OLD_TOOL = "4.9's tool fails on names that brokers of 5.3.3 do not tell; ours tell them"
CONTROLLER = "RocketMQ's controller mode, which a DLedger group does not have either, in other words"
SAMPLES = "what was counted in the last ten seconds is in the next sample"
OURS = r"auth\w+|filterServerNums|http\w+|preferredLeaderId|raft\w+|storePathDLedgerCommitLog|tls\.server\.mode"
OTHERWISE_SET = r"bindAddress|dLegerPeers|dLegerSelfId|flushDiskType|haListenPort|listenPort|mappedFileSizeCommitLog|storePath\w+"
REFUSED = r"\+ (\S*\.SubCommandException: |\S*RuntimeException: |Caused by: \S*Exception: |\S*Exception: )"

DIFFERENCES = [
    Difference("topicList|statsAll, all|exportM", r"- (\S+ )?(/topicConfigTable/)?rmq_sys_(wheel_timer|REVIVE_LOG_)", POP_AND_TIMERS),
    Difference("statsAll", r"- (\S+) \1 ", TOPIC_ITSELF),
    Difference("statsAll -a", r"[-+] Admin", SAMPLES),
    Difference("consumerProgress", r"[-+] %RETRY%AdminGroup RaftNode00 0 0 0 ", RETRY_QUEUE),
    Difference("consumerStatus -i", r"[-+] %RETRY%AdminGroup RaftNode00 0 ", RETRY_QUEUE),
    Difference("brokerConsumeStats", r"[-+] %RETRY%AdminGroup AdminGroup RaftNode00 0 0 0 ", RETRY_QUEUE),
    Difference("brokerStatus", r"\+ (getTransferedTps|raft\w+|remainHowManyDataToCommit|trireme)$", OWN_STATUS),
    Difference("getBrokerConfig|getNamesrvConfig", r"- [\w.]+( =|$)", OWN_PROPERTIES),
    Difference("getBrokerConfig|getNamesrvConfig", rf"\+ ({OURS})( =|$)", OWN_PROPERTIES),
    Difference("getBrokerConfig", rf"\+ ({OTHERWISE_SET}) = ", "the two groups are not set up alike"),
    Difference("exportConfigs", r"\+ /brokerConfigs/RaftNode00/filterServerNums", OLD_TOOL),
    Difference("clusterList", r"- java.lang.NullPointerException: .*getTransferedTps", OLD_TOOL, "4"),
    Difference("exportConfigs|exportMetrics", r"- .*(command failed|NullPointerException|was not written)|\+ (/|export <)", OLD_TOOL, "4"),
    Difference("haStatus", r"[-+] ", REPLICATION),
    Difference("updateTopic, unknown attribute value", r"[-+] .*CODE: 1 DESC: value is not in set: \[",
               "MIXED is left out: it is refused, and by RocketMQ, too, unless enableMixedMessageType"),
    Difference("updateTopic, queues below 0", r"- create topic to |- TopicConfig \[topicName=AdminMinus,", BELOW_0),
    Difference("updateTopic, queues below 0", REFUSED + ".*(command failed|CODE: 29)", BELOW_0),
    Difference("topicList|statsAll, all|exportM", r"- (\S+ )?(/topicConfigTable/)?AdminMinus\b", BELOW_0),
    Difference("sendMessage to an absent queue", r"[-+] .*CODE: 29 DESC: request queueId\[99\] is illegal, ", SHORTER),
    Difference("queryMsgByOffset, absent queue|consumeMessage, absent queue",
               r"[-+] .*CODE: 29 DESC: queueId\[99\] is illegal, topic:\[AdminTopic\] topicConfig.readQueueNums:\[8\] ", SHORTER),
    Difference("updateSubGroup, attribute", r"[-+] .*CODE: 1 DESC: .*unsupported key: no.such", SHORTER),
    Difference("updateSubGroup, (illegal|long) name", r"- create subscription group to |- SubscriptionGroupConfig\{", LEGAL_NAMES),
    Difference("updateSubGroup, (illegal|long) name", REFUSED + ".*(command failed|CODE: 29)", LEGAL_NAMES),
    Difference("getConsumerConfig, illegal name", r"[-+] ", LEGAL_NAMES),
    Difference("exportMetadata", r"- /subscriptionGroupTable/(bad name|x{255,})/", LEGAL_NAMES),
    Difference("setConsumeMode POP", r"- set consume mode to |- topic\[", NO_POP),
    Difference("setConsumeMode POP", REFUSED + ".*CODE: 29 DESC: mode POP is not supported", NO_POP),
    Difference("exportMetadata", r"- /subscriptionGroupTable/AdminPop/", NO_POP),
    Difference("exportPopRecord", r"[-+] Export broker records", NO_POP),
    Difference("exportPopRecord", REFUSED + NOT_BUILT, NO_POP),
    Difference("update(Broker|Namesrv)Config, (unknown|bad value)", r"- update (broker|name server) config success|- \w+ : ", TYPOS),
    Difference("update(Broker|Namesrv)Config, (unknown|bad value)", REFUSED + ".*(command failed|CODE: 1 )", TYPOS),
    Difference("queryCq, (beyond|below|absent queue)", r"- java.lang.NullPointerException", QUEUE_LOOKS),
    Difference("queryCq, (beyond|below|absent queue)", REFUSED + ".*CODE: 1 DESC: .* is not exist!", QUEUE_LOOKS),
    Difference("getBrokerEpoch", r"- Caused by: .* CODE: 1 DESC: this request only for controllerMode", CONTROLLER),
    Difference("getBrokerEpoch", REFUSED + NOT_BUILT, CONTROLLER),
    Difference("resetMasterFlushOffset", r"- reset master flush offset to 0 success", CONTROLLER),
    Difference("resetMasterFlushOffset", REFUSED + f".*(command failed|{NOT_BUILT})", CONTROLLER),
    Difference(".*ColdData|setCommitLogReadAheadMode", r"- ", COLD_DATA),
    Difference(".*ColdData|setCommitLogReadAheadMode", REFUSED + f".*(command failed|{NOT_BUILT})", COLD_DATA),
    Difference(r"\w*(User|Acl)$", r"- .*(CODE: 1 DESC: |NullPointerException|IllegalStateException)", ACCESS_CONTROL),
    Difference(r"\w*(User|Acl)$", REFUSED + NOT_BUILT, ACCESS_CONTROL),
    Difference("rocksDB|checkRocksdb", r"- (broker export done.|RaftNode00 check doing)", ROCKSDB),
    Difference("rocksDB|checkRocksdb", r"\+ (<node> export error.*|java.lang.RuntimeException: .* command failed)", ROCKSDB),
    Difference("rocksDB|checkRocksdb", REFUSED + f".*(command failed|{NOT_BUILT})", ROCKSDB),
    Difference("updateStaticTopic|remappingStaticTopic", r"- The old mapping data is written", STATIC_TOPICS),
    Difference("updateStaticTopic|remappingStaticTopic", REFUSED + f".*(command failed|{NOT_BUILT}|No topic route)", STATIC_TOPICS),
    Difference("topicList after", r"- AdminStatic$", STATIC_TOPICS),
]
