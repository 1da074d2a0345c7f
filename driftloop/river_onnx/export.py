"""A learner, or a pipeline that ends in one, to the bytes of an ONNX model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onnx import TensorProto

from driftloop.river_onnx import bayes, ensembles, linear, steps, trees
from driftloop.river_onnx.answers import Unsupported, Votes, take
from driftloop.river_onnx.graph import INPUT, Columns, Graph, model_bytes

Exporter = Callable[[Graph, Any, Columns], Any]
CLASSIFIERS: Mapping[type, Exporter] = {
    **linear.CLASSIFIERS,
    **bayes.CLASSIFIERS,
    **trees.CLASSIFIERS,
    **ensembles.CLASSIFIERS,
}
REGRESSORS: Mapping[type, Exporter] = {**linear.REGRESSORS, **trees.REGRESSORS}


def export(
    model: Any,
    names: Sequence[Any],
    classes: Sequence[Any] = (),
    *,
    metadata: Mapping[str, str] | None = None,
    exact: bool = False,
) -> bytes:
    """ONNX of `model` as it is now; the same bytes for the same state.

    `names`: the k features in the order of the input's columns. `classes`: what the target may be,
    in the order of the output's columns; a class never seen has probability 0. Without classes, a
    regressor. Input `features` FP32 [-1, k], NaN for a feature that a row lacks; outputs
    `probability` FP32 [-1, classes] and `label` INT64 [-1], the index in `classes`; of a regressor
    `value` FP32 [-1]. `exact`: one more output, `exact`, the same in float64.

    Unsupported (a ValueError) names the step that can't be exported, and why.
    """
    graph = Graph()
    entry = graph.node("Cast", INPUT, to=TensorProto.DOUBLE)
    columns, last = steps.through(graph, model, Columns(entry, tuple(names)))
    outputs = (
        _classifier(graph, last, columns, list(classes), exact)
        if classes
        else _regressor(graph, last, columns, exact)
    )
    return model_bytes(graph, len(names), outputs, metadata or {})


def supported() -> list[str]:
    """The names of all that `export` takes, as River writes them."""
    kinds = (*steps.TRANSFORMERS, *CLASSIFIERS, *REGRESSORS)
    return sorted(f"{kind.__module__.split('.')[1]}.{kind.__name__}" for kind in kinds)


def votes_of(graph: Graph, model: Any, columns: Columns) -> Votes:
    """What a classifier, or a pipeline that ends in one, says of each row."""
    columns, last = steps.through(graph, model, columns)
    exporter = CLASSIFIERS.get(type(last))
    if exporter is None:
        raise Unsupported(f"{type(last).__name__}: no classifier that can be exported")
    votes: Votes = exporter(graph, last, columns)
    return votes


def _classifier(
    graph: Graph, model: Any, columns: Columns, classes: list[Any], exact: bool
) -> dict[str, tuple[int, list[int | None]]]:
    votes = votes_of(graph, model, columns)
    unknown = [known for known in votes.classes if known not in classes]
    if unknown:
        raise Unsupported(f"the model has seen the classes {unknown}, declared are {classes}")
    take(graph, votes, classes, columns, exact)
    shape: list[int | None] = [None, len(classes)]
    outputs: dict[str, tuple[int, list[int | None]]] = {
        "probability": (TensorProto.FLOAT, shape),
        "label": (TensorProto.INT64, [None]),
    }
    return {**outputs, "exact": (TensorProto.DOUBLE, shape)} if exact else outputs


def _regressor(
    graph: Graph, model: Any, columns: Columns, exact: bool
) -> dict[str, tuple[int, list[int | None]]]:
    exporter = REGRESSORS.get(type(model))
    if exporter is None:
        raise Unsupported(f"{type(model).__name__}: no regressor that can be exported")
    value = exporter(graph, model, columns)
    graph.name("Cast", [value], "value", to=TensorProto.FLOAT)
    outputs: dict[str, tuple[int, list[int | None]]] = {"value": (TensorProto.FLOAT, [None])}
    if exact:
        graph.name("Identity", [value], "exact")
        outputs["exact"] = (TensorProto.DOUBLE, [None])
    return outputs
