"""What the monitor tells on /metrics of the live model."""

from __future__ import annotations

import numpy as np
import pytest

from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.metrics import Metrics
from services.monitor.domain.drift import LossDetector, Losses
from services.monitor.domain.policy import DAY_US, Policy, Rules
from services.monitor.domain.readings import Coverage
from services.monitor.meter import Meter
from tests.support.figures import value

PARAMS = {"min_instances": 50, "delta": 0.02, "threshold": 10.0, "mode": "up"}
RULES = Rules("PageHinkley", PARAMS, "log_loss", DAY_US, 10, frozenset(), None, None, DAY_US, 1)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def meter(metrics: Metrics) -> Meter:
    return Meter(metrics, "sea", ["a"], 10, "PageHinkley")


def said(metrics: Metrics, name: str, **labels: str) -> float | None:
    return value(metrics.text(), f"driftloop_{name}", pipeline="sea", **labels)


def a_bucket(rows: int, loss: float = 0.5, unlabelled: int = 0, version: int = 1) -> Statistics:
    """Scores of .1 for the negatives and .9 for the positives, half of each."""
    half = rows // 2
    scores = np.array([[100, half], [1_900, half]], "<i4").tobytes()
    bins = np.array([[7, rows]], "<i4").tobytes()
    return Statistics(
        version=version,
        scored=rows,
        unlabelled=unlabelled,
        loss_sum=rows * loss,
        baseline_loss_sum=rows * 0.75,
        score_histogram=scores,
        baseline_histogram=scores,
        feature_histogram=bins,
    )


def losses(at: int, loss: float, rows: int = 200) -> Losses:
    return Losses(at, at + 1, np.full(rows, loss), 0)


def test_the_newest_thousand_rows_are_shown(metrics: Metrics, meter: Meter) -> None:
    policy = Policy(RULES)
    meter.heard(a_bucket(600, 0.2), policy)
    assert said(metrics, "realised_loss", lane="loop") is None
    meter.heard(a_bucket(400, 0.7), policy)
    assert said(metrics, "realised_loss", lane="loop") == pytest.approx(0.4)
    assert said(metrics, "realised_loss", lane="frozen") == pytest.approx(0.75)
    assert said(metrics, "realised_auc", lane="loop") == 1.0
    assert said(metrics, "realised_auc", lane="frozen") == 1.0
    assert said(metrics, "psi", feature="a") is None  # the reference is not full yet
    for _ in range(5):
        meter.heard(a_bucket(1_000), policy)
    assert said(metrics, "psi", feature="a") == pytest.approx(0.0)


def test_coverage_is_the_share_of_labelled_rows_among_those_whose_fate_is_known() -> None:
    coverage = Coverage()
    assert coverage.take(600, 100) is None
    assert coverage.take(200, 100) == 0.8
    assert coverage.take(0, 1_000) == 0.0


def test_coverage_falls_when_no_label_comes_any_more(metrics: Metrics, meter: Meter) -> None:
    policy = Policy(RULES)
    meter.heard(a_bucket(1_000), policy)
    assert said(metrics, "label_coverage_ratio") == 1.0
    meter.heard(a_bucket(0, unlabelled=1_500, version=0), policy)  # without a model: no matter
    assert said(metrics, "label_coverage_ratio") == 1.0
    meter.heard(a_bucket(0, unlabelled=1_500), policy)
    assert said(metrics, "label_coverage_ratio") == 0.0


def test_drifts_are_counted_from_nothing(metrics: Metrics, meter: Meter) -> None:
    assert said(metrics, "drifts_total", detector="PageHinkley") == 0
    meter.drifted()
    assert said(metrics, "drifts_total", detector="PageHinkley") == 1


def test_what_another_replica_tells_next_is_shown_here_no_more(
    metrics: Metrics, meter: Meter
) -> None:
    meter.heard(a_bucket(1_000), Policy(RULES))
    meter.drifted()
    meter.close()
    assert said(metrics, "realised_loss", lane="loop") is None
    assert said(metrics, "label_coverage_ratio") is None
    assert said(metrics, "drifts_total", detector="PageHinkley") == 1  # it did happen here


def test_the_reference_is_the_loss_of_all_rows_until_the_detector_has_spoken() -> None:
    detector = LossDetector("PageHinkley", PARAMS)
    assert detector.reference_loss() is None
    detector.observe(losses(0, 0.2))
    detector.observe(losses(1, 0.21))
    assert detector.reference_loss() == pytest.approx(0.205)
    raised = detector.observe(losses(2, 1.5))
    assert raised is not None
    assert detector.reference_loss() == raised.reference < raised.value


def test_the_reference_is_shown_beside_the_loss(metrics: Metrics, meter: Meter) -> None:
    policy = Policy(RULES)
    meter.heard(a_bucket(1_000), policy)
    assert said(metrics, "realised_reference_loss") is None  # no version is live
    policy.released(1)
    policy._drift(losses(0, 0.25))
    meter.heard(a_bucket(1_000), policy)
    assert said(metrics, "realised_reference_loss") == pytest.approx(0.25)
