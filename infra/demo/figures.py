"""The figures of the report: frames and control events in, one dictionary out. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl
from sklearn.metrics import log_loss, roc_auc_score

from driftloop.contracts.model_pb2 import ModelEvaluated, ModelReleased, ModelTrained, RunFinished
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    RetrainRequested,
    RetrainResolved,
    ServingAcknowledged,
)
from infra.demo.read import Said

WEEK_US = 7 * 86_400_000_000
HOUR_US = 3_600_000_000
R = TypeVar("R", ModelTrained, ModelEvaluated, ModelReleased, RunFinished)
STAGES = ("detect", "decide", "train", "evaluate", "release", "swap")


@dataclass(frozen=True, slots=True)
class Log:
    """All that the topics hold of the pipeline's control plane."""

    drifts: Sequence[Said[DriftDetected]]
    requests: Sequence[Said[RetrainRequested]]
    resolved: Sequence[Said[RetrainResolved]]
    trained: Sequence[Said[ModelTrained]]
    evaluated: Sequence[Said[ModelEvaluated]]
    released: Sequence[Said[ModelReleased]]
    finished: Sequence[Said[RunFinished]]
    acknowledged: Sequence[Said[ServingAcknowledged]]


def records(
    produced: int,
    scheduled: pl.Series,
    predictions: pl.DataFrame,
    examples: pl.DataFrame,
    dead: Mapping[str, int],
) -> dict[str, int]:
    """Every scheduled flight is accounted for: predicted = scored + unlabelled + no_model; missing
    and doubled are 0. Missing are those without an answer, so that an answer to what was never
    scheduled makes up for none.
    """
    ids = predictions["event_id"]
    labelled = predictions["event_id"].is_in(examples["event_id"].implode())
    answered = predictions["version"] > 0
    return {
        "produced": produced,
        "distinct": scheduled.n_unique(),
        "predicted": ids.n_unique(),
        "scored": int((answered & labelled).sum()),
        "unlabelled": int((answered & ~labelled).sum()),
        "no_model": int((~answered).sum()),
        "missing": int((~scheduled.unique().is_in(ids.implode())).sum()),
        "doubled": len(ids) - ids.n_unique(),
        "dead": sum(dead.values()),
    }


def scored_rows(predictions: pl.DataFrame, examples: pl.DataFrame) -> pl.DataFrame:
    """Rows with an answer and a label, in time order: event_id, time_us, version, loop, frozen,
    target.
    """
    rows = predictions.filter(pl.col("version") > 0).join(
        examples.select("event_id", "target"), on="event_id"
    )
    return rows.sort("time_us", "event_id")


def quality(rows: pl.DataFrame, column: str) -> dict[str, float]:
    """AUC and log-loss of one column of probabilities; None where one class is missing."""
    known = rows.filter(pl.col(column).is_not_nan())
    target, share = known["target"].to_numpy(), known[column].to_numpy().astype(np.float64)
    if len(np.unique(target)) < 2:
        return {"auc": float("nan"), "log_loss": float("nan")}
    return {
        "auc": float(roc_auc_score(target, share)),
        "log_loss": float(log_loss(target, np.clip(share, 1e-7, 1 - 1e-7))),
    }


