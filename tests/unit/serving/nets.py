"""Small real ONNX models for serving's tests: a logistic regression written out, each row summed by
itself.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

FEATURES = ("a", "b", "c")


def a_model(*weights: float, bias: float = 0.0, output: str = "probability") -> bytes:
    """ONNX bytes: probability = (1 - p, p), p = sigmoid(w · x + bias); label = p > .5."""
    made = [
        helper.make_node("Mul", ["features", "w"], ["products"]),
        helper.make_node("ReduceSum", ["products", "axis"], ["sum"], keepdims=1),
        helper.make_node("Add", ["sum", "bias"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
        helper.make_node("Sub", ["one", "p"], ["q"]),
        helper.make_node("Concat", ["q", "p"], [output], axis=1),
        helper.make_node("ArgMax", [output], ["label"], axis=1, keepdims=0),
    ]
    constants: dict[str, npt.NDArray[Any]] = {
        "w": np.array([weights], np.float32),
        "axis": np.array([1], np.int64),
        "bias": np.array([bias], np.float32),
        "one": np.array([1.0], np.float32),
    }
    graph = helper.make_graph(
        made,
        "model",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(weights)])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, 2]),
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString(deterministic=True)


def of_classes(classes: int) -> bytes:
    """ONNX bytes: softmax of (0, a, 2a, 3a …); label = the likeliest."""
    made = [
        helper.make_node("MatMul", ["features", "w"], ["z"]),
        helper.make_node("Softmax", ["z"], ["probability"], axis=1),
        helper.make_node("ArgMax", ["probability"], ["label"], axis=1, keepdims=0),
    ]
    weights = np.zeros((len(FEATURES), classes), np.float32)
    weights[0] = np.arange(classes)
    outputs = [
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, classes]),
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
    ]
    return _bytes(made, outputs, weights)


def of_a_number(*weights: float) -> bytes:
    """ONNX bytes: value = w · x, [-1]."""
    made = [
        helper.make_node("MatMul", ["features", "w"], ["column"]),
        helper.make_node("Reshape", ["column", "rows"], ["value"]),
    ]
    value = helper.make_tensor_value_info("value", TensorProto.FLOAT, [None])
    rows = numpy_helper.from_array(np.array([-1], np.int64), "rows")
    return _bytes(made, [value], np.array(weights, np.float32).reshape(-1, 1), rows)


def _bytes(made: list[Any], outputs: list[Any], weights: Any, *more: Any) -> bytes:
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(weights)])
    graph = helper.make_graph(
        made, "model", [given], outputs, [numpy_helper.from_array(weights, "w"), *more]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString(deterministic=True)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
