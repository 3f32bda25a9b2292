"""RocketMQ's own mqadmin in one version: fetched by Maven into the suite's cache, all verbs in one Java process."""

import dataclasses
import hashlib
import os
import pathlib
import queue
import re
import subprocess
import threading
import time

from suite import install
from suite.clients import CACHE, DEPENDENCY_PLUGIN, tool

HERE = pathlib.Path(__file__).resolve().parent
VERSIONS = ["5.3.3", "4.9.8"]
VERB_WITHIN_S = 60
END_WITHIN_S = 10
# What `Resident` says after each verb.
DONE = b"\x04\n"
# What a user must never see; the tool prints what it caught and ends with status 0 all the same.
STACK_TRACE = re.compile(r"Exception(?!\s+:)|^\s+at (org|java|com|io)\.", re.MULTILINE)


@dataclasses.dataclass
class Output:
    """What one verb did."""

    words: tuple
    # Of the process, where the verb ended it; else 0, as the tool has it for everything it caught.
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
        self.process = None
        self.lines = None

    def prepare(self):
        """Fetches it unless it is there."""
        pom, resident = HERE / "pom.xml", HERE / "Resident.java"
        stamp = hashlib.sha256(f"{self.version} {CACHE}".encode() + pom.read_bytes() + resident.read_bytes()).hexdigest()
        done = self.home / "prepared"
        if done.exists() and done.read_text() == stamp:
            return
        self.home.mkdir(parents=True, exist_ok=True)
        self.build(tool("mvn"), "-q", "-B", f"-Dmaven.repo.local={CACHE / 'maven'}", f"-Dtools.version={self.version}",
                   f"-DoutputDirectory={self.home / 'lib'}", DEPENDENCY_PLUGIN)
        self.build(tool("javac"), "-encoding", "UTF-8", "-cp", self.home / "lib" / "*", "-d", self.home / "classes", resident)
        done.write_text(stamp)

    def build(self, *command):
        """Runs one command of the installation."""
        install.run(f"mqadmin {self.version}", command, self.home / "install.log", HERE)

    def start(self):
        """Starts the Java process that runs the verbs."""
        conf = self.directory / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        # Version 4.9 wants one; in RocketMQ's archive it says where the tool logs to.
        (conf / "logback_tools.xml").write_text("<configuration/>\n")
        command = [tool("java"), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8",
                   "-Dstdout.encoding=UTF-8", "-Dstderr.encoding=UTF-8", f"-Duser.home={self.directory}", f"-Djava.io.tmpdir={self.directory}",
                   f"-Drocketmq.home.dir={self.directory}", f"-Drocketmq.namesrv.addr={self.namesrv}",
                   "-cp", f"{self.home / 'classes'}:{self.home / 'lib'}/*", "Resident"]
        # A home of its own: the tool logs there and looks there for credentials.
        self.process = subprocess.Popen(command, cwd=self.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=dict(os.environ, ROCKETMQ_HOME=str(self.directory)))
        self.lines = queue.SimpleQueue()
        threading.Thread(target=read_lines, args=(self.process, self.lines), daemon=True).start()

    def run(self, *words, within_s=VERB_WITHIN_S):
        """Runs one verb to its end; everything it says goes to the tool's log as well."""
        if self.process is None:
            self.start()
        began = time.monotonic()
        self.process.stdin.write("\t".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()
        said, status = self.read_until_done(began + within_s)
        text = said.decode("utf-8", errors="replace")
        output = Output(words, status, text, time.monotonic() - began)
        with open(self.directory / "mqadmin.log", "a", encoding="utf-8") as log:
            log.write(f"$ mqadmin {' '.join(map(str, words))}\n{output.text}\n[status {status}, {output.seconds:.1f} s]\n\n")
        return output

    def read_until_done(self, deadline):
        """What the verb says, and its status. The process is gone after a verb that ended it or did not end in time."""
        said = b""
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.end()
                return said + b"\nnot done in time\n", -1
            if line is None:
                status = self.process.wait()
                self.end()
                return said, status
            if line.endswith(DONE):
                return said + line.removesuffix(DONE), 0
            said += line

    def end(self):
        """Ends the Java process, if there is one."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process = None


def read_lines(process, lines):
    """Passes on what `process` says, line by line, and None at its end."""
    with process.stdout as stream:
        for line in stream:
            lines.put(line)
    lines.put(None)
