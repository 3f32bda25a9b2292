"""The clients: how each is installed from its registry, how its program is started, and what it can do."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import sys

from . import install
from .install import NotInstalled

HERE = pathlib.Path(__file__).resolve().parent.parent
CACHE = HERE / ".cache"
PROGRAMS = HERE / "clients"
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


@dataclasses.dataclass(frozen=True)
class Client:
    """One client library in one version."""

    name: str
    package: str
    version: str
    language: str
    sends_async: bool = True
    sends_oneway: bool = True
    # The roles of its program that fetch messages by themselves.
    pull_roles: tuple = ("pull",)
    # Whether its first send creates the topic, as its users expect. For the others the suite creates it.
    creates_topic: bool = True
    # How long its route may be stale: where the poll cannot be set, 30 s.
    route_poll_s: int = 3
    # Longest time from a consumer's start to its first message.
    first_message_within_s: int = 60
    # What is between two addresses of name servers; None where the client takes one only.
    namesrv_separator: str | None = ";"
    # Whether its push consumer can be closed. The others are left as if killed, once their offsets are stored.
    closes: bool = True
    # Whether its program has the role `odd`, a list of checks of its own.
    has_odd: bool = False
    # Whether it is this repository's own: it is built anew whenever its crate has changed.
    is_ours: bool = False
    # Variants of `plain` that only this client has: case name to the words that switch it on.
    variants: dict = dataclasses.field(default_factory=dict)

    @property
    def home(self):
        """Where its files are kept."""
        return CACHE / self.name

    def prepare(self):
        """Fetches and builds what is not there yet."""
        inputs = sorted(path for path in (PROGRAMS / self.language).rglob("*") if path.is_file())
        stamp = hashlib.sha256(f"{self} {sys.version} {CACHE}".encode())
        for path in inputs:
            stamp.update(path.read_bytes())
        done = self.home / "prepared"
        if not self.is_ours and done.exists() and done.read_text() == stamp.hexdigest():
            return
        done.unlink(missing_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        PREPARE[self.language](self)
        done.write_text(stamp.hexdigest())

    def command(self, role, options, home, variant=None):
        """The command line of its program."""
        words = [role]
        for name, value in options.items():
            words += [f"--{name}", str(value)]
        return START[self.language](self, home, self.variants.get(variant, [])) + words

    def environment(self, home):
        """Its surroundings: the machine's own, with a home of its own for what it logs and keeps."""
        return dict(os.environ, HOME=str(home), ROCKETMQ_GO_LOG_LEVEL="warn")


def tool(name):
    """The path of a build tool."""
    found = shutil.which(name)
    if not found:
        raise NotInstalled(f"{name} is needed and is not on the PATH")
    return found


def build(client, command, directory=None, **environment):
    """Runs one command of an installation; its output goes to a log beside what it installs."""
    install.run(client.name, command, client.home / "install.log", directory or client.home, **environment)


def prepare_python(client):
    venv = client.home / "venv"
    build(client, [sys.executable, "-m", "venv", "--clear", venv])
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet"]
    build(client, [*pip, "setuptools", "wheel"])
    build(client, [*pip, "--no-build-isolation", f"{client.package}=={client.version}"])


def start_python(client, _home, _switches):
    return [client.home / "venv" / "bin" / "python", PROGRAMS / "python" / "client.py"]


def prepare_java(client):
    # The repository is our own, so that nothing outside of the cache is written.
    build(client, [tool("mvn"), "-q", "-B", f"-Dmaven.repo.local={CACHE / 'maven'}", f"-Dclient.version={client.version}",
                   f"-DoutputDirectory={client.home / 'lib'}", DEPENDENCY_PLUGIN], PROGRAMS / "java")
    build(client, [tool("javac"), "-encoding", "UTF-8", "-nowarn", "-cp", client.home / "lib" / "*",
                   "-d", client.home / "classes", *sorted((PROGRAMS / "java").glob("*.java"))])


