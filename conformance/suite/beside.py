"""A group whose brokers register with RocketMQ's own name server as well as with ours."""

import subprocess

from . import reference
from .group import UP_WITHIN_S, Group, address_of
from .remoting import masters
from .waiting import wait_for

# Among ports that `trireme up` does not use.
JAVA_NAMESRV_PORT = 9886
END_WITHIN_S = 20


class GroupBesideJava(Group):
    """Laid out by `trireme up`; then each process is started alone, with both name servers."""

    def __init__(self, trireme, directory, port_offset):
        super().__init__(trireme, directory, port_offset)
        self.java_port = JAVA_NAMESRV_PORT + port_offset
        self.other_namesrv = f"127.0.0.1:{self.java_port}"
        self.children = []

    def start(self):
        """Returns once a leader serves and both name servers show it."""
        super().start()
        super().stop()
        reference.prepare()
        home = self.directory / "java-namesrv"
        self.children.append(reference.launch(reference.namesrv_command(self.directory, home, self.java_port), home,
                                              self.directory / "java-namesrv.log"))
        self.launch_alone("namesrv", [self.trireme, "namesrv", "-c", self.directory / "data" / "conf" / "namesrv.conf"])
        for node in self.state()["nodes"]:
            self.launch_alone(node["id"], [*node["command"], "-n", f"{self.namesrv()};{self.other_namesrv}"])
        wait_for("a leader at both name servers", self.shown_by_both, UP_WITHIN_S)
        return self

    def launch_alone(self, name, command):
        """One process of the group."""
        with open(self.directory / f"{name}.log", "ab") as log:
            self.children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                                  stderr=subprocess.STDOUT))

    def shown_by_both(self):
        """Whether a leader serves and each name server knows it."""
        leader = self.leader()
        return leader and all(leader["remoting"] in masters(address_of(namesrv))
                              for namesrv in (self.namesrv(), self.other_namesrv))

    def stop(self):
        """Ends the processes; raises RuntimeError when one does not end well in time."""
        for child in self.children:
            child.terminate()
        for child in self.children:
            try:
                child.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"{child.args[0]} did not end within {END_WITHIN_S} s of SIGTERM") from None

    def end(self):
        """Ends whatever is left of it, for cleaning up."""
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        super().end()
