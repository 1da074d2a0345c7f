"""What is counted, and its page: `figures` declares all of it, `cells` count, `page` shows.

Names begin with `driftloop_`, units are seconds, bytes and rows, label values are bounded. The hot
path takes no lock: see `cells`. The only import of prometheus_client, for process_*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from driftloop.kit.loop import LoopState
from driftloop.kit.metrics import page
from driftloop.kit.metrics.figures import Figures
from driftloop.kit.version import VERSION


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


class Metrics(Figures):
    """One process's figures. Services count what is theirs, `LoopMeter` what all loops share."""

    def __init__(self) -> None:
        super().__init__()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._asked_before: list[Callable[[], None]] = []
        self._scraping = Lock()  # two scrapes at once would write the same cells
        self._versions: dict[str, int] = {}

    def before_scrape(self, tell: Callable[[], None]) -> None:
        """Call `tell` when someone asks: for figures that are read where they stand, and for cells
        that nobody else writes."""
        self._asked_before.append(tell)

    def text(self) -> str:
        """The page."""
        with self._scraping:
            for tell in self._asked_before:
                tell()
            lines = [line for family in self.families.values() for line in family.lines()]
        return "\n".join(lines) + "\n" + generate_latest(self._process).decode()

    def serve(self, host: str, port: int) -> Address:
        """/metrics on `port` (0: a free one), from a thread of its own. Refused: the port is
        taken."""
        return Address(host, page.serve(host, port, self.text))

    def forget(self, pipeline: str) -> None:
        """A removed pipeline is shown no more. A scrape that is under way has read what was, and
        is waited for."""
        self._versions.pop(pipeline, None)
        with self._scraping:
            for family in self.families.values():
                family.forget(pipeline)

    def answer_with(self, pipeline: str, version: int) -> None:
        """Say to the pulse which version answers from now on."""
        self._versions[pipeline] = version

    def answering(self, pipeline: str) -> int:
        """The version given last by `answer_with`; 0: none."""
        return self._versions.get(pipeline, 0)

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """A gRPC call was answered; from its own thread."""
        self.rpc_seconds.shared(method, code).observe(seconds)

    def build(self, service: str) -> None:
        """Say which build this process is, and that nothing is lost yet."""
        self.pulses_lost_total.labels()
        self.build_info.labels(service, VERSION).set(1)


class LoopMeter:
    """`kit.loop.Meter` for one loop. Only durations are counted in passing; all else stands in the
    loop's state, and is read when someone asks."""

    def __init__(self, metrics: Metrics, loop: str, pipeline: str) -> None:
        self._batch = metrics.batch_seconds.labels(*labels(loop, pipeline))
        self._commit = metrics.commit_seconds.labels(*labels(loop, pipeline))

    def handled(self, seconds: float) -> None:
        self._batch.observe(seconds)

    def committed(self, seconds: float) -> None:
        self._commit.observe(seconds)


def labels(loop: str, pipeline: str) -> tuple[str, str]:
    """`order-flights` of flights is ("order", "flights")."""
    return loop.removesuffix(f"-{pipeline}"), pipeline


def show(metrics: Metrics, state: LoopState) -> None:
    """A loop's state on the page."""
    who = labels(state.name, state.pipeline)
    metrics.rows_in_total.labels(*who).told(state.rows_in)
    metrics.rows_out_total.labels(*who).told(state.rows_out)
    metrics.commits_total.labels(*who).told(state.commits)
    metrics.aborts_total.labels(*who).told(state.aborts)
    metrics.lag_records.labels(*who).set(state.lag)
    if state.watermark_us:
        metrics.watermark_timestamp_seconds.labels(*who).set(state.watermark_us / 1e6)
    metrics.loop_running.labels(*who).set(int(state.state == "running"))
    sizes = state.sizes
    for queue, rows in sizes.queues.items():
        metrics.queue_rows.labels(*who, queue).set(rows)
    if sizes.rows is not None:
        metrics.state_rows.labels(*who).set(sizes.rows)
    if sizes.bytes is not None:
        metrics.state_bytes.labels(*who).set(sizes.bytes)
