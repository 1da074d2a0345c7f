"""A process's life: settings, logs, ports, loops, signals, drain, exit status. The same for all
services.

Exit status: 0 after SIGTERM or SIGINT, 2 for what the user must mend (a setting, a port in use), 70
for a bug of ours. A broker that doesn't answer is neither: one line says so, and everything goes on
trying.
"""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc

from driftloop.kit import config as settings
from driftloop.kit import log, rpc, rpc_trace
from driftloop.kit.broker import Broker, Record
from driftloop.kit.child import Children
from driftloop.kit.clock import Clock, SystemClock
from driftloop.kit.config import Common
from driftloop.kit.errors import Refused, Unavailable
from driftloop.kit.follow import Follower
from driftloop.kit.health import WHOLE, Health
from driftloop.kit.loop import LoopSpec
from driftloop.kit.loops import Loops
from driftloop.kit.metrics import Metrics
from driftloop.kit.secret import Redactor, secrets_of
from driftloop.kit.topic import M, Topic
from driftloop.kit.trace import NoTracer, Tracer, tracer_of

C = TypeVar("C")
OK, WRONG_SETTINGS, BUG = 0, 2, 70
# from NOT_SERVING to the first refused call: clients that watch our health have gone by then
NOTICE_S = 0.3
DRAIN_SECONDS_MAX = 5.0  # then the process ends as it is; what was not committed comes again
FAREWELL_S = 1.0  # a broker that is there takes a message within milliseconds
READY_LOOK_S = 0.05
TICK_S = 0.2  # how soon a signal, a crash or the parent's end is seen
BROKER_LOOK_S = 10.0  # while it answers
BROKER_WAIT_S = (0.5, 5.0)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class App:
    """What a service is made of. `start` is called once the ports are open, and again while it
    raises Unavailable."""

    servicers: Sequence[Callable[[grpc.Server], None]] = ()
    start: Callable[[], None] | None = None
    # what calls need is there; until then health says NOT_SERVING
    ready: Callable[[], bool] = lambda: True
    stop: Callable[[], None] | None = None
    loops: Sequence[LoopSpec] = ()


