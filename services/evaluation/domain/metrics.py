"""How good are these probabilities? scikit-learn's numbers, to 1e-9, in plain numpy.

`probability` is [n, classes] float64, `target` [n] the number of the true class. A figure that the
rows can't give (AUC with one class) is None. The calibration error is the expected one over ten
bins of equal width: the gap between mean probability and share of positives, weighted by rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 10
EPSILON = float(np.finfo(np.float64).eps)  # as scikit-learn clips: log(0) is nobody's loss

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Figures over some rows. None: these rows, or this kind of target, don't have it."""

    rows: int
    positive_share: float
    log_loss: float | None = None
    accuracy: float | None = None
    auc: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    calibration_error: float | None = None


def score(target: Floats, probability: Floats, *, threshold: float = 0.5) -> Scored:
    """All figures; the positive class is number 1. Precision and recall without a case are 0."""
    if not len(target):
        return Scored(0, 0.0)
    log_loss = float(losses(target, probability).mean())
    share = float((target == 1).mean())
    if probability.shape[1] != 2:
        right = float((probability.argmax(axis=1) == target).mean())
        return Scored(len(target), share, log_loss, right)
    positive, truth = probability[:, 1], target == 1
    said = positive >= threshold
    precision = _share(said & truth, said)
    recall = _share(said & truth, truth)
    both = precision + recall
    return Scored(
        len(target), share, log_loss, float((said == truth).mean()), auc(truth, positive),
        precision, recall, 2 * precision * recall / both if both else 0.0,
        calibration_error(truth, positive))  # fmt: skip


def losses(target: Floats, probability: Floats, metric: str = "log_loss") -> Floats:
    """[n] the loss of each row: log_loss, or squared_error (Brier's) of the true class."""
    true = probability[np.arange(len(target)), target.astype(np.int64)]
    if metric == "squared_error":
        return np.asarray((1.0 - true) ** 2, np.float64)
    assert metric == "log_loss", metric
    return np.asarray(-np.log(np.clip(true, EPSILON, 1.0 - EPSILON)), np.float64)


def auc(truth: npt.NDArray[np.bool_], positive: Floats) -> float | None:
    """The share of pairs in the right order, a tie counting half."""
    ones = int(truth.sum())
    zeros = len(truth) - ones
    if not ones or not zeros:
        return None
    _, place, counts = np.unique(positive, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each distinct value, from 1
    return float((ranks[place][truth].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def calibration_error(truth: npt.NDArray[np.bool_], positive: Floats) -> float:
    """Expected calibration error over BINS bins of equal width; 1.0 belongs to the last one."""
    bins = np.minimum((positive * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, positive, BINS) - np.bincount(bins, truth, BINS)
    return float(np.abs(gaps).sum() / len(positive))


def base_rate(target: Floats, classes: int) -> Floats:
    """[classes] the share of each class: what one would say without a model."""
    return np.bincount(target.astype(np.int64), minlength=classes) / max(1, len(target))


def _share(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> float:
    count = int(whole.sum())
    return int(part.sum()) / count if count else 0.0
