"""River's StandardScaler and LogisticRegression, learnt in fixed blocks of 64 rows, and our own
export of them.

A missing value is replaced by the scaler's mean so far, which is 0 after scaling: in learning, in
predicting and, spelt out, in the graph. What is left of the last block of 64 is not learnt: another
cut would give other weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars
from river.linear_model import LogisticRegression
from river.optim import SGD
from river.preprocessing import StandardScaler

from driftloop.plugins import Examples, Learnt
from driftloop.spec.learners import RIVER
from services.training.learners import dense, graph
from services.training.learners.naming import checked

BLOCK = 64  # rows; part of the model's meaning
PARAMS = {"learning_rate": 0.01, "intercept_learning_rate": 0.01, "l2": 0.0}  # River's own defaults
ESTIMATOR = "LogisticRegression"
Floats = npt.NDArray[np.float64]


class RiverLogistic:
    """`params`: those of PARAMS. The seed is not used: nothing here is by chance."""

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        settings = _checked(params, examples.classes)
        _check(examples)
        names = [str(column) for column in range(examples.vectors.shape[1])]
        shift = _first_values(examples.vectors)
        scaler, model, weights = StandardScaler(), _logistic(settings), examples.weights
        for start in range(0, len(examples.vectors) - BLOCK + 1, BLOCK):
            block = examples.vectors[start : start + BLOCK].astype(np.float64) - shift
            frame = polars.from_numpy(_filled(block, scaler, names), schema=names)
            scaler.learn_many(frame)
            model.learn_many(
                scaler.transform_many(frame),
                polars.Series(examples.target[start : start + BLOCK]),
                1.0 if weights is None else polars.Series(weights[start : start + BLOCK]),
            )
        return _learnt(scaler, model, shift, names)


class Line:
    """What was learnt: a mean and a scale for each column, a weight for each, an intercept."""

    def __init__(self, mean: Floats, scale: Floats, weights: Floats, intercept: float) -> None:
        self._mean, self._scale, self._weights, self._intercept = mean, scale, weights, intercept

    def answers(self, vectors: npt.NDArray[np.float32]) -> Floats:
        given = np.where(np.isnan(vectors), self._mean, vectors.astype(np.float64))
        raw = ((given - self._mean) / self._scale) @ self._weights + self._intercept
        positive = 1.0 / (1.0 + np.exp(-np.clip(raw, -700.0, 700.0)))  # exp(710) overflows a double
        return np.column_stack([1.0 - positive, positive])

    def onnx(self, metadata: Mapping[str, str]) -> bytes:
        built = graph.Graph()
        last = dense.Layer(self._weights[:, None], np.array([self._intercept]))
        scale = dense.Scaler(self._mean, self._scale)
        raw = dense.layers(built, scale, [last], "identity")
        built.answer(raw, "logit", 2)
        return built.model(width=len(self._mean), classes=2, metadata=metadata)


def _learnt(
    scaler: StandardScaler, model: LogisticRegression, shift: Floats, names: list[str]
) -> Line:
    deviation = np.sqrt(np.array([scaler.vars[name] for name in names]))
    weights = np.array([model.weights.get(name, 0.0) for name in names])
    if not (np.isfinite(weights).all() and np.isfinite(model.intercept)):
        raise ValueError("the weights ran away to infinity; a smaller learning_rate holds them")
    mean = shift + np.array([scaler.means[name] for name in names])
    return Line(mean, np.where(deviation > 0.0, deviation, 1.0), weights, float(model.intercept))


def _filled(block: Floats, scaler: StandardScaler, names: list[str]) -> Floats:
    """[64, k] without NaN: the mean so far, before the first block that block's own."""
    missing = np.isnan(block)
    if not missing.any():
        return block
    seen = (
        np.array([scaler.means[name] for name in names])
        if scaler.counts
        else _means(block, missing)
    )
    return np.where(missing, seen, block)


def _means(block: Floats, missing: npt.NDArray[np.bool_]) -> Floats:
    """Of each column's present values; 0 where there are none."""
    present = np.maximum(1, (~missing).sum(axis=0))
    return np.asarray(np.where(missing, 0.0, block).sum(axis=0) / present, np.float64)


def _first_values(vectors: npt.NDArray[np.float32]) -> Floats:
    """[k] the first value of each column that is not missing.

    River gets the columns less these: its variance of a column that never moves is then 0, not a
    rounding below it, whose root would be a complex number.
    """
    present = ~np.isnan(vectors)
    first = vectors[present.argmax(axis=0), np.arange(vectors.shape[1])]
    return np.where(present.any(axis=0), first, 0.0).astype(np.float64)


def _logistic(settings: Mapping[str, float]) -> LogisticRegression:
    return LogisticRegression(
        optimizer=SGD(settings["learning_rate"]),
        l2=settings["l2"],
        intercept_lr=settings["intercept_learning_rate"],
    )


def _checked(params: Mapping[str, Any], classes: int) -> dict[str, float]:
    _, own = checked("river", RIVER, {"estimator": ESTIMATOR, **params}, classes)
    mistakes = [
        f"{name}: found {value!r}, wanted a number of at least 0"
        for name, value in own.items()
        if not (isinstance(value, int | float) and value >= 0)
    ]
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return {name: float(own.get(name, default)) for name, default in PARAMS.items()}


def _check(examples: Examples) -> None:
    if len(examples.vectors) < BLOCK:
        raise ValueError(f"{len(examples.vectors)} rows are less than one block of {BLOCK}")
    if np.isinf(examples.vectors).any():
        raise ValueError("a feature is infinite")
