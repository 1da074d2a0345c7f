"""The demo from start to report: a stack, the pipeline, the replay, the live view, the judgement of
the log.

Settings by environment: DAYS (first days of the year), KEEP=1 (leave the stack up), CALENDAR=1
(score a calendar too), CLEAN=1 (without the handful of broken records), SPEED (times real time),
DEMO_FOLDER (instead of var/demo). Exit status 0 only if every row is accounted for."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.live import Live

from driftloop.cli.view import render
from driftloop.client.watching import Watch
from driftloop.contracts.registry_pb2 import ApplyRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit import rpc
from driftloop.kit.broker import TopicSpec
from driftloop.kit.errors import DriftloopError, Refused, Unavailable
from driftloop.kit.kafka import KafkaBroker
from driftloop.spec import Pipeline, parse
from infra.demo import faults, flights, replay, report
from infra.demo.done import Standing, standing
from infra.demo.warm import warm
from infra.local import places
from infra.local.ready import serving
from infra.local.stack import Stack, interrupt_on_signals, refuse_a_second

FILE = places.ROOT / "infra" / "pipelines" / "flights.yaml"
LOOPS = (
    ("ingestion", "order"),
    ("features", "windows"),
    ("features", "join"),
    ("serving", "scores"),
    ("monitor", "buckets"),
    ("monitor", "decide"),
)
START_S = 90.0  # seen: 3 s; some 15 s where the kernels must be compiled
DRAIN_S = 120.0  # after the last event: seen 2 to 10 s, and a run may be open
VIEW_S = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose."""

    days: int | None
    keep: bool
    calendar: bool
    clean: bool
    speed: float
    folder: Path

    @staticmethod
    def of(environ: Mapping[str, str]) -> Settings:
        """Refused: a number that is none, or out of range."""
        days = _number(environ, "DAYS", 1, 365)
        return Settings(
            None if days is None else int(days),
            environ.get("KEEP") == "1",
            environ.get("CALENDAR") == "1",
            environ.get("CLEAN") == "1",
            _number(environ, "SPEED", 1, 10_000_000) or replay.SPEED,
            Path(environ.get("DEMO_FOLDER") or places.VAR / "demo"),
        )


def _number(environ: Mapping[str, str], name: str, least: float, most: float) -> float | None:
    text = environ.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise Refused(f"{name} is {text!r}, wanted a number from {least:g} to {most:,.0f}")
    return number


def main() -> int:
    """Exit status: 0, 1 where rows are missing or something did not start, 130 after Ctrl-C."""
    console = Console()
    interrupt_on_signals()
    try:
        return _demo(Settings.of(os.environ), console)
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except DriftloopError as error:
        console.print(f"[red]{error}")
        return 1


def _demo(settings: Settings, console: Console) -> int:
    begun = time.monotonic()
    _clear(settings.folder)
    path = replay.prepare(places.cache() / "flights", settings.days, clean=settings.clean)
    stack = Stack(settings.folder, environ=_own(os.environ))
    console.print(f"starting Kafka and the services; logs in {settings.folder / 'log'}")
    with stack, contextlib.closing(KafkaBroker(stack.kafka)) as broker:
        pipeline = _declared(stack, broker)
        warm(stack.bootstrap)
        console.print(
            f"replaying {settings.days or 365} days at {settings.speed:,.0f} times real time"
        )
        sent = _replayed(stack, broker, pipeline, path, settings, console)
        wall_s = time.monotonic() - begun
        figures = report.make(broker, pipeline, path, _facts(stack, settings, wall_s, sent))
        report.write(settings.folder, figures)
        report.tell(figures, settings.folder, console)
        whole = report.whole(figures)
        if settings.keep:
            _keep(console)
    return 0 if whole else 1


