"""The live view, a Faust app: the pulses of all processes → windows by process → `driftloop.live`
once a second.

The only module that imports faust. It reads one topic, which no transaction writes: Faust would
show aborted rows and lose rows at the markers of transactions. Nothing exact rests on it, and no
other service needs it to live. Run: `python -m services.monitor.live`; the page is on LIVE_PORT
of DRIFTLOOP_HOST."""

from __future__ import annotations

import html
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import faust
from google.protobuf.json_format import MessageToDict

from driftloop.contracts import topics
from driftloop.contracts.pulse_pb2 import Live, Pulse
from driftloop.kit import log as logs
from driftloop.kit.clock import Clock, SystemClock
from driftloop.kit.config import Common, read_all, setting
from driftloop.kit.errors import Malformed, Refused, Unavailable
from driftloop.kit.events import event, from_json
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.secret import secrets_of
from services.monitor.live_view import Seen, Snapshot, deafness, lives, snapshot

NAME = "driftloop.live"
STOP_S = 5.0
WINDOW_S = 5.0  # rates are over one to two windows: long enough to be calm, short enough to be live
KEPT_S = 60.0
EVERY_S = 1.0
WAIT_S = (0.5, 5.0)
WARN_S = 10.0
log = logs.logger("services.monitor.live")


@dataclass(frozen=True, slots=True)
class Config:
    """Names in the environment: LIVE_PORT, …"""

    port: int = setting(17301, at_least=1, at_most=65535, why="the page, on DRIFTLOOP_HOST")


def main() -> None:
    """Until a signal. Exit status 2 for a wrong setting or a port in use."""
    try:
        common, config = read_all(Config, "LIVE", os.environ)
        replica = f"live-{common.driftloop_slot or os.getpid()}"
        level, hidden = common.driftloop_log_level, secrets_of(os.environ)
        logs.setup("live", replica, common.driftloop_log, level=level, secrets=hidden)
        _check_port(common.driftloop_host, config.port)
        wait_for_topics(common, SystemClock())
        app = build(common, config)
    except Refused as error:
        sys.stderr.write(f"live: {error}\n")
        sys.exit(2)
    logging.getLogger().handlers[0].addFilter(Calm(SystemClock()))
    worker = Worker(app, loglevel=logging.WARNING, override_logging=False, quiet=True)
    worker.execute_from_commandline()


class Table(faust.Table[str, Snapshot]):
    """Its changelog has the table's own name, so that it can be declared like every topic."""

    def _changelog_topic_name(self) -> str:
        return str(self.name)


class Worker(faust.Worker):
    """Faust's own may hang for a minute where the broker has gone first: this one ends in 5 s."""

    def _schedule_shutdown(self, number: signal.Signals) -> None:
        watchdog = threading.Timer(STOP_S, os._exit, (0,))
        watchdog.daemon = True
        watchdog.start()
        super()._schedule_shutdown(number)


class Calm(logging.Filter):
    """One line of each logger in 10 s: without a broker aiokafka says so ten times a second."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._said_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now_s = self._clock.seconds()
        if now_s - self._said_s.get(record.name, -WARN_S) < WARN_S:
            return False
        self._said_s[record.name] = now_s
        return True


def build(common: Common, config: Config) -> Any:
    """The app, its table, its agent, its timer and its page; nothing connects yet."""
    app = faust.App(**_settings(common, config))
    view = View(app, common, SystemClock())
    app.agent(view.pulses, name="pulses")(view.hear)
    app.timer(EVERY_S)(view.tell)

    async def page(web: Any, request: Any) -> Any:
        return web.html(view.page())

    async def numbers(web: Any, request: Any) -> Any:
        return web.json(view.numbers())

    async def health(web: Any, request: Any) -> Any:
        trouble = deafness(view.heard_s, view.clock.seconds())
        return web.text(trouble or "well", status=503 if trouble else 200)

    app.page("/")(page)
    app.page("/live")(numbers)
    app.page("/healthz")(health)
    return app


class View:
    """The table of snapshots by process, in windows of 5 s, and what is told of them."""

    def __init__(self, app: Any, common: Common, clock: Clock) -> None:
        self.clock, self.parent = clock, common.driftloop_parent
        prefix = f"{common.driftloop_namespace}." if common.driftloop_namespace else ""
        raw = {"key_serializer": "raw", "value_serializer": "raw"}
        self.pulses = app.topic(prefix + topics.PULSE.topic().name, **raw)
        self.out = app.topic(prefix + topics.LIVE.topic().name, **raw)
        self.window = faust.TumblingWindow(WINDOW_S, expires=KEPT_S)
        table = app.Table(prefix + topics.LIVE_STATE.topic().name, partitions=1)
        self.table = table.using_window(self.window)
        self.newest: dict[str, Snapshot] = {}
        self.heard_s: float | None = None
        self.lives: Sequence[Live] = ()

    async def hear(self, stream: Any) -> None:
        """Each pulse replaces its process's snapshot of this window; what is malformed is passed
        over.
        """
        async for value in stream:
            self.heard_s = self.clock.seconds()
            try:
                one = snapshot(from_json(value, Pulse, "pulse"))
            except Malformed as error:
                log.warning("a pulse is passed over: %s", error)
                continue
            self.table[one["replica"]] = one
            self.newest[one["replica"]] = one

    async def tell(self) -> None:
        """A message for each pipeline, once a second."""
        if self.parent not in (0, os.getppid()):
            os.kill(os.getpid(), signal.SIGTERM)  # Faust's own way to stop
            return
        now_ms = self.clock.ms()
        self.newest = {
            name: one for name, one in self.newest.items() if now_ms - one["at"] < KEPT_S * 1000
        }
        self.lives = lives(
            [Seen(one, self._older(name)) for name, one in self.newest.items()], now_ms
        )
        for live in self.lives:
            emit = event(
                topics.LIVE.topic(),
                live,
                id=f"{live.pipeline}-{now_ms}",
                source="/driftloop/live",
                time_ms=now_ms,
                key=live.pipeline,
            )
            await self.out.send(key=emit.key, value=emit.value, headers=list(emit.headers))

    def _older(self, replica: str) -> Snapshot | None:
        """The process's last snapshot of a window before this one."""
        for seconds in (2 * WINDOW_S, WINDOW_S):
            window = self.window.current(self.clock.ms() / 1000 - seconds)
            older: Snapshot | None = self._in(replica, window)
            if older is not None:
                return older
        return None

    def _in(self, replica: str, window: Any) -> Snapshot | None:
        try:
            found: Snapshot = self.table[replica][window]
        except KeyError:
            return None
        return found

    def numbers(self) -> list[dict[str, Any]]:
        """JSON for scripts."""
        return [MessageToDict(live, preserving_proto_field_name=True) for live in self.lives]

    def page(self) -> str:
        """HTML for people; it reloads itself."""
        sections = "".join(_section(live) for live in self.lives)
        return _PAGE.format(sections or "<p>No pipeline yet.</p>")


