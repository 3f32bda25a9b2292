"""One version's way through the verbs against one group."""

import contextlib
import pathlib
import time

from suite import remoting
from suite.clients import CLIENTS
from suite.group import Group
from suite.program import Program
from suite.waiting import LOOK_EVERY_S, WaitedTooLong, wait_for
from tool import Tool
from verb import GROUP, TOPIC
from verbs import verbs_of

CONSUMER_WITHIN_S = 60
LEADER_WITHIN_S = 60
REFERENCE_WITHIN_S = 180


class Story:
    """The group, the tool, and what earlier verbs found out."""

    def __init__(self, version, trireme, directory, port_offset, is_reference=False):
        self.version = version
        self.is_reference = is_reference
        self.directory = pathlib.Path(directory)
        self.group = Group(trireme, self.directory / "group", port_offset)
        self.tool = Tool(version, self.directory / "tool")
        self.ids = []
        self.unique_key = self.offset_id = "0" * 32
        self.queue = self.queue_offset = 0
        self.client_id = "nobody"
        self.first_leader = None
        self.consumer = None

    def leader(self):
        """The address that the leader has for clients."""
        return wait_for("a leader", self.group.leader, LEADER_WITHIN_S)["remoting"]

    def follower(self):
        """The address that some follower has for clients."""
        return self.group.follower_address()

    def namesrv(self):
        """The name server's address."""
        return self.group.namesrv()

    def start_consumer(self):
        """A push consumer of the Java client, in its own process."""
        client = next(client for client in CLIENTS if client.name == "java-5.3.3")
        client.prepare()
        home = self.directory / "consumer"
        command = client.command("push", {"namesrv": self.group.namesrv(), "topic": TOPIC, "group": GROUP}, home)
        self.consumer = Program("push", "consumer", command, client.environment(home), home, self.directory / "consumer.log")
        return None if self.consumer.wait_ready(CONSUMER_WITHIN_S) else "the consumer does not start"

    def stop_consumer(self):
        """As its user would."""
        return None if self.consumer.stop(CONSUMER_WITHIN_S) else "the consumer does not end"

    def tell(self):
        """Each verb with its complaint, or None, with its last output, and how long it took."""
        self.tool.prepare()
        try:
            self.start_group()
            self.first_leader = self.leader()
            self.tool.namesrv = self.group.namesrv()
            for verb in verbs_of(self.version):
                if verb.shape == "nothing" and self.is_reference:
                    continue
                began = time.monotonic()
                complaint, output = self.run(verb)
                yield verb, complaint, output, time.monotonic() - began
            self.group.stop()
        finally:
            self.end()

    def start_group(self):
        """Starts the group; Java's, on a loaded machine, may take its time to elect."""
        try:
            self.group.start()
        except WaitedTooLong:
            if not self.is_reference:
                raise
            wait_for("RocketMQ's leader", self.group.leader_or_early_end, REFERENCE_WITHIN_S)
        wait_for("every node in the routes", self.is_whole, REFERENCE_WITHIN_S)

    def is_whole(self):
        """Whether the name server shows all nodes."""
        brokers = remoting.route(self.group.namesrv(), "TBW102")["brokerDatas"]
        return sum(len(broker["brokerAddrs"]) for broker in brokers) == len(self.group.state()["nodes"])

    def run(self, verb):
        """The complaint about one verb, or None, and its last output."""
        if verb.words is None:
            return (self.start_consumer() if verb.name.startswith("START") else self.stop_consumer()), None
        deadline = time.monotonic() + verb.within_s
        while True:
            output = self.tool.run(*verb.words_for(self))
            if verb.files:
                output.text += self.take(self.directory / verb.files)
            complaint = verb.complaint(output, self)
            if complaint is None or time.monotonic() > deadline:
                return complaint, output
            time.sleep(LOOK_EVERY_S)

    def take(self, path):
        """What the verb wrote into a file, which is gone afterwards."""
        if not path.exists():
            return f"\n{path.name} was not written\n"
        text = path.read_text(encoding="utf-8")
        path.unlink()
        return f"\n{text}\n"

    def end(self):
        """Ends whatever is left of it."""
        self.tool.end()
        if self.consumer:
            self.consumer.kill()
        if self.group.process:
            # What stands for `trireme up` may have processes that outlive it if it is killed.
            with contextlib.suppress(RuntimeError):
                self.group.stop()
        self.group.end()