def start_java(client, home, switches):
    classes = f"{client.home / 'classes'}:{client.home / 'lib'}/*"
    return [tool("java"), "-Xmx128m", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", f"-Duser.home={home}",
            "-Drocketmq.client.rebalance.waitInterval=2000", *switches, "-cp", classes, "Client"]


def prepare_go(client):
    build(client, [tool("go"), "build", "-mod=readonly", "-modcacherw", "-o", client.home / "client", "."],
          PROGRAMS / "go", GOMODCACHE=str(CACHE / "go-modules"), GOFLAGS="", GOTOOLCHAIN="local")


def start_built(client, _home, _switches):
    return [client.home / "client"]


def prepare_node(client):
    for name in ("package.json", "package-lock.json", ".npmrc", "client.js"):
        shutil.copy(PROGRAMS / "node" / name, client.home / name)
    build(client, [tool("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts"])


def start_node(client, _home, _switches):
    return [tool("node"), client.home / "client.js"]


def prepare_rust(client):
    target = CACHE / "rust-target"
    build(client, [tool("cargo"), "build", "--locked", "--quiet"], PROGRAMS / "rust", CARGO_TARGET_DIR=str(target))
    shutil.copy(target / "debug" / "conformance-client", client.home / "client")


def prepare_trireme(client):
    # In the workspace and its own target directory: most of it has been built already.
    build(client, [tool("cargo"), "build", "--locked", "--quiet", "-p", "client", "--example", "conformance"], HERE.parent)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    binary = client.home / "client"
    binary.unlink(missing_ok=True)  # a running one keeps its file
    shutil.copy(HERE.parent / target / "debug" / "examples" / "conformance", binary)


PREPARE = {"python": prepare_python, "java": prepare_java, "go": prepare_go, "node": prepare_node, "rust": prepare_rust, "trireme": prepare_trireme}
START = {"python": start_python, "java": start_java, "go": start_built, "node": start_node, "rust": start_built, "trireme": start_built}

JAVA_VARIANTS = {
    "vip": ["-Dcom.rocketmq.sendMessageWithVIPChannel=true"],
    "binary": ["-Drocketmq.serialize.type=ROCKETMQ"],
}

CLIENTS = [
    Client("python-rocketmq", "rocketmq", "0.4.4", "python", route_poll_s=30),
    *[Client(f"java-{version}", "rocketmq-client", version, "java", pull_roles=("pull", "lite"), has_odd=True,
             variants=JAVA_VARIANTS) for version in ("5.5.0", "5.3.3", "4.9.8")],
    Client("go", "rocketmq-client-go/v2", "2.1.2", "go", route_poll_s=30),
    Client("node", "ali-ons", "3.12.0", "node", sends_async=False, sends_oneway=False, pull_roles=(),
           creates_topic=False, namesrv_separator=None),
    Client("python-cvs", "rocketmq-python-cvs", "2.1.0.3", "python", route_poll_s=30, closes=False),
    Client("rust", "rocketmq-client-rust", "1.0.0", "rust", route_poll_s=10),
    Client("trireme", "client", "0.1.0", "trireme", route_poll_s=30, pull_roles=("pull", "lite"), has_odd=True,
           is_ours=True),
]


def choose(names):
    """The clients of these names, all when there are none; a language's name stands for all of its clients."""
    if not names:
        return CLIENTS
    chosen = [client for client in CLIENTS if client.name in names or client.language in names]
    known = {client.name for client in CLIENTS} | {client.language for client in CLIENTS}
    for name in names:
        if name not in known:
            raise SystemExit(f"no client is called {name}; there are {', '.join(client.name for client in CLIENTS)}")
    return chosen


def describe():
    """What `--list` prints."""
    return json.dumps([{"name": client.name, "package": client.package, "version": client.version}
                       for client in CLIENTS], indent=2)
