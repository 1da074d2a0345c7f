"""What the monitor measures of one pipeline's live model, on /metrics: for reading alone."""

from __future__ import annotations

from collections.abc import Sequence

from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.metrics.figures import Figures
from services.monitor.domain.policy import Policy
from services.monitor.domain.readings import Coverage, Reading, Readings


class Meter:
    """Of one task: a new one begins anew, and what a task held goes when it moves elsewhere."""

    def __init__(
        self,
        metrics: Figures,
        pipeline: str,
        features: Sequence[str],
        groups: int,
        detector: str,
    ) -> None:
        self._metrics, self._pipeline, self._features = metrics, pipeline, features
        self._detector = detector
        self._readings, self._coverage = Readings(len(features), groups), Coverage()
        self._drifts = metrics.drifts_total.labels(pipeline, detector)  # begins at 0

    def heard(self, message: Statistics, policy: Policy) -> None:
        """A bucket was closed, and the policy has taken it."""
        reading = self._readings.take(
            message.version,
            message.scored,
            message.loss_sum,
            message.baseline_loss_sum,
            message.score_histogram,
            message.baseline_histogram,
            message.feature_histogram,
        )
        if reading is not None:
            self._show(reading)
            reference = policy.reference_loss()
            if reference is not None:
                self._metrics.realised_reference_loss.labels(self._pipeline).set(reference)
        if message.version:
            share = self._coverage.take(message.scored, message.unlabelled)
            if share is not None:
                self._metrics.label_coverage_ratio.labels(self._pipeline).set(share)

    def drifted(self) -> None:
        """A detector spoke."""
        self._drifts.inc()

    def close(self) -> None:
        """The task has gone; who holds it next tells of it."""
        metrics = self._metrics
        metrics.realised_loss.forget(self._pipeline)
        metrics.realised_auc.forget(self._pipeline)
        metrics.realised_reference_loss.forget(self._pipeline)
        metrics.label_coverage_ratio.forget(self._pipeline)
        metrics.psi.forget(self._pipeline)

    def _show(self, reading: Reading) -> None:
        metrics, pipeline = self._metrics, self._pipeline
        metrics.realised_loss.labels(pipeline, "loop").set(reading.loss)
        metrics.realised_loss.labels(pipeline, "frozen").set(reading.baseline_loss)
        metrics.realised_auc.labels(pipeline, "loop").set(reading.auc)
        metrics.realised_auc.labels(pipeline, "frozen").set(reading.baseline_auc)
        if reading.psi is not None:
            for feature, value in zip(self._features, reading.psi.tolist(), strict=True):
                metrics.psi.labels(pipeline, feature).set(round(value, 6))
