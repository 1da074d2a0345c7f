"""The interface of a learner: rows in, something that predicts and can say itself as ONNX out.

Training measures how far the ONNX is from `probability` on the learner's own rows and refuses more
than 1e-5; so a learner can't vouch for its own export.
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
    `target` [n] float64, for binary targets 0 or 1; `names` k, in the order of the columns;
    `classes`: how many, 2 for binary targets.
    """

    times: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]
    target: npt.NDArray[np.float64]
    names: tuple[str, ...]
    classes: int = 2


class Learnt(Protocol):
    """A fitted model."""

    def probability(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """[n, classes] before any cast to float32: what the export is measured against."""

    def onnx(self, metadata: Mapping[str, str]) -> bytes:
        """Input `features` FP32 [-1, k]; outputs `probability` FP32 [-1, classes], `label` INT64
        [-1].

        The same bytes for the same model and metadata, in any process.
        """


class Learner(Protocol):
    """Fits. The same examples, params and seed must give the same model: one thread, no clock, no
    other chance.
    """

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        """ValueError: params that make no sense, or rows that can't be learnt from; its text is
        shown to people.
        """
