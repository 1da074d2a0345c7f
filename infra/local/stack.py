"""The whole product on this machine: broker, registry, the other services, the live view; up, down,
and where it is.

    python -m infra.local.stack run      on the fixed ports, until Ctrl-C or `make stop`; data stays
    in var/kafka
    python -m infra.local.stack stop     ends every stack of this clone, demos left up by KEEP=1
    included

A broker of one's own is used where KAFKA_BOOTSTRAP is set (and KAFKA_… for its TLS and SASL).
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal, Self

import psutil

from driftloop.client.addresses import reachable
from driftloop.kit.errors import DriftloopError, Refused, Unavailable
from infra.local import layout, places, ports
from infra.local.kafka import Kafka
from infra.local.say import say
from infra.local.supervisor import Service, Supervisor
from infra.local.usage import Usage

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
STOP_S = 40.0  # for `stop`: a drain, the broker's end, and something over on a busy machine


class Stack:
    """A stack whose files lie in `folder` (logs in `log/`, `stack.json`). `kafka_folder`: where an
    own broker keeps data.

    `environ` is what the services start from: os.environ at the door, so that every setting can be
    given there. `replicas`: service → how many, on free ports alone.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ports: Literal["fixed", "free"] = "free",
        kafka_folder: Path | None = None,
        environ: Mapping[str, str] | None = None,
        replicas: Mapping[str, int] | None = None,
        say: Callable[[str], None] = say,
    ) -> None:
        self.folder = folder.resolve()
        self.layout = layout.fixed() if ports == "fixed" else layout.free(replicas)
        self._fixed = ports == "fixed"
        self._kafka_folder = kafka_folder or self.folder / "kafka"
        self._base = dict(os.environ if environ is None else environ)
        self._say = say
        self._own: Kafka | None = None
        self._supervisor: Supervisor | None = None
        self.environ: dict[str, str] = {}

    def up(self) -> Self:
        """Start all, wait until all are ready. Refused, Unavailable: in words; then nothing of it
        is left running.
        """
        refuse_a_second(self.folder)
        self._check_ports()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write()  # whose it is, before the long part: for `stop`, and for a second one
            self._start()
        except OSError as error:  # a full disk, one that can't be written, no memory
            self.down()
            mend = "make room and" if error.errno in NO_ROOM else "mend that and"
            where = error.filename or self.folder
            raise Unavailable(f"{where}: {error.strerror}; {mend} start again") from error
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> None:
        """Stop in reverse order. Twice is once."""
        if self._supervisor is not None:
            self._supervisor.stop()
        if self._own is not None:
            self._own.stop()
            self._own = None
        with suppress(OSError):  # a disk that can't be written: whoever looks sees that we are gone
            self._file.unlink(missing_ok=True)

    @property
    def bootstrap(self) -> str:
        """Where the broker answers."""
        return self.environ["KAFKA_BOOTSTRAP"]

    @property
    def kafka(self) -> Mapping[str, str]:
        """The broker's settings as librdkafka names them."""
        names = [name for name in self.environ if name.startswith("KAFKA_")]
        renamed = {name: name.removeprefix("KAFKA_").lower().replace("_", ".") for name in names}
        renamed["KAFKA_BOOTSTRAP"] = "bootstrap.servers"
        return {renamed[name]: self.environ[name] for name in names}

    def usage(self) -> Mapping[str, Usage]:
        """Process → CPU seconds and peak memory so far; also after `down`."""
        return {} if self._supervisor is None else self._supervisor.usage()

    def restarts(self) -> Mapping[str, int]:
        """Service → how often it ended unasked and was started again."""
        states = {} if self._supervisor is None else self._supervisor.states()
        return {name: state.restarts for name, state in states.items()}

    def pids(self) -> Mapping[str, int]:
        """Service → process id, as of now."""
        states = {} if self._supervisor is None else self._supervisor.states()
        return {name: state.process.pid for name, state in states.items()}

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash would end it; it is started again like after any other end."""
        os.kill(self.pids()[name], signal.SIGKILL)

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """SIGSTOP, as a machine that stands still for a while, and SIGCONT."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def restart(self, name: str) -> None:
        """SIGTERM, and the next start at once; returns when it is ready. Unavailable: it isn't."""
        assert self._supervisor is not None, "up() first"
        self._supervisor.restart(name)

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    @property
    def _file(self) -> Path:
        return self.folder / "stack.json"

    def _check_ports(self) -> None:
        taken = self.layout.taken() if self._fixed else []
        if taken:
            listed = ", ".join(map(str, taken))
            raise Refused(
                f"port {listed} in use: stop what listens there (`make stop` ends an earlier stack)"
            )

    def _start(self) -> None:
        supervisor = self._supervisor = Supervisor(self.folder / "log", self._say)
        self.environ = layout.client_environ(self.layout, self._broker(supervisor))
        supervisor.start([self._service(layout.FIRST)])
        others = [name for service in layout.OTHERS for name in self.layout.replicas(service)]
        supervisor.start([self._service(name) for name in others])
        supervisor.start([self._service(layout.LIVE), self._service(layout.WEB)])
        self._write()

    def _broker(self, supervisor: Supervisor) -> dict[str, str]:
        """KAFKA_… of the broker given, or of one that is started here."""
        given = {name: value for name, value in self._base.items() if name.startswith("KAFKA_")}
        if named := given.get("KAFKA_BOOTSTRAP"):
            _refuse_nobody(named)
            return given
        kafka = self._own = Kafka(self._kafka_folder, ports.KAFKA if self._fixed else 0)
        kafka.start()
        supervisor.adopt(Service("kafka", kafka.command, self._base, kafka.folder), kafka.process)
        return {"KAFKA_BOOTSTRAP": kafka.bootstrap}

    def _service(self, name: str) -> Service:
        environ = {**self._base, **self.environ}
        data = self.folder / "data" / name
        data.mkdir(parents=True, exist_ok=True)
        return layout.service(name, self.layout, environ, data)

    def _write(self) -> None:
        """Where everything is, for `driftloop env` and `make stop`; whole or not at all."""
        me = psutil.Process()
        facts = {
            "pid": me.pid,
            "started_s": me.create_time(),
            "environ": self.environ,
            "grpc": dict(self.layout.addresses()),
            "metrics": {n: f"{ports.HOST}:{p}" for n, p in self.layout.metrics.items()},
            "live": f"http://{ports.HOST}:{self.layout.live}",
            "web": self.layout.page,
            "pids": dict(self.pids()),
        }
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps(facts, indent=2) + "\n")
        draft.replace(self._file)