def weekly(rows: pl.DataFrame, first_us: int) -> list[dict[str, Any]]:
    """The same by weeks from `first_us`; a week of under 100 rows is left out."""
    weeks = []
    numbered = rows.with_columns(((pl.col("time_us") - first_us) // WEEK_US).alias("week"))
    for (week,), part in sorted(numbered.group_by("week"), key=lambda each: each[0]):
        if part.height < 100:
            continue
        loop, frozen = quality(part, "loop"), quality(part, "frozen")
        weeks.append(
            {
                "week": week,
                "loop_auc": loop["auc"],
                "frozen_auc": frozen["auc"],
                "loop_log_loss": loop["log_loss"],
                "frozen_log_loss": frozen["log_loss"],
                "rows": part.height,
            }
        )
    return weeks


def runs(log: Log, partitions: int) -> list[dict[str, Any]]:
    """One entry an accepted request, oldest first."""
    requests = {each.id: each for each in log.requests}
    return [
        _run(each, requests.get(each.message.request_id), log, partitions)
        for each in log.resolved
        if each.message.outcome == "accepted"
    ]


def triggers(log: Log) -> dict[str, int]:
    """How requests were resolved, and how runs ended."""
    outcomes = Counter(each.message.outcome for each in log.resolved)
    outcomes.update(each.message.outcome for each in log.finished)
    return dict(sorted(outcomes.items()))


def drift_to_redeployed(told: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Seconds from drift.detected to the swap in the last partition, over released runs that a
    drift caused.
    """
    seconds = [
        sum(value for stage, value in run["stages_s"].items() if stage != "detect")
        for run in told
        if run["trigger"] == "drift" and run["outcome"] == "released" and "swap" in run["stages_s"]
    ]
    return _percentiles(seconds, (50, 95))


def go_live_delay(
    told: Sequence[Mapping[str, Any]], predictions: pl.DataFrame
) -> dict[str, float | None]:
    """Event hours from the evidence's newest row to the first row that the new version answered."""
    first = dict(
        predictions.filter(pl.col("version") > 0)
        .group_by("version")
        .agg(pl.col("time_us").min())
        .iter_rows()
    )
    hours = [
        (first[run["version"]] - run["evidence_to_us"]) / HOUR_US
        for run in told
        if run["outcome"] == "released" and run["version"] in first and run["evidence_to_us"]
    ]
    return _percentiles(hours, (50, 95))


def latency(predictions: pl.DataFrame, scores: pl.DataFrame) -> dict[str, float | None]:
    """Append of the source record to append of its score, milliseconds."""
    took = (
        predictions.join(scores, on="event_id")
        .select(pl.col("scored_ms") - pl.col("source_ms"))
        .to_series()
    )
    return _percentiles(took.to_list(), (50, 99))


def _run(
    resolved: Said[RetrainResolved],
    request: Said[RetrainRequested] | None,
    log: Log,
    partitions: int,
) -> dict[str, Any]:
    run_id = resolved.message.run_id
    trained, evaluated = _of(log.trained, run_id), _of(log.evaluated, run_id)
    released, finished = _of(log.released, run_id), _of(log.finished, run_id)
    evidence = (
        request.message.evidence if request and request.message.HasField("evidence") else None
    )
    version = finished.message.version if finished else 0
    return {
        "id": run_id,
        "trigger": resolved.message.trigger or (request.message.trigger if request else ""),
        "outcome": finished.message.outcome if finished else "open",
        "version": version,
        "reason": finished.message.reason if finished else "",
        "evidence": request.message.reason if request else "",
        "evidence_to_us": evidence.to_us
        if evidence
        else (request.message.window.end_us if request else 0),
        "rows": _rows(trained),
        "champion": evaluated.message.champion_version if evaluated else 0,
        "verdicts": _verdicts(evaluated),
        "stages_s": _stages(request, trained, evaluated, released, log, partitions),
    }


def _of(every: Sequence[Said[R]], run_id: str) -> Said[R] | None:
    return next((each for each in every if each.message.run_id == run_id), None)


def _rows(trained: Said[ModelTrained] | None) -> int:
    return (
        max((each.window.rows for each in trained.message.candidates), default=0) if trained else 0
    )


def _verdicts(evaluated: Said[ModelEvaluated] | None) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "gain": each.gain,
            "gain_low": each.gain_low,
            "eligible": each.eligible,
            "auc": each.metrics.auc,
            "log_loss": each.metrics.log_loss,
            "reason": each.reason,
        }
        for each in (evaluated.message.verdicts if evaluated else ())
    ]


def _stages(
    request: Said[RetrainRequested] | None,
    trained: Said[ModelTrained] | None,
    evaluated: Said[ModelEvaluated] | None,
    released: Said[ModelReleased] | None,
    log: Log,
    partitions: int,
) -> dict[str, float]:
    """Seconds by stage, as differences of append times; a stage whose end did not come is left
    out.
    """
    drift = next(
        (each for each in log.drifts if request and each.id == request.message.drift_id), None
    )
    newest = drift.message.evidence.newest_row_ms if drift else 0
    marks = [
        newest,
        drift.ms if drift else 0,
        request.ms if request else 0,
        trained.ms if trained else 0,
        evaluated.ms if evaluated else 0,
        released.ms if released else 0,
        swapped(released, log, partitions),
    ]
    return {
        stage: (end - start) / 1_000
        for stage, start, end in zip(STAGES, marks, marks[1:], strict=False)
        if start and end
    }


def swapped(released: Said[ModelReleased] | None, log: Log, partitions: int) -> int:
    """When the last of the partitions was answered by the released version; 0: never."""
    missing = set(range(partitions))
    for each in log.acknowledged if released else ():
        if released and each.ms >= released.ms and each.message.version == released.message.version:
            missing -= set(each.message.partitions)
            if not missing:
                return each.ms
    return 0


def _percentiles(values: Sequence[float], which: Sequence[int]) -> dict[str, float | None]:
    if not values:
        return {f"p{each}": None for each in which}
    return {f"p{each}": round(float(np.percentile(values, each)), 3) for each in which}
