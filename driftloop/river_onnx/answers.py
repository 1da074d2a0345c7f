"""What every classifier's graph ends in: a vote for each class it knows, in River's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from driftloop.river_onnx.graph import Columns, Graph


class Unsupported(ValueError):
    """What can't be exported exactly; the text names it and says why."""


@dataclass(frozen=True, slots=True)
class Votes:
    """`tensor` double [n, len(classes)]. `classes` are in the order in which River's dict holds
    them: of equal votes the first one wins."""

    tensor: str
    classes: tuple[Any, ...]


def take(graph: Graph, votes: Votes, classes: Sequence[Any], columns: Columns, exact: bool) -> None:
    """The outputs `probability`, `label` and, if wanted, `exact`, in the order of `classes`."""
    if not votes.classes:
        _nothing_learnt(graph, len(classes), columns, exact)
        return
    place = np.zeros((len(votes.classes), len(classes)))
    place[np.arange(len(votes.classes)), [classes.index(each) for each in votes.classes]] = 1.0
    placed = graph.node("MatMul", votes.tensor, graph.doubles(place))
    graph.name("Cast", [placed], "probability", to=TensorProto.FLOAT)
    best = graph.node("ArgMax", votes.tensor, axis=1, keepdims=0)
    index = graph.integers([classes.index(each) for each in votes.classes])
    graph.name("Gather", [index, best], "label", axis=0)
    if exact:
        graph.name("Identity", [placed], "exact")


def normalised(graph: Graph, votes: Votes) -> Votes:
    """Each row by its sum, where that is not 0."""
    total = graph.node("ReduceSum", votes.tensor, graph.integers([1]), keepdims=1)
    none = graph.node("Equal", total, graph.doubles(0.0))
    divisor = graph.node("Where", none, graph.doubles(1.0), total)
    return Votes(graph.node("Div", votes.tensor, divisor), votes.classes)


def added(graph: Graph, every: Sequence[Votes]) -> Votes:
    """The sum over voters, whose classes may differ; the order is that of their first mention."""
    classes = tuple(dict.fromkeys(each for votes in every for each in votes.classes))
    spread = [_spread(graph, votes, classes) for votes in every if votes.classes]
    if not spread:
        return Votes("", ())
    total = spread[0]
    for each in spread[1:]:
        total = graph.node("Add", total, each)
    return Votes(total, classes)


def _spread(graph: Graph, votes: Votes, classes: tuple[Any, ...]) -> str:
    if votes.classes == classes:
        return votes.tensor
    place = np.zeros((len(votes.classes), len(classes)))
    place[np.arange(len(votes.classes)), [classes.index(each) for each in votes.classes]] = 1.0
    return graph.node("MatMul", votes.tensor, graph.doubles(place))


def _nothing_learnt(graph: Graph, width: int, columns: Columns, exact: bool) -> None:
    """River answers {} then; here each class has 0, and the first is named."""
    rows = graph.node("Shape", columns.tensor, start=0, end=1)
    shape = graph.node("Concat", rows, graph.integers([width]), axis=0)
    zeros = graph.node("Expand", graph.doubles(0.0), shape)
    graph.name("Cast", [zeros], "probability", to=TensorProto.FLOAT)
    graph.name("Expand", [graph.integers(0), rows], "label")
    if exact:
        graph.name("Identity", [zeros], "exact")
