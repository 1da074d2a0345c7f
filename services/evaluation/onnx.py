"""Scores rows with a model's own bytes; the only import of onnxruntime in this service."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from driftloop.kit.errors import Malformed

BATCH_ROWS = 10_000
UNUSABLE = (  # onnxruntime's exceptions have no common root but Exception
    errors.EngineError, errors.EPFail, errors.Fail, errors.InvalidArgument, errors.InvalidGraph,
    errors.InvalidProtobuf, errors.NoModel, errors.NotImplemented, errors.RuntimeException,
)  # fmt: skip


def probabilities(model: bytes, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """[n, classes], as serving would answer. Malformed: no model that takes these rows."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; the rest is noise about initializers
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        parts = [
            session.run(["probability"], {"features": vectors[start : start + BATCH_ROWS]})[0]
            for start in range(0, max(1, len(vectors)), BATCH_ROWS)
        ]
    except UNUSABLE as error:
        text = f"not a usable ONNX model: {error}"
        raise Malformed(text, rule="corrupt_model") from error
    given = np.concatenate(parts).astype(np.float64)
    if not np.isfinite(given).all():
        raise Malformed("the model answers NaN or infinity", rule="corrupt_model")
    return given
