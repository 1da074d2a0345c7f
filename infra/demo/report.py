"""From the log to report.json and report.html, and the sentences that say plainly what came out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pyarrow import feather
from rich.console import Console

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelEvaluated, ModelReleased, ModelTrained, RunFinished
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    RetrainRequested,
    RetrainResolved,
    ServingAcknowledged,
)
from driftloop.kit.broker import Broker
from driftloop.spec import Pipeline
from infra.demo import figures, flights, page, read
from infra.demo.calendar import calendar

FIRST_DAY_US = 1_356_998_400_000_000  # 2013-01-01, where weeks are counted from


def make(
    broker: Broker, pipeline: Pipeline, events: Path, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """All figures; `facts` are those that no topic holds."""
    predictions = read.predictions(broker, pipeline.name)
    examples, vectors = read.examples(broker, pipeline.name)
    dead = read.dead(broker, pipeline.name)
    log = control(broker, pipeline.name)
    rows = figures.scored_rows(predictions, examples)
    told = figures.runs(log, pipeline.partitions)
    records = figures.records(facts["produced"], _scheduled(events), predictions, examples, dead)
    wall_s = facts["wall_s"]
    return {
        "days": facts["days"],
        "wall_s": wall_s,
        "setup_s": facts["setup_s"],
        "records": records,
        "dead_by_rule": dead,
        "scores": _scores(rows, examples, vectors, pipeline, calendar_too=facts["calendar"]),
        "runs": told,
        "triggers": figures.triggers(log),
        "drift_to_redeployed_s": figures.drift_to_redeployed(told),
        "go_live_delay_event_h": figures.go_live_delay(told, predictions),
        "latency_ms": figures.latency(predictions, read.scores(broker, pipeline.name)),
        "cpu_s": facts["cpu_s"],
        "rss_mb": facts["rss_mb"],
        "restarts": facts["restarts"],
        "rows_per_s": {
            "source": round(facts["produced"] / wall_s),
            "predicted": round(len(predictions) / wall_s),
        },
    }


def control(broker: Broker, pipeline: str) -> figures.Log:
    """The pipeline's control plane, whole."""
    return figures.Log(
        read.said(broker, topics.DRIFT_DETECTED, DriftDetected, pipeline),
        read.said(broker, topics.RETRAIN_REQUESTED, RetrainRequested, pipeline),
        read.said(broker, topics.RETRAIN_RESOLVED, RetrainResolved, pipeline),
        read.said(broker, topics.MODEL_TRAINED, ModelTrained, pipeline),
        read.said(broker, topics.MODEL_EVALUATED, ModelEvaluated, pipeline),
        read.said(broker, topics.MODEL_RELEASED, ModelReleased, pipeline),
        read.said(broker, topics.RUN_FINISHED, RunFinished, pipeline),
        read.said(broker, topics.SERVING_ACKNOWLEDGED, ServingAcknowledged, pipeline),
    )


def write(folder: Path, report: Mapping[str, Any]) -> None:
    """report.json, report.html and its plot as flights.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(_plain(report), indent=1) + "\n")
    (folder / "report.html").write_text(page.page(report, summary(report)))
    (folder / "flights.png").write_bytes(page.png(page.weekly_plot(report)))


def whole(report: Mapping[str, Any]) -> bool:
    """Is every row accounted for?"""
    records = report["records"]
    accounted = records["scored"] + records["unlabelled"] + records["no_model"]
    return bool(
        records["missing"] == 0
        and records["doubled"] == 0
        and accounted == records["predicted"] == records["distinct"] > 0
    )


def summary(report: Mapping[str, Any]) -> list[str]:
    """What one should know after one glance."""
    records, scores = report["records"], report["scores"]
    lines = [
        f"{records['distinct']:,} flights scheduled, {records['predicted']:,} answered once each, "
        f"{records['missing']} missing, {records['doubled']} doubled; "
        f"{records['dead']} bad records kept apart."
    ]
    if not records["scored"]:
        return [*lines, "No model was released, so nothing was scored."]
    loop, frozen = scores["loop"], scores["frozen"]
    lines.append(
        f"The loop against its first model, on the same flights: AUC {loop['auc']:.4f} against "
        f"{frozen['auc']:.4f}, log-loss {loop['log_loss']:.4f} against {frozen['log_loss']:.4f}. "
        f"{_winner({'the loop': loop, 'the frozen model': frozen})}"
    )
    weeks = scores["weekly"]
    better = sum(week["loop_log_loss"] < week["frozen_log_loss"] for week in weeks)
    lines.append(f"The loop's log-loss was the lower one in {better} of {len(weeks)} weeks.")
    if scores.get("calendar"):
        fixed = scores["calendar"]
        lines.append(
            f"A refit every two weeks by the calendar: AUC {fixed['auc']:.4f}, log-loss "
            f"{fixed['log_loss']:.4f}. {_winner({'the loop': loop, 'the calendar': fixed})}"
        )
    return lines


def tell(report: Mapping[str, Any], folder: Path, console: Console) -> None:
    """The end of the demo, on the terminal."""
    for line in summary(report):
        console.print(line, soft_wrap=True)
    redeployed, latency = report["drift_to_redeployed_s"], report["latency_ms"]
    console.print(
        f"requests and runs: {report['triggers']}; drift to redeployed p50/p95 {redeployed['p50']}/"
        f"{redeployed['p95']} s; source to score p50/p99 {latency['p50']}/{latency['p99']} ms; "
        f"{report['wall_s']:.0f} s in all",
        soft_wrap=True,
    )
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)
    if not whole(report):
        console.print(f"[red]NOT every row is accounted for: {report['records']}")


def _scores(
    rows: pl.DataFrame,
    examples: pl.DataFrame,
    vectors: np.ndarray,
    pipeline: Pipeline,
    *,
    calendar_too: bool,
) -> dict[str, Any]:
    rows = rows.filter(pl.col("loop").is_not_nan() & pl.col("frozen").is_not_nan())  # the same rows
    scores: dict[str, Any] = {
        "loop": figures.quality(rows, "loop"),
        "frozen": figures.quality(rows, "frozen"),
        "calendar": None,
        "weekly": figures.weekly(rows, FIRST_DAY_US),
    }
    if calendar_too and rows.height:
        learner = next(each for each in pipeline.learners if each.kind == "lightgbm")
        answered = calendar(examples, vectors, rows, learner.params)
        scores["calendar"] = figures.quality(answered, "calendar")
    return scores


def _scheduled(events: Path) -> pl.Series:
    """The ids that must be answered: those of the schedule's events that are no fault."""
    table = feather.read_table(events, columns=["stream", "key", "fault"])
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.filter(
        (pl.col("stream") == flights.STREAMS.index(flights.SCHEDULE)) & (pl.col("fault") == "")
    )["key"]


def _winner(sides: Mapping[str, Mapping[str, float]]) -> str:
    best = {
        metric: (max if metric == "auc" else min)(sides, key=lambda side: sides[side][metric])
        for metric in ("auc", "log_loss")
    }
    names = list(sides)
    if sides[names[0]] == sides[names[1]]:
        return "No difference."
    if best["auc"] == best["log_loss"]:
        return f"Better in both: {best['auc']}."
    return f"Better in AUC: {best['auc']}; in log-loss: {best['log_loss']}."


def _plain(value: Any) -> Any:
    """NaN is no JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
