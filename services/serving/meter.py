"""What serving counts of its models' work. Cells that calls write too are shared among their
threads; the others are the loop's alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from driftloop.kit.clock import Clock
from driftloop.kit.metrics.figures import Figures
from services.serving.domain import Answer, Answering, Floats, Plan, Release

STREAM, CALL = "stream", "call"


class Meter:
    """Of one process, for all of its pipelines."""

    def __init__(self, metrics: Figures, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock

    def opened(self, pipeline: str) -> None:
        """Counters from 0 on: what rises from nowhere is no rise to Prometheus."""
        self._metrics.no_model_rows_total.labels(pipeline)
        self._metrics.calls_dropped_total.shared(pipeline)

    def swapped(self, release: Release) -> None:
        """A release answers from now on."""
        metrics, pipeline = self._metrics, release.pipeline
        metrics.model_version.labels(pipeline).set(release.version)
        metrics.model_released_timestamp_seconds.labels(pipeline).set(release.released_ms / 1_000)

    def answer(
        self, answering: Answering, vectors: Floats, plan: Plan, origin: str = STREAM
    ) -> Answer:
        """A run of the model, measured: by the loop, with the lines in its shadow, or by a call."""
        began_s = self._clock.seconds()
        answer = answering.answer(vectors, plan, shadows=origin == STREAM)
        seconds = self._clock.seconds() - began_s
        of = plan.pipeline, str(answering.release.version), origin
        self._metrics.predict_seconds.shared(*of).observe(seconds)
        self._metrics.predict_rows.shared(*of).observe(len(vectors))
        return answer

    def scored(
        self, answering: Answering | None, plan: Plan, delays_ms: npt.NDArray[np.int64]
    ) -> None:
        """Rows of the stream, by how long ago their source was appended."""
        if answering is None:
            self._metrics.no_model_rows_total.labels(plan.pipeline).inc(len(delays_ms))
            return
        of = plan.pipeline, str(answering.release.version)
        self._metrics.score_seconds.labels(*of).observe_all(delays_ms / 1_000)

    def dropped(self, pipeline: str, rows: int) -> None:
        """Rows of calls that were answered and not written down."""
        self._metrics.calls_dropped_total.shared(pipeline).inc(rows)

    def waiting(self, calls: int) -> None:
        """Calls that wait to be written down."""
        self._metrics.queue_rows.labels("calls", "", "journal").set(calls)
