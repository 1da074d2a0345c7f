"""An AUC that grows: exact over all rows so far, without sorting them again for each new one.

Sorted runs are kept as a binary counter keeps its digits, so that a row is merged log(n) times.
Rows wait until somebody asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


@dataclass(slots=True)
class Ranks:
    """Probabilities of negatives and positives; `auc` counts a tie half."""

    _waiting: list[tuple[Values, NDArray[np.bool_]]] = field(default_factory=list)
    _negatives: list[Values] = field(default_factory=list)  # sorted runs, the longest first
    _positives: list[Values] = field(default_factory=list)
    _counts: tuple[int, int] = (0, 0)
    _halves: int = 0  # twice the pairs in order; a tie counts one

    def add(self, probabilities: Values, positive: NDArray[np.bool_]) -> None:
        """Take rows; none of them is NaN."""
        if len(probabilities):
            self._waiting.append((probabilities, positive))

    @property
    def auc(self) -> float | None:
        """None where one class is missing."""
        self._settle()
        pairs = self._counts[0] * self._counts[1]
        return self._halves / (2 * pairs) if pairs else None

    def _settle(self) -> None:
        if not self._waiting:
            return
        probabilities = np.concatenate([each for each, _ in self._waiting])
        positive = np.concatenate([each for _, each in self._waiting])
        self._waiting.clear()
        negatives, positives = np.sort(probabilities[~positive]), np.sort(probabilities[positive])
        before = self._counts[1]
        self._halves += _halves([*self._negatives, negatives], positives)
        self._halves += 2 * len(negatives) * before - _halves(self._positives, negatives)
        _keep(self._negatives, negatives)
        _keep(self._positives, positives)
        self._counts = (self._counts[0] + len(negatives), before + len(positives))


def _halves(runs: Sequence[Values], values: Values) -> int:
    """Over all of `values`: two for each in `runs` below it, one for each equal to it."""
    return sum(int(np.searchsorted(run, values, side).sum()) for run in runs for side in SIDES)


def _keep(runs: list[Values], values: Values) -> None:
    if len(values):
        runs.append(values)
    while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
        last = runs.pop()
        runs[-1] = np.sort(np.concatenate([runs[-1], last]), kind="stable")
