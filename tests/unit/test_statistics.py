"""What is read off histograms."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from driftloop.statistics import PROBABILITY_BINS, auc


def test_auc_is_scikit_learns_on_binned_scores() -> None:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 2_000)
    bins = np.clip((rng.normal(0.45 + 0.1 * labels, 0.2) * 999).astype(int), 0, 999)
    histogram = np.bincount(bins + PROBABILITY_BINS * labels, minlength=2 * PROBABILITY_BINS)

    assert auc(histogram) == pytest.approx(roc_auc_score(labels, bins), abs=1e-9)


def test_auc_of_one_class_is_not_defined() -> None:
    assert auc(np.bincount([3, 4], minlength=2 * PROBABILITY_BINS)) is None


def test_auc_of_counts_is_that_of_the_rows() -> None:
    assert auc(np.array([2, 0, 0, 2])) == 1.0
    assert auc(np.array([1, 1, 1, 1])) == 0.5
    assert auc(np.array([0, 0, 1, 1])) is None
