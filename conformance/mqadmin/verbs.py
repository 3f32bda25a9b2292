"""The verbs that are tried, in order: each with its words, and with what its output must show.

A check gets the output and the story so far, and returns a complaint or None. The numbers are known because everything
in the group was put there by the verbs before.
"""

import dataclasses
import re
import time

TOPIC = "AdminTopic"
QUEUES = 8
GROUP = "AdminGroup"
SENT = 12
KEY = "order-7"
CLUSTER = "RaftCluster"
BROKER = "RaftNode00"
# Longer where the tool's machine has an IPv6 address only.
UNIQUE_KEY = "[0-9A-Fa-f]{32,56}"


@dataclasses.dataclass(frozen=True)
class Verb:
    """One call of mqadmin."""

    name: str
    words: object  # a list, or a function of the story that gives one
    check: object = None
    versions: tuple = ("5", "4")
    # For a verb that must be refused: what the tool then shows beside the stack trace it prints of every refusal.
    refused: str = ""
    # Tried again until the check passes, at most so long: what the tool shows may lag by a heartbeat.
    within_s: float = 0

    def words_for(self, story):
        """The command line."""
        return self.words(story) if callable(self.words) else self.words


def says(*parts):
    """The output holds each of these."""
    def check(output, _story):
        missing = [part for part in parts if part not in output.text]
        return f"{missing} not in: {output.tail()}" if missing else None
    return check


def says_not(*parts):
    """The output holds none of these."""
    def check(output, _story):
        found = [part for part in parts if part in output.text]
        return f"{found} in: {output.tail()}" if found else None
    return check


def both(*checks):
    """All of these hold."""
    def check(output, story):
        return next((complaint for complaint in (one(output, story) for one in checks) if complaint), None)
    return check


def rows(matching, count):
    """So many lines hold this."""
    def check(output, _story):
        found = [line for line in output.text.splitlines() if re.search(matching, line)]
        return None if len(found) == count else f"{len(found)} lines with {matching!r}, not {count}: {output.tail()}"
    return check


def nodes(output, story):
    """`clusterList` shows three nodes, the leader as number 0."""
    shown = {line[2]: line[3] for line in output.rows() if len(line) > 4 and line[0] == CLUSTER}
    if len(shown) != 3:
        return f"{len(shown)} nodes: {output.tail()}"
    return None if shown.get("0") == story.leader() else f"leader is {story.leader()}, shown {shown}"


def topic_total(output, _story):
    """`topicStatus` adds up to what was sent."""
    queues = [line for line in output.rows() if line[0] == BROKER]
    total = sum(int(line[3]) for line in queues)
    if len(queues) != QUEUES or total != SENT:
        return f"{len(queues)} queues with {total} messages, not {QUEUES} with {SENT}: {output.tail()}"
    return None


def lag(expected):
    """`consumerProgress -g` shows this difference in all."""
    def check(output, _story):
        total = output.number_after("Consume Diff Total") or output.number_after("Diff Total")
        shown = 0 if total is None else total
        return None if shown == expected else f"difference {shown}, not {expected}: {output.tail()}"
    return check


def remember_place(output, story):
    """Keeps where the message lies that was found by its key."""
    story.queue = output.number_after("Queue ID")
    story.queue_offset = output.number_after("Queue Offset")
    return f"no place in: {output.tail()}" if None in (story.queue, story.queue_offset) else None


def remember_offset_id(output, story):
    """Keeps its other id."""
    found = re.search(r"OffsetID:\s+([0-9A-F]{32})", output.text)
    if not found:
        return f"no offset id in: {output.tail()}"
    story.offset_id = found.group(1)
    return None


def key_rows(output, story):
    """`queryMsgByKey` lists one message, by its unique key."""
    found = [line for line in output.rows() if re.fullmatch(UNIQUE_KEY, line[0])]
    if len(found) != 1:
        return f"{len(found)} messages with key {KEY}: {output.tail()}"
    story.unique_key = found[0][0]
    return None


