"""What evaluation tells on /metrics of its judgements."""

from __future__ import annotations

from driftloop.contracts.model_pb2 import ModelTrained, Window
from driftloop.kit.metrics import Metrics
from services.evaluation.meter import Meter
from tests.support.figures import value


def test_judgements_are_timed_from_the_declaration_on() -> None:
    metrics = Metrics()
    meter = Meter(metrics)
    meter.declared("sea")
    assert value(metrics.text(), "driftloop_judge_seconds_count", pipeline="sea") == 0
    meter.judged(ModelTrained(pipeline="sea", holdout=Window(rows=500)), 1.5)
    meter.working(1)
    page = metrics.text()
    assert value(page, "driftloop_judge_seconds_sum", pipeline="sea") == 1.5
    assert value(page, "driftloop_judged_rows", pipeline="sea") == 500
    assert value(page, "driftloop_children") == 1
