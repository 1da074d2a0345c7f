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
        "pr_auc": sklearn.average_precision_score(target, probability[:, 1]),
        "brier": sklearn.brier_score_loss(target, probability[:, 1]),
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


@pytest.mark.parametrize("classes", [3, 5])
def test_of_more_classes_each_figure_is_scikit_learns(classes: int) -> None:
    chance = np.random.default_rng(classes)
    probability = chance.dirichlet(np.ones(classes), 500)
    target = chance.integers(0, classes, 500).astype(np.float64)
    said, ours = probability.argmax(axis=1), score(target, probability)
    truth = np.eye(classes)[target.astype(np.int64)]
    theirs = {
        "log_loss": sklearn.log_loss(target, probability),
        "accuracy": sklearn.accuracy_score(target, said),
        "auc": sklearn.roc_auc_score(target, probability, multi_class="ovr"),
        "pr_auc": sklearn.average_precision_score(truth, probability, average="macro"),
        "brier": ((probability - truth) ** 2).sum(axis=1).mean(),
    }
    for name, value in theirs.items():
        assert getattr(ours, name) == pytest.approx(value, abs=1e-9), name
    for average in ("macro", "micro", "weighted"):
        rates = sklearn.precision_recall_fscore_support(target, said, average=average)
        for name, value in zip(("precision", "recall", "f1"), rates[:3], strict=True):
            assert ours.averages[f"{name}_{average}"] == pytest.approx(value, abs=1e-9), name
    assert ours.f1 == ours.averages["f1_macro"]
    assert np.array_equal(np.array(ours.confusion), sklearn.confusion_matrix(target, said))


def test_a_class_that_is_neither_there_nor_said_counts_in_no_average() -> None:
    probability = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    target = np.array([0.0, 1.0, 1.0])
    ours = score(target, probability)
    theirs = sklearn.f1_score(target, probability.argmax(axis=1), average="macro")
    assert ours.f1 == pytest.approx(theirs, abs=1e-9)
    assert ours.auc is None


def test_the_base_rate_is_each_classes_share() -> None:
    assert base_rate(np.array([0.0, 1.0, 0.0, 0.0]), 2).tolist() == [0.75, 0.25]
