"""The cases: what each client is made to do, and what must have come of it."""

import contextlib
import dataclasses
import functools
import re
import time

from . import remoting
from .beside import GroupBesideJava
from .detour import Detour
from .group import Group
from .program import Program
from .tally import Tally, longest_gap_ms, tally
from .waiting import wait_for

READY_WITHIN_S = 60
SEND_WITHIN_S = 120
STOP_WITHIN_S = 60
OFFSETS_WITHIN_S = 30
ODD_WITHIN_S = 600
ROUTE_WITHIN_S = 10
WARM_UP = 10
# How the clients say that an answer did not come in time.
TIMED_OUT = re.compile(r"time ?d? ?out", re.IGNORECASE)


class Failed(Exception):
    """A case did not come to its end; the text says at which step."""


class Late(str):
    """A complaint of time alone: a machine that was busy for seconds is enough for it."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How many messages each case sends."""

    sync: int = 200
    oneway: int = 50
    asynchronous: int = 100
    kill: int = 1000
    kill_interval_ms: int = 4


@dataclasses.dataclass
class Result:
    """One cell of the table."""

    client: str
    case: str
    tally: Tally
    complaints: list
    seconds: float
    logs: str = ""
    skipped: str = ""
    # Whether this is the second run of a case that was late the first time.
    again: bool = False

    @property
    def ok(self):
        return not self.complaints

    @property
    def late(self):
        """Whether time is all that is wrong: no message is missing, doubled, moved or damaged."""
        return bool(self.complaints) and all(isinstance(complaint, Late) for complaint in self.complaints)


class Stage:
    """What a case needs: the group, the client, names of its own, and programs that end with it."""

    def __init__(self, group, client, case, sizes, directory, count):
        self.group, self.client, self.case, self.sizes, self.directory = group, client, case, sizes, directory
        self.label = f"{client.name}-{case}-{count}".replace(".", "_")
        self.topic = f"conformance-{self.label}"
        self.namesrv = group.namesrv()
        self.consumer_group = f"group-{self.label}"
        self.variant = None
        self.programs = []

    def create_topic(self, topic=None):
        """For clients whose sends do not create their topic; returns once the name server shows it."""
        remoting.create_topic(self.group.namesrv(), topic or self.topic)
        wait_for("the route of the new topic", lambda: remoting.route(self.group.namesrv(), topic or self.topic),
                 ROUTE_WITHIN_S)

    def start(self, role, **options):
        """Starts the client's program in `role`."""
        place = f"{len(self.programs)}-{role}"
        common = {"namesrv": self.namesrv, "topic": self.topic, "group": self.consumer_group,
                  "poll-ms": self.client.route_poll_s * 1000}
        words = {name.replace("_", "-"): value for name, value in options.items()}
        home = self.directory / place
        program = Program(role, place, self.client.command(role, {**common, **words}, home, self.variant),
                          self.client.environment(home), home, self.directory / f"{place}.log")
        self.programs.append(program)
        return program

    def send(self, **options):
        """Sends, to the end; returns the program."""
        sender = self.start("send", **options)
        if not sender.wait_end(SEND_WITHIN_S):
            raise Failed(f"the sender did not end well ({last_words(sender)})")
        return sender

    def consume(self, role, wanted, within_s, **options):
        """Starts a consumer and returns it once it has all of `wanted`; raises Failed when it does not come to it."""
        consumer = self.start(role, **options)
        self.await_ready(consumer)
        self.await_numbers(consumer, wanted, within_s)
        return consumer

    def await_ready(self, program):
        """Returns once `program` is connected and at work."""
        if not program.wait_ready(READY_WITHIN_S):
            raise Failed(f"{program.label} did not become ready ({last_words(program)})")

    def await_numbers(self, consumer, wanted, within_s):
        """Returns once all of `wanted` came or the time is over: what is missing is the tally's to say."""
        wanted = set(wanted)
        consumer.wait_until(lambda events: wanted <= {event.number for event in events if event.kind == "RECV"}, within_s)

    def stop(self, consumer):
        """Closes a consumer as its users do; returns when it has ended and its offsets are stored."""
        if not self.client.closes and consumer.role == "push":
            seen = len({event.number for event in self.received()})
            wait_for("the offsets of the consumer", lambda: remoting.consumed(
                self.group.namesrv(), self.topic, self.consumer_group) >= seen, OFFSETS_WITHIN_S)
            consumer.kill()
            return
        if not consumer.stop(STOP_WITHIN_S):
            raise Failed(f"{consumer.label} did not close cleanly ({last_words(consumer)})")

    def received(self):
        """All that any consumer of this case was given."""
        return [event for program in self.programs for event in program.of("RECV")]

    def close(self):
        """Ends whatever is still running."""
        for program in self.programs:
            program.kill()


