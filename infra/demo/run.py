"""The demo from start to report: a stack, the pipeline, the replay, the live view, the judgement of
the log. Its settings: infra/demo/settings.py. Exit status 0 only if every row is accounted for.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from driftloop.kit.errors import DriftloopError
from driftloop.kit.kafka import KafkaBroker
from infra.demo import drive, faults, replay, report
from infra.demo.settings import Settings
from infra.demo.warm import warm
from infra.local import places
from infra.local.stack import Stack, interrupt_on_signals, refuse_a_second


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
        console.print(f"the page of the loop: {stack.layout.page}")
        place = _place(stack)
        pipeline = drive.declared(place, broker)
        warm(stack.kafka)
        console.print(
            f"replaying {settings.days or 365} days at {settings.speed:,.0f} times real time"
        )
        sent = drive.replayed(place, broker, pipeline, path, settings, console)
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


def _place(stack: Stack) -> drive.Place:
    def trouble() -> list[str]:
        return [
            f"{name} was started again ({restarts}), see {stack.folder / 'log' / name}.log"
            for name, restarts in stack.restarts().items()
            if restarts
        ]

    environ = {n: v for n, v in stack.environ.items() if n.startswith("KAFKA_")}
    registry = stack.environ["DRIFTLOOP_REGISTRY"]
    return drive.Place(environ, registry, f"the logs in {stack.folder / 'log'}", trouble)


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
    interrupt_on_signals()  # anew: the report's queries may have put Polars' handler before ours
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
