"""Scores rows with a model's own bytes; the only import of onnxruntime in this service."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from driftloop.kit.errors import Malformed

BATCH_ROWS = 10_000
TIMED_ROWS = 200
UNUSABLE = (  # onnxruntime's exceptions have no common root but Exception
    errors.EngineError, errors.EPFail, errors.Fail, errors.InvalidArgument, errors.InvalidGraph,
    errors.InvalidProtobuf, errors.NoModel, errors.NotImplemented, errors.RuntimeException,
)  # fmt: skip


def row_us(model: bytes, vectors: npt.NDArray[np.float32]) -> float:
    """The median time of one row's answer, µs, over some of `vectors`; 0 where there are none.
    Malformed as in `answers`.
    """
    rows = vectors[:TIMED_ROWS]
    if not len(rows):
        return 0.0
    session = _session(model)
    took = []
    for number in range(len(rows)):
        began = perf_counter()
        session.run(None, {"features": rows[number : number + 1]})
        took.append(perf_counter() - began)
    return float(np.median(took) * 1e6)


def answers(
    model: bytes, vectors: npt.NDArray[np.float32], classes: int
) -> npt.NDArray[np.float64]:
    """[n, classes], or [n, 1] where `classes` is 0 and the target a number, as serving would
    answer. Malformed: no model that takes these rows and answers so.
    """
    output = "probability" if classes else "value"
    session = _session(model)
    try:
        parts = [
            session.run([output], {"features": vectors[start : start + BATCH_ROWS]})[0]
            for start in range(0, max(1, len(vectors)), BATCH_ROWS)
        ]
    except (*UNUSABLE, ValueError) as error:  # ValueError: it has no such output
        text = f"not a usable ONNX model: {error}"
        raise Malformed(text, rule="corrupt_model") from error
    given = np.concatenate(parts).astype(np.float64)
    if given.size != len(vectors) * max(1, classes):
        raise Malformed(
            f"{len(vectors)} rows gave {output} {given.shape}, wanted {classes or 1} a row",
            rule="wrong_shape",
        )
    if not np.isfinite(given).all():
        raise Malformed("the model answers NaN or infinity", rule="corrupt_model")
    return given.reshape(len(vectors), max(1, classes))


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; the rest is noise about initializers
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except UNUSABLE as error:
        text = f"not a usable ONNX model: {error}"
        raise Malformed(text, rule="corrupt_model") from error