def last_words(program):
    """Why a program may have stopped: its status and its last failure."""
    failures = program.of("FAIL")
    status = "still running" if program.process.poll() is None else f"status {program.process.returncode}"
    return f"{status}, last failure: {' '.join(failures[-1].words)}" if failures else status


def plain(stage, sends_may_fail=False):
    """Sync, one-way and async sends create the topic and are all received, once, by a push consumer."""
    sizes, client = stage.sizes, stage.client
    counts = {"sync": sizes.sync, "oneway": sizes.oneway if client.sends_oneway else 0,
              "async": sizes.asynchronous if client.sends_async else 0}
    if not client.creates_topic:
        stage.create_topic()
    sender = stage.send(**counts)
    consumer = stage.consume("push", arrived(sender), client.first_message_within_s)
    stage.stop(consumer)
    result = tally(sender.of("ACK", "FAIL", "SENT"), consumer.of("RECV", "BAD"), range(sizes.sync))
    result.outage_ms = longest_gap_ms(sender.of("ACK"))
    complaints = result.complaints()
    if not sends_may_fail:
        complaints += failures_of(sender)
    if result.acked < sizes.sync + counts["async"]:
        complaints.append(f"{sizes.sync + counts['async'] - result.acked} sends were never acknowledged")
    if len(sender.of("SENT")) != counts["oneway"]:
        complaints.append(f"{len(sender.of('SENT'))} of {counts['oneway']} one-way sends went out")
    return result, complaints


def resume(stage):
    """A consumer that was closed goes on where it was, after it is started again under the same group."""
    client, half = stage.client, stage.sizes.sync // 2
    if not client.creates_topic:
        stage.create_topic()
    first_sender = stage.send(sync=half)
    first = stage.consume("push", range(half), client.first_message_within_s)
    stage.stop(first)
    second_sender = stage.send(sync=half, first=half)
    second = stage.consume("push", range(half, 2 * half), client.first_message_within_s)
    stage.stop(second)
    result = tally(first_sender.of("ACK", "FAIL") + second_sender.of("ACK", "FAIL"),
                   first.of("RECV", "BAD") + second.of("RECV", "BAD"), range(2 * half))
    complaints = result.complaints() + failures_of(first_sender) + failures_of(second_sender)
    old = {event.number for event in second.of("RECV") if event.number < half}
    # A few may come again: the C++ core does not always store its last offsets. All of them must not.
    if len(old) > half // 2:
        complaints.append(f"after its restart the consumer was given {len(old)} of {half} messages again")
    return result, complaints


def tags(stage):
    """A subscription to one tag brings all messages of this tag and no other."""
    client, count = stage.client, stage.sizes.sync
    if not client.creates_topic:
        stage.create_topic()
    sender = stage.send(sync=count)
    wanted = range(0, count, 2)
    consumer = stage.consume("push", wanted, client.first_message_within_s, tag="TagA")
    stage.stop(consumer)
    tagged = [event for event in sender.of("ACK", "FAIL") if event.number % 2 == 0]
    result = tally(tagged, consumer.of("RECV", "BAD"), wanted, every_queue_offset=False)
    return result, result.complaints() + failures_of(sender)


def pull(stage, role):
    """The pull consumer finds all messages."""
    client, count = stage.client, stage.sizes.sync
    if not client.creates_topic:
        stage.create_topic()
    sender = stage.send(sync=count)
    consumer = stage.consume(role, range(count), client.first_message_within_s)
    stage.stop(consumer)
    result = tally(sender.of("ACK", "FAIL"), consumer.of("RECV", "BAD"), range(count))
    return result, result.complaints() + failures_of(sender)


def dead_namesrv(stage):
    """Of two name servers that the client is told, the first is dead.

    A send may fail on it (Java's first one sometimes does); sent again, it must succeed.
    """
    stage.namesrv = f"127.0.0.1:1{stage.client.namesrv_separator}{stage.namesrv}"
    return plain(stage, sends_may_fail=True)


def follower(stage):
    """The client takes a follower for the leader, all the time: what it sends and asks there is forwarded."""
    detour = Detour(stage.group.namesrv(), stage.group.follower_address)
    try:
        stage.namesrv = detour.address
        return plain(stage)
    finally:
        detour.close()