def sent(output, story):
    """`sendMessage` says SEND_OK with an id."""
    found = re.search(rf"SEND_OK\s+({UNIQUE_KEY})", output.text)
    if not found:
        return f"not sent: {output.tail()}"
    story.ids.append(found.group(1))
    return None


def on_leader(*words):
    """`words` with the leader's address behind `-b`."""
    return lambda story: [*words, "-b", story.leader()]


def sends():
    """Messages over all queues, one of them with a key."""
    for number in range(SENT):
        key = ["-k", KEY] if number == 7 else []
        yield Verb("sendMessage", ["sendMessage", "-t", TOPIC, "-p", f"body {number}", "-c", "TagA", *key], sent)


def in_an_hour():
    """A time after every message, as the tools take it."""
    return str(int((time.time() + 3600) * 1000))


VERBS = [
    Verb("clusterList", ["clusterList"], nodes, within_s=30),
    Verb("clusterList -m", ["clusterList", "-m"], says(BROKER)),
    Verb("updateTopic", ["updateTopic", "-c", CLUSTER, "-t", TOPIC, "-r", QUEUES, "-w", QUEUES], says("success", TOPIC)),
    Verb("updateTopic, one broker", on_leader("updateTopic", "-t", "AdminOther", "-r", 2, "-w", 2), says("success")),
    Verb("updateTopic, illegal name", ["updateTopic", "-c", CLUSTER, "-t", "bad name"],
         refused="CODE: 29  DESC: The specified topic contains illegal characters"),
    Verb("topicList", ["topicList"], says(TOPIC, "AdminOther", "TBW102")),
    Verb("topicList -c", ["topicList", "-c"], says(TOPIC, CLUSTER)),
    Verb("topicClusterList", ["topicClusterList", "-t", TOPIC], says(CLUSTER)),
    Verb("topicRoute", ["topicRoute", "-t", TOPIC], both(says(BROKER, '"readQueueNums":8'), says('"perm":6'))),
    Verb("topicRoute -l", ["topicRoute", "-t", TOPIC, "-l"], says(BROKER), versions=("5",)),
    Verb("updateTopicPerm", ["updateTopicPerm", "-c", CLUSTER, "-t", "AdminOther", "-p", 4], says("success")),
    Verb("topicRoute after updateTopicPerm", ["topicRoute", "-t", "AdminOther"], says('"perm":4')),
    Verb("updateOrderConf", ["updateOrderConf", "-t", TOPIC, "-m", "put", "-v", f"{BROKER}:8"], says("success")),
    Verb("updateOrderConf get", ["updateOrderConf", "-t", TOPIC, "-m", "get"], says(f"{BROKER}:8")),
    Verb("updateOrderConf delete", ["updateOrderConf", "-t", TOPIC, "-m", "delete"], says("success")),
    Verb("allocateMQ", ["allocateMQ", "-t", TOPIC, "-i", "10.0.0.1,10.0.0.2"], says("10.0.0.2", '"queueId":7')),
    *sends(),
    Verb("sendMessage to a queue", ["sendMessage", "-t", "AdminQueue", "-p", "one", "-b", BROKER, "-i", "0"]),
    Verb("topicStatus", ["topicStatus", "-t", TOPIC], topic_total),
    Verb("topicStatus -c", ["topicStatus", "-t", TOPIC, "-c", CLUSTER], says(BROKER), versions=("5",)),
    Verb("queryMsgByKey", ["queryMsgByKey", "-t", TOPIC, "-k", KEY], key_rows),
    Verb("queryMsgByUniqueKey", lambda story: ["queryMsgByUniqueKey", "-t", TOPIC, "-i", story.unique_key],
         both(says(TOPIC, KEY), remember_place)),
    Verb("queryMsgByOffset",
         lambda story: ["queryMsgByOffset", "-t", TOPIC, "-b", BROKER, "-i", story.queue, "-o", story.queue_offset],
         both(says(TOPIC, KEY), remember_offset_id)),
    Verb("queryMsgById", lambda story: ["queryMsgById", "-t", TOPIC, "-i", story.offset_id], says(TOPIC, KEY),
         versions=("5",)),
    Verb("queryMsgById", lambda story: ["queryMsgById", "-i", story.offset_id], says(TOPIC, KEY), versions=("4",)),
    Verb("printMsg", ["printMsg", "-t", TOPIC, "-d", "true"], rows("MSGID|body \\d+", SENT)),
    Verb("printMsgByQueue",
         lambda story: ["printMsgByQueue", "-t", TOPIC, "-a", BROKER, "-i", story.queue, "-p", "true", "-d", "true"],
         says("body ")),
    Verb("consumeMessage", ["consumeMessage", "-t", TOPIC, "-g", "AdminPull"], says("body ")),
    Verb("consumeMessage, one queue",
         lambda story: ["consumeMessage", "-t", TOPIC, "-b", BROKER, "-i", story.queue, "-o", story.queue_offset, "-c", 1,
                        "-g", "AdminPull"],
         says("Consume ok")),
    Verb("updateSubGroup", ["updateSubGroup", "-c", CLUSTER, "-g", GROUP, "-r", 5], says("success")),
    Verb("getConsumerConfig", ["getConsumerConfig", "-g", GROUP], both(says(GROUP), says("retryMaxTimes")),
         versions=("5",)),
    Verb("setConsumeMode PULL", ["setConsumeMode", "-c", CLUSTER, "-t", TOPIC, "-g", GROUP, "-m", "PULL"],
         says("success"), versions=("5",)),
    # As in RocketMQ: a group's retry topic is made when its first consumer comes.
    Verb("consumerProgress, never online", ["consumerProgress", "-g", GROUP],
         refused=f"CODE: 17  DESC: No topic route info in name server for the topic: %RETRY%{GROUP}"),
    # From here on a consumer of the group is online and has consumed everything.
    Verb("START A CONSUMER", None),
    Verb("consumerConnection", ["consumerConnection", "-g", GROUP],
         says("CONSUME_PASSIVELY", "CLUSTERING", TOPIC, "127.0.0.1:"), within_s=40),
    Verb("consumerProgress", ["consumerProgress", "-g", GROUP], both(lag(0), rows(f"^{TOPIC} ", QUEUES)), within_s=40),
    # The tool leaves out queues that nothing was consumed of.
    Verb("brokerConsumeStats", on_leader("brokerConsumeStats"), says("#Topic", TOPIC, GROUP, "Diff Total: 0")),
    Verb("consumerProgress -s", ["consumerProgress", "-g", GROUP, "-s", "true"], says(TOPIC)),
    Verb("consumerProgress, all", ["consumerProgress"], says(GROUP)),
    Verb("consumerStatus", ["consumerStatus", "-g", GROUP], says("V5_3_3", "Rebalance OK"), within_s=20),
    Verb("producer", on_leader("producer"), says("producer group"), versions=("5",)),
    Verb("producerConnection", ["producerConnection", "-g", "CLIENT_INNER_PRODUCER", "-t", TOPIC],
         says("127.0.0.1:"), within_s=40),
    Verb("resetOffsetByTime", ["resetOffsetByTime", "-g", GROUP, "-t", TOPIC, "-s", "-1"], says(BROKER)),
    Verb("skipAccumulatedMessage", ["skipAccumulatedMessage", "-g", GROUP, "-t", TOPIC], says(BROKER)),
    Verb("STOP THE CONSUMER", None),
    Verb("resetOffsetByTime, offline", ["resetOffsetByTime", "-g", GROUP, "-t", TOPIC, "-s", "0"], says(BROKER)),
    Verb("consumerProgress after a reset", ["consumerProgress", "-g", GROUP], lag(SENT)),
    Verb("updateSubGroup, clone's target", ["updateSubGroup", "-c", CLUSTER, "-g", "AdminClone"], says("success")),
    Verb("cloneGroupOffset", ["cloneGroupOffset", "-s", GROUP, "-d", "AdminClone", "-t", TOPIC], says("success")),
    Verb("statsAll", ["statsAll", "-t", TOPIC], says(TOPIC, GROUP)),
    Verb("statsAll -a", ["statsAll", "-a"], says(TOPIC)),
    Verb("brokerStatus", on_leader("brokerStatus"),
         says("brokerVersionDesc", "putTps", "getTransferredTps", "commitLogDirCapacity", "raftTerm")),
    Verb("brokerStatus -c", ["brokerStatus", "-c", CLUSTER], says("brokerActive")),
    Verb("getBrokerConfig", on_leader("getBrokerConfig"), says("brokerClusterName", "maxMessageSize")),
    Verb("getBrokerConfig -c", ["getBrokerConfig", "-c", CLUSTER], rows("^brokerName", 3)),
    Verb("updateBrokerConfig", ["updateBrokerConfig", "-c", CLUSTER, "-k", "fileReservedTime", "-v", "48"],
         says("success")),
    Verb("getBrokerConfig after it", ["getBrokerConfig", "-c", CLUSTER], rows(r"^fileReservedTime\s+=\s+48", 3)),
    Verb("updateBrokerConfig, not while it runs", on_leader("updateBrokerConfig", "-k", "listenPort", "-v", "1"),
         refused="listenPort cannot be changed while the broker runs"),
    Verb("haStatus", on_leader("haStatus"), both(says("#SlaveNum\t2"), rows(" OK ", 2)), versions=("5",), within_s=10),
    Verb("haStatus -c", ["haStatus", "-c", CLUSTER], says("#MasterAddr"), versions=("5",)),
    Verb("queryCq",
         lambda story: ["queryCq", "-t", TOPIC, "-q", story.queue, "-i", story.queue_offset, "-c", 1, "-b", story.leader()],
         lambda output, story: says(f"idx: {story.queue_offset}")(output, story)),
    Verb("cleanExpiredCQ", ["cleanExpiredCQ", "-c", CLUSTER], says("success")),
    Verb("cleanUnusedTopic", ["cleanUnusedTopic", "-c", CLUSTER], says("success")),
    Verb("deleteExpiredCommitLog", ["deleteExpiredCommitLog", "-c", CLUSTER], says("success"), versions=("5",)),
    Verb("getNamesrvConfig", ["getNamesrvConfig"], says("listenPort")),
    Verb("updateNamesrvConfig", ["updateNamesrvConfig", "-k", "orderMessageEnable", "-v", "false"], says("success")),
    Verb("updateKvConfig", ["updateKvConfig", "-s", "AdminSpace", "-k", "a", "-v", "1"], says("success")),
    Verb("deleteKvConfig", ["deleteKvConfig", "-s", "AdminSpace", "-k", "a"], says("success")),
    Verb("wipeWritePerm", ["wipeWritePerm", "-b", BROKER], says(BROKER)),
    Verb("topicRoute after wipeWritePerm", ["topicRoute", "-t", TOPIC], says('"perm":4')),
    Verb("addWritePerm", ["addWritePerm", "-b", BROKER], says(BROKER)),
    Verb("topicRoute after addWritePerm", ["topicRoute", "-t", TOPIC], says('"perm":6')),
    Verb("sendMsgStatus", ["sendMsgStatus", "-b", BROKER, "-s", 10, "-c", 2], says("rt=")),
    Verb("exportMetadata", lambda story: ["exportMetadata", "-c", CLUSTER, "-f", story.directory], says("success")),
    Verb("exportConfigs", lambda story: ["exportConfigs", "-c", CLUSTER, "-f", story.directory], says("success")),
    Verb("exportMetrics", lambda story: ["exportMetrics", "-c", CLUSTER, "-f", story.directory], says("success")),
    Verb("deleteSubGroup", ["deleteSubGroup", "-c", CLUSTER, "-g", "AdminClone", "-r", "true"], says("success")),
    Verb("deleteTopic", ["deleteTopic", "-c", CLUSTER, "-t", "AdminOther"], says("success")),
    Verb("topicList after deleteTopic", ["topicList"], both(says(TOPIC), says_not("AdminOther"))),
]


def verbs_of(version):
    """The verbs of one version, in order."""
    return [verb for verb in VERBS if version[0] in verb.versions]