def wait_for_topics(common: Common, clock: Clock) -> None:
    """Until the registry has made the three topics: Faust spins and ignores signals where one is
    missing.
    """
    broker = KafkaBroker(common.kafka, common.driftloop_namespace)
    wanted = [topic.topic().name for topic in (topics.PULSE, topics.LIVE, topics.LIVE_STATE)]
    wait_s, said_s, stop = WAIT_S[0], -WARN_S, threading.Event()
    while not stop.is_set():
        try:
            missing = [name for name in wanted if broker.partitions(name) is None]
            reason = f"no topic {', '.join(missing)} yet: the registry makes them at its start"
            if not missing:
                break
        except Unavailable as error:
            reason = f"no Kafka broker answers at {common.kafka_bootstrap} ({error})"
        if clock.seconds() - said_s >= WARN_S:
            said_s = clock.seconds()
            log.warning("%s", reason)
        clock.sleep(wait_s)
        wait_s = min(WAIT_S[1], wait_s * 2)
        if common.driftloop_parent not in (0, os.getppid()):
            sys.exit(0)
    broker.close()


def _settings(common: Common, config: Config) -> Mapping[str, Any]:
    """Those that held when Faust was measured: no topic of its own making, acknowledged by all,
    commits twice a second.
    """
    prefix = f"{common.driftloop_namespace}." if common.driftloop_namespace else ""
    return {
        "id": prefix + NAME,
        "broker": ";".join(f"kafka://{address}" for address in common.kafka_bootstrap.split(",")),
        "broker_credentials": _credentials(common.kafka),
        "broker_commit_interval": 0.5,
        "producer_acks": -1,
        "consumer_auto_offset_reset": "latest",
        "store": "memory://",
        "datadir": str(common.driftloop_data / "live"),
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "topic_replication_factor": 1,
        "topic_partitions": 1,
        "table_standby_replicas": 0,
        "stream_wait_empty": False,
        "web_bind": common.driftloop_host,
        "web_host": "127.0.0.1",
        "web_port": config.port,
        "Table": Table,
        "autodiscover": False,
        "logging_config": None,
        "worker_redirect_stdouts": False,
    }


def _credentials(kafka: Mapping[str, str]) -> Any:
    """librdkafka's words in Faust's; None for plain text."""
    protocol = kafka.get("security.protocol", "plaintext").lower()
    context = None
    if protocol.endswith("ssl"):
        context = ssl.create_default_context(cafile=kafka.get("ssl.ca.location"))
        if certificate := kafka.get("ssl.certificate.location"):
            context.load_cert_chain(certificate, kafka.get("ssl.key.location"))
    if protocol.startswith("sasl"):
        return faust.SASLCredentials(
            username=kafka.get("sasl.username"),
            password=kafka.get("sasl.password"),
            mechanism=kafka.get("sasl.mechanism", "PLAIN"),
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Refused(f"port {host}:{port} ({error.strerror}): set LIVE_PORT") from error


_PAGE = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh"
content="1"><title>Driftloop</title> <style>body{{font:15px
system-ui;margin:2em}}td,th{{padding:.2em 1em;text-align:right}}td:first-child{{text-align:left}}
.trouble{{color:#b00}}</style><h1>Driftloop</h1>{}"""


def _section(live: Live) -> str:
    services = sorted(set(live.rows_per_s) | set(live.replicas) | set(live.trouble))
    rows = "".join(
        f"<tr><td>{html.escape(name)}<td>{live.replicas[name]}<td>{live.rows_per_s[name]:,.0f}"
        f"<td>{live.lag_records[name]:,}<td class=trouble>{html.escape(live.trouble[name])}"
        for name in services
    )
    return (
        f"<h2>{html.escape(live.pipeline)}@{live.model_version}</h2>"
        f"<p>source to score {live.latency_p50_ms:.0f} ms (p50), "
        f"{live.latency_p99_ms:.0f} ms (p99)</p>"
        f"<table><tr><th>service<th>replicas<th>rows/s<th>lag<th>trouble{rows}</table>"
    )


if __name__ == "__main__":
    main()