def java_namesrv(stage):
    """The client asks RocketMQ's own name server, with which the brokers have registered as well."""
    stage.namesrv = stage.group.other_namesrv
    return plain(stage)


def variant(stage):
    """`plain`, with a switch of the client turned."""
    stage.variant = stage.case
    return plain(stage)


def odd(stage):
    """The program's own list of checks: odd sizes and names, batches, compression, order, queries."""
    program = stage.start("odd")
    ended = program.wait_end(ODD_WITHIN_S)
    checks = program.of("CHECK")
    complaints = [f"{check.words[0]}: {' '.join(check.words[1:])}" for check in checks if check.words[1:] != ("ok",)]
    if not ended or not checks:
        complaints.append(f"it did not end well ({last_words(program)})")
    return Tally(), complaints


def kill(stage):
    """The leader is killed with `kill -9` while one program sends and another consumes; another node takes over."""
    client, count = stage.client, stage.sizes.kill
    if not client.creates_topic:
        stage.create_topic()
    warm_up = stage.send(sync=WARM_UP)
    consumer = stage.consume("push", range(WARM_UP), client.first_message_within_s)
    sender = stage.start("send", sync=count, first=WARM_UP, interval_ms=stage.sizes.kill_interval_ms, give_up_s=120)
    half_acked = sender.wait_until(
        lambda events: sum(event.kind == "ACK" for event in events) >= count // 2, SEND_WITHIN_S)
    if not half_acked:
        raise Failed(f"the sender did not come to its half ({last_words(sender)})")
    killed_at = time.monotonic()
    stage.group.kill_leader()
    ended = sender.wait_end(2 * SEND_WITHIN_S)
    acks = sender.of("ACK")
    numbers = {event.number for event in warm_up.of("ACK") + acks}
    stage.await_numbers(consumer, numbers, client.first_message_within_s + 2 * client.route_poll_s)
    stage.stop(consumer)
    recovered_at = min((event.at for event in acks if event.at > killed_at), default=time.monotonic())
    result = tally(warm_up.of("ACK", "FAIL") + sender.of("ACK", "FAIL"), consumer.of("RECV", "BAD"),
                   range(WARM_UP + count), (killed_at, recovered_at))
    result.outage_ms = longest_gap_ms(acks)
    result.pause_ms = longest_gap_ms(event for event in consumer.of("RECV") if event.number >= WARM_UP)
    complaints = result.complaints()
    if not ended:
        complaints.append(f"the sender did not end well ({last_words(sender)})")
    if len(acks) < count:
        complaints.append(f"{count - len(acks)} sends were never acknowledged")
    return result, complaints


def arrived(sender):
    """The numbers that a consumer will be given: acknowledged or sent one-way."""
    return {event.number for event in sender.of("ACK", "SENT")}


def failures_of(sender):
    """A complaint when a send failed where nothing was disturbed."""
    failures = [" ".join(event.words) for event in sender.of("FAIL")]
    if not failures:
        return []
    complaint = f"{len(failures)} sends failed, the first: {failures[0]}"
    return [Late(complaint) if all(TIMED_OUT.search(failure) for failure in failures) else complaint]


def cases_of(client):
    """The cases of one client in their order, as name and function; the kills come last."""
    cases = {"plain": plain, "tags": tags, "resume": resume}
    for role in client.pull_roles:
        cases[role] = lambda stage, role=role: pull(stage, role)
    if client.namesrv_separator:
        cases["dead-namesrv"] = dead_namesrv
    cases["follower"] = follower
    for name in client.variants:
        cases[name] = variant
    if client.has_odd:
        cases["odd"] = odd
    if client.language == "java":
        cases["java-namesrv"] = java_namesrv
    cases["kill-restart"] = kill
    cases["kill"] = kill
    return cases


# The cases that need a group of their own, and how it is made. In `kill` the dead node stays dead; elsewhere it is
# started again at once, and may well be elected again.
OWN_GROUP = {"kill": functools.partial(Group, restart=False), "java-namesrv": GroupBesideJava}


def run_case(group, client, case, sizes, directory, count):
    """Runs one case and counts; whatever goes wrong becomes a complaint of its result."""
    started = time.monotonic()
    result, complaints = Tally(), []
    with contextlib.ExitStack() as ending:
        try:
            stage = Stage(group, client, case, sizes, directory, count)
            ending.callback(stage.close)
            result, complaints = cases_of(client)[case](stage)
        except Exception as error:  # noqa: BLE001 - one case that breaks must not take the others with it
            complaints = [str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"]
    return Result(client.name, case, result, complaints, time.monotonic() - started, str(directory))
