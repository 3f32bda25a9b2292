"""Names and helpers that several verbs share."""

import json

from verb import CLUSTER

ABSENT_TOPIC = "AdminAbsent"
ABSENT_GROUP = "AdminNobody"
FLAGS = "AdminFlags"
# Nothing listens there.
NOWHERE = "127.0.0.1:9"
ABSENT_ID = "7F000001000138AF3C3D5E6F70810000"
FIXED_DELAYS = '{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1000,5000]}}'
GROWING_DELAYS = '{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2}}'
FIVE = ("5",)
FOUR = ("4",)


def with_file(story, name, value, *given):
    """Words that end with the path of a file of JSON."""
    path = story.directory / name
    path.write_text(json.dumps(value))
    return [*given, path]


def topics_file(story):
    """`updateTopicList` with two topics."""
    config = [{"topicName": name, "readQueueNums": 3, "writeQueueNums": 3, "perm": 6, "order": False, "topicSysFlag": 0,
               "topicFilterType": "SINGLE_TAG"} for name in ("AdminListA", "AdminListB")]
    return with_file(story, "topics.json", config, "updateTopicList", "-c", CLUSTER, "-f")


def groups_file(story):
    """`updateSubGroupList` with two groups."""
    config = [{"groupName": name, "retryMaxTimes": 4, "consumeEnable": True}
              for name in ("AdminListGroupA", "AdminListGroupB")]
    return with_file(story, "groups.json", config, "updateSubGroupList", "-c", CLUSTER, "-f")


def exports(*words):
    """Words with a directory for what the verb writes."""
    return lambda story: [*words, "-f", story.directory / "export"]


def shifted(offset_id, by):
    """The offset id that lies so many bytes behind."""
    return offset_id[:16] + f"{int(offset_id[16:], 16) + by:016X}"


def on_follower(story):
    """The same place in a follower's log."""
    host, _, port = story.follower().rpartition(":")
    address = "".join(f"{int(part):02X}" for part in host.split("."))
    return f"{address}{int(port):08X}" + story.offset_id[16:]
