"""What training tells on /metrics of its fits."""

from __future__ import annotations

from pathlib import Path

from driftloop import spec
from driftloop.contracts.model_pb2 import Candidate, ModelTrained, Window
from driftloop.kit.metrics import Metrics
from services.training.meter import Meter
from tests.support.figures import value

OF = {"pipeline": "sea", "learner": "lightgbm_all"}


def test_fits_are_counted_by_learner_from_the_declaration_on() -> None:
    metrics = Metrics()
    meter = Meter(metrics)
    file = Path("infra/pipelines/sea.yaml")
    meter.declared(spec.parse(file.read_text(), file.name))
    assert value(metrics.text(), "driftloop_fit_seconds_count", **OF) == 0
    fitted = Candidate(name="lightgbm_all", digest="d", fit_s=2.5, window=Window(rows=700))
    failed = Candidate(name="river_logistic", error="too few rows", fit_s=9.0)
    meter.trained(ModelTrained(pipeline="sea", candidates=[fitted, failed]))
    meter.working(2)
    page = metrics.text()
    assert value(page, "driftloop_fit_seconds_sum", **OF) == 2.5
    assert value(page, "driftloop_fit_rows", **OF) == 700
    other = {"pipeline": "sea", "learner": "river_logistic"}
    assert value(page, "driftloop_fit_seconds_count", **other) == 0
    assert value(page, "driftloop_children") == 2
