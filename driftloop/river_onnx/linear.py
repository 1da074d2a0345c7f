"""Linear models: a weight a feature; a feature that the row lacks adds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from river import linear_model, optim

from driftloop.river_onnx.answers import Unsupported, Votes
from driftloop.river_onnx.graph import Columns, Graph

CLAMP = 30.0  # River's sigmoid is 0 below −30 and 1 above 30


def logistic(graph: Graph, model: linear_model.LogisticRegression, columns: Columns) -> Votes:
    """False and True, in this order, as River's dict has them."""
    if type(model.loss) not in (optim.losses.Log, optim.losses.CrossEntropy):
        raise Unsupported(
            f"LogisticRegression: loss {type(model.loss).__name__}, only Log is known"
        )
    positive = graph.node("Sigmoid", _raw(graph, model, columns))
    negative = graph.node("Sub", graph.doubles(1.0), positive)
    return Votes(graph.node("Concat", negative, positive, axis=1), (False, True))


def softmax(graph: Graph, model: linear_model.SoftmaxRegression, columns: Columns) -> Votes:
    """The classes in the order in which they were first seen."""
    classes = tuple(model.weights)
    if not classes:
        return Votes("", ())
    weights = np.array(
        [[float(model.weights[c].get(name, 0.0)) for c in classes] for name in columns.names]
    )
    raw = graph.node("MatMul", graph.filled(columns.tensor, 0.0), graph.doubles(weights))
    return Votes(graph.node("Softmax", raw, axis=1), classes)


def regression(graph: Graph, model: linear_model.LinearRegression, columns: Columns) -> str:
    """[n]."""
    known = (optim.losses.Squared, optim.losses.Absolute, optim.losses.Huber, optim.losses.Quantile)
    if not isinstance(model.loss, known):
        raise Unsupported(f"LinearRegression: loss {type(model.loss).__name__} changes the mean")
    return graph.node("Reshape", _raw(graph, model, columns), graph.integers([-1]))


def _raw(graph: Graph, model: Any, columns: Columns) -> str:
    """[n, 1] the weighted sum and the intercept."""
    weights = np.array([[float(model.weights.get(name, 0.0))] for name in columns.names])
    product = graph.node("MatMul", graph.filled(columns.tensor, 0.0), graph.doubles(weights))
    return graph.node("Add", product, graph.doubles(float(model.intercept)))


CLASSIFIERS: Mapping[type, Any] = {
    linear_model.LogisticRegression: logistic,
    linear_model.SoftmaxRegression: softmax,
}
REGRESSORS: Mapping[type, Any] = {linear_model.LinearRegression: regression}
