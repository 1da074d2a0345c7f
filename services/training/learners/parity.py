"""How far an export answers from its learner, on the learner's own rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from driftloop.plugins import Learnt

ROWS_MAX = 5_000  # .1 s of one core; a flipped branch shows in far fewer
PARITY_MAX = 1e-5
UNUSABLE = (  # onnxruntime's exceptions have no common root but Exception
    errors.EngineError,
    errors.EPFail,
    errors.Fail,
    errors.InvalidArgument,
    errors.InvalidGraph,
    errors.InvalidProtobuf,
    errors.NoModel,
    errors.NotImplemented,
    errors.RuntimeException,
)


def largest_difference(learnt: Learnt, model: bytes, vectors: npt.NDArray[np.float32]) -> float:
    """Over probabilities and a sample of rows that holds the extremes. ValueError: the runtime
    refuses the model.
    """
    sample = vectors[_sample(vectors)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        probability, label = session.run(["probability", "label"], {"features": sample})
    except UNUSABLE as error:
        raise ValueError(f"the export doesn't run: {error}") from error
    expected = learnt.answers(sample)
    if probability.shape != expected.shape or label.shape != (len(sample),):
        raise ValueError(
            f"the export gives {probability.shape} and {label.shape}, "
            f"wanted {expected.shape} and {(len(sample),)}"
        )
    return float(np.abs(probability.astype(np.float64) - expected).max(initial=0.0))


def _sample(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Evenly spread rows, each column's smallest and largest, and for each the first row where it
    is missing.
    """
    rows = len(vectors)
    spread = np.linspace(0, rows - 1, min(rows, ROWS_MAX)).astype(np.int64)
    missing = np.isnan(vectors)
    low, high = np.where(missing, np.inf, vectors), np.where(missing, -np.inf, vectors)
    chosen = np.concatenate(
        [spread, low.argmin(axis=0), high.argmax(axis=0), missing.argmax(axis=0)]
    )
    return np.unique(chosen)[: ROWS_MAX + 3 * vectors.shape[1]]
