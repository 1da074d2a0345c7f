"""An AUC that grows: exact over all rows so far, without sorting them again for each new one.

Sorted runs are kept as a binary counter keeps its digits, so that a row is merged log(n) times.
Rows wait until somebody asks. Past EXACT_ROWS_MAX probabilities are rounded to BINS steps and only
counted, so that a page that is open for a year holds no more than one that is open for a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from driftloop.statistics import auc

Values = NDArray[np.float32]
EXACT_ROWS_MAX = 2_000_000  # 8 MB; rounding moves the AUC of so many rows by some 1e-6
BINS = 100_000
WAITING_MAX = 1_000  # messages of `statistics`: some hundred rows each
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


@dataclass(slots=True)
class Ranks:
    """Probabilities of negatives and positives; `auc` counts a tie half."""

    _waiting: list[tuple[Values, NDArray[np.bool_]]] = field(default_factory=list)
    _negatives: list[Values] = field(default_factory=list)  # sorted runs, the longest first
    _positives: list[Values] = field(default_factory=list)
    _counts: tuple[int, int] = (0, 0)
    _halves: int = 0  # twice the pairs in order; a tie counts one
    _bins: NDArray[np.int64] | None = None  # [2, BINS + 1] once there are too many rows
    _final: float | None = None
    _closed: bool = False

    def add(self, probabilities: Values, positive: NDArray[np.bool_]) -> None:
        """Take rows; none of them is NaN."""
        if len(probabilities) and not self._closed:
            self._waiting.append((probabilities, positive))
        if len(self._waiting) > WAITING_MAX:  # nobody may be there to ask
            self._settle()

    @property
    def auc(self) -> float | None:
        """None where one class is missing."""
        if self._closed:
            return self._final
        self._settle()
        if self._bins is not None:
            return auc(self._bins)
        pairs = self._counts[0] * self._counts[1]
        return self._halves / (2 * pairs) if pairs else None

    def close(self) -> None:
        """What is known stays as it is; the rows are forgotten, and later ones count no more."""
        if not self._closed:
            self._final, self._closed = self.auc, True
            self._negatives, self._positives, self._bins = [], [], None

    def _settle(self) -> None:
        if not self._waiting:
            return
        probabilities = np.concatenate([each for each, _ in self._waiting])
        positive = np.concatenate([each for _, each in self._waiting])
        self._waiting.clear()
        if self._bins is not None:
            self._bins += _counted(probabilities[~positive], probabilities[positive])
            return
        negatives, positives = np.sort(probabilities[~positive]), np.sort(probabilities[positive])
        before = self._counts[1]
        self._halves += _halves([*self._negatives, negatives], positives)
        self._halves += 2 * len(negatives) * before - _halves(self._positives, negatives)
        _keep(self._negatives, negatives)
        _keep(self._positives, positives)
        self._counts = (self._counts[0] + len(negatives), before + len(positives))
        if sum(self._counts) > EXACT_ROWS_MAX:
            self._bins = sum(
                (_counted(each, each[:0]) for each in self._negatives),
                start=np.zeros((2, BINS + 1), np.int64),
            ) + sum(
                (_counted(each[:0], each) for each in self._positives),
                start=np.zeros((2, BINS + 1), np.int64),
            )
            self._negatives, self._positives = [], []


def _counted(negatives: Values, positives: Values) -> NDArray[np.int64]:
    """[2, BINS + 1] rows by class and rounded probability."""
    return np.stack(
        [
            np.bincount(np.rint(each * BINS).astype(np.int64), minlength=BINS + 1)
            for each in (negatives, positives)
        ]
    )


def _halves(runs: Sequence[Values], values: Values) -> int:
    """Over all of `values`: two for each in `runs` below it, one for each equal to it."""
    return sum(int(np.searchsorted(run, values, side).sum()) for run in runs for side in SIDES)


def _keep(runs: list[Values], values: Values) -> None:
    if len(values):
        runs.append(values)
    while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
        last = runs.pop()
        runs[-1] = np.sort(np.concatenate([runs[-1], last]), kind="stable")
