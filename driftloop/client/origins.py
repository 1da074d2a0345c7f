"""Where things come from: an answer's model, a model's rows, run, file and code; what a search has
tried. Values of the log and the registry in, plain values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
import polars as pl

from driftloop.client.plain import Plain, instant_us, iso, plain
from driftloop.contracts.model_pb2 import Snapshot
from driftloop.contracts.retrain_pb2 import Line, Statistics, TrainingProgress
from driftloop.kit.errors import Refused

OF_MODEL = ("version", "digest", "bytes", "aliases")
OF_CANDIDATE = ("name", "kind", "line", "rows_learnt", "params", "seed", "code", "libraries", "cpu")


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
    """Sets of parameters that were tried, in the order in which they began, each as it was told
    last; `run_id` empty: of all runs.
    """
    found = {
        (one.run_id, one.candidate, one.trial.number): (
            {"run_id": one.run_id, "candidate": one.candidate} | plain(one.trial)
        )
        for one in told
        if one.HasField("trial") and run_id in ("", one.run_id)
    }
    return list(found.values())


def _run_id(run: Plain) -> str:
    return str((run.get("opened") or {}).get("run_id", ""))


def lines(snapshots: Iterable[Snapshot], statistics: Iterable[Statistics]) -> list[Plain]:
    """Each line's newest snapshot, and its record against the version that answered last: rows that
    both answered, on how many it alone was right and alone was wrong, and the mean losses of both.
    """
    told = list(statistics)
    live = next((one.version for one in reversed(told) if one.version), 0)
    mine = [line for one in told if one.version == live for line in one.lines]
    return [
        {
            "line": one.line,
            "rows_learnt": one.rows,
            "newest": iso(one.newest_us),
            "digest": one.digest,
            "bytes": len(one.model),
            "at_ms": one.at_ms,
            "beside": live,
            **_record([line for line in mine if line.name == one.line]),
        }
        for one in sorted(snapshots, key=lambda each: each.line)
    ]


def _record(parts: Sequence[Line]) -> Plain:
    rows = sum(part.rows for part in parts)
    gains = np.frombuffer(b"".join(part.gains for part in parts), np.int8)
    return {
        "rows": rows,
        "right_alone": int((gains > 0).sum()),
        "wrong_alone": int((gains < 0).sum()),
        "loss": sum(part.loss_sum for part in parts) / rows if rows else None,
        "live_loss": sum(part.live_loss_sum for part in parts) / rows if rows else None,
    }