@dataclass(frozen=True, slots=True)
class Kit:
    """What a service's `build` is given. `stopping` is set when the process drains."""

    service: str
    replica: str  # unique among the processes that live now
    slot: str  # stable over restarts where the supervisor gives one, else of this start
    broker: Broker
    clock: Clock
    metrics: Metrics
    common: Common
    loops: Loops
    data: Path  # this service's own folder for caches
    stopping: threading.Event
    _closing: list[Callable[[], None]] = field(default_factory=list)
    tracer: Tracer = field(default_factory=NoTracer)
    started_ms: int = 0
    _listens: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where other processes reach our gRPC; empty until the port is open."""
        return self._listens[-1] if self._listens else ""

    def listens(self, port: int) -> None:
        """Says that the port is open."""
        host = self.common.driftloop_advertise or self.common.driftloop_host
        everywhere = host in ("0.0.0.0", "::", "[::]")  # no address that anyone can call
        self._listens.append(f"{socket.gethostname() if everywhere else host}:{port}")

    def transactional_id(self, loop: str, pipeline: str) -> str:
        """`<service>-<loop>-<p>.<g>`; `pipeline` is that `<p>.<g>`. The session adds which
        partition: see `kit.broker.writer`."""
        return f"{self.service}-{loop}-{pipeline}"

    def children(self, preload: Sequence[str] = ()) -> Children:
        """Starts long work; ended with the process."""
        children = Children(preload)
        self._closing.append(children.close)
        return children

    def follow(
        self,
        topic: Topic[M],
        on_message: Callable[[str | None, M | None, Record], None],
        *,
        newest: bool = False,
    ) -> Follower[M]:
        """Read a one-partition topic from its start, or only what is new, for ever, in a thread.
        What `on_message` raises ends the process."""
        follower = Follower(self.broker, topic, on_message, self.stopping, newest=newest)
        self._closing.append(follower.stop)
        return follower

    def background(self, name: str, work: Callable[[threading.Event], None]) -> None:
        """Run `work(stopping)` in a thread; it returns when `stopping` is set, and what it raises
        ends the process."""
        carried = log.carrying(work)
        threading.Thread(target=carried, args=(self.stopping,), name=name, daemon=True).start()

    def channel(self, address: str) -> grpc.Channel:
        """To another service, by TLS where the settings say so. A call carries the trace that it
        belongs to."""
        return rpc_trace.passing(rpc.channel(address, self.common.tls))

    def close(self) -> None:
        """End what was begun here, newest first."""
        while self._closing:
            self._closing.pop()()


def run(
    service: str,
    config: type[C],
    build: Callable[[C, Kit], App],
    *,
    ports: tuple[int, int] = (0, 0),
    beside: Sequence[Callable[[Kit, threading.Event], None]] = (),
    farewell: Callable[[Kit], None] = lambda kit: None,
    environ: Mapping[str, str] | None = None,
    broker: Callable[[Common], Broker] | None = None,
) -> int:
    """Live until a signal; gives back the exit status.

    `ports`: (gRPC, metrics) where the environment names none. `beside`: work that runs in a thread
    of its own. `farewell`: what a process that ends in good order does last.
    """
    environ = os.environ if environ is None else environ
    try:
        common, own = settings.read_all(config, service.upper(), environ)
        process = _Process(service, common, broker or _kafka, ports, environ, farewell)
        for name in settings.unknown(config, service.upper(), environ):
            process.log.warning("%s: %s has no such setting", name, service)
        return process.live(own, build, beside)
    except Refused as error:
        said = Redactor(secrets_of(environ)).text(str(error))
        sys.stderr.write("".join(f"{service}: {line}\n" for line in said.splitlines()))
        return WRONG_SETTINGS


class _Process:
    """From settings to exit status."""

    def __init__(
        self,
        service: str,
        common: Common,
        broker: Callable[[Common], Broker],
        ports: tuple[int, int],
        environ: Mapping[str, str],
        farewell: Callable[[Kit], None],
    ) -> None:
        self.service, self.common, self.farewell = service, common, farewell
        start_id = secrets.token_hex(4)
        replica = f"{service}-{common.driftloop_slot or start_id}"
        level = common.driftloop_log_level
        log.setup(service, replica, common.driftloop_log, level=level, secrets=secrets_of(environ))
        self.log = log.logger("kit.run")
        self.stopping, self.draining = threading.Event(), False
        self.signalled, self.status = "", OK
        self.health, self.metrics, clock = Health(), Metrics(), SystemClock()
        self.ports = [
            default if port < 0 else port
            for port, default in zip((common.grpc_port, common.metrics_port), ports, strict=True)
        ]
        self.broker = broker(common)
        self.tracer = tracer_of(
            service, replica, common.driftloop_trace_sample, environ, self._count_spans
        )
        self.loops = Loops(self.broker, clock, self.metrics, self.tracer)
        self.kit = Kit(
            service,
            replica,
            common.driftloop_slot or start_id,
            self.broker,
            clock,
            self.metrics,
            common,
            self.loops,
            _folder(common.driftloop_data / service),
            self.stopping,
            tracer=self.tracer,
            started_ms=clock.ms(),
        )
        self.metrics.build(service)

    def live(
        self,
        config: Any,
        build: Callable[[Any, Kit], App],
        beside: Sequence[Callable[[Kit, threading.Event], None]],
    ) -> int:
        self._heed_signals()
        threading.excepthook = self._on_thread_end
        self.kit.background("broker-watch", self._watch_broker)
        app = build(config, self.kit)
        host = self.common.driftloop_host
        server = rpc.serve(
            [self.health.add, *app.servicers],
            host,
            self.ports[0],
            self.common.tls,
            interceptors=[
                rpc.Timed(self.metrics.call_ended, self.kit.clock),
                rpc_trace.Traced(self.tracer, self.kit.clock),
            ],
        )
        self.kit.listens(server.port)
        try:
            metrics = self.metrics.serve(host, self.ports[1])
            for work in beside:
                self.kit.background(work.__name__, partial(work, self.kit))
            where = {"grpc": f"{host}:{server.port}", "metrics": f"{host}:{metrics.port}"}
            self.kit.background("start", lambda stop: self._start(app, where))
            self._wait()
        finally:
            self._drain(app, server)
        return self.status

    def _on_thread_end(self, args: threading.ExceptHookArgs) -> None:
        """What a thread lets out is our bug, whichever thread: log it, drain, exit 70."""
        if args.exc_value is None:
            return
        name = args.thread.name if args.thread else "a thread"
        if self.draining:  # what it used is being taken away
            self.log.warning("%s ended in the drain: %s", name, args.exc_value)
            return
        self.log.critical("%s crashed: %s", name, args.exc_value, exc_info=args.exc_value)
        self.status = BUG
        self.stopping.set()

    def _heed_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if self.common.driftloop_parent and sys.platform == "linux":
            # Sent when the parent's starting thread ends, which needn't be the parent's end:
            # SIGUSR2 makes us look.
            signal.signal(signal.SIGUSR2, lambda number, frame: None)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR2)

    def _on_signal(self, number: int, frame: object) -> None:
        # A flag alone: Event.set() here could meet the lock that it interrupts.
        self.signalled = signal.Signals(number).name

    def _orphaned(self) -> bool:
        return self.common.driftloop_parent not in (0, os.getppid())

    def _ended(self) -> bool:
        if self._orphaned() and not self.signalled:
            self.signalled = "the end of the parent"
        return bool(self.signalled) or self.stopping.is_set()

    def _start(self, app: App, where: Mapping[str, str]) -> None:
        """Until it succeeds, in a thread of its own: a signal is heeded meanwhile."""
        wait_s, longest_s = BROKER_WAIT_S
        while not self.stopping.is_set() and not self._started(app):
            self.stopping.wait(wait_s)
            wait_s = min(longest_s, wait_s * 2)
        if self.stopping.is_set():
            return
        for spec in app.loops:
            self.loops.start(spec)
        self._await_ready(app)
        self.health.set(WHOLE, serving=not self.stopping.is_set())
        self.log.info("started", extra={"fields": {**where, "pid": os.getpid()}})

    def _await_ready(self, app: App) -> None:
        while not self.stopping.is_set() and not app.ready():
            self.stopping.wait(READY_LOOK_S)

    def _started(self, app: App) -> bool:
        try:
            if app.start is not None:
                app.start()
        except Unavailable as error:
            self.log.info("start waits: %s", error)
            return False
        except Refused as error:
            self.log.error("%s", error)
            self.status = WRONG_SETTINGS
            self.stopping.set()
        return True

    def _wait(self) -> None:
        while not self._ended():
            self.health.set_all(
                {state.name: state.state == "running" for state in self.loops.states()}
            )
            self.stopping.wait(TICK_S)

    def _drain(self, app: App, server: rpc.Server) -> None:
        """Calls, loops, the service's own, then what they used; a watchdog ends what hangs."""
        self.draining = True
        self.log.info("draining", extra={"fields": {"why": self.signalled or "crash"}})
        watchdog = threading.Timer(DRAIN_SECONDS_MAX, self._give_up)
        watchdog.daemon = True
        watchdog.start()
        self.stopping.set()
        self.health.end()
        if app.servicers:
            self.kit.clock.sleep(NOTICE_S)
        server.stop()
        self.loops.stop_all()
        if app.stop is not None:
            app.stop()
        self._part()
        self.kit.close()
        self.tracer.close()
        self.broker.close()
        self.log.info("ended", extra={"fields": {"status": self.status}})

    def _part(self) -> None:
        """In a thread, since it may wait for a broker that is away."""
        if self.status == OK:
            parting = threading.Thread(target=self.farewell, args=(self.kit,), daemon=True)
            parting.start()
            parting.join(FAREWELL_S)

    def _count_spans(self, outcome: str, count: int) -> None:
        self.metrics.spans_total.shared(outcome).inc(count)

    def _give_up(self) -> None:
        self.log.error("not drained in %g s, ends as it is", DRAIN_SECONDS_MAX)
        logging.shutdown()
        os._exit(self.status)

    def _watch_broker(self, stop: threading.Event) -> None:
        """Say in one line that the broker is away, once each time, and in one that it is back."""
        away, said, wait_s = True, False, BROKER_WAIT_S[0]
        while not stop.is_set():
            try:
                self.broker.topics()
                if away:
                    self.log.info(
                        "the broker answers",
                        extra={"fields": {"broker": self.common.kafka_bootstrap}},
                    )
                away, said, wait_s = False, False, BROKER_LOOK_S
            except Unavailable as error:
                away, wait_s = True, min(BROKER_WAIT_S[1], wait_s * 2)
                if not said:
                    said = True
                    self.log.warning(
                        "no Kafka broker answers at %s: `make run` starts one, "
                        "KAFKA_BOOTSTRAP names another (%s)",
                        self.common.kafka_bootstrap,
                        error,
                    )
            stop.wait(wait_s)


def _kafka(common: Common) -> Broker:
    from driftloop.kit.kafka import KafkaBroker  # librdkafka only where there is a real broker

    return KafkaBroker(common.kafka, common.driftloop_namespace)


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"folder {path}: {error.strerror}; DRIFTLOOP_DATA names another") from error
    return path
