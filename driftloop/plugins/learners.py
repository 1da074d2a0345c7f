"""The interface of a learner: rows in, something that predicts and can say itself as ONNX out.

Training measures how far the ONNX is from `answers` on the learner's own rows and refuses more than
1e-5; so a learner can't vouch for its own export.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

LEARNERS = "driftloop.learners"  # the entry points' group


@dataclass(frozen=True, slots=True)
class Examples:
    """n labelled rows in the order of (time, id).

    `times` [n] int64, µs of event time; `vectors` [n, k] float32, NaN where a value is missing;
    `target` [n] float64: 0 or 1 of a binary target, the index of the class of several, the value
    itself in a regression; `names` k, in the order of the columns; `classes`: how many, 2 for
    binary targets, 0 for a regression; `weights` [n] float64 above 0 whose mean is 1, or None where
    all rows count the same.
    """

    times: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]
    target: npt.NDArray[np.float64]
    names: tuple[str, ...]
    classes: int = 2
    weights: npt.NDArray[np.float64] | None = None


class Learnt(Protocol):
    """A fitted model."""

    def answers(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """[n, classes] probabilities, or [n, 1] values of a regression, before any cast to float32:
        what the export is measured against.
        """

    def onnx(self, metadata: Mapping[str, str]) -> bytes:
        """Input `features` FP32 [-1, k]; outputs `probability` FP32 [-1, classes] and `label` INT64
        [-1], the likeliest class; of a regression `value` FP32 [-1] alone.

        The same bytes for the same model and metadata, in any process.
        """


class Learner(Protocol):
    """Fits. The same examples, params and seed must give the same model: one thread, no clock, no
    other chance.

    A learner that can't promise that has an attribute `deterministic = False`, and another,
    `chance`, with the reason in words: then its models are not made again to the byte
    (`driftloop rebuild` refuses them with that reason).
    """

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        """`params` are those of the pipeline file, and its `estimator` where it names one.

        ValueError: params that make no sense, rows that can't be learnt from, weights that the
        learner can't take into account; its text is shown to people. Whatever else is raised fails
        this candidate alone too, under the name of what was raised.
        """
