"""What became of source records, on /metrics."""

from __future__ import annotations

from driftloop.kit.metrics.figures import BECAME, Figures
from services.ingestion.domain.order import Outcome


class Meter:
    """Of one pipeline. Counters begin at 0: what rises from nowhere is no rise to Prometheus. What
    an aborted transaction counted is counted again when it comes again."""

    def __init__(self, metrics: Figures, pipeline: str) -> None:
        self._metrics, self._pipeline = metrics, pipeline
        self._records = {
            became: metrics.records_total.labels(pipeline, became) for became in BECAME
        }

    def counted(self, outcome: Outcome) -> None:
        """A batch has gone through the order."""
        for became in ("accepted", "duplicate", "late"):
            self._records[became].inc(outcome.counts[became])
        self._records["dead"].inc(len(outcome.dead))
        for _, rule, _ in outcome.dead:
            self._metrics.dead_letters_total.labels(self._pipeline, rule).inc()
