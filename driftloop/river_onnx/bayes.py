"""Gaussian naive Bayes: a normal density a class and feature, with River's floor under each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from river import naive_bayes

from driftloop.river_onnx.answers import Votes
from driftloop.river_onnx.graph import Columns, Floats, Graph

FLOOR = 10e-10  # added to each density (river.naive_bayes.gaussian)


def gaussian(graph: Graph, model: naive_bayes.GaussianNB, columns: Columns) -> Votes:
    """The classes in the order in which they were first seen."""
    classes = tuple(model.class_counts)
    if not classes:
        return Votes("", ())
    mean, deviation, height = _densities(model, classes, columns)
    rows = graph.node("Unsqueeze", columns.tensor, graph.integers([1]))  # [n, 1, k]
    z = graph.node("Div", graph.node("Sub", rows, graph.doubles(mean)), graph.doubles(deviation))
    half = graph.node("Mul", graph.node("Mul", z, z), graph.doubles(-0.5))
    density = graph.node("Mul", graph.node("Exp", half), graph.doubles(height))
    logs = graph.node("Log", graph.node("Add", density, graph.doubles(FLOOR)))
    likelihood = graph.sum(graph.filled(logs, 0.0), 2)
    total = sum(model.class_counts.values())
    priors = [math.log(model.class_counts[each] / total) for each in classes]
    joint = graph.node("Add", likelihood, graph.doubles(priors))
    return Votes(graph.node("Softmax", joint, axis=1), classes)


def _densities(
    model: naive_bayes.GaussianNB, classes: tuple[Any, ...], columns: Columns
) -> tuple[Floats, Floats, Floats]:
    """Mean, deviation and height of each density, [classes, k]; height 0 where there is none."""
    shape = (len(classes), len(columns.names))
    mean, deviation, height = np.zeros(shape), np.ones(shape), np.zeros(shape)
    for row, known in enumerate(classes):
        for column, name in enumerate(columns.names):
            density = model.gaussians.get(known, {}).get(name)
            spread = 0.0 if density is None else density.sigma
            if density is not None and spread:
                mean[row, column], deviation[row, column] = density.mu, spread
                height[row, column] = 1.0 / math.sqrt(2.0 * math.pi) / spread
    return mean, deviation, height


CLASSIFIERS: Mapping[type, Any] = {naive_bayes.GaussianNB: gaussian}
