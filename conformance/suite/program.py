"""One running client program: its command line, and the lines it says on its standard output."""

import dataclasses
import subprocess
import threading
import time

KINDS = {"READY", "ACK", "SENT", "FAIL", "RECV", "BAD", "CHECK", "DONE"}


@dataclasses.dataclass(frozen=True)
class Event:
    """One protocol line, and when the runner read it (monotonic seconds)."""

    at: float
    kind: str
    number: int
    words: tuple


class Program:
    """A client program; its lines become events, everything it says goes to its log as well."""

    def __init__(self, role, label, command, environment, directory, log):
        self.role = role
        self.label = label
        self.log = log
        self.events = []
        self.changed = threading.Condition()
        self.ended = False
        directory.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as sink:
            self.process = subprocess.Popen(
                command, env=environment, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        """Turns lines into events until the program closes its output."""
        with open(f"{self.log}.lines", "ab") as sink:
            for line in self.process.stdout:
                at = time.monotonic()
                sink.write(line)
                event = parse(at, line.decode("utf-8", errors="replace"))
                if event:
                    with self.changed:
                        self.events.append(event)
                        self.changed.notify_all()
        self.process.wait()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_until(self, condition, within_s):
        """True once `condition(events)` holds; False when the deadline passes or the program ends before."""
        deadline = time.monotonic() + within_s
        with self.changed:
            while not condition(self.events):
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    return False
                self.changed.wait(left)
            return True

    def wait_ready(self, within_s):
        """True once the program is connected and at work."""
        return self.wait_until(lambda events: any(event.kind == "READY" for event in events), within_s)

    def wait_end(self, within_s):
        """True when the program says DONE and ends with status 0 in time."""
        done = self.wait_until(lambda events: any(event.kind == "DONE" for event in events), within_s)
        with self.changed:
            self.changed.wait_for(lambda: self.ended, within_s if done else 0)
        return done and self.ended and self.process.returncode == 0

    def stop(self, within_s):
        """Asks a consumer to close as its users would; True when it did."""
        try:
            self.process.stdin.write(b"STOP\n")
            self.process.stdin.flush()
        except OSError:
            return False
        return self.wait_end(within_s)

    def kill(self):
        """Ends the program whatever it does; for cleaning up."""
        if self.process.poll() is None:
            self.process.kill()
        self.reader.join()
        self.process.stdin.close()

    def of(self, *kinds):
        """The events of these kinds so far."""
        with self.changed:
            return [event for event in self.events if event.kind in kinds]


def parse(at, line):
    """The event in a line, or None for what a client library says by itself."""
    words = line.rstrip("\n").split(" ")
    if words[0] not in KINDS:
        return None
    if words[0] == "CHECK":
        return Event(at, words[0], -1, tuple(words[1:]))
    try:
        number = int(words[1]) if len(words) > 1 else -1
    except ValueError:
        return None
    return Event(at, words[0], number, tuple(words[2:]))
