"""Which faults may be the machine's: time alone is forgiven once, a wrong message never."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from suite import report  # noqa: E402
from suite.cases import Late, Result, failures_of  # noqa: E402
from suite.program import parse  # noqa: E402
from suite.tally import Tally  # noqa: E402


class Sender:
    """A program that said these lines."""

    def __init__(self, *lines):
        self.events = [parse(0.0, line) for line in lines]

    def of(self, *kinds):
        """Its events of these kinds."""
        return [event for event in self.events if event.kind in kinds]


def result(*complaints):
    """A result with these complaints."""
    return Result("client", "plain", Tally(), list(complaints), 1.0)


class Complaints(unittest.TestCase):
    def test_time_outs_alone_are_late(self):
        for why in ("RemotingTooMuchRequestException: sendDefaultImpl call timeout", "request timed out"):
            complaints = failures_of(Sender("ACK 0 a 0 0", f"FAIL 1 {why}"))
            self.assertTrue(result(*complaints).late, complaints)

    def test_any_other_fault_is_not(self):
        refused = failures_of(Sender("FAIL 1 request timed out", "FAIL 2 code 13, the message is illegal"))
        self.assertFalse(result(*refused).late)
        self.assertFalse(result(Late("1 sends failed"), "1 acknowledged but never received: 7").late)
        self.assertFalse(result().late)
        self.assertTrue(result().ok)

    def test_a_second_run_is_told(self):
        second = result()
        second.again = True
        self.assertEqual([report.verdict(one) for one in (result(), second, result("x"))], ["ok", "ok, 2nd", "FAILED"])


if __name__ == "__main__":
    unittest.main()
