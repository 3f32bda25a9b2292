"""The counting, against hand-made histories: a good one, and one for each fault that it must find."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from suite.program import parse  # noqa: E402
from suite.tally import longest_gap_ms, tally  # noqa: E402


def history(*lines):
    """Events from lines such as `@1.5 ACK 0 id 0 0`; the time may be left out."""
    events = []
    for line in lines:
        at, rest = line.split(" ", 1) if line.startswith("@") else ("@0", line)
        events.append(parse(float(at[1:]), rest))
    return events


SENT = history("ACK 0 a 0 0", "ACK 1 b 1 0", "ACK 2 c 0 1")
RECEIVED = history("RECV 0 TagA key-0 0 0", "RECV 1 TagB key-1 1 0", "RECV 2 TagA key-2 0 1")


class TallyFinds(unittest.TestCase):
    def test_nothing_in_a_good_history(self):
        result = tally(SENT, RECEIVED, range(3))
        self.assertEqual((result.sent, result.acked, result.received, result.again), (3, 3, 3, 0))
        self.assertEqual(result.complaints(), [])

    def test_an_acknowledged_message_that_never_came(self):
        self.assertEqual(tally(SENT, RECEIVED[:2]).missing, [2])

    def test_a_one_way_message_that_never_came(self):
        self.assertEqual(tally(SENT + history("SENT 3"), RECEIVED).missing, [3])

    def test_a_message_that_nobody_sent(self):
        self.assertEqual(tally(SENT, RECEIVED + history("RECV 7 TagB key-7 0 2")).unknown, [7])

    def test_a_second_copy_that_nobody_asked_for(self):
        result = tally(SENT, RECEIVED + history("RECV 1 TagB key-1 1 1"))
        self.assertEqual((len(result.doubled), result.resent), (1, 0))

    def test_a_second_copy_after_a_failed_send_is_the_clients(self):
        result = tally(history("FAIL 1 timeout") + SENT, RECEIVED + history("RECV 1 TagB key-1 1 1"))
        self.assertEqual((result.doubled, result.resent), ([], 1))

    def test_a_second_copy_from_within_the_outage_is_the_clients(self):
        late = history("@5 ACK 0 a 0 0", "@9 ACK 1 b 1 0", "@9.1 ACK 2 c 0 1")
        copies = RECEIVED + history("RECV 1 TagB key-1 1 1", "RECV 2 TagA key-2 0 2")
        result = tally(late, copies, outage=(6, 9))
        self.assertEqual((result.resent, len(result.doubled)), (1, 1))

    def test_that_one_copy_delivered_twice_is_no_second_copy(self):
        result = tally(SENT, RECEIVED + RECEIVED[:1])
        self.assertEqual((result.again, result.complaints()), (1, []))

    def test_a_message_at_another_place_than_acknowledged(self):
        moved = RECEIVED[:2] + history("RECV 2 TagA key-2 0 2")
        self.assertEqual(len(tally(SENT, moved).moved), 1)

    def test_a_queue_offset_that_nobody_received(self):
        gap = history("RECV 0 TagA key-0 0 0", "RECV 1 TagB key-1 1 0", "RECV 2 TagA key-2 0 2")
        self.assertEqual(tally(SENT, gap).holes, ["(0, 1)"])

    def test_an_earlier_place_for_a_later_send(self):
        turned = history("ACK 0 a 0 1", "ACK 2 c 0 0")
        self.assertEqual(len(tally(turned, [], range(3)).disordered), 1)

    def test_an_earlier_place_where_the_client_does_not_tell_places(self):
        untold = history("ACK 0 a - 1", "ACK 2 c - 0")
        turned = history("RECV 0 TagA key-0 0 1", "RECV 2 TagA key-2 0 0")
        self.assertEqual(len(tally(untold, turned, range(3)).disordered), 1)

    def test_no_disorder_among_sends_that_did_not_wait(self):
        self.assertEqual(tally(history("ACK 0 a 0 1", "ACK 2 c 0 0"), [], range(0)).disordered, [])

    def test_other_content(self):
        self.assertEqual(tally(SENT, RECEIVED + history("BAD 1 body x")).damaged, ["1 (body x)"])

    def test_the_longest_gap(self):
        self.assertEqual(longest_gap_ms(history("@1 ACK 0 a 0 0", "@4.5 ACK 1 b 0 1", "@4.6 ACK 2 c 0 2")), 3500)


class ParsePasses(unittest.TestCase):
    def test_over_what_a_client_library_says(self):
        for line in ("", "log4j:WARN no appenders", "ACK x y", "RECVD 1"):
            self.assertIsNone(parse(0.0, line))


if __name__ == "__main__":
    unittest.main()
