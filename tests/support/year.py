"""A log as a year of the demo leaves it, without the year: closed buckets by the monitor's own
codec, and the control events of a dozen runs. For benches and for looking at the page by hand:

    python -m tests.support.year 127.0.0.1:19092
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import (
    Candidate,
    Metrics,
    ModelEvaluated,
    ModelReleased,
    ModelTrained,
    ModelVersion,
    OffsetRange,
    PipelineDeclared,
    RegistryEvent,
    RunFinished,
    RunOpened,
    Verdict,
    Window,
)
from driftloop.contracts.pulse_pb2 import Live, LoopPulse, Pulse
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    Evidence,
    RetrainRequested,
    RetrainResolved,
    ServingAcknowledged,
)
from driftloop.kit.broker import Broker, TopicSpec
from driftloop.kit.clock import SystemClock
from driftloop.kit.events import event
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.topic import ControlTopic, Emit, emit
from driftloop.spec import parse
from driftloop.statistics import FEATURE_BINS, signed
from services.monitor import codec
from services.monitor.domain.buckets import Closed
from services.monitor.domain.histograms import (
    feature_bins,
    losses,
    score_bins,
    sparse,
)

FLIGHTS = Path(__file__).parents[2] / "infra" / "pipelines" / "flights.yaml"
BEGIN_US = 1_356_998_400_000_000  # 2013-01-01
BUCKET_US = 6 * 3_600_000_000
MS = 1_700_000_000_000
ROWS = 55  # of a bucket and partition: 336,776 rows over 1,460 x 4
CHUNK = 200  # messages appended at once


@dataclass(frozen=True, slots=True)
class Turn:
    """One run: when it was asked for in event time, and what came of it."""

    at_us: int
    trigger: str
    outcome: str
    version: int


def turns(days: int, runs: int = 12) -> list[Turn]:
    """Evenly over the days: a first model, then drifts; every second one is released."""
    found, version = [], 0
    for number in range(runs):
        released = number % 2 == 0
        version += released
        found.append(
            Turn(
                BEGIN_US + (number + 1) * days * 86_400_000_000 // (runs + 1),
                "drift" if number else "first",
                "released" if released else "rejected",
                version if released else 0,
            )
        )
    return found


def fill(
    broker: Broker, pipeline: str = "flights", days: int = 365, runs: int = 12, partitions: int = 4
) -> int:
    """Topics made where they are missing, and filled. How many messages of statistics."""
    text = FLIGHTS.read_text("utf-8").replace("name: flights\n", f"name: {pipeline}\n", 1)
    names = [topic.topic().name for topic in topics.CONTROL]
    config = {"message.timestamp.type": "LogAppendTime"}
    statistics = topics.STATISTICS.topic(pipeline).name
    broker.create([TopicSpec(name, 1, config) for name in [*names, statistics]])
    told = turns(days, runs)
    _append(broker, _control(pipeline, text, told, partitions))
    features = len(parse(text, pipeline).feature_names())
    return _append(broker, _statistics(pipeline, told, days, partitions, features))


def _append(broker: Broker, emits: Iterator[Emit]) -> int:
    count, held = 0, []
    for each in emits:
        held.append(each)
        count += 1
        if len(held) == CHUNK:
            broker.append(held)
            held = []
    if held:
        broker.append(held)
    return count


def _statistics(
    pipeline: str, told: Sequence[Turn], days: int, partitions: int, features: int
) -> Iterator[Emit]:
    rng = np.random.default_rng(7)
    for number in range(days * 4):
        start_us = BEGIN_US + number * BUCKET_US
        released = [t for t in told if t.version and t.at_us <= start_us]
        version = released[-1].version if released else 0
        for partition in range(partitions):
            closed = _closed(rng, start_us, version, features)
            yield emit(
                topics.STATISTICS.topic(pipeline),
                codec.statistics(
                    closed,
                    pipeline,
                    1,
                    partition,
                    watermark_us=start_us + 3 * BUCKET_US,
                    parts=1,
                    predictions=OffsetRange(),
                    examples=OffsetRange(),
                ),
                partition=0,
            )


def _closed(rng: np.random.Generator, start_us: int, version: int, features: int) -> Closed:
    end_us = start_us + BUCKET_US
    if not version:
        return Closed(start_us, end_us, 0, predicted=ROWS)
    targets = (rng.random(ROWS) < 0.25).astype(np.float64)
    loop, frozen = (_answers(rng, targets, shift) for shift in (1.2, 1.0))
    vectors = rng.normal(start_us % 7, 1 + version / 20, (ROWS, features)).astype(np.float32)
    bins = feature_bins(vectors) + FEATURE_BINS * np.arange(features, dtype=np.int32)
    return Closed(
        start_us,
        end_us,
        version,
        predicted=ROWS + 1,
        unlabelled=1,
        losses=losses(loop, targets, "binary"),
        baseline_losses=losses(frozen, targets, "binary"),
        times_us=np.sort(rng.integers(start_us, end_us, ROWS)),
        scores=score_bins(loop, targets, "binary"),
        baseline_scores=score_bins(frozen, targets, "binary"),
        features=sparse(bins.reshape(-1)),
        newest_row_ms=MS,
        answers=signed(loop[:, 1], targets > 0),
        baseline_answers=signed(frozen[:, 1], targets > 0),
    )


def _answers(rng: np.random.Generator, targets: np.ndarray, shift: float) -> np.ndarray:
    logit = rng.normal(-1.5 + shift * targets, 1.0)
    positive = (1 / (1 + np.exp(-logit))).astype(np.float32)
    return np.stack([1 - positive, positive], axis=1)


def _control(pipeline: str, text: str, told: Sequence[Turn], partitions: int) -> Iterator[Emit]:
    now_ms = SystemClock().ms()  # a pulse of long ago is a process that is gone
    declared = PipelineDeclared(
        name=pipeline, version=1, generation=1, yaml=text, digest="d" * 64, by="ada", at_ms=MS
    )
    yield _said(topics.REGISTRY_EVENTS, RegistryEvent(at_ms=MS, declared=declared), "declared")
    live = 0
    for number, turn in enumerate(told):
        yield from _turn(pipeline, number, turn, live, partitions)
        live = turn.version or live
    services = ("ingestion", "features", "serving", "monitor", "training", "evaluation", "registry")
    for service in services:
        loop = LoopPulse(loop="order", pipeline=pipeline, rows_in=1_000, state="running")
        pulse = Pulse(service=service, replica="a1", at_ms=now_ms, started_ms=MS, loops=[loop])
        yield _said(topics.PULSE, pulse, service)
    newest = Live(pipeline=pipeline, at_ms=MS, model_version=live, rows_per_s={"serving": 900.0})
    yield _said(topics.LIVE, newest, "live")


def _turn(pipeline: str, number: int, turn: Turn, live: int, partitions: int) -> Iterator[Emit]:
    of: dict[str, Any] = {"pipeline": pipeline, "generation": 1}
    run: dict[str, Any] = {"run_id": f"run-{number:012x}", **of}
    evidence = Evidence(
        lane="realised",
        detector="PageHinkley",
        statistic="log_loss",
        value=0.5,
        reference=0.44,
        threshold=200,
        from_us=turn.at_us - 8 * BUCKET_US,
        to_us=turn.at_us,
        rows=5_000,
        model_version=live,
        newest_row_ms=MS,
    )
    drift = f"drift-{number}" if turn.trigger == "drift" else ""
    if drift:
        yield _said(topics.DRIFT_DETECTED, DriftDetected(**of, evidence=evidence), drift)
    request = RetrainRequested(
        **of,
        trigger=turn.trigger,
        reason="log_loss rose",
        by="monitor",
        drift_id=drift,
        window=Window(end_us=turn.at_us, rows=9_000),
        evidence=evidence if drift else None,
    )
    yield _said(topics.RETRAIN_REQUESTED, request, f"request-{number}")
    yield _said(
        topics.RETRAIN_RESOLVED,
        RetrainResolved(request_id=f"request-{number}", outcome="accepted", **run),
        f"resolved-{number}",
    )
    opened = RunOpened(**run, trigger=turn.trigger, request_id=f"request-{number}", at_ms=MS)
    yield _said(topics.REGISTRY_EVENTS, RegistryEvent(at_ms=MS, opened=opened), f"o-{number}")
    yield from _judged(run, number, turn, live)
    yield from _ended(run, number, turn, live, partitions)


def _judged(run: dict[str, Any], number: int, turn: Turn, live: int) -> Iterator[Emit]:
    window = Window(start_us=BEGIN_US, end_us=turn.at_us, rows=30_000, rows_sha256="a" * 64)
    candidate = _candidate(number, window)
    trained = ModelTrained(**run, candidates=[candidate], holdout=window, outcome="trained")
    yield _said(topics.MODEL_TRAINED, trained, f"t-{number}")
    metrics = Metrics(auc=0.75, log_loss=0.44, rows=3_000)
    verdict = Verdict(
        name="all",
        digest=candidate.digest,
        metrics=metrics,
        gain=0.01,
        gain_low=0.002,
        p_value=0.01,
        eligible=bool(turn.version),
    )
    evaluated = ModelEvaluated(
        **run,
        verdicts=[verdict],
        champion=metrics if live else None,
        champion_version=live,
        winner="all" if turn.version else "",
        rule="paired bootstrap",
        outcome=turn.outcome,
        holdout=window,
    )
    yield _said(topics.MODEL_EVALUATED, evaluated, f"e-{number}")


def _ended(
    run: dict[str, Any], number: int, turn: Turn, live: int, partitions: int
) -> Iterator[Emit]:
    if turn.version:
        window = Window(start_us=BEGIN_US, end_us=turn.at_us, rows=30_000)
        known = {**run, "version": turn.version, "digest": f"{number:064x}", "bytes": 225_000}
        version = ModelVersion(
            **known,
            candidate=_candidate(number, window),
            metrics=Metrics(auc=0.75, log_loss=0.44, rows=3_000),
            created_ms=MS,
        )
        released = ModelReleased(
            **known, by="gate", cause="release", previous_version=live, at_ms=MS + number
        )
        for name, fact in (("versioned", version), ("released", released)):
            said = RegistryEvent(at_ms=MS, **{name: fact})  # type: ignore[arg-type]
            yield _said(topics.REGISTRY_EVENTS, said, f"{name}-{number}")
        yield _said(topics.MODEL_RELEASED, released, f"r-{number}")
        swapped = ServingAcknowledged(
            **run, version=turn.version, replica="s1", partitions=range(partitions)
        )
        yield _said(topics.SERVING_ACKNOWLEDGED, swapped, f"s-{number}")
    finished = RunFinished(**run, outcome=turn.outcome, version=turn.version, at_ms=MS)
    yield _said(topics.REGISTRY_EVENTS, RegistryEvent(at_ms=MS, finished=finished), f"f-{number}")
    yield _said(topics.RUN_FINISHED, finished, f"f-{number}")


def _candidate(number: int, window: Window) -> Candidate:
    return Candidate(
        name="all",
        kind="lightgbm",
        digest=f"{number:064x}",
        bytes=225_000,
        window=window,
        fit_s=1.5,
        export_s=0.4,
        seed=number,
    )


def _said(topic: ControlTopic[Any], message: Any, name: str) -> Emit:
    key = getattr(message, "pipeline", "") or "all"
    return event(topic.topic(), message, id=name, source="test", time_ms=MS, key=key)


if __name__ == "__main__":
    log = KafkaBroker({"bootstrap.servers": sys.argv[1]})
    sys.stdout.write(f"{fill(log)} messages of statistics\n")
    log.close()