def running(var: Path) -> dict[Path, psutil.Process]:
    """stack.json → the process that holds that stack, for each that is alive."""
    found = {path: _holder(path) for path in sorted(var.glob("*/stack.json"))}
    return {path: process for path, process in found.items() if process is not None}


def _holder(path: Path) -> psutil.Process | None:
    """None if it has ended, its id is another's by now, or the file is not ours."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        process = psutil.Process(int(facts["pid"]))
        return process if abs(process.create_time() - float(facts["started_s"])) < 1.0 else None
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None


def refuse_a_second(folder: Path) -> None:
    holder = _holder(folder / "stack.json")
    if holder is not None and holder.pid != os.getpid():
        raise Refused(
            f"a stack runs already in {folder} (process {holder.pid}): `make stop` ends it"
        )


def _refuse_nobody(bootstrap: str) -> None:
    """At once and in one line, instead of by the end of a waiting service's log."""
    try:
        reachable(bootstrap)
    except Unavailable as error:
        raise Unavailable(
            f"no broker answers at {bootstrap}: mend KAFKA_BOOTSTRAP, or unset it to have one here"
        ) from error


def run(folder: Path) -> None:
    """`make run`: until a signal."""
    stack = Stack(folder, ports="fixed", kafka_folder=places.VAR / "kafka")
    say("starting; the first time takes about a minute, later ones about 15 s")
    with stack:
        for name, value in stack.environ.items():
            say(f"  {name}={value}")
        say(f"the page of the loop {stack.layout.page}")
        say(f"live view http://{ports.HOST}:{stack.layout.live} · logs in {stack.folder / 'log'}")
        say("metrics at each gRPC port + 100: `python -m infra.tools.prometheus` watches them")
        say("ready. In another terminal: . .venv/bin/activate && driftloop env. Ctrl-C stops all.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say("stopping …")


def stop(var: Path) -> int:
    """`make stop`: ends what runs; exit status 1 if something would not."""
    holders = running(var)
    if not holders:
        say("nothing is running")
    for path, process in holders.items():
        say(f"stopping {path.parent.name} (process {process.pid}) …")
        process.terminate()
    _, alive = psutil.wait_procs(holders.values(), timeout=STOP_S)
    for process in alive:
        say(f"process {process.pid} is still there after {STOP_S:.0f} s")
    return 1 if alive else 0


def interrupt_on_signals() -> None:
    """SIGTERM and SIGHUP end us as Ctrl-C does: by KeyboardInterrupt in the main thread, so that
    `with` unwinds. SIGINT too is set anew: Polars puts a handler of its own before Python's, which
    after some queries keeps the signal to itself.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, 1 where something did not start or stop, 130 where a signal came before it
    was up.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.local.stack")
    parser.add_argument("word", choices=["run", "stop"])
    word = parser.parse_args(arguments).word
    if word == "stop":
        return stop(places.VAR)
    interrupt_on_signals()
    try:
        run(places.VAR / "run")
    except KeyboardInterrupt:
        return 130
    except DriftloopError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
