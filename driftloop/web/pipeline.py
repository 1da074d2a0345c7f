"""One pipeline's share of the page: its sections, each as JSON with the revision at which it last
differed. Not thread-safe: `state` holds a lock.
"""

from __future__ import annotations

from typing import Any

import msgspec

from driftloop.contracts.model_pb2 import RegistryEvent
from driftloop.contracts.pulse_pb2 import Live
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.events import Event
from driftloop.web import models, turns
from driftloop.web.buckets import Buckets
from driftloop.web.control import Control
from driftloop.web.stability import Stability

encode = msgspec.json.Encoder().encode
OF_STATISTICS = ("totals", "bands", "live")
OF_CONTROL = ("totals", "bands", "drifts", "triggers", "models", "psi", "live")
EARLY_MAX = 1_000  # messages kept for a declaration that may come, or may never be readable
SECTIONS = ("totals", "bands", "drifts", "triggers", "psi", "models", "live")


class Series:
    """What the statistics of one generation make."""

    def __init__(self) -> None:
        self.buckets = Buckets()
        self.early: list[Statistics] = []  # before the declaration was read: features unknown
        self.stability: Stability | None = None


class PipelineState:
    """Begins empty; every message may be the first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.control = Control()
        self._live = Live()
        self._series: dict[int, Series] = {}
        self._stale = set(SECTIONS)
        self._sections: dict[str, tuple[bytes, int]] = {}  # as JSON, and when it last differed
        self._generation = 0  # that the sections were made for
        self._moved = 0  # revision at which the generation became another

    @property
    def event_time_us(self) -> int | None:
        return max(self._live.watermark_us, self._now().buckets.end_us) or None

    def on_fact(self, event: Event[RegistryEvent]) -> None:
        self.control.on_fact(event)
        self._stale.update(OF_CONTROL)
        if event.message.HasField("declared"):
            for series in self._series.values():
                self._understand(series)

    def on_event(self, event: Event[Any]) -> None:
        self.control.on_event(event)
        self._stale.update(OF_CONTROL)

    def on_live(self, message: Live) -> None:
        self._live = message
        self._stale.add("live")

    def on_statistics(self, message: Statistics, closed_ms: int, revision: int) -> None:
        if message.generation < self.control.generation:
            return  # nobody asks for it any more
        series = self._series.setdefault(message.generation, Series())
        series.buckets.add(message, closed_ms, revision)
        self._stale.update(OF_STATISTICS)
        self._understand(series)
        if series.stability is None:
            series.early.append(message)
            del series.early[:-EARLY_MAX]
        elif series.stability.add(message):
            self._stale.add("psi")

    def head(self) -> dict[str, Any]:
        """What it is, what is live, how long a bucket is, what is foretold, and what
        gate and detectors look at."""
        declared, pipeline = self.control.declared, self.control.pipeline
        return {
            "name": self.name,
            "generation": self.control.generation,
            "declaration": declared.version if declared else 0,
            "model_version": self.control.live_version or None,
            "bucket_us": pipeline.monitor.bucket if pipeline else None,
            "kind": pipeline.target.kind if pipeline else None,
            "metric": pipeline.evaluation.metric if pipeline else None,
        }

    def sections(self, revision: int) -> dict[str, Any]:
        """All of them, the time axis included."""
        self._refresh(revision)
        return {
            "buckets": self._now().buckets.columns(),
            **{name: msgspec.Raw(data) for name, (data, _) in self._sections.items()},
        }

    def update(self, since: int, revision: int) -> dict[str, Any]:
        """What differs from what there was at `since`."""
        self._refresh(revision)
        changed: dict[str, Any] = {
            name: msgspec.Raw(data) for name, (data, at) in self._sections.items() if at > since
        }
        buckets = self._now().buckets
        first = 0 if self._moved > since else buckets.changed(since)
        if first is not None:
            changed |= {"from_bucket": first, "buckets": buckets.columns(first)}
        return changed

    def _now(self) -> Series:
        return self._series.setdefault(self.control.generation, Series())

    def _understand(self, series: Series) -> None:
        """Once the declaration is known, and what came before it."""
        pipeline = self.control.pipeline
        if series.stability is not None or pipeline is None:
            return
        series.stability = Stability(pipeline.feature_names(), pipeline.monitor.psi.buckets)
        for message in series.early:
            series.stability.add(message)
        series.early.clear()
        self._stale.add("psi")

    def _refresh(self, revision: int) -> None:
        if self._generation != self.control.generation:
            self._generation, self._moved = self.control.generation, revision
            for generation in [each for each in self._series if each < self._generation]:
                del self._series[generation]
            self._stale = set(SECTIONS)
        for name in self._stale:
            data = encode(self._section(name))
            known = self._sections.get(name)
            if known is None or known[0] != data:
                self._sections[name] = (data, revision)
        self._stale.clear()

    def _section(self, name: str) -> Any:
        told = self.control
        match name:
            case "totals":
                return self._totals()
            case "bands":
                return turns.bands(told, self._now().buckets.first_answered)
            case "drifts":
                return turns.drifts(told)
            case "triggers":
                return turns.triggers(told)
            case "psi":
                stability = self._now().stability
                return stability.told() if stability else {"start_us": [], "features": {}}
            case "models":
                return models.models(told)
        assert name == "live", name
        return self._live_told()

    def _totals(self) -> dict[str, Any]:
        told = self.control
        return {
            **self._now().buckets.totals(),
            "drifts": len(told.drifts),
            "releases": len(told.releases),
            "runs": turns.outcomes(told),
        }

    def _live_told(self) -> dict[str, Any]:
        live = self._live
        return {
            "event_time_us": self.event_time_us,
            "model_version": self.control.live_version or live.model_version or None,
            "rows_per_s": {name: round(rate, 1) for name, rate in sorted(live.rows_per_s.items())},
            "lag_records": dict(sorted(live.lag_records.items())),
            "latency_p50_ms": live.latency_p50_ms or None,
            "latency_p99_ms": live.latency_p99_ms or None,
            "replicas": dict(sorted(live.replicas.items())),
        }
