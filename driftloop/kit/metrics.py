"""The figures on /metrics: all that any service may count, declared once as attributes of one
class.

Names begin with `driftloop_`, units are seconds, bytes and rows, label values are bounded. The only
import of prometheus_client.
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from driftloop.kit.errors import Refused
from driftloop.kit.loop import LoopState

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
NAMES_MAX = (
    200  # names that tasks count under; more would be a mistake in a task, and go to "other"
)
LOOP = ("loop", "pipeline")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


class Metrics:
    """One process's figures. Monitor, serving and the others count what is theirs; loops count by
    `LoopMeter`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._versions: dict[str, int] = {}
        ProcessCollector(registry=self.registry)
        self._declare_loops()
        self._declare_models()
        self._declare_process()

    def _declare_loops(self) -> None:
        self.rows_in = self._counter("rows_in", "Rows that a loop took.", *LOOP)
        self.rows_out = self._counter("rows_out", "Rows that a loop gave.", *LOOP)
        self.batch_seconds = self._histogram(
            "batch_seconds", "A batch through its task.", SECONDS, *LOOP
        )
        self.commit_seconds = self._histogram(
            "commit_seconds", "A transaction, begin to answer.", SECONDS, *LOOP
        )
        self.lag_records = self._gauge("lag_records", "Messages behind the end.", *LOOP)
        self.commits = self._counter("commits", "Transactions committed.", *LOOP)
        self.aborts = self._counter("aborts", "Transactions or sessions given up.", *LOOP)
        self.counts = self._counter(
            "counts", "A task's own counts, by rule or outcome.", *LOOP, "name"
        )
        self.watermark_seconds = self._gauge(
            "watermark_seconds", "Event time of the watermark.", *LOOP
        )

    def _declare_models(self) -> None:
        self.model_version = self._gauge(
            "model_version", "The version that answers; 0: none.", "pipeline"
        )
        self.provider = self._gauge(
            "provider", "1 for onnxruntime's provider that runs.", "provider"
        )
        self.realised_loss = self._gauge(
            "realised_loss", "Mean loss of the newest labelled rows.", "pipeline", "model"
        )
        self.realised_auc = self._gauge(
            "realised_auc", "AUC of the newest labelled rows.", "pipeline", "model"
        )
        self.psi = self._gauge(
            "psi", "Population stability index; for reading.", "pipeline", "feature"
        )

    def _declare_process(self) -> None:
        self.pulses_lost = self._counter("pulses_lost", "Pulses that the broker didn't take.")
        self.build_info = self._gauge("build_info", "1; who this process is.", "service", "replica")

    def answer_with(self, pipeline: str, version: int) -> None:
        """Say which version answers from now on: the gauge, and the pulse."""
        self._versions[pipeline] = version
        self.model_version.labels(pipeline).set(version)

    def answering(self, pipeline: str) -> int:
        """The version given last by `answer_with`; 0: none."""
        return self._versions.get(pipeline, 0)

    def serve(self, host: str, port: int) -> Address:
        """/metrics on `port` (0: a free one), from a thread of its own. Refused: the port is
        taken."""
        try:
            server, _ = start_http_server(port, host, self.registry)
        except OSError as error:
            raise Refused(
                f"port {host}:{port} ({error.strerror}): set METRICS_PORT, 0 for a free one"
            ) from error
        return Address(host, server.server_port)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"driftloop_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"driftloop_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"driftloop_{name}", text, labels, registry=self.registry, buckets=buckets)


class LoopMeter:
    """`kit.loop.Meter` for one loop; its label children are looked up once, since it is called for
    every batch."""

    def __init__(self, metrics: Metrics, loop: str, pipeline: str) -> None:
        self._rows_in = metrics.rows_in.labels(loop, pipeline)
        self._rows_out = metrics.rows_out.labels(loop, pipeline)
        self._batch = metrics.batch_seconds.labels(loop, pipeline)
        self._commit = metrics.commit_seconds.labels(loop, pipeline)
        self._commits = metrics.commits.labels(loop, pipeline)
        self._aborts = metrics.aborts.labels(loop, pipeline)
        self._lag = metrics.lag_records.labels(loop, pipeline)
        self._watermark = metrics.watermark_seconds.labels(loop, pipeline)
        self._metrics, self._names = metrics, dict[str, Counter]()

    def handled(self, loop: LoopState, rows_in: int, rows_out: int, seconds: float) -> None:
        self._rows_in.inc(rows_in)
        self._rows_out.inc(rows_out)
        self._batch.observe(seconds)

    def committed(self, loop: LoopState, seconds: float) -> None:
        self._commits.inc()
        self._commit.observe(seconds)

    def aborted(self, loop: LoopState) -> None:
        self._aborts.inc()

    def counted(self, loop: LoopState, name: str, count: int) -> None:
        if name not in self._names:
            shown = name if len(self._names) < NAMES_MAX else "other"
            self._names[name] = self._metrics.counts.labels(loop.name, loop.pipeline, shown)
        self._names[name].inc(count)

    def lagging(self, loop: LoopState, records: int) -> None:
        self._lag.set(records)
        self._watermark.set(loop.watermark_us / 1e6)
