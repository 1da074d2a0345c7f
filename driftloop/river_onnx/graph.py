"""A graph under construction: nodes and constants, named in the order in which they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

OPSET, ML_OPSET, IR = 21, 5, 10  # TreeEnsemble in doubles came with ai.onnx.ml 5 (ONNX 1.16)
INPUT = "features"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """What a step of a pipeline gives to the next: `tensor` double [n, k], NaN where a row lacks
    the feature, and the k names."""

    tensor: str
    names: tuple[Any, ...]

    def of(self, name: Any) -> int | None:
        """The column of a feature; None where no row can have it."""
        return self.names.index(name) if name in self.names else None


@dataclass(slots=True)
class Graph:
    """Collects; the names are running numbers, so the same model gives the same bytes."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output; gives back the output's name."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def name(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """Add a node whose output is one of the graph's."""
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))

    def doubles(self, values: Any) -> str:
        """A float64 constant."""
        return self._constant(np.asarray(values, "<f8"))

    def integers(self, values: Any) -> str:
        """An int64 constant."""
        return self._constant(np.asarray(values, "<i8"))

    def bools(self, values: Any) -> str:
        """A bool constant."""
        return self._constant(np.asarray(values, np.bool_))

    def sum(self, tensor: str, axis: int) -> str:
        """Over one axis, which goes."""
        return self.node("ReduceSum", tensor, self.integers([axis]), keepdims=0)

    def filled(self, tensor: str, value: float) -> str:
        """`value` in the place of NaN."""
        return self.node("Where", self.node("IsNaN", tensor), self.doubles(value), tensor)

    def _constant(self, values: npt.NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name


def model_bytes(
    graph: Graph,
    width: int,
    outputs: Mapping[str, tuple[int, Sequence[int | None]]],
    metadata: Mapping[str, str],
) -> bytes:
    """The checked model. `outputs`: name → (TensorProto type, shape)."""
    made = helper.make_graph(
        graph.nodes,
        "driftloop",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model: ModelProto = helper.make_model(
        made, opset_imports=opsets, ir_version=IR, producer_name="driftloop"
    )
    for key in sorted(metadata):
        model.metadata_props.add(key=key, value=metadata[key])
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
