"""XGBoost: gradient-boosted trees on one thread, and our own export of them.

It splits below a threshold, not at it, and thresholds are float32 already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from driftloop.plugins import Examples, Learnt
from driftloop.spec.learners import XGBOOST
from driftloop.spec.mistakes import one_of
from services.training.learners.forest import Forest, Tree
from services.training.learners.graph import Link

TREES = 100  # as xgboost's own scikit-learn interface has it
TREES_NAMES = ("num_boost_round", "n_estimators")
SAME: Mapping[str, Any] = {"nthread": 1, "booster": "gbtree", "verbosity": 0}
Vectors = npt.NDArray[np.float32]


class XGBoost:
    """`params` are XGBoost's own; what is not in driftloop.spec.learners is set here."""

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        trees, own = _checked(params)
        settings = {**own, **_objective(examples.classes), **SAME, "seed": seed}
        try:
            rows = xgboost.DMatrix(
                examples.vectors, examples.target, weight=examples.weights, nthread=1
            )
            return Boosted(xgboost.train(settings, rows, trees), examples.classes)
        except xgboost.core.XGBoostError as error:
            raise ValueError(f"XGBoost: {_first_line(error)}") from error


class Boosted:
    """A fitted booster."""

    def __init__(self, booster: xgboost.Booster, classes: int) -> None:
        self._booster, self._classes = booster, classes

    def answers(self, vectors: Vectors) -> npt.NDArray[np.float64]:
        rows = xgboost.DMatrix(vectors, nthread=1)
        given = np.asarray(self._booster.predict(rows), np.float64)
        if self._classes == 0:
            return given[:, None]
        return given if given.ndim == 2 else np.column_stack([1.0 - given, given])

    def onnx(self, metadata: Mapping[str, str]) -> bytes:
        learner = json.loads(bytes(self._booster.save_raw("json")))["learner"]
        model = learner["gradient_booster"]["model"]
        said = json.loads(learner["learner_model_param"]["base_score"])
        base = np.atleast_1d(np.asarray(said, np.float64))
        link: Link = "identity"
        if self._classes == 2:  # of two classes a probability is said, its log-odds are meant
            base, link = np.log(base / (1.0 - base)), "logit"
        elif self._classes:
            link = "softmax"
        trees = [
            _tree(tree, output)
            for tree, output in zip(model["trees"], model["tree_info"], strict=True)
        ]
        width = int(learner["learner_model_param"]["num_feature"])
        return Forest(trees, base, link, self._classes).onnx(width, metadata)


def _objective(classes: int) -> dict[str, Any]:
    if classes > 2:
        return {"objective": "multi:softprob", "num_class": classes}
    return {"objective": "binary:logistic" if classes else "reg:squarederror"}


def _tree(said: Mapping[str, Any], output: int) -> Tree:
    left = np.array(said["left_children"], np.int64)
    values = np.array(said["split_conditions"], np.float32)  # in a leaf: what it adds
    return Tree(
        left,
        np.array(said["right_children"], np.int64),
        np.array(said["split_indices"], np.int64),
        values,
        np.array(said["default_left"], np.int64) > 0,
        values.astype(np.float64)[:, None],
        output,
        below=True,
    )


def _checked(params: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """How many trees, and the rest. All mistakes in one ValueError."""
    mistakes = [
        f"{name}: there is no such parameter, wanted {one_of(XGBOOST, name)}"
        for name in params
        if name not in XGBOOST
    ]
    trees = [params[name] for name in TREES_NAMES if name in params]
    if trees and not (isinstance(trees[0], int) and 1 <= trees[0] <= 100_000):
        mistakes.append(f"{TREES_NAMES[0]}: found {trees[0]!r}, wanted 1 to 100,000")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    rest = {name: value for name, value in params.items() if name not in TREES_NAMES}
    return trees[0] if trees else TREES, rest


def _first_line(error: Exception) -> str:
    """XGBoost's texts end in a stack of addresses."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
