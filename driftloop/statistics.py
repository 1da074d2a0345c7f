"""How `statistics` are laid out and what is read off them: bins, signed probabilities, population
stability.

Shared by the monitor, which writes them, and by whoever reads them. Arrays in, numbers out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PROBABILITY_BINS = 1_000  # negatives first, then positives
FEATURE_BINS = 4_096  # the last one holds the missing
REFERENCE_ROWS = 5_000  # of PSI: the first rows of a version, what it was released for
NEWEST_ROWS = 1_000  # fewer make PSI large by chance alone
SHARE_MIN = 1e-4  # Siddiqi 2006: the logarithm of an empty group

Counts = NDArray[np.int64]


def signed(probabilities: NDArray[np.float32], positive: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Probabilities of the positive class with the label in the sign: -p where it was negative
    (-0.0 too). NaN stays NaN."""
    return np.where(positive, probabilities, -probabilities).astype(np.float32)


def unsigned(data: bytes) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What `signed` was made of, from float32 little-endian: probabilities, and whether the label
    was positive."""
    values = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
    return np.abs(values), ~np.signbit(values)


def pairs(sparse: bytes, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices and counts of a sparse histogram; what lies outside of [0, size) is left out."""
    table = np.frombuffer(sparse[: len(sparse) // 8 * 8], "<i4").reshape(-1, 2).astype(np.int64)
    table = table[(table[:, 0] >= 0) & (table[:, 0] < size)]
    return table[:, 0], table[:, 1]


def auc(histogram: Counts) -> float | None:
    """Area under the ROC curve from rows by bin of their probability, [2 x bins]: negatives, then
    positives. Ties within a bin count half. None where one class is missing."""
    negatives, positives = histogram.reshape(2, -1)
    count = int(negatives.sum()) * int(positives.sum())
    below = np.cumsum(negatives) - negatives
    return float((positives * (2 * below + negatives)).sum() / (2 * count)) if count else None


def psi(reference: Counts, newest: Counts, groups: int = 10) -> float:
    """Population stability index of two histograms over the same ordered bins; the last bin holds
    the missing.

    Bins are grouped into about `groups` equal shares of the reference; shares are floored at 1e-4
    (Siddiqi 2006). Below .1 is read as stable, above .25 as a shift."""
    group = _groups(reference, groups)
    return _index(_sums(group, reference, groups + 1), _sums(group, newest, groups + 1))


class Reference:
    """The histograms of all features that PSI compares with, their groups found once."""

    def __init__(self, histograms: Counts, groups: int = 10) -> None:
        """`histograms`: [features, FEATURE_BINS]."""
        self._features, self._wide = len(histograms), groups + 1
        each = [_groups(histogram, groups) for histogram in histograms]
        group = np.stack(each) if each else np.empty((0, FEATURE_BINS), np.int64)
        self._group = (group + self._wide * np.arange(self._features)[:, None]).reshape(-1)
        self._old = self._grouped(np.arange(histograms.size), histograms.reshape(-1))

    def psi(self, index: Counts, counts: Counts) -> list[float]:
        """Of each feature; the newest rows as pairs of a sparse histogram."""
        newest = self._grouped(index, counts)
        return [_index(old, new) for old, new in zip(self._old, newest, strict=True)]

    def _grouped(self, index: Counts, counts: Counts) -> NDArray[np.float64]:
        size = self._features * self._wide
        found = _sums(self._group[index], counts, size)
        return np.reshape(found, (self._features, self._wide))


def _groups(reference: Counts, groups: int) -> Counts:
    """The group of each bin; the missing have one of their own, the last."""
    shares = np.cumsum(reference[:-1]) / max(1, reference[:-1].sum())
    found = np.minimum((shares * groups - 1e-9).astype(np.int64), groups - 1)
    return np.append(np.maximum(found, 0), groups)


def _sums(group: Counts, counts: Counts, size: int) -> NDArray[np.float64]:
    return np.asarray(np.bincount(group, counts, size), np.float64)


def _index(old: NDArray[np.float64], new: NDArray[np.float64]) -> float:
    old = np.maximum(old / max(1.0, old.sum()), SHARE_MIN)
    new = np.maximum(new / max(1.0, new.sum()), SHARE_MIN)
    return float(np.sum((new - old) * np.log(new / old)))
