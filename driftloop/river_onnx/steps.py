"""The steps before the learner: scalers, encoders, and what puts columns together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from river import compose, preprocessing

from driftloop.river_onnx.answers import Unsupported
from driftloop.river_onnx.graph import Columns, Graph


def through(graph: Graph, model: Any, columns: Columns) -> tuple[Columns, Any]:
    """The columns that reach the last step of a pipeline, and that step; a lone learner is its own
    last."""
    if not isinstance(model, compose.Pipeline):
        return columns, model
    *before, last = model.steps.values()
    for step in before:
        columns = transformed(graph, step, columns)
    return through(graph, last, columns)


def transformed(graph: Graph, step: Any, columns: Columns) -> Columns:
    """What one transformer makes of the columns."""
    if isinstance(step, compose.Pipeline):
        for part in step.steps.values():
            columns = transformed(graph, part, columns)
        return columns
    transformer = TRANSFORMERS.get(type(step))
    if transformer is None:
        raise Unsupported(f"{type(step).__name__}: no transformer that can be exported")
    return transformer(graph, step, columns)


def _standard(graph: Graph, step: preprocessing.StandardScaler, columns: Columns) -> Columns:
    """(x − mean) / variance**.5, and 0 where the variance is 0."""
    means = np.array([_now(step.means[name]) for name in columns.names])
    centred = graph.node("Sub", columns.tensor, graph.doubles(means))
    if not step.with_std:
        return Columns(centred, columns.names)
    scales = np.array([_now(step.vars[name]) ** 0.5 for name in columns.names])
    return _scaled(graph, centred, scales, columns)


def _min_max(graph: Graph, step: preprocessing.MinMaxScaler, columns: Columns) -> Columns:
    """(x − min) / (max − min), and 0 where these are equal."""
    known = [name in step.min for name in columns.names]
    low = np.array(
        [_now(step.min[n]) if k else 0.0 for n, k in zip(columns.names, known, strict=True)]
    )
    high = np.array(
        [_now(step.max[n]) if k else 0.0 for n, k in zip(columns.names, known, strict=True)]
    )
    centred = graph.node("Sub", columns.tensor, graph.doubles(low))
    return _scaled(graph, centred, high - low, columns)


def _scaled(graph: Graph, centred: str, scales: np.ndarray, columns: Columns) -> Columns:
    """0 where the scale is; what is missing stays missing."""
    flat = scales == 0.0
    divided = graph.node("Div", centred, graph.doubles(np.where(flat, 1.0, scales)))
    if not flat.any():
        return Columns(divided, columns.names)
    still = graph.node("And", graph.bools(flat), graph.node("Not", graph.node("IsNaN", centred)))
    return Columns(graph.node("Where", still, graph.doubles(0.0), divided), columns.names)


def _one_hot(graph: Graph, step: preprocessing.OneHotEncoder, columns: Columns) -> Columns:
    """A column a known value; a value never seen has none, as no learner has heard of it either."""
    if step.drop_first:
        raise Unsupported("OneHotEncoder: drop_first drops another column for another row")
    pairs = [
        (column, value, f"{name}_{value}")
        for column, name in enumerate(columns.names)
        for value in sorted(step.values.get(name, ()), key=str)
    ]
    chosen = graph.integers([column for column, _, _ in pairs])
    given = graph.node("Gather", columns.tensor, chosen, axis=1)
    hit = graph.node(
        "Equal", given, graph.doubles([_number(value, name) for _, value, name in pairs])
    )
    absent = graph.doubles(np.nan if step.drop_zeros else 0.0)
    encoded = graph.node("Where", hit, graph.doubles(1.0), absent)
    return Columns(encoded, tuple(name for _, _, name in pairs))


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unsupported(f"OneHotEncoder: {name} is no number, and vectors hold numbers")
    return float(value)


def _select(graph: Graph, step: compose.Select, columns: Columns) -> Columns:
    absent = [key for key in step.keys if key not in columns.names]
    if absent:
        raise Unsupported(f"Select: there is no column {absent[0]!r}")
    return _kept(graph, columns, [name in step.keys for name in columns.names])


def _discard(graph: Graph, step: compose.Discard, columns: Columns) -> Columns:
    return _kept(graph, columns, [name not in step.keys for name in columns.names])


def _kept(graph: Graph, columns: Columns, keep: list[bool]) -> Columns:
    index = [column for column, kept in enumerate(keep) if kept]
    tensor = graph.node("Gather", columns.tensor, graph.integers(index), axis=1)
    return Columns(tensor, tuple(columns.names[column] for column in index))


def _union(graph: Graph, step: compose.TransformerUnion, columns: Columns) -> Columns:
    parts = [transformed(graph, part, columns) for part in step.transformers.values()]
    names = tuple(name for part in parts for name in part.names)
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Unsupported(f"TransformerUnion: {sorted(map(str, twice))[0]} comes from two parts")
    tensor = graph.node("Concat", *(part.tensor for part in parts), axis=1)
    return Columns(tensor, names)


def _now(value: Any) -> float:
    """A plain number, or a rolling statistic's."""
    return float(value.get() if hasattr(value, "get") else value)


TRANSFORMERS: Mapping[type, Callable[[Graph, Any, Columns], Columns]] = {
    preprocessing.StandardScaler: _standard,
    preprocessing.MinMaxScaler: _min_max,
    preprocessing.OneHotEncoder: _one_hot,
    compose.Select: _select,
    compose.Discard: _discard,
    compose.TransformerUnion: _union,
}
