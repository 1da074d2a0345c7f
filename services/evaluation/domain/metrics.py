"""How good are these answers? scikit-learn's numbers, to 1e-9, in plain numpy.

`probability` is [n, classes] float64, `target` [n] the number of the true class. A figure that the
rows can't give (AUC with one class) is None. What stands here is about classes; `values` is about
numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

BINS = 10
EPSILON = float(np.finfo(np.float64).eps)  # as scikit-learn clips: log(0) is nobody's loss

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scored:
    """Figures over some rows. None: these rows, or this kind of target, don't have it.

    Of more than two classes, `precision`, `recall`, `f1`, `auc` and `pr_auc` are macro averages;
    `averages` has the others, by names such as `f1_weighted`. `confusion` [classes, classes] counts
    true class by said class. The calibration error is the expected one over ten bins of equal width
    of the said class's probability: the gap between mean probability and share of hits, weighted by
    rows.
    """

    rows: int
    positive_share: float
    log_loss: float | None = None
    accuracy: float | None = None
    auc: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    calibration_error: float | None = None
    pr_auc: float | None = None
    brier: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    averages: Mapping[str, float] = field(default_factory=dict)


def score(target: Floats, probability: Floats, *, threshold: float = 0.5) -> Scored:
    """All figures; of two classes the positive one is number 1. Precision and recall without a case
    are 0.
    """
    if not len(target):
        return Scored(0, 0.0)
    if probability.shape[1] == 2:
        return _binary(target, probability, threshold)
    return _multiclass(target, probability)


def _binary(target: Floats, probability: Floats, threshold: float) -> Scored:
    positive, truth = probability[:, 1], target == 1
    table = confusion(truth.astype(np.int64), (positive >= threshold).astype(np.int64), 2)
    precision, recall, f1 = (float(each[1]) for each in _rates(table))
    return Scored(
        len(target),
        float(truth.mean()),
        float(losses(target, probability).mean()),
        float(np.trace(table) / len(target)),
        auc(truth, positive),
        precision,
        recall,
        f1,
        calibration_error(truth, positive),
        pr_auc(truth, positive),
        float(((positive - truth) ** 2).mean()),
        _rows(table),
        _averages(table),
    )


def _multiclass(target: Floats, probability: Floats) -> Scored:
    classes = probability.shape[1]
    true, said = target.astype(np.int64), probability.argmax(axis=1)
    table = confusion(true, said, classes)
    averages = _averages(table)
    hits = np.eye(classes)[true]
    areas = [auc(true == one, probability[:, one]) for one in range(classes)]
    under = [pr_auc(true == one, probability[:, one]) for one in range(classes)]
    return Scored(
        len(target),
        float((target == 1).mean()),
        float(losses(target, probability).mean()),
        float(np.trace(table) / len(target)),
        _mean(areas),
        averages["precision_macro"],
        averages["recall_macro"],
        averages["f1_macro"],
        calibration_error(true == said, probability[np.arange(len(target)), said]),
        _mean(under),
        float(((probability - hits) ** 2).sum(axis=1).mean()),
        _rows(table),
        averages,
    )


def confusion(true: Counts, said: Counts, classes: int) -> Counts:
    """[classes, classes] rows by their true class and the said one."""
    return np.bincount(true * classes + said, minlength=classes**2).reshape(classes, classes)


def losses(target: Floats, probability: Floats, metric: str = "log_loss") -> Floats:
    """[n] the loss of each row: log_loss, or squared_error (Brier's) of the true class."""
    true = probability[np.arange(len(target)), target.astype(np.int64)]
    if metric == "squared_error":
        return np.asarray((1.0 - true) ** 2, np.float64)
    assert metric == "log_loss", metric
    return np.asarray(-np.log(np.clip(true, EPSILON, 1.0 - EPSILON)), np.float64)


def auc(truth: Bools, positive: Floats) -> float | None:
    """The share of pairs in the right order, a tie counting half (area under the ROC curve)."""
    ones = int(truth.sum())
    zeros = len(truth) - ones
    if not ones or not zeros:
        return None
    _, place, counts = np.unique(positive, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each distinct value, from 1
    return float((ranks[place][truth].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def pr_auc(truth: Bools, positive: Floats) -> float | None:
    """Average precision: the precision at each distinct value, weighted by the recall it adds; no
    line is drawn between them, which would flatter (Davis and Goadrich, 2006).
    """
    ones = int(truth.sum())
    if not ones or ones == len(truth):
        return None
    values, place = np.unique(positive, return_inverse=True)
    hits = np.bincount(place, truth, len(values))[::-1]
    above = np.cumsum(np.bincount(place, minlength=len(values))[::-1])
    return float((hits / ones * (np.cumsum(hits) / above)).sum())


def calibration_error(truth: Bools, positive: Floats) -> float:
    """Expected calibration error over BINS bins of equal width; 1.0 belongs to the last one."""
    bins = np.minimum((positive * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, positive, BINS) - np.bincount(bins, truth, BINS)
    return float(np.abs(gaps).sum() / len(positive))


def base_rate(target: Floats, classes: int) -> Floats:
    """[classes] the share of each class: what one would say without a model."""
    return np.bincount(target.astype(np.int64), minlength=classes) / max(1, len(target))


def _rates(table: Counts) -> tuple[Floats, Floats, Floats]:
    """[classes] precision, recall and F1 of each class; 0 where there is no case."""
    right, said, true = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    return _share(right, said), _share(right, true), _share(2 * right, said + true)


def _averages(table: Counts) -> Mapping[str, float]:
    """Macro: each class counts the same, of those that occur or are said; weighted: by its true
    rows; micro: over all rows, where all three are the accuracy.
    """
    true = table.sum(axis=1)
    known = (true + table.sum(axis=0)) > 0
    accuracy = float(np.trace(table) / max(1, table.sum()))
    found: dict[str, float] = {}
    for name, rate in zip(("precision", "recall", "f1"), _rates(table), strict=True):
        found[f"{name}_macro"] = float(rate[known].mean()) if known.any() else 0.0
        found[f"{name}_weighted"] = float((rate * true).sum() / max(1, true.sum()))
        found[f"{name}_micro"] = accuracy
    return found


def _share(part: Counts, whole: Counts) -> Floats:
    return np.asarray(part / np.maximum(whole, 1), np.float64)


def _mean(figures: list[float | None]) -> float | None:
    """None if a class has none: a macro average over some of the classes would be another thing."""
    known = [each for each in figures if each is not None]
    return float(np.mean(known)) if len(known) == len(figures) else None


def _rows(table: Counts) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(count) for count in row) for row in table)
