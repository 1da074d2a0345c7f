"""What the ledger holds, on /metrics."""

from __future__ import annotations

from driftloop.kit.errors import Unavailable
from driftloop.kit.metrics.figures import Figures
from services.registry.handlers import Shown


class Meter:
    """Reads the committed ledger when someone asks. A replica that stands by tells of nothing."""

    def __init__(self, metrics: Figures, shown: Shown) -> None:
        self._metrics, self._shown = metrics, shown

    def show(self) -> None:
        metrics = self._metrics
        try:
            with self._shown.reading() as ledger:
                versions = {name: len(each) for name, each in ledger.versions.items()}
                pipelines = len(ledger.declarations)
                kept = sum(each.size for each in ledger.stored.values())
        except Unavailable:
            metrics.pipelines.clear()
            metrics.models.clear()
            metrics.artifact_bytes.clear()
            return
        metrics.pipelines.labels().set(pipelines)
        metrics.artifact_bytes.labels().set(kept)
        for pipeline, count in versions.items():
            metrics.models.labels(pipeline).set(count)
