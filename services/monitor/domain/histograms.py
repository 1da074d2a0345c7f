"""Losses of rows, and histograms that need no reference: of probabilities, of features. Sparse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftloop.statistics import FEATURE_BINS, PROBABILITY_BINS, signed

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

MISSING_BIN = FEATURE_BINS - 1
PROBABILITY_MIN = 1e-7  # outputs are float32: below this, 1 - p is 1


def losses(outputs: Matrix, targets: Floats, kind: str) -> Floats:
    """Log-loss of the true class (natural log), or the squared error; [n]. NaN outputs give NaN."""
    if kind == "regression":
        return np.square(outputs[:, 0].astype(np.float64) - targets)
    of_truth = outputs[np.arange(len(targets)), targets.astype(np.int64)].astype(np.float64)
    return -np.log(np.clip(of_truth, PROBABILITY_MIN, 1.0))


def feature_bins(vectors: Matrix) -> NDArray[np.int32]:
    """Bins that need no reference: sign, exponent and one bit of mantissa of the float32, in the
    values' order; [n, k].

    A bin is a factor of 1.5 or less wide, so any reference's deciles can be made of them
    afterwards."""
    bits = np.ascontiguousarray(vectors, np.float32).view(np.int32)
    ordered = np.where(bits < 0, ~(bits & 0x7FFFFFFF), bits) >> 22  # -512..511: sign + 8 + 1 bits
    return np.where(np.isnan(vectors), MISSING_BIN, ordered + 512).astype(np.int32)


def sparse(indices: NDArray[np.int32]) -> NDArray[np.int32]:
    """Indices to pairs (index, count), [2 x distinct]."""
    index, count = np.unique(indices, return_counts=True)
    return np.stack([index, count], axis=1).astype(np.int32).reshape(-1)


def score_bins(outputs: Matrix, targets: Floats, kind: str) -> NDArray[np.int32]:
    known = ~np.isnan(outputs).any(axis=1)
    if kind != "binary" or not known.any():
        return np.empty(0, np.int32)
    bins = np.floor(outputs[known, 1] * (PROBABILITY_BINS - 1)).astype(np.int32)
    return sparse(bins + PROBABILITY_BINS * targets[known].astype(np.int32))


def answers(outputs: Matrix, targets: Floats, kind: str) -> Matrix:
    """Each row's probability of the positive class with its label in the sign; [n], binary only."""
    return signed(outputs[:, 1], targets > 0) if kind == "binary" else np.empty(0, np.float32)
