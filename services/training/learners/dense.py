"""Models that need numbers everywhere: how their rows are prepared, and their graphs.

A missing value is replaced by its column's weighted mean, which is 0 after scaling; a column that
never moves is scaled by 1. The graph spells out both, and counts in doubles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from driftloop.plugins import Examples
from services.training.learners.graph import Graph

Floats = npt.NDArray[np.float64]
Activation = Literal["identity", "logistic", "tanh", "relu"]
OPERATOR = {"logistic": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}


@dataclass(frozen=True, slots=True)
class Scaler:
    """`mean` and `scale` [k] of the rows that were learnt from."""

    mean: Floats
    scale: Floats

    def __call__(self, vectors: npt.NDArray[np.float32]) -> Floats:
        """[n, k] without NaN."""
        given = np.where(np.isnan(vectors), self.mean, vectors.astype(np.float64))
        return np.asarray((given - self.mean) / self.scale, np.float64)


def scaler(examples: Examples) -> Scaler:
    """Of the examples, by their weights. ValueError names the columns that hold an infinity."""
    infinite = np.isinf(examples.vectors).any(axis=0)
    if infinite.any():
        names = ", ".join(np.array(examples.names)[infinite][:5])
        raise ValueError(f"infinite values can't be scaled: {names}")
    missing = np.isnan(examples.vectors)
    each = np.ones(len(examples.vectors)) if examples.weights is None else examples.weights
    weights = np.where(missing, 0.0, each[:, None])
    total = np.maximum(weights.sum(axis=0), np.finfo(np.float64).tiny)
    values = np.where(missing, 0.0, examples.vectors.astype(np.float64))
    mean = (weights * values).sum(axis=0) / total
    deviation = np.sqrt((weights * (values - mean) ** 2).sum(axis=0) / total)
    # below that a deviation is rounding: the column never moves
    still = deviation <= 1e-12 * np.maximum(np.abs(mean), 1.0)
    return Scaler(mean, np.where(still, 1.0, deviation))


@dataclass(frozen=True, slots=True)
class Layer:
    """`weights` [given, gives] and `intercept` [gives]."""

    weights: Floats
    intercept: Floats


def layers(graph: Graph, scale: Scaler, each: Sequence[Layer], activation: Activation) -> str:
    """What the last layer gives, in `graph`; `activation` stands between the layers."""
    current = graph.scaled(scale.mean, scale.scale)
    for number, layer in enumerate(each):
        if number and activation in OPERATOR:
            current = graph.add(OPERATOR[activation], [current], f"active{number}")
        weights = graph.constant(f"weights{number}", layer.weights)
        product = graph.add("MatMul", [current, weights], f"product{number}")
        intercept = graph.constant(f"intercept{number}", layer.intercept)
        current = graph.add("Add", [product, intercept], f"layer{number}")
    return current


def bells(graph: Graph, scale: Scaler, mean: Floats, variance: Floats, prior: Floats) -> str:
    """Log-odds up to a constant, of classes whose columns are independent and normal: `mean` and
    `variance` [classes, k], `prior` [classes].
    """
    scaled = graph.scaled(scale.mean, scale.scale)
    wide = graph.add("Unsqueeze", [scaled, graph.constant("middle", [1], "<i8")], "wide")
    off = graph.add("Sub", [wide, graph.constant("means", mean[None])], "off")
    square = graph.add("Mul", [off, off], "square")
    share = graph.add("Div", [square, graph.constant("twice", 2.0 * variance[None])], "share")
    distance = graph.add(
        "ReduceSum", [share, graph.constant("last", [2], "<i8")], "far", keepdims=0
    )
    height = np.log(prior) - 0.5 * np.log(2.0 * np.pi * variance).sum(axis=1)
    return graph.add("Sub", [graph.constant("height", height), distance], "likely")
