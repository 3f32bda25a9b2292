"""RocketMQ's own mqadmin in one version: fetched by Maven into the suite's cache, one Java process a verb."""

import dataclasses
import hashlib
import os
import pathlib
import re
import subprocess
import time

from suite.clients import CACHE, DEPENDENCY_PLUGIN, NotInstalled, tool

HERE = pathlib.Path(__file__).resolve().parent
VERSIONS = ["5.3.3", "4.9.8"]
VERB_WITHIN_S = 60
MAIN = "org.apache.rocketmq.tools.command.MQAdminStartup"
# What a user must never see; the tool prints what it caught and ends with status 0 all the same.
STACK_TRACE = re.compile(r"Exception|^\s+at (org|java|com|io)\.", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Output:
    """What one verb did."""

    words: tuple
    status: int
    text: str
    seconds: float

    def complaint(self):
        """Why no user would call this success, or None."""
        if self.status:
            return f"status {self.status}: {self.tail()}"
        trace = STACK_TRACE.search(self.text)
        if trace:
            return f"stack trace: {self.text[trace.start():trace.start() + 300].strip()}"
        return None

    def tail(self):
        """The end of what it said."""
        return self.text.strip()[-300:]

    def rows(self):
        """Its lines as lists of words, those that begin with `#` left out."""
        lines = (line.split() for line in self.text.splitlines() if not line.startswith("#"))
        return [line for line in lines if line]

    def number_after(self, words):
        """The number behind `words`, `:` or `=` between them."""
        found = re.search(re.escape(words) + r"\s*[:=]?\s*(-?\d+)", self.text)
        return int(found.group(1)) if found else None


class Tool:
    """mqadmin of one version, talking to one name server."""

    def __init__(self, version, directory):
        self.version = version
        self.home = CACHE / f"mqadmin-{version}"
        self.directory = pathlib.Path(directory)
        self.namesrv = None

    @property
    def is_5(self):
        return self.version.startswith("5.")

    def prepare(self):
        """Fetches it unless it is there."""
        pom = HERE / "pom.xml"
        stamp = hashlib.sha256(f"{self.version} {CACHE}".encode() + pom.read_bytes()).hexdigest()
        done = self.home / "prepared"
        if done.exists() and done.read_text() == stamp:
            return
        self.home.mkdir(parents=True, exist_ok=True)
        log = self.home / "install.log"
        command = [tool("mvn"), "-q", "-B", f"-Dmaven.repo.local={CACHE / 'maven'}", f"-Dtools.version={self.version}",
                   f"-DoutputDirectory={self.home / 'lib'}", DEPENDENCY_PLUGIN]
        with open(log, "ab") as sink:
            status = subprocess.call(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
        if status:
            raise NotInstalled(f"mqadmin {self.version}: `{' '.join(command)}` ended with status {status}, see {log}")
        done.write_text(stamp)

    def run(self, *words):
        """Runs one verb to its end; everything it says goes to its log as well."""
        conf = self.directory / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        # Version 4.9 wants one; in RocketMQ's archive it says where the tool logs to.
        (conf / "logback_tools.xml").write_text("<configuration/>\n")
        command = [tool("java"), "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8",
                   f"-Duser.home={self.directory}", f"-Drocketmq.home.dir={self.directory}",
                   f"-Drocketmq.namesrv.addr={self.namesrv}", "-cp", f"{self.home / 'lib'}/*", MAIN, *map(str, words)]
        began = time.monotonic()
        try:
            # A home of its own: the tool logs there and looks there for credentials.
            done = subprocess.run(command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=VERB_WITHIN_S, check=False,
                                  env=dict(os.environ, ROCKETMQ_HOME=str(self.directory)))
            status, said = done.returncode, done.stdout
        except subprocess.TimeoutExpired as late:
            status, said = -1, (late.stdout or b"") + f"\nnot done within {VERB_WITHIN_S} s".encode()
        output = Output(words, status, said.decode("utf-8", errors="replace"), time.monotonic() - began)
        with open(self.directory / "mqadmin.log", "a", encoding="utf-8") as log:
            log.write(f"$ mqadmin {' '.join(map(str, words))}\n{output.text}\n[status {status}, {output.seconds:.1f} s]\n\n")
        return output
