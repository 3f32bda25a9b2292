"""One running group: `trireme up` as a child process, read through its `up.json` and its HTTP views."""

import json
import os
import pathlib
import signal
import subprocess
import urllib.error
import urllib.request

from .remoting import masters
from .waiting import wait_for

UP_WITHIN_S = 60
DOWN_WITHIN_S = 30
ANSWER_WITHIN_S = 2
PORT_TAKEN = "is in use"
# Between two of a group's own ports there are up to 24.
OFFSETS_APART = 40


class Group:
    """A name server and three broker nodes under one directory."""

    def __init__(self, trireme, directory, port_offset, restart=True):
        self.trireme = str(trireme)
        self.directory = pathlib.Path(directory)
        self.port_offset = port_offset
        self.switches = [] if restart else ["--no-restart"]
        self.process = None

    def start(self):
        """Starts the group and returns once a leader serves and the name server shows it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.launch()
        wait_for("a leader", self.leader_or_early_end, UP_WITHIN_S)
        return self

    def launch(self):
        """Starts `trireme up` itself."""
        with open(self.directory / "up.log", "wb") as log:
            self.process = subprocess.Popen(
                [self.trireme, "up", "--dir", str(self.directory / "data"), "--port-offset", str(self.port_offset),
                 *self.switches],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def leader_or_early_end(self):
        """The leader, once the name server shows it too; raises RuntimeError when `up` has ended by itself."""
        if self.process.poll() is not None:
            said = (self.directory / "up.log").read_text(errors="replace").strip()
            if PORT_TAKEN not in said:
                raise RuntimeError(f"trireme up ended with status {self.process.returncode}: {said[-2000:]}")
            # The peers' ports lie where the system finds ports for outgoing connections, so any short connection
            # of this machine may hold one of them, for a minute after its end.
            self.port_offset += OFFSETS_APART
            self.launch()
            raise ValueError(said[-200:])
        leader = self.leader()
        return leader if leader and leader["remoting"] in masters(self.namesrv()) else None

    def state(self):
        """`up.json` as it stands."""
        return json.loads((self.directory / "data" / "up.json").read_text())

    def namesrv(self):
        """The name server's address, as clients are told it."""
        return self.state()["namesrv"]

    def leader(self):
        """The member of `nodes` that says of itself that it leads and serves, or None."""
        for node in self.state()["nodes"]:
            try:
                view = read_json(f"http://{address_of(node['http'])}/leader?local=true")
            except OSError:
                continue
            if view.get("leader") == node["id"] and view.get("ready", True):
                return node
        return None

    def follower_address(self):
        """Where clients reach some node that does not lead."""
        leader = wait_for("a leader", self.leader, UP_WITHIN_S)
        return next(node["remoting"] for node in self.state()["nodes"] if node["id"] != leader["id"])

    def kill_leader(self):
        """`kill -9` of the node that leads now; returns what `up.json` said about it."""
        node = wait_for("a leader to kill", self.leader, UP_WITHIN_S)
        os.kill(node["pid"], signal.SIGKILL)
        return node

    def stop(self):
        """Ends the group as Ctrl-C would; raises RuntimeError when it does not end well in time."""
        self.process.terminate()
        try:
            status = self.process.wait(DOWN_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"trireme up did not end within {DOWN_WITHIN_S} s of SIGTERM") from None
        if status:
            raise RuntimeError(f"trireme up ended with status {status} after SIGTERM")

    def end(self):
        """Ends whatever is left of it, for cleaning up."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def address_of(text):
    """`host:port` out of an address that may be written as a URL."""
    return text.removeprefix("http://").rstrip("/")


def read_json(url):
    """The JSON behind `url`; any outside fault is an OSError."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_WITHIN_S) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ValueError) as error:
        raise OSError(f"{url}: {error}") from error
