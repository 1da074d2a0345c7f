"""Lines beside what was live: who was right on which row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftloop.betting import gains
from services.monitor.domain.histograms import Floats, Matrix, losses


@dataclass(frozen=True, slots=True)
class Line:
    """One line on n rows: `gains` [n] over what was live (driftloop.betting); of the `rows` that
    both answered, its losses and the live ones, summed.
    """

    gains: NDArray[np.int8]
    rows: int
    loss: float
    live_loss: float


@dataclass(frozen=True, slots=True)
class Contest:
    """The lines that answer in the shadow of what is live, and what they all foretell."""

    names: Sequence[str] = ()
    kind: str = "binary"
    classes: int = 2  # 0: a number
    threshold: float = 0.5

    def lines(self, live: Matrix, shadows: Matrix, targets: Floats) -> list[Line]:
        """In the order of `names`. `live`: [n, outputs]; `shadows`: [n, names x outputs]."""
        width = live.shape[1]
        return [
            self._line(live, shadows[:, start : start + width], targets)
            for start in range(0, len(self.names) * width, width)
        ]

    def _line(self, live: Matrix, said: Matrix, targets: Floats) -> Line:
        known = ~np.isnan(said).any(axis=1) & ~np.isnan(live).any(axis=1)
        both = live.astype(np.float64), said.astype(np.float64)
        found = gains(*both, targets, self.classes, self.threshold)
        of_live, own = (
            float(losses(each[known], targets[known], self.kind).sum()) for each in (live, said)
        )
        return Line(found, int(known.sum()), own, of_live)
