"""A model that was fitted elsewhere, held against what the pipeline gives and wants: inputs,
outputs, and answers to real rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime

from services.training.learners.parity import UNUSABLE

ROWS = 200  # of the newest: enough to see an answer that is none


def fits(model: bytes, vectors: npt.NDArray[np.float32], classes: int) -> None:
    """ValueError: in words, what does not fit. `vectors` [n, k], `classes` 0: numbers are
    foretold.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        _inputs(session, vectors.shape[1])
        name = _output(session, classes)
        given = session.run([name], {"features": vectors[-ROWS:]})[0]
    except UNUSABLE as error:
        raise ValueError(f"the runtime refuses it: {error}") from error
    rows, wide = min(len(vectors), ROWS), max(1, classes)
    answers = np.asarray(given)
    if answers.size != rows * wide:
        raise ValueError(f"{rows} rows gave {name} {answers.shape}, wanted [{rows}, {wide}]")
    if not np.isfinite(answers.astype(np.float64)).all():
        raise ValueError("it answers NaN or infinity to real rows; a missing value is NaN there")
    if classes and (abs(answers.reshape(rows, wide).sum(axis=1) - 1.0) > 1e-3).any():
        raise ValueError("its probabilities do not sum up to 1")


def _inputs(session: onnxruntime.InferenceSession, width: int) -> None:
    said = [(one.name, one.type, one.shape) for one in session.get_inputs()]
    wanted = f"one input features, float [rows, {width}], in the order of the pipeline's features"
    fitting = (
        len(said) == 1
        and said[0][:2] == ("features", "tensor(float)")
        and len(said[0][2]) == 2
        and (said[0][2][1] == width or not isinstance(said[0][2][1], int))
        and not isinstance(said[0][2][0], int)
    )
    if not fitting:
        raise ValueError(f"inputs: found {said}, wanted {wanted}")


def _output(session: onnxruntime.InferenceSession, classes: int) -> str:
    name = "probability" if classes else "value"
    known = [one.name for one in session.get_outputs()]
    wanted = {"probability", "label"} if classes else {"value"}
    if missing := sorted(wanted - set(known)):
        raise ValueError(f"outputs: found {', '.join(known)}, missing {', '.join(missing)}")
    return name
