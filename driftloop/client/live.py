"""What the live view shows, kept up to date event by event; pure, so that `driftloop watch` and the
demo show the same.

AUC comes from the histograms of `statistics` (1,000 bins of the probability, by label), log-loss
from its sums.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from driftloop.client.plain import iso
from driftloop.client.story import evidence_says
from driftloop.contracts.model_pb2 import ModelReleased, RunFinished
from driftloop.contracts.pulse_pb2 import Live
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    RetrainRequested,
    RetrainResolved,
    Statistics,
)
from driftloop.statistics import PROBABILITY_BINS, auc, pairs

RECENT_US = 7 * 86_400 * 1_000_000  # "lately": a week, so that a weekday weighs as every other
TROUBLE_LINES_MAX = 5  # what fits a terminal under the rest


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one lane over some rows. None where it is not defined: no rows, one class, not a binary
    target.
    """

    rows: int
    auc: float | None
    log_loss: float | None


@dataclass(frozen=True, slots=True)
class Drift:
    """The newest detection and what came of it."""

    event_time: str
    evidence: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is drawn."""

    pipeline: str
    event_time: str
    model_version: int
    releases: int
    rows_per_s: Mapping[str, float]
    lag_records: Mapping[str, int]
    replicas: Mapping[str, int]
    latency_p50_ms: float
    latency_p99_ms: float
    loop: Quality
    frozen: Quality
    loop_lately: Quality
    frozen_lately: Quality
    drift: Drift | None
    trouble: Sequence[str]
    metric: str = "log_loss"  # what each `log_loss` is: squared_error where a number is foretold


@dataclass(slots=True)
class _Sums:
    """One lane of one span: what AUC and log-loss need."""

    histogram: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(2 * PROBABILITY_BINS, np.int64)
    )
    loss: float = 0.0
    rows: int = 0

    def add(self, sparse: bytes, loss: float, rows: int) -> None:
        index, counts = pairs(sparse, 2 * PROBABILITY_BINS)
        np.add.at(self.histogram, index, counts)
        self.loss += loss
        self.rows += rows

    def quality(self) -> Quality:
        return Quality(self.rows, auc(self.histogram), self.loss / self.rows if self.rows else None)


class LiveState:
    """One pipeline, from its topics. Not thread-safe: the caller holds a lock around it."""

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._live = Live()
        self._version = 0
        self._releases = 0
        self._loop, self._frozen = _Sums(), _Sums()
        self._buckets: deque[Statistics] = deque()
        self._newest_us = 0
        self._metric = "log_loss"
        self._drift: tuple[str, DriftDetected] | None = None
        self._requests: dict[str, str] = {}  # drift → request
        self._answers: dict[str, RetrainResolved] = {}  # by request
        self._ends: dict[str, str] = {}  # by run, in words
        self._trouble: deque[str] = deque(maxlen=TROUBLE_LINES_MAX)

    def on_live(self, message: Live) -> None:
        """The newest seconds over all replicas."""
        self._live = message
        for service, text in sorted(message.trouble.items()):
            self.on_trouble(f"{service}: {text}")

    def on_trouble(self, line: str) -> None:
        """A line for people; said once while it stays the same."""
        if line not in self._trouble:
            self._trouble.append(line)

    def on_statistics(self, message: Statistics) -> None:
        """A closed bucket of one partition and version."""
        self._newest_us = max(self._newest_us, message.end_us)
        self._metric = message.metric or self._metric
        if not message.scored:
            return
        _add(self._loop, self._frozen, message)
        self._buckets.append(message)
        while self._buckets and self._buckets[0].end_us <= self._newest_us - RECENT_US:
            self._buckets.popleft()

    def on_released(self, message: ModelReleased) -> None:
        self._version = message.version
        self._releases += 1

    def on_drift(self, event_id: str, message: DriftDetected) -> None:
        self._drift = (event_id, message)

    def on_requested(self, event_id: str, message: RetrainRequested) -> None:
        if message.drift_id:
            self._requests[message.drift_id] = event_id

    def on_resolved(self, message: RetrainResolved) -> None:
        self._answers[message.request_id] = message

    def on_finished(self, message: RunFinished) -> None:
        version = f" as version {message.version}" if message.version else ""
        self._ends[message.run_id] = f"{message.outcome}{version}{_because(message.reason)}"

    def snapshot(self) -> Snapshot:
        """What is known now."""
        lately, frozen_lately = _Sums(), _Sums()
        for bucket in self._buckets:
            _add(lately, frozen_lately, bucket)
        live = self._live
        return Snapshot(
            self._pipeline,
            iso(max(live.watermark_us, self._newest_us)),
            self._version or live.model_version,
            self._releases,
            dict(live.rows_per_s),
            dict(live.lag_records),
            dict(live.replicas),
            live.latency_p50_ms,
            live.latency_p99_ms,
            self._loop.quality(),
            self._frozen.quality(),
            lately.quality(),
            frozen_lately.quality(),
            self._drift_now(),
            tuple(self._trouble),
            self._metric,
        )

    def _drift_now(self) -> Drift | None:
        if self._drift is None:
            return None
        event_id, message = self._drift
        return Drift(
            iso(message.evidence.to_us), evidence_says(message.evidence), self._came_of(event_id)
        )

    def _came_of(self, drift_id: str) -> str:
        """Follow drift → request → run → its end, as far as it is known."""
        request = self._requests.get(drift_id)
        if request is None:
            return "no retrain asked for yet"
        answer = self._answers.get(request)
        if answer is None:
            return "retrain asked for"
        if answer.outcome != "accepted":
            into = f" into {answer.run_id}" if answer.run_id else ""
            return f"{answer.outcome}{into}{_because(answer.reason)}"
        return self._ends.get(answer.run_id, f"{answer.run_id} under way")


def _add(loop: _Sums, frozen: _Sums, message: Statistics) -> None:
    loop.add(message.score_histogram, message.loss_sum, message.scored)
    if message.baseline_histogram or message.baseline_loss_sum:
        frozen.add(message.baseline_histogram, message.baseline_loss_sum, message.scored)


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
