"""A table tried: from the file to a report, on whatever stack there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from driftloop import spec
from driftloop.client import Client
from driftloop.kit.broker import Broker
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Refused
from driftloop.trial import run
from driftloop.trial.draft import draft
from driftloop.trial.events import events
from driftloop.trial.guess import Asked, Table, guess
from driftloop.web import report

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """A table, what was found out of it, and the pipeline that it goes through."""

    name: str
    frame: pl.DataFrame
    table: Table
    file: Path
    pipeline: spec.Pipeline


def begin(
    frame: pl.DataFrame, asked: Asked, name: str, source: str, folder: Path, say: Say
) -> Trial:
    """The pipeline file written to `folder`, or the one that is there taken: a guess that somebody
    has mended stays mended.
    """
    table = guess(frame, asked)
    file = folder / f"{name}.yaml"
    if file.exists():
        say(f"{file} is there and is used as it stands")
    else:
        file.write_text(draft(name, table, source), "utf-8")
        say(f"wrote {file}: {table.kind}, {table.target.says}; {len(table.features)} features; "
            f"times from {table.times.says}")  # fmt: skip
    for column, why in table.left_out:
        say(f"  {column} is left out: {why}")
    pipeline = spec.parse(file.read_text("utf-8"), str(file))
    if pipeline.name != name:
        raise Refused(f"{file}: the pipeline is called {pipeline.name}, wanted {name}; give --name")
    return Trial(name, frame, table, file, pipeline)


def go(
    trial: Trial, client: Client, broker: Broker, pace: run.Pace, clock: Clock,
    tell: run.Tell, say: Say,
) -> bool:  # fmt: skip
    """Declare, send, wait. Whether all was done in time."""
    run.prepared(broker, trial.name)
    client.apply(trial.file)
    run.started(broker, trial.name, clock)
    told = events(trial.frame, trial.table)
    if told.dropped:
        say(f"{told.dropped:,} rows without a time are left out")
    last_us = run.sent(broker, trial.name, told, pace, clock, tell)
    left = run.drained(broker, trial.pipeline, run.ended(broker, trial.pipeline, last_us), clock)
    for line in left.missing:
        say(f"not done in time: {line}")
    return left.over


def write(trial: Trial, broker: Broker, folder: Path) -> list[str]:
    """report.html and report.json; what they say, in lines."""
    told = report.document(broker, trial.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    title = f"{trial.table.target.column}: {trial.table.rows:,} rows round the loop"
    (folder / "report.html").write_text(report.page(told, title), "utf-8")
    return report.summary(told)
