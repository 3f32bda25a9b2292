"""Installing: commands that fetch from registries, which do not always answer."""

import os
import subprocess
import time

TRIES = 3
PAUSE_S = 5
LINES_SHOWN = 5


class NotInstalled(Exception):
    """A client cannot be had; the text says which command failed, and how."""


def run(name, command, log, directory, **environment):
    """Runs one command of the installation of `name`, again if it fails; its output goes to `log`."""
    words = [str(word) for word in command]
    for left in reversed(range(TRIES)):
        with open(log, "ab") as sink:
            status = subprocess.call(words, cwd=directory, stdin=subprocess.DEVNULL, stdout=sink,
                                     stderr=subprocess.STDOUT, env=dict(os.environ, **environment))
        if status == 0:
            return
        if left:
            time.sleep(PAUSE_S)
    said = log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]
    raise NotInstalled(f"{name}: `{' '.join(words)}` ended with status {status} {TRIES} times; {log} ends with\n"
                       + "\n".join(f"    {line}" for line in said))
