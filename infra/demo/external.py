"""The demo on a stack that runs already, as in `docker compose --profile demo up`: the same
pipeline, replay and judgement, and nothing started or stopped.

Where the stack is, its environment says (KAFKA_BOOTSTRAP, DRIFTLOOP_REGISTRY …); the rest is as in
infra/demo/settings.py. Exit status 0 only if every row is accounted for.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from driftloop.kit.config import Common, read_common
from driftloop.kit.errors import DriftloopError, Refused
from driftloop.kit.kafka import KafkaBroker
from infra.demo import drive, faults, replay, report
from infra.demo.settings import Settings
from infra.demo.warm import warm
from infra.local import places


def main() -> int:
    """Exit status: 0, 1 where rows are missing or the stack can't be used, 130 after Ctrl-C."""
    console = Console()
    try:
        return _demo(read_common(os.environ), Settings.of(os.environ), console)
    except KeyboardInterrupt:
        return 130
    except DriftloopError as error:
        console.print(f"[red]{error}", soft_wrap=True)
        return 1


def _demo(common: Common, settings: Settings, console: Console) -> int:
    begun = time.monotonic()
    _check(common, settings.folder)
    path = replay.prepare(places.cache() / "flights", settings.days, clean=settings.clean)
    with contextlib.closing(KafkaBroker(common.kafka)) as broker:
        place = _place(common)
        pipeline = drive.declared(place, broker)
        warm(common.kafka)
        console.print(
            f"replaying {settings.days or 365} days at {settings.speed:,.0f} times real time"
        )
        sent = drive.replayed(place, broker, pipeline, path, settings, console)
        facts = _facts(settings, time.monotonic() - begun, sent)
        figures = report.make(broker, pipeline, path, facts)
    report.write(settings.folder, figures)
    report.tell(figures, settings.folder, console)
    return 0 if report.whole(figures) else 1


def _check(common: Common, folder: Path) -> None:
    """Before the long part, not after it."""
    if common.driftloop_namespace:
        raise Refused("the demo's topics have fixed names: unset DRIFTLOOP_NAMESPACE")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").unlink(missing_ok=True)
        (folder / "report.html").write_text("the demo is under way\n")
    except OSError as error:
        raise Refused(f"the report can't be written to {folder}: {error.strerror}") from error


def _place(common: Common) -> drive.Place:
    environ = {f"KAFKA_{n.upper().replace('.', '_')}": v for n, v in common.kafka.items()}
    environ["KAFKA_BOOTSTRAP"] = environ.pop("KAFKA_BOOTSTRAP_SERVERS")
    return drive.Place(environ, common.driftloop_registry, "the services' logs", lambda: [])


def _facts(settings: Settings, wall_s: float, sent: replay.Progress) -> dict[str, Any]:
    """What the log can't tell; how much the services took, who started them knows."""
    return {
        "days": settings.days or 365,
        "wall_s": round(wall_s, 1),
        "produced": sent.sent,
        "setup_s": None,
        "calendar": settings.calendar,
        "clean": settings.clean,
        "faults": len(faults.BROKEN),
        "cpu_s": {},
        "rss_mb": {},
        "restarts": {},
    }


if __name__ == "__main__":
    sys.exit(main())
