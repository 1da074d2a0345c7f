"""Where things come from: an answer's model, a model's rows, run, file and code; what a search has
tried. Values of the log and the registry in, plain values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl

from driftloop.client.plain import Plain, instant_us, iso, plain
from driftloop.contracts.retrain_pb2 import Statistics, TrainingProgress
from driftloop.kit.errors import Refused

OF_MODEL = ("version", "digest", "bytes", "aliases")
OF_CANDIDATE = ("name", "kind", "params", "seed", "code", "libraries", "cpu")


def answered(predictions: pl.DataFrame, pipeline: str, event_id: str) -> Plain:
    """The answer to one event. Refused: there is none."""
    found = predictions.filter(pl.col("event_id") == event_id).to_dicts()
    if not found:
        raise Refused(f"{pipeline}: no answer to event {event_id!r} is kept")
    return {
        name: iso(instant_us(value)) if isinstance(value, datetime) else value
        for name, value in found[0].items()
    }


def lineage(model: Plain, runs: Sequence[Plain], statistics: Iterable[Statistics]) -> Plain:
    """What a version was made of and has answered, by its pipeline's runs and closed buckets."""
    candidate = model["candidate"] or {}
    run = next((one for one in runs if _run_id(one) == model["run_id"]), {})
    opened, trained = run.get("opened") or {}, run.get("trained") or {}
    mine = [one for one in statistics if one.version == model["version"] and one.predicted]
    return {
        "model": {name: model[name] for name in OF_MODEL},
        "window": candidate.get("window"),
        "made_by": {name: candidate.get(name) for name in OF_CANDIDATE},
        "run": model["run_id"],
        "request": opened.get("request_id"),
        "trigger": opened.get("trigger"),
        "declaration": trained.get("declaration"),
        "answered": {
            "rows": sum(one.predicted for one in mine),
            "from": iso(min((one.start_us for one in mine), default=0)),
            "to": iso(max((one.end_us for one in mine), default=0)),
        },
    }


def trials(told: Iterable[TrainingProgress], run_id: str) -> list[Plain]:
    """Sets of parameters that were tried, in the order of the log; `run_id` empty: of all runs."""
    return [
        {"run_id": one.run_id, "candidate": one.candidate} | plain(one.trial)
        for one in told
        if one.HasField("trial") and run_id in ("", one.run_id)
    ]


def _run_id(run: Plain) -> str:
    return str((run.get("opened") or {}).get("run_id", ""))
