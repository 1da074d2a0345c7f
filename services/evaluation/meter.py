"""What judgements take, on /metrics."""

from __future__ import annotations

from driftloop.contracts.model_pb2 import ModelTrained
from driftloop.kit.metrics.figures import Figures


class Meter:
    """Of one process."""

    def __init__(self, metrics: Figures) -> None:
        self._metrics = metrics

    def declared(self, pipeline: str) -> None:
        """Counted from 0 on: a first judgement from nowhere is no rise."""
        self._metrics.judge_seconds.labels(pipeline)

    def judged(self, trained: ModelTrained, seconds: float) -> None:
        """A run's child has ended, whatever it says."""
        self._metrics.judge_seconds.labels(trained.pipeline).observe(seconds)
        self._metrics.judged_rows.labels(trained.pipeline).set(trained.holdout.rows)

    def working(self, children: int) -> None:
        self._metrics.children.labels().set(children)
