"""Figures for reading alone: realised loss and AUC of the newest rows, PSI by feature. No decision
rests on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from driftloop.statistics import (
    FEATURE_BINS,
    NEWEST_ROWS,
    PROBABILITY_BINS,
    REFERENCE_ROWS,
    auc,
    psi,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One merged figure over the newest rows of the live version; NaN where it is not known."""

    version: int
    rows: int
    loss: float
    baseline_loss: float
    auc: float
    baseline_auc: float
    psi: NDArray[np.float64] | None  # [features]


@dataclass(slots=True)
class Coverage:
    """How many of the rows whose fate is known got their label within their horizon."""

    _labelled: int = 0
    _known: int = 0

    def take(self, labelled: int, unlabelled: int) -> float | None:
        """One bucket's rows in; their labelled share when NEWEST_ROWS more are known."""
        self._labelled += labelled
        self._known += labelled + unlabelled
        if self._known < NEWEST_ROWS:
            return None
        share = self._labelled / self._known
        self._labelled = self._known = 0
        return share


@dataclass(slots=True)
class Readings:
    """Gathers the newest rows of the live version, and its first as PSI's reference."""

    features: int
    groups: int = 10  # of PSI
    _version: int = 0
    _reference: NDArray[np.int64] | None = None
    _reference_rows: int = 0
    _newest: list[tuple[int, float, float, bytes, bytes, bytes]] = field(default_factory=list)

    def take(
        self,
        version: int,
        rows: int,
        loss_sum: float,
        baseline_sum: float,
        scores: bytes,
        baseline_scores: bytes,
        features: bytes,
    ) -> Reading | None:
        """One bucket's figures in; a reading when NEWEST_ROWS more have come."""
        if not version or not rows:
            return None
        if version != self._version:
            self._version, self._reference, self._reference_rows = version, None, 0
            self._newest.clear()
        self._newest.append((rows, loss_sum, baseline_sum, scores, baseline_scores, features))
        if sum(each[0] for each in self._newest) < NEWEST_ROWS:
            return None
        reading = self._reading()
        self._newest.clear()
        return reading

    def _reading(self) -> Reading:
        rows = sum(each[0] for each in self._newest)
        bins = _dense([each[5] for each in self._newest], self.features * FEATURE_BINS)
        newest = bins.reshape(self.features, FEATURE_BINS)
        return Reading(
            self._version,
            rows,
            sum(each[1] for each in self._newest) / rows,
            sum(each[2] for each in self._newest) / rows,
            _auc([each[3] for each in self._newest]),
            _auc([each[4] for each in self._newest]),
            self._shift(newest, rows),
        )

    def _shift(self, newest: NDArray[np.int64], rows: int) -> NDArray[np.float64] | None:
        if self._reference_rows < REFERENCE_ROWS:
            self._reference = newest if self._reference is None else self._reference + newest
            self._reference_rows += rows
            return None
        assert self._reference is not None
        pairs = zip(self._reference, newest, strict=True)
        return np.array([psi(old, new, self.groups) for old, new in pairs])


def _auc(scores: list[bytes]) -> float:
    found = auc(_dense(scores, 2 * PROBABILITY_BINS))
    return float("nan") if found is None else found


def _dense(sparse: list[bytes], size: int) -> NDArray[np.int64]:
    pairs = np.frombuffer(b"".join(sparse), "<i4").reshape(-1, 2)
    return np.bincount(pairs[:, 0], pairs[:, 1], size).astype(np.int64)
