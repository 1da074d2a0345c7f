"""How good are answers that are numbers? scikit-learn's figures, to 1e-9, in plain numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.evaluation.domain.metrics import EPSILON, Floats

MEDIAN = 0.5


@dataclass(frozen=True, slots=True)
class Fitted:
    """Figures over n rows. None: these rows don't have it (R² of one row).

    `mae`, `rmse` and `pinball` are in the target's own unit; `mape` is a share (.1 is 10 %), where
    a target of 0 counts as the smallest double and so makes it huge, as in scikit-learn.
    """

    rows: int
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None
    mape: float | None = None
    pinball: float | None = None


def fit_of(target: Floats, value: Floats, *, quantile: float = MEDIAN) -> Fitted:
    """All figures. `quantile`: what the pinball loss asks the answers to be, .5 the median."""
    if not len(target):
        return Fitted(0)
    apart = target - value
    return Fitted(
        len(target),
        float(np.abs(apart).mean()),
        float(np.sqrt((apart**2).mean())),
        _r2(target, apart),
        float((np.abs(apart) / np.maximum(np.abs(target), EPSILON)).mean()),
        float(pinball(apart, quantile).mean()),
    )


def pinball(apart: Floats, quantile: float) -> Floats:
    """[n] quantile loss of target − value (Koenker and Bassett, 1978)."""
    return np.asarray(np.where(apart >= 0, quantile * apart, (quantile - 1.0) * apart), np.float64)


def _r2(target: Floats, apart: Floats) -> float | None:
    """1 − residual over total sum of squares; of a constant target 1 if it was hit, else 0."""
    if len(target) < 2:
        return None
    total = float(((target - target.mean()) ** 2).sum())
    left = float((apart**2).sum())
    if total == 0.0:
        return 1.0 if left == 0.0 else 0.0
    return 1.0 - left / total
