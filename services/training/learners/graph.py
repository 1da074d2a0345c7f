"""The one form of every exported model: names, shapes, operator sets and metadata, the same bytes
each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, checker, helper

OPSET, ML_OPSET, IR = (
    15,
    1,
    8,
)  # 15 is the newest that onnxmltools writes; all runtimes of today read it
INPUT, PROBABILITY, LABEL = "features", "probability", "label"


def model_bytes(
    nodes: Sequence[NodeProto],
    constants: Sequence[TensorProto],
    *,
    width: int,
    classes: int,
    metadata: Mapping[str, str],
) -> bytes:
    """A checked model of `nodes`, which read `features` and write `probability` and `label`."""
    graph = helper.make_graph(
        nodes,
        "driftloop",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])],
        [
            helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, [None, classes]),
            helper.make_tensor_value_info(LABEL, TensorProto.INT64, [None]),
        ],
        constants,
    )
    model = _model(graph)
    for key in sorted(metadata):
        model.metadata_props.add(key=key, value=metadata[key])
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _model(graph: GraphProto) -> ModelProto:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="driftloop")
