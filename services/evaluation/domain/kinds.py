"""The same three questions of any kind of target: the figures, the loss of each row, and what one
would say without a model.

`answers` is [n, classes] probabilities or [n, 1] values; `classes` 0 means that the target is a
number.
"""

from __future__ import annotations

import numpy as np

from services.evaluation.domain import metrics
from services.evaluation.domain.metrics import Floats, Scored
from services.evaluation.domain.values import Fitted, fit_of

Figures = Scored | Fitted


def figures(target: Floats, answers: Floats, classes: int, *, threshold: float = 0.5) -> Figures:
    """All that the kind has."""
    if not classes:
        return fit_of(target, answers[:, 0])
    return metrics.score(target, answers, threshold=threshold)


def losses_of(target: Floats, answers: Floats, classes: int, metric: str) -> Floats:
    """[n] by the gate's metric; of a number always the squared error, in the target's own unit."""
    if not classes:
        assert metric == "squared_error", metric
        return np.asarray((target - answers[:, 0]) ** 2, np.float64)
    return metrics.losses(target, answers, metric)


def without_model(fitted: Floats, classes: int, rows: int) -> Floats:
    """[rows, outputs] what the fit window alone would say of any row: the share of each class, or
    the mean.
    """
    said = metrics.base_rate(fitted, classes) if classes else np.array([fitted.mean()])
    return np.tile(said, (rows, 1))
