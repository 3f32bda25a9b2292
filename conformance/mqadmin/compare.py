"""What one verb says against two groups, made comparable: what must differ is replaced, and the rest is told apart."""

import collections
import json
import re

from differences import DIFFERENCES

HEX_ID = re.compile(r"(?<![0-9A-Z])[0-9A-F]{32,56}(?![0-9A-F])")
CLIENT_ID = re.compile(r"\b\d+\.\d+\.\d+\.\d+@\d+(#\d+)?")
ADDRESS = re.compile(r"/?\b\d+\.\d+\.\d+\.\d+:\d+\b")
TIMES = [
    re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d([:,.]\d{1,3})?"),
    re.compile(r"\b1[6-9]\d{11}\b"),
    re.compile(r"\b\d{17}\b"),
]
DECIMAL = re.compile(r"-?\b\d+\.\d+(E-?\d+)?\b")
# A DLedger group gives its followers their number plus one, and so do we, but another node may lead.
FOLLOWER = re.compile(r"\b[123](?=[:=]\"?<node>| <node>)")
PLACES = re.compile(r"\b(commitLogOffset=|CommitLog Offset: *|physicOffset=)\d+")
SENT_TO = re.compile(r"\b\d+(?= +SEND_OK)")
DURATION = re.compile(r"\b\d+ ?ms\b|(?<=spentTimeMills=)\d+")
# Stack frames, links to web pages and empty lines say nothing.
SILENT = re.compile(r"^\s+at |^\s+\.\.\. \d+ more|^\s*$|^See https?://|^For more information, please visit")
KEY = re.compile(r"^\s*(?:<node>\s+)?([\w.%@-]+)\S*\s*[:=]")
# Java's hash maps are printed in an order that depends on how they were filled.
MAP = re.compile(r"\{([^{}]*=[^{}]*)\}")
NUMBER = re.compile(r"-?\b\d+\b")


def comparable(verb, output, story):
    """The lines of one output that can be compared."""
    text = output.text
    if verb.shape == "status":
        return [f"status {output.status}"]
    for node in story.group.state()["nodes"]:
        text = text.replace(node["remoting"], "<node>")
    text = text.replace(story.group.namesrv(), "<namesrv>").replace(str(story.directory), "<directory>")
    lines = []
    if verb.shape == "json" and "{" in text:
        said, text = text.split("\n{", 1)
        lines = sorted(set(keys_of(json.loads("{" + text))))
        text = said
    for line in text.splitlines():
        if SILENT.search(line):
            continue
        found = KEY.match(line) if verb.shape == "keys" else None
        line = found.group(1) if found else plain(line)
        lines.append(NUMBER.sub("<n>", line) if verb.shape == "words" else line)
    return lines + ([f"status {output.status}"] if output.status else [])


def plain(line):
    """One line without what differs from run to run."""
    line = CLIENT_ID.sub("<client>", HEX_ID.sub("<id>", line))
    for time in TIMES:
        line = time.sub("<time>", line)
    line = ADDRESS.sub("<address>", line)
    line = MAP.sub(lambda found: "{" + ", ".join(sorted(found.group(1).split(", "))) + "}", line)
    line = " ".join(DURATION.sub("<ms>", DECIMAL.sub("<decimal>", line)).split())
    return SENT_TO.sub("<n>", PLACES.sub(r"\1<n>", FOLLOWER.sub("<id>", line)))


def keys_of(value, path=""):
    """The paths of all keys in a JSON value; lists count as one member."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from keys_of(member, f"{path}/{plain(key)}")
    elif isinstance(value, list):
        for member in value:
            yield from keys_of(member, f"{path}/*")
    else:
        yield f"{path}: {type(value).__name__}"


def told_apart(version, name, java, ours):
    """Lines that only one of them says and nobody expects, marked with `-` for RocketMQ and `+` for Trireme; and the
    reasons of those that are expected."""
    java, ours = collections.Counter(java), collections.Counter(ours)
    marked = [f"- {line}" for line in (java - ours).elements()] + [f"+ {line}" for line in (ours - java).elements()]
    unexpected, reasons = [], set()
    for line in marked:
        reason = next((known.reason for known in DIFFERENCES if known.covers(version, name, line)), None)
        if reason is None:
            unexpected.append(line)
        else:
            reasons.add(reason)
    return unexpected, reasons
