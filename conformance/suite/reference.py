"""RocketMQ's own servers, fetched from their registry like the clients."""

import os
import pathlib
import subprocess

from .clients import CACHE, DEPENDENCY_PLUGIN, HERE, tool
from .install import NotInstalled

LIBRARIES = CACHE / "reference" / "lib"
DONE = CACHE / "reference" / "prepared"


def prepare():
    """Fetches the servers if they are not there yet."""
    if DONE.exists():
        return
    command = [tool("mvn"), "-q", "-B", f"-Dmaven.repo.local={CACHE / 'maven'}", f"-DoutputDirectory={LIBRARIES}",
               DEPENDENCY_PLUGIN]
    if subprocess.call(command, cwd=HERE / "reference", stdin=subprocess.DEVNULL):
        raise NotInstalled(f"RocketMQ's servers: `{' '.join(command)}` failed")
    DONE.touch()


def java(home, main, *words):
    """The command line of one Java server."""
    return [tool("java"), "-Xms256m", "-Xmx512m", "-XX:MaxDirectMemorySize=1g", f"-Duser.home={home}",
            f"-Djava.io.tmpdir={home}",
            "-cp", f"{LIBRARIES}/*", main, *words]


def launch(command, home, log):
    """Starts one Java server; it does not hear the terminal's Ctrl-C."""
    pathlib.Path(home).mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as sink:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                                env=dict(os.environ, ROCKETMQ_HOME=str(home)), start_new_session=True)


def namesrv_command(directory, home, port):
    """The command line of RocketMQ's name server on `port`; writes its configuration into `directory`."""
    conf = pathlib.Path(directory) / f"namesrv-{port}.conf"
    conf.write_text(f"listenPort = {port}\n")
    return java(home, "org.apache.rocketmq.namesrv.NamesrvStartup", "-c", str(conf))