def _own(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what `driftloop env` may have put there: the demo has a broker of its own."""
    return {k: v for k, v in environ.items() if not k.startswith(("KAFKA_", "DRIFTLOOP_"))}


def _clear(folder: Path) -> None:
    """What an earlier demo left there, and nothing else."""
    refuse_a_second(folder)
    for name in ("kafka", "data", "log"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("report.json", "report.html", "flights.png"):
        (folder / name).unlink(missing_ok=True)


def _declared(stack: Stack, broker: KafkaBroker) -> Pipeline:
    """The sources made and the pipeline file applied."""
    sources = [
        TopicSpec(
            name, 1, {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "8000000"}
        )
        for name in flights.STREAMS
    ]
    broker.create(sources)
    text = FILE.read_text()
    with rpc.channel(stack.environ["DRIFTLOOP_REGISTRY"]) as channel:
        RegistryStub(channel).Apply(
            ApplyRequest(yaml=text, by="demo"), timeout=60, wait_for_ready=True
        )
    pipeline = parse(text, FILE.name)
    _await_loops(stack, pipeline.name)
    return pipeline


def _await_loops(stack: Stack, pipeline: str) -> None:
    """Until every loop of the pipeline runs: the kernels are loaded, the partitions assigned."""
    addresses = stack.layout.addresses()
    missing = {(service, f"{loop}-{pipeline}") for service, loop in LOOPS}
    deadline = time.monotonic() + START_S
    while missing:
        missing = {each for each in missing if not serving(addresses[each[0]], each[1])}
        if missing and time.monotonic() > deadline:
            named = ", ".join(sorted(loop for _, loop in missing))
            raise Unavailable(f"loops {named} do not run; see the logs in {stack.folder / 'log'}")
        time.sleep(VIEW_S)


def _replayed(
    stack: Stack,
    broker: KafkaBroker,
    pipeline: Pipeline,
    path: Path,
    settings: Settings,
    console: Console,
) -> replay.Progress:
    """Run the replayer beside the live view until the log says that all is done."""
    command = [
        sys.executable,
        "-m",
        "infra.demo.replay",
        stack.bootstrap,
        "--speed",
        str(settings.speed),
        "--folder",
        str(path.parent),
        *(["--days", str(settings.days)] if settings.days else []),
        *(["--clean"] if settings.clean else []),
    ]
    before = _children_s()
    with _process(command) as process, Watch(broker, pipeline.name) as feed, _view(feed, console):
        lines = _last_line(process)
        while process.poll() is None:
            time.sleep(VIEW_S)
            _mind(stack, feed)
        sent = replay.Progress(**json.loads(lines[-1])) if lines else replay.Progress(0, 1, 0, 0.0)
        if process.returncode or not sent.done:
            raise DriftloopError(
                f"the replayer ended with status {process.returncode} after {sent.sent} records"
            )
        left = _drained(stack, broker, pipeline, sent.event_us + replay.END_US, feed)
    if not left.over:
        console.print("[red]not done in time: " + "; ".join(left.missing))
    cpu_s = _children_s() - before
    console.print(
        f"{sent.sent:,} records sent, the last {sent.behind_s:.1f} s behind time, "
        f"for {cpu_s:.0f} CPU s"
    )
    return sent


def _children_s() -> float:
    """CPU seconds of this process's ended children."""
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def _drained(
    stack: Stack, broker: KafkaBroker, pipeline: Pipeline, end_us: int, feed: Watch
) -> Standing:
    deadline = time.monotonic() + DRAIN_S
    while True:
        left = standing(broker, pipeline.name, pipeline.partitions, end_us)
        if left.over or time.monotonic() > deadline:
            return left
        _mind(stack, feed)
        time.sleep(VIEW_S)


def _mind(stack: Stack, feed: Watch) -> None:
    for name, restarts in stack.restarts().items():
        if restarts:
            feed.trouble(
                f"{name} was started again ({restarts}), see {stack.folder / 'log' / name}.log"
            )


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=places.ROOT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()


def _last_line(process: subprocess.Popen[str]) -> list[str]:
    """A list that always holds the newest line alone; a thread reads, so that the pipe never
    fills.
    """
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines[:] = [line]

    threading.Thread(target=read, daemon=True).start()
    return lines


@contextlib.contextmanager
def _view(feed: Watch, console: Console) -> Iterator[None]:
    """The live view on a terminal; else a line every 10 s."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_draw if console.is_terminal else _print, args=(feed, console, stop), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def _draw(feed: Watch, console: Console, stop: threading.Event) -> None:
    with Live(render(feed.snapshot()), console=console, auto_refresh=False) as live:
        while not stop.wait(VIEW_S):
            live.update(render(feed.snapshot()), refresh=True)


def _print(feed: Watch, console: Console, stop: threading.Event) -> None:
    while not stop.wait(10):
        now = feed.snapshot()
        rates = " ".join(
            f"{name} {rate:,.0f}/s" for name, rate in sorted(now.rows_per_s.items()) if rate >= 1
        )
        console.print(
            f"{now.event_time[:10]}  version {now.model_version}  AUC {_figure(now.loop.auc)}"
            f" (frozen {_figure(now.frozen.auc)})  p99 {now.latency_p99_ms:.0f} ms  {rates}",
            soft_wrap=True,
        )
        for line in now.trouble:
            console.print(f"  {line}", soft_wrap=True)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _facts(
    stack: Stack, settings: Settings, wall_s: float, sent: replay.Progress
) -> dict[str, Any]:
    """What the log can't tell."""
    usage = dict(stack.usage())
    return {
        "days": settings.days or 365,
        "wall_s": round(wall_s, 1),
        "produced": sent.sent,
        "setup_s": _setup_s(),
        "calendar": settings.calendar,
        "clean": settings.clean,
        "faults": len(faults.BROKEN),
        "cpu_s": {name: each.cpu_s for name, each in usage.items()},
        "rss_mb": {name: each.rss_mb for name, each in usage.items()},
        "restarts": dict(stack.restarts()),
    }


def _setup_s() -> float | None:
    """What `make setup` took when it last did something."""
    try:
        return float(json.loads((places.VAR / "setup.json").read_text())["seconds"])
    except (OSError, ValueError, KeyError):
        return None


def _keep(console: Console) -> None:
    console.print("the stack stays up: . .venv/bin/activate && driftloop env. `make stop` ends it.")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
