"""What fits take, on /metrics."""

from __future__ import annotations

from driftloop.contracts.model_pb2 import ModelTrained
from driftloop.kit.metrics.figures import Figures
from driftloop.spec import Pipeline


class Meter:
    """Of one process."""

    def __init__(self, metrics: Figures) -> None:
        self._metrics = metrics

    def declared(self, pipeline: Pipeline) -> None:
        """Its learners' fits are counted from 0 on: a first one from nowhere is no rise."""
        for learner in pipeline.learners:
            self._metrics.fit_seconds.labels(pipeline.name, learner.name)

    def trained(self, message: ModelTrained) -> None:
        """A run has its candidates; one without a model had no fit to speak of."""
        for candidate in message.candidates:
            if candidate.digest:
                of = message.pipeline, candidate.name
                self._metrics.fit_seconds.labels(*of).observe(candidate.fit_s)
                self._metrics.fit_rows.labels(*of).set(candidate.window.rows)

    def working(self, children: int) -> None:
        self._metrics.children.labels().set(children)
