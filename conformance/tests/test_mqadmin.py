"""What `mqadmin/run --compare` takes for the same, and what it tells apart."""

import pathlib
import sys
import unittest

CONFORMANCE = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CONFORMANCE), str(CONFORMANCE / "mqadmin")]

from compare import comparable, plain, told_apart  # noqa: E402
from tool import Output  # noqa: E402
from verb import Verb  # noqa: E402
from verbs import VERBS, verbs_of  # noqa: E402


class Story:
    """As much of a story as comparing needs."""

    directory = pathlib.Path("/somewhere")

    def __init__(self, *nodes):
        self.group = self
        self.nodes = nodes

    def state(self):
        return {"nodes": [{"remoting": node} for node in self.nodes]}

    def namesrv(self):
        return "127.0.0.1:9876"


def lines(text, shape="text"):
    output = Output((), 0, text, 0.0)
    return comparable(Verb("some", [], shape=shape), output, Story("127.0.0.1:30911", "127.0.0.1:30921"))


class WhatMustDiffer(unittest.TestCase):
    def test_is_replaced(self):
        for text, wanted in [
            ("stored 2026-11-21 15:00:31,123 at 1795273231674", "stored <time> at <time>"),
            ("MSGID: 7F000001000138AF3C3D5E6F70810000 x", "MSGID: <id> x"),
            ("originalMsgId=7F000001000092230000000000000864SendResult", "originalMsgId=<id>SendResult"),
            ("10.0.0.1@4711#123456 10.0.0.1:5555 V5", "<client> <address> V5"),
            ("tps 12.25 took 7ms", "tps <decimal> took <ms>"),
            ("{b=2, a=1}", "{a=1, b=2}"),
            ("broker   1  SEND_OK", "broker <n> SEND_OK"),
        ]:
            self.assertEqual(plain(text), wanted)

    def test_nodes_count_as_one(self):
        self.assertEqual(lines('{0:"127.0.0.1:30911",2:"127.0.0.1:30921"}'), ['{0:"<node>",<id>:"<node>"}'])

    def test_frames_and_links_are_silent(self):
        text = "CODE: 17  DESC: gone\nSee https://rocketmq.apache.org/x for further details.\n\tat a.B.c(B.java:1)\n\t... 3 more\n"
        self.assertEqual(lines(text), ["CODE: 17 DESC: gone"])


class Shapes(unittest.TestCase):
    def test_keys(self):
        self.assertEqual(lines("putTps   : 1.0 2.0\nfileReservedTime  =  48\n", "keys"), ["putTps", "fileReservedTime"])

    def test_words(self):
        self.assertEqual(lines("a 1 -5 x9", "words"), ["a <n> <n> x9"])

    def test_json_keys(self):
        self.assertEqual(lines('done\n{"a": {"b": 1}, "c": [{"d": "x"}]}', "json"), ["/a/b: int", "/c/*/d: str", "done"])


class Differences(unittest.TestCase):
    def test_unexpected_ones_are_told(self):
        unexpected, reasons = told_apart("5.3.3", "topicList", ["A", "B"], ["B", "C"])
        self.assertEqual((unexpected, reasons), (["- A", "+ C"], set()))

    def test_expected_ones_have_a_reason(self):
        unexpected, reasons = told_apart("5.3.3", "topicList", ["rmq_sys_wheel_timer"], [])
        self.assertEqual((unexpected, len(reasons)), ([], 1))

    def test_a_line_too_many_is_told(self):
        self.assertEqual(told_apart("5.3.3", "topicList", ["A"], ["A", "A"])[0], ["+ A"])


class Verbs(unittest.TestCase):
    def test_names_tell_them_apart(self):
        for version in ("5.3.3", "4.9.8"):
            names = [verb.name for verb in verbs_of(version)]
            self.assertEqual(len(names), len(set(names)))
        self.assertTrue(all(verb.versions for verb in VERBS))


if __name__ == "__main__":
    unittest.main()
