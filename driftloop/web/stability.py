"""PSI of every feature over time, by the monitor's own definition: the newest 1,000 rows or more
against the first 5,000 of the version that answered them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.statistics import FEATURE_BINS, NEWEST_ROWS, REFERENCE_ROWS, Reference, pairs

DIGITS = 5
Counts = NDArray[np.int64]


@dataclass(slots=True)
class Stability:
    """One pipeline's generation; `features`: names in the vector's order, `groups`: of PSI."""

    features: Sequence[str]
    groups: int = 10
    spans: list[tuple[int, list[float]]] = field(default_factory=list)  # start, PSI by feature
    _version: int = 0
    _first: Counts | None = None
    _first_rows: int = 0
    _reference: Reference | None = None
    _newest: list[Statistics] = field(default_factory=list)
    _newest_rows: int = 0

    def add(self, message: Statistics) -> bool:
        """Take a bucket in the topic's order; True where a span became full."""
        if not message.version or not message.scored:
            return False
        if message.version != self._version:
            self._begin(message.version)
        self._newest.append(message)
        self._newest_rows += message.scored
        if self._newest_rows < NEWEST_ROWS:
            return False
        index, counts = self._gathered()
        start_us = min(each.start_us for each in self._newest)
        rows, self._newest, self._newest_rows = self._newest_rows, [], 0
        if self._first_rows < REFERENCE_ROWS:
            self._refer(index, counts, rows)
            return False
        return self._compare(start_us, index, counts)

    def told(self) -> dict[str, object]:
        """`start_us` of each span, and each feature's PSI over them."""
        columns = zip(*(values for _, values in self.spans), strict=True) if self.spans else ()
        named = dict(zip(self.features, (list(each) for each in columns), strict=False))
        return {
            "start_us": [start for start, _ in self.spans],
            "features": named or {name: [] for name in self.features},
        }

    def _begin(self, version: int) -> None:
        self._version, self._first, self._first_rows = version, None, 0
        self._newest, self._newest_rows, self._reference = [], 0, None

    def _gathered(self) -> tuple[Counts, Counts]:
        sparse = b"".join(each.feature_histogram for each in self._newest)
        return pairs(sparse, len(self.features) * FEATURE_BINS)

    def _refer(self, index: Counts, counts: Counts, rows: int) -> None:
        found = np.bincount(index, counts, len(self.features) * FEATURE_BINS).astype(np.int64)
        self._first = found if self._first is None else self._first + found
        self._first_rows += rows

    def _compare(self, start_us: int, index: Counts, counts: Counts) -> bool:
        assert self._first is not None
        if self._reference is None:
            shaped = self._first.reshape(len(self.features), FEATURE_BINS)
            self._reference = Reference(shaped, self.groups)
        psi = self._reference.psi(index, counts)
        self.spans.append((start_us, [round(each, DIGITS) for each in psi]))
        return True
