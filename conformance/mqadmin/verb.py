"""What one try of a verb is, and the checks of its output.

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
    # What `--compare` compares: the `text`; or its `words`, whatever the numbers; or the `keys` before `:` or `=`; or the
    # keys of the `json` in it; or the `status` the process ended with; or `nothing`, and Java does not get the verb.
    shape: str = "text"
    # Files below the story's directory that the verb writes; they count as output.
    files: str = ""
    # Tried again until the check passes, at most so long: what the tool shows may lag by a heartbeat.
    within_s: float = 0

    def words_for(self, story):
        """The command line."""
        return self.words(story) if callable(self.words) else self.words

    def complaint(self, output, story):
        """What is wrong with the output, or None."""
        if self.refused:
            return None if self.refused in output.text else f"not refused with {self.refused!r}: {output.tail()}"
        return output.complaint() or (self.check(output, story) if self.check else None)


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


def counted(output, story):
    """`statsAll` shows all messages that were sent and consumed. A broker's counters begin with it, so those of a node
    that leads since then show less."""
    shown = [line for line in output.rows() if line[:2] == [TOPIC, GROUP]]
    if len(shown) == 1 and story.leader() != story.first_leader:
        return None
    if len(shown) != 1 or shown[0][2] != "0" or shown[0][-2:] != [str(SENT)] * 2:
        return f"not {SENT} sent and consumed: {output.tail()}"
    return None


def remember_place(output, story):
    """Keeps where the message lies that was found by its key."""
    story.queue = output.number_after("Queue ID")
    story.queue_offset = output.number_after("Queue Offset")
    return f"no place in: {output.tail()}" if None in (story.queue, story.queue_offset) else None


def remember_client(output, story):
    """Keeps what the consumer calls itself."""
    found = re.search(r"^(?:001\s+)?(\S+@\S+)\s+127", output.text, re.MULTILINE)
    if not found:
        return f"no client in: {output.tail()}"
    story.client_id = found.group(1)
    return None


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
        words = ["sendMessage", "-t", TOPIC, "-p", f"body {number}", "-c", "TagA", "-b", BROKER, "-i", number % QUEUES, *key]
        yield Verb(f"sendMessage {number}", words, sent)


def in_an_hour():
    """A time after every message, as the tools take it."""
    return str(int((time.time() + 3600) * 1000))
