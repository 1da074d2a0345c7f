"""How far an export answers from its learner, on the learner's own rows.

Probabilities are compared as they are. The values of a regression are compared in units of the
largest of them: an export answers in float32, whose digits are counted from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from driftloop.plugins import Learnt

ROWS_MAX = 5_000  # .1 s of one core; a flipped branch shows in far fewer
PARITY_MAX = 1e-5
ROWS_NAMED = 5  # of those whose answers differ
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
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parity:
    """Of `asked` rows: the largest difference, and which rows differ by more than PARITY_MAX, the
    worst first, as [m] numbers of the vectors' rows and [m] differences.
    """

    largest: float
    asked: int
    rows: npt.NDArray[np.int64]
    differences: Floats


def differing(parity: Parity, ids: Sequence[Any]) -> str:
    """Which rows an export answers otherwise than its learner, the worst first."""
    worst = zip(parity.rows[:ROWS_NAMED].tolist(), parity.differences, strict=False)
    named = ", ".join(f"{ids[row]} by {difference:.3g}" for row, difference in worst)
    return (
        f"the export differs from the learner by {parity.largest:g}, wanted at most "
        f"{PARITY_MAX:g}: in {len(parity.rows)} of {parity.asked} rows, {named}"
    )


def largest_difference(learnt: Learnt, model: bytes, vectors: npt.NDArray[np.float32]) -> float:
    """Of `measured`, the one number."""
    return measured(learnt, model, vectors).largest


def measured(learnt: Learnt, model: bytes, vectors: npt.NDArray[np.float32]) -> Parity:
    """Over all outputs and a sample of rows that holds the extremes. ValueError: the runtime
    refuses the model, or it gives other outputs than its learner.
    """
    rows = _sample(vectors)
    expected = learnt.answers(vectors[rows])
    if not np.isfinite(expected).all():
        raise ValueError(f"the learner answers {_odd(expected)}, which is no number")
    differences = np.abs(_given(model, vectors[rows], expected) - expected).max(axis=1, initial=0.0)
    # a NaN of the export differs by more than anything
    differences = np.where(np.isnan(differences), np.inf, differences)
    if expected.shape[1] == 1:
        differences = differences / (np.abs(expected).max(initial=0.0) or 1.0)
    worst = np.argsort(-differences, kind="stable")
    worst = worst[differences[worst] > PARITY_MAX]
    return Parity(float(differences.max(initial=0.0)), len(rows), rows[worst], differences[worst])


def _given(model: bytes, vectors: npt.NDArray[np.float32], expected: Floats) -> Floats:
    """[n, outputs] what the export answers."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    wanted = ["value"] if expected.shape[1] == 1 else ["probability", "label"]
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        given = session.run(wanted, {"features": vectors})
    except (*UNUSABLE, ValueError) as error:  # ValueError: an output that is not there
        raise ValueError(f"the export doesn't run: {error}") from error
    shapes = [one.shape for one in given]
    rows = len(vectors)
    right: list[tuple[int, ...]] = [(rows,)] if len(wanted) == 1 else [expected.shape, (rows,)]
    if shapes != right:
        raise ValueError(
            f"the export gives {_listed(wanted, shapes)}, wanted {_listed(wanted, right)}"
        )
    return np.asarray(given[0].reshape(expected.shape), np.float64)


def _listed(names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(f"{name} {list(shape)}" for name, shape in zip(names, shapes, strict=True))


def _odd(expected: Floats) -> float:
    return float(expected[~np.isfinite(expected)][0])


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
