"""What an installation does when its registry does not answer."""

import pathlib
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from suite import install  # noqa: E402


class Installation(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.home = pathlib.Path(scratch.name)
        self.log = self.home / "install.log"
        pause = unittest.mock.patch.object(install, "PAUSE_S", 0)
        pause.start()
        self.addCleanup(pause.stop)

    def test_a_command_that_fails_once_is_given_another_try(self):
        script = "test -e tried || { touch tried; echo no answer; exit 3; }"
        install.run("some", ["sh", "-c", script], self.log, self.home)
        self.assertEqual(self.log.read_text(), "no answer\n")

    def test_one_that_fails_each_time_is_named_with_its_last_words(self):
        with self.assertRaises(install.NotInstalled) as caught:
            install.run("some", ["sh", "-c", "echo $WHY; exit 3"], self.log, self.home, WHY="no such host")
        self.assertIn("status 3 3 times", str(caught.exception))
        self.assertIn("no such host", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
