"""Runs and drifts as they are shown: pure, from events and plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from driftloop.client.plain import Plain
from driftloop.client.story import Step
from driftloop.contracts.retrain_pb2 import DriftDetected
from driftloop.kit.events import Event

ANSWERS = (
    "suppressed",
    "refused",
    "coalesced",
    "accepted",
    "released",
    "finished",
)  # kinds of steps
US = pl.Datetime("us", "UTC")


def runs_frame(runs: Sequence[Plain]) -> pl.DataFrame:
    """A row a run: `time` is when it opened (wall time)."""
    rows = [run_row(run) for run in runs]
    schema: dict[str, Any] = {
        "time": US,
        "run_id": pl.String,
        "trigger": pl.String,
        "reason": pl.String,
        "outcome": pl.String,
        "outcome_reason": pl.String,
        "version": pl.Int64,
        "winner": pl.String,
        "gain": pl.Float64,
        "gain_low": pl.Float64,
        "rows": pl.Int64,
        "holdout_rows": pl.Int64,
        "train_s": pl.Float64,
        "evaluate_s": pl.Float64,
        "release_s": pl.Float64,
    }
    frame = pl.DataFrame(
        [{**row, "time": row["opened_ms"] * 1_000} for row in rows],
        schema={**schema, "time": pl.Int64},
    )
    return frame.with_columns(pl.col("time").cast(US))


def run_row(run: Plain) -> Plain:
    """One run, flat: what a table shows of it. Stages are seconds of wall time; None where not
    reached.
    """
    opened, trained, evaluated, finished = (
        run[name] or {} for name in ("opened", "trained", "evaluated", "finished")
    )
    at = run["at_ms"]
    won: Plain = next(
        (v for v in evaluated.get("verdicts", ()) if v["name"] == evaluated["winner"]), {}
    )
    candidates = [c for c in trained.get("candidates", ()) if c["window"]]
    return {
        "opened_ms": at.get("opened", opened.get("at_ms", 0)),
        "run_id": opened.get("run_id") or finished.get("run_id", ""),
        "trigger": opened.get("trigger", ""),
        "reason": opened.get("reason", ""),
        "outcome": finished.get("outcome", "under way"),
        "outcome_reason": finished.get("reason", ""),
        "version": finished.get("version") or None,
        "winner": evaluated.get("winner") or None,
        "gain": won.get("gain"),
        "gain_low": won.get("gain_low"),
        "rows": max((c["window"]["rows"] for c in candidates), default=None),
        "holdout_rows": (evaluated.get("holdout") or {}).get("rows"),
        "train_s": _between(at, "opened", "trained"),
        "evaluate_s": _between(at, "trained", "evaluated"),
        "release_s": _between(at, "evaluated", "released"),
    }


def drift_frame(drifts: Sequence[Event[DriftDetected]], steps: Sequence[Step]) -> pl.DataFrame:
    """A row a detection: `time` is the end of the newest bucket it speaks of, `outcome` what came
    of it.
    """
    rows = [_drift(event, steps) for event in drifts]
    schema: dict[str, Any] = {
        "time": pl.Int64,
        "from": pl.Int64,
        "lane": pl.String,
        "detector": pl.String,
        "statistic": pl.String,
        "value": pl.Float64,
        "reference": pl.Float64,
        "threshold": pl.Float64,
        "score": pl.Float64,
        "rows": pl.Int64,
        "model_version": pl.Int64,
        "detected": pl.Int64,
        "outcome": pl.String,
        "run_id": pl.String,
    }
    return pl.DataFrame(rows, schema=schema).with_columns(
        pl.col("time", "from", "detected").cast(US)
    )


def _drift(event: Event[DriftDetected], steps: Sequence[Step]) -> Plain:
    evidence = event.message.evidence
    thread = next((step.thread for step in steps if step.event_id == event.id), event.id)
    answers = [step for step in steps if step.thread == thread and step.kind in ANSWERS]
    last = answers[-1] if answers else None
    return {
        "time": evidence.to_us,
        "from": evidence.from_us,
        "lane": evidence.lane,
        "detector": evidence.detector,
        "statistic": evidence.statistic,
        "value": evidence.value,
        "reference": evidence.reference,
        "threshold": evidence.threshold,
        "score": evidence.score,
        "rows": evidence.rows,
        "model_version": evidence.model_version,
        "detected": event.time_ms * 1_000,
        "outcome": last.says if last else "no retrain asked for",
        "run_id": last.run_id if last else "",
    }


def _between(at_ms: Plain, start: str, end: str) -> float | None:
    return (at_ms[end] - at_ms[start]) / 1_000 if start in at_ms and end in at_ms else None
