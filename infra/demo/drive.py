"""The part of the demo that is the same wherever the stack runs: the pipeline is declared, the
replayer started, the live view drawn, and waited until the log says that all is done.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.live import Live

from driftloop.cli.view import render
from driftloop.client.standing import Standing, Starting, standing
from driftloop.client.watching import Watch
from driftloop.contracts.registry_pb2 import ApplyRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit import rpc
from driftloop.kit.broker import TopicSpec
from driftloop.kit.errors import DriftloopError, Refused, Unavailable
from driftloop.kit.kafka import KafkaBroker
from driftloop.spec import Pipeline, parse
from infra.demo import flights, replay
from infra.demo.settings import Settings
from infra.local import places

FILE = places.ROOT / "infra" / "pipelines" / "flights.yaml"
START_S = 90.0  # seen: 3 s; some 15 s where the kernels must be compiled
DRAIN_S = 120.0  # after the last event: seen 2 to 10 s, and a run may be open
VIEW_S = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """A running stack as the demo sees it. `environ`: the KAFKA_… that lead to its broker; `logs`:
    where they are, in words; `trouble`: what is wrong now, a line each.
    """

    environ: Mapping[str, str]
    registry: str
    logs: str
    trouble: Callable[[], list[str]]


def declared(place: Place, broker: KafkaBroker) -> Pipeline:
    """The sources made and the pipeline file applied. Refused: the flights were here before."""
    spoilt = [name for name in flights.STREAMS if _holds_something(broker, name)]
    if spoilt:
        raise Refused(
            f"{spoilt[0]} holds records already, and what comes twice does nothing: "
            "the demo wants a fresh stack"
        )
    sources = [
        TopicSpec(
            name, 1, {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "8000000"}
        )
        for name in flights.STREAMS
    ]
    broker.create(sources)
    text = FILE.read_text()
    with rpc.channel(place.registry) as channel:
        RegistryStub(channel).Apply(
            ApplyRequest(yaml=text, by="demo"), timeout=60, wait_for_ready=True
        )
    pipeline = parse(text, FILE.name)
    _await_loops(place, broker, pipeline.name)
    return pipeline


def _holds_something(broker: KafkaBroker, topic: str) -> bool:
    return any(broker.bounds(topic, n)[1] for n in range(broker.partitions(topic) or 0))


def _await_loops(place: Place, broker: KafkaBroker, pipeline: str) -> None:
    """Until a replica tells of each loop of the pipeline that it runs: the kernels are loaded, the
    partitions assigned.
    """
    starting = Starting(broker, pipeline)
    deadline = time.monotonic() + START_S
    while missing := starting.missing():
        if time.monotonic() > deadline:
            raise Unavailable(f"loops {', '.join(missing)} do not run; see {place.logs}")
        time.sleep(VIEW_S)


def replayed(
    place: Place,
    broker: KafkaBroker,
    pipeline: Pipeline,
    path: Path,
    settings: Settings,
    console: Console,
) -> replay.Progress:
    """Run the replayer beside the live view until the log says that all is done."""
    before = _children_s()
    with (
        _process(_command(place, path, settings), place.environ) as process,
        Watch(broker, pipeline.name) as feed,
        _view(feed, console),
    ):
        lines = _last_line(process)
        while process.poll() is None:
            time.sleep(VIEW_S)
            _mind(place, feed)
        sent = replay.Progress(**json.loads(lines[-1])) if lines else replay.Progress(0, 1, 0, 0.0)
        if process.returncode or not sent.done:
            raise DriftloopError(
                f"the replayer ended with status {process.returncode} after {sent.sent} records"
            )
        left = _drained(place, broker, pipeline, sent.event_us + replay.END_US, feed)
    if not left.over:
        console.print("[red]not done in time: " + "; ".join(left.missing))
    cpu_s = _children_s() - before
    console.print(
        f"{sent.sent:,} records sent, the last {sent.behind_s:.1f} s behind time, "
        f"for {cpu_s:.0f} CPU s"
    )
    return sent


def _command(place: Place, path: Path, settings: Settings) -> list[str]:
    return [
        *(sys.executable, "-m", "infra.demo.replay", place.environ["KAFKA_BOOTSTRAP"]),
        *("--speed", str(settings.speed), "--folder", str(path.parent)),
        *(["--days", str(settings.days)] if settings.days else []),
        *(["--clean"] if settings.clean else []),
    ]


def _children_s() -> float:
    """CPU seconds of this process's ended children."""
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def _drained(
    place: Place, broker: KafkaBroker, pipeline: Pipeline, end_us: int, feed: Watch
) -> Standing:
    deadline = time.monotonic() + DRAIN_S
    while True:
        left = standing(broker, pipeline.name, pipeline.partitions, end_us)
        if left.over or time.monotonic() > deadline:
            return left
        _mind(place, feed)
        time.sleep(VIEW_S)


def _mind(place: Place, feed: Watch) -> None:
    for line in place.trouble():
        feed.trouble(line)


@contextlib.contextmanager
def _process(command: list[str], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=places.ROOT,
        env={**os.environ, **environ},
    )
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
