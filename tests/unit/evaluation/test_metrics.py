"""The figures are scikit-learn's, to 1e-9."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn

from services.evaluation.domain import base_rate, losses, score
from services.evaluation.domain.metrics import Floats

CASES = ("plain", "ties", "extremes", "one row of a class", "float32")


def rows(case: str) -> tuple[Floats, Floats]:
    chance = np.random.default_rng(7)
    target = (chance.random(3_000) < 0.24).astype(np.float64)
    positive = np.clip(chance.normal(0.24 + 0.2 * target, 0.15), 0.001, 0.999)
    if case == "ties":
        positive = np.round(positive, 1)
    if case == "extremes":
        positive[:50], positive[50:100] = 0.0, 1.0
    if case == "one row of a class":
        target[:] = 0.0
        target[17] = 1.0
    if case == "float32":
        positive = positive.astype(np.float32).astype(np.float64)
    return target, np.column_stack([1.0 - positive, positive])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_each_figure_is_scikit_learns(case: str, threshold: float) -> None:
    target, probability = rows(case)
    said = probability[:, 1] >= threshold
    ours = score(target, probability, threshold=threshold)
    theirs = {
        "auc": sklearn.roc_auc_score(target, probability[:, 1]),
        "log_loss": sklearn.log_loss(target, probability[:, 1]),
        "accuracy": sklearn.accuracy_score(target, said),
        "precision": sklearn.precision_score(target, said, zero_division=0),
        "recall": sklearn.recall_score(target, said),
        "f1": sklearn.f1_score(target, said),
        "positive_share": target.mean(),
    }
    for name, value in theirs.items():
        assert getattr(ours, name) == pytest.approx(value, abs=1e-9), name


def test_brier_is_scikit_learns() -> None:
    target, probability = rows("plain")
    brier = sklearn.brier_score_loss(target, probability[:, 1])
    assert losses(target, probability, "squared_error").mean() == pytest.approx(brier, abs=1e-9)


def test_the_calibration_error_is_the_gap_of_each_bin_weighted_by_its_rows() -> None:
    target, probability = rows("extremes")
    positive, expected = probability[:, 1], 0.0
    for number in range(10):
        low, high = number / 10, (number + 1) / 10
        inside = (positive >= low) & ((positive < high) | (number == 9))
        if inside.any():
            expected += abs(positive[inside].mean() - target[inside].mean()) * inside.mean()
    assert score(target, probability).calibration_error == pytest.approx(expected, abs=1e-9)


def test_one_class_alone_has_no_auc_and_no_rows_have_no_figures() -> None:
    target, probability = rows("plain")
    assert score(np.zeros(3_000), probability).auc is None
    assert score(target[:0], probability[:0]).log_loss is None


def test_more_classes_have_the_figures_that_exist_for_them() -> None:
    chance = np.random.default_rng(1)
    probability = chance.dirichlet([2.0, 1.0, 1.0], 500)
    target = chance.integers(0, 3, 500).astype(np.float64)
    ours = score(target, probability)
    assert ours.log_loss == pytest.approx(sklearn.log_loss(target, probability), abs=1e-9)
    assert ours.accuracy == pytest.approx(np.mean(probability.argmax(axis=1) == target))
    assert ours.auc is None


def test_the_base_rate_is_each_classes_share() -> None:
    assert base_rate(np.array([0.0, 1.0, 0.0, 0.0]), 2).tolist() == [0.75, 0.25]
