"""The one form of every exported model: names, shapes, operator sets and metadata, the same bytes
each time; and how raw scores become answers, in doubles up to the last cast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper
from onnx.numpy_helper import from_array

# 15 and 1 are old enough for all runtimes of today
OPSET, ML_OPSET, IR = 15, 1, 8
INPUT, PROBABILITY, LABEL, VALUE = "features", "probability", "label", "value"
Link = Literal["identity", "logit", "share", "shares", "softmax"]
Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Graph:
    """Nodes and constants of a model in the making; `features` are there from the start."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def add(self, kind: str, given: Sequence[str], gives: str, **attributes: Any) -> str:
        """A node with one output, whose name comes back."""
        self.nodes.append(helper.make_node(kind, given, [gives], **attributes))
        return gives

    def constant(self, name: str, value: Any, form: str = "<f8") -> str:
        """A constant, whose name comes back."""
        self.constants.append(from_array(np.ascontiguousarray(np.asarray(value, form)), name))
        return name

    def scaled(self, mean: Floats, scale: Floats) -> str:
        """`features` in doubles, with the mean [k] where a value is missing, less it, over `scale`
        [k]. In float32 a large mean would eat the digits of a small deviation.
        """
        given = self.add("Cast", [INPUT], "given", to=TensorProto.DOUBLE)
        missing = self.add("IsNaN", [given], "missing")
        filled = self.add("Where", [missing, self.constant("mean", mean), given], "filled")
        centred = self.add("Sub", [filled, "mean"], "centred")
        return self.add("Div", [centred, self.constant("scale", scale)], "scaled")

    def answer(self, raw: str, link: Link, classes: int, present: Sequence[int] = ()) -> None:
        """The outputs, of `raw` [-1, m] in doubles.

        identity: the values (m = 1). logit: the log-odds of the second class, share: its
        probability (m = 1). softmax: a score for each class, shares: its probability. `present`:
        the classes that these are, where the learner knows of fewer than there are; the others get
        0.
        """
        if link == "identity":
            single = self.add("Reshape", [raw, self.constant("rows", [-1], "<i8")], "single")
            self.add("Cast", [single], VALUE, to=TensorProto.FLOAT)
            return
        each = self._probabilities(raw, link)
        if len(present) not in (0, classes):
            places = np.zeros((len(present), classes))
            places[np.arange(len(present)), present] = 1.0
            each = self.add("MatMul", [each, self.constant("places", places)], "spread")
        self.add("Cast", [each], PROBABILITY, to=TensorProto.FLOAT)
        self.add("ArgMax", [PROBABILITY], LABEL, axis=1, keepdims=0)

    def model(self, *, width: int, classes: int, metadata: Mapping[str, str]) -> bytes:
        """The checked model."""
        return model_bytes(
            self.nodes, self.constants, width=width, classes=classes, metadata=metadata
        )

    def _probabilities(self, raw: str, link: Link) -> str:
        if link == "shares":
            return raw
        if link == "softmax":
            return self.add("Softmax", [raw], "each", axis=1)
        positive = raw if link == "share" else self.add("Sigmoid", [raw], "positive")
        negative = self.add("Sub", [self.constant("one", [1.0]), positive], "negative")
        return self.add("Concat", [negative, positive], "each", axis=1)


def model_bytes(
    nodes: Sequence[NodeProto],
    constants: Sequence[TensorProto],
    *,
    width: int,
    classes: int,
    metadata: Mapping[str, str],
) -> bytes:
    """A checked model of `nodes`, which read `features` and write `probability` and `label`, or of
    a regression (`classes` 0) `value`.
    """
    graph = helper.make_graph(
        nodes,
        "driftloop",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])],
        _outputs(classes),
        constants,
    )
    model = _model(graph)
    for key in sorted(metadata):
        model.metadata_props.add(key=key, value=metadata[key])
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _outputs(classes: int) -> list[ValueInfoProto]:
    if classes == 0:
        return [helper.make_tensor_value_info(VALUE, TensorProto.FLOAT, [None])]
    return [
        helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, [None, classes]),
        helper.make_tensor_value_info(LABEL, TensorProto.INT64, [None]),
    ]


def _model(graph: GraphProto) -> ModelProto:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="driftloop")
