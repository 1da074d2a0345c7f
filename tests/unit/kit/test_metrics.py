"""The figures on /metrics."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from driftloop.kit.errors import Refused
from driftloop.kit.loop import LoopState
from driftloop.kit.metrics import NAMES_MAX, LoopMeter, Metrics


def value(metrics: Metrics, figure: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(figure, labels)


def test_a_loop_counts_what_it_does() -> None:
    metrics, loop = Metrics(), LoopState("windows", "flights", watermark_us=2_000_000)
    meter = LoopMeter(metrics, "windows", "flights")
    meter.handled(loop, 20, 19, 0.003)
    meter.committed(loop, 0.004)
    meter.aborted(loop)
    meter.counted(loop, "late", 2)
    meter.lagging(loop, 5)
    of = {"loop": "windows", "pipeline": "flights"}
    assert value(metrics, "driftloop_rows_in_total", **of) == 20
    assert value(metrics, "driftloop_rows_out_total", **of) == 19
    assert value(metrics, "driftloop_batch_seconds_sum", **of) == 0.003
    assert value(metrics, "driftloop_commits_total", **of) == 1
    assert value(metrics, "driftloop_aborts_total", **of) == 1
    assert value(metrics, "driftloop_counts_total", **of, name="late") == 2
    assert value(metrics, "driftloop_lag_records", **of) == 5
    assert value(metrics, "driftloop_watermark_seconds", **of) == 2


def test_names_without_end_go_to_one() -> None:
    metrics, loop = Metrics(), LoopState("l", "p")
    meter = LoopMeter(metrics, "l", "p")
    for number in range(NAMES_MAX + 50):
        meter.counted(loop, f"rule-{number}", 1)
    counted = value(metrics, "driftloop_counts_total", loop="l", pipeline="p", name="other")
    assert counted == 50


def test_the_answering_version_is_a_gauge_and_can_be_asked() -> None:
    metrics = Metrics()
    assert metrics.answering("flights") == 0
    metrics.answer_with("flights", 7)
    assert metrics.answering("flights") == 7
    assert value(metrics, "driftloop_model_version", pipeline="flights") == 7


def test_they_are_served_on_a_free_port_and_a_taken_one_is_refused() -> None:
    metrics = Metrics()
    address = metrics.serve("127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{address.port}/metrics") as page:
        assert b"driftloop_pulses_lost_total 0.0" in page.read()
    with pytest.raises(Refused, match=f"port 127.0.0.1:{address.port} .*METRICS_PORT"):
        Metrics().serve("127.0.0.1", address.port)


def test_every_figure_that_is_declared_is_counted_somewhere() -> None:
    root = Path(__file__).parents[3]
    files = [*(root / "driftloop").rglob("*.py"), *(root / "services").rglob("*.py")]
    text = "\n".join(path.read_text() for path in files)
    figures = {n for n, f in vars(Metrics()).items() if isinstance(f, Counter | Gauge | Histogram)}
    silent = [n for n in sorted(figures) if len(re.findall(rf"(?:metrics|self)\.{n}\b", text)) < 2]
    assert not silent, f"on /metrics, and never moved: {silent}"
