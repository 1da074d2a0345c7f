"""River's estimators by their names in a pipeline file, each as it is best used alone.

Linear ones come behind a StandardScaler: River's own defaults assume scaled features. Columns are
numbers, not names, so that no hash seed can change an order. Outside library: river.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from river import forest, linear_model, naive_bayes, preprocessing, tree
from river.optim import SGD

from driftloop.spec.learners import DEFAULTS, RIVER, target_kind

LEARNING_RATE = 0.01  # River's own defaults, here and below
Make = Callable[[Mapping[str, Any], int], Any]


def made(params: Mapping[str, Any], classes: int, seed: int) -> Any:
    """A learner that has learnt nothing. ValueError: there is none such, or not with these
    parameters.
    """
    given = dict(params)
    name = str(given.pop("estimator", DEFAULTS["river"]))
    known = RIVER.get(name)
    kind = target_kind(classes)
    if known is None or kind not in known.targets:
        there = ", ".join(sorted(each for each, one in RIVER.items() if kind in one.targets))
        raise ValueError(f"estimator: found {name!r}, wanted for a {kind} target one of {there}")
    unknown = sorted(set(given) - known.params)
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such parameter of {name}")
    try:
        return _MAKE[name](given, seed)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error


def _scaled(kind: type, intercept: bool) -> Make:
    def make(params: Mapping[str, Any], seed: int) -> Any:
        rate = float(params.get("learning_rate", LEARNING_RATE))
        more: dict[str, Any] = {"l2": float(params.get("l2", 0.0))}
        if intercept:
            more["intercept_lr"] = float(params.get("intercept_learning_rate", LEARNING_RATE))
        return preprocessing.StandardScaler() | kind(optimizer=SGD(rate), **more)

    return make


def _plain(kind: type, seeded: bool = False) -> Make:
    return lambda params, seed: kind(**params, **({"seed": seed} if seeded else {}))


_MAKE: Mapping[str, Make] = {
    "LogisticRegression": _scaled(linear_model.LogisticRegression, intercept=True),
    "SoftmaxRegression": _scaled(linear_model.SoftmaxRegression, intercept=False),
    "LinearRegression": _scaled(linear_model.LinearRegression, intercept=True),
    "GaussianNB": _plain(naive_bayes.GaussianNB),
    "HoeffdingTreeClassifier": _plain(tree.HoeffdingTreeClassifier),
    "HoeffdingAdaptiveTreeClassifier": _plain(tree.HoeffdingAdaptiveTreeClassifier, seeded=True),
    "ARFClassifier": _plain(forest.ARFClassifier, seeded=True),
    "HoeffdingTreeRegressor": _plain(tree.HoeffdingTreeRegressor),
}
