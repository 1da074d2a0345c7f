"""River's estimators on a window: each row once, in the order of time.

LogisticRegression is learnt in blocks (services.training.learners.logistic), the others as an
online learner would (services.training.online). A row that counts w is learnt Poisson(w) times,
drawn by the seed: Oza's online bagging, which every estimator bears.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from driftloop.plugins import Examples, Learnt
from driftloop.spec.learners import DEFAULTS, RIVER
from services.training.learners.logistic import ESTIMATOR, RiverLogistic
from services.training.learners.naming import checked
from services.training.online import LinePlan
from services.training.online.line import Line


class River:
    """`params`: the estimator's name, and River's own names for the rest."""

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        name = str(params.get("estimator", DEFAULTS["river"]))
        if name == ESTIMATOR:
            return RiverLogistic().fit(examples, params, seed)
        checked("river", RIVER, {"estimator": name, **params}, examples.classes)
        if np.isinf(examples.vectors).any():
            raise ValueError("a feature is infinite")
        width = examples.vectors.shape[1]
        line = Line(LinePlan(name, dict(params), seed, examples.classes, width))
        vectors, target = examples.vectors, examples.target
        if examples.weights is not None:
            times = np.random.default_rng(seed).poisson(examples.weights)
            vectors, target = np.repeat(vectors, times, axis=0), np.repeat(target, times)
        line.learn(np.empty(0, np.int64), vectors, target)
        if not np.isfinite(line.answers(examples.vectors[-1:])).all():
            raise ValueError("the weights ran away to infinity; a smaller learning_rate holds them")
        return line
