"""One online learner: rows in, a snapshot or a state out.

A row is learnt as River does it, one after the other; a value that is missing or infinite is a
feature that the row lacks. What a line answers and what it will learn is all in its state.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.river_onnx import export
from services.training.online.estimators import made
from services.training.online.plan import LinePlan

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
CHECKED_ROWS = 4  # that a line must answer by a number before it goes out
TRUSTED = {  # beside River, what the state of its learners is made of; nothing else is loaded
    "builtins": ("bool", "complex", "dict", "float", "frozenset", "int", "list", "range", "set"),
    "collections": ("Counter", "OrderedDict", "defaultdict", "deque"),
    "copy": ("deepcopy",),
    "functools": ("partial",),
    "random": ("Random",),
}


class Line:
    """What was learnt so far."""

    def __init__(self, plan: LinePlan, model: Any = None, rows: int = 0) -> None:
        """ValueError: there is no such learner."""
        self.plan, self.rows = plan, rows
        self._model = made(plan.params, plan.classes, plan.seed) if model is None else model
        self._columns = range(plan.features)
        self._last = np.empty((0, plan.features), np.float32)

    @classmethod
    def of_state(cls, plan: LinePlan, state: bytes, rows: int) -> Line:
        """What `state` gave. ValueError: it is none of that."""
        try:
            return cls(plan, _Trusting(io.BytesIO(state)).load(), rows)
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, TypeError) as error:
            raise ValueError(f"the state of line {plan.name} can't be read: {error}") from error

    def learn(self, times: npt.NDArray[np.int64], vectors: Vectors, target: Floats) -> None:
        """[n] times, [n, k] rows and [n] truths, in order."""
        truth = target.astype(np.int64) if self.plan.classes else target
        model = self._model
        for row, said in zip(_dicts(vectors), truth.tolist(), strict=True):
            model.learn_one(row, said)
        self.rows += len(vectors)
        self._last = vectors[-CHECKED_ROWS:]

    def due(self, told_rows: int, since_s: float) -> bool:
        more = self.rows - told_rows
        return more >= self.plan.rows or (more > 0 and since_s >= self.plan.seconds)

    def exported(self, metadata: Mapping[str, str]) -> tuple[bytes, int]:
        """The model as it is now, and how many rows it has learnt. ValueError: it has run away, or
        can't be exported.
        """
        if not np.isfinite(self.answers(self._last)).all():
            raise ValueError("it answers what is no number; a smaller learning_rate holds it")
        return self.onnx(metadata), self.rows

    def answers(self, vectors: Vectors) -> Floats:
        """[n, outputs] what it would say of each row; classes that it has not seen have 0."""
        if not self.plan.classes:
            said = [self._model.predict_one(row) for row in _dicts(vectors)]
            return np.asarray(said, np.float64).reshape(-1, 1)
        found = np.zeros((len(vectors), self.plan.classes))
        for number, row in enumerate(_dicts(vectors)):
            for name, share in self._model.predict_proba_one(row).items():
                found[number, int(name)] = share
        return found

    def onnx(self, metadata: Mapping[str, str], *, exact: bool = False) -> bytes:
        """As it is now; the same bytes for the same state. ValueError: it can't be exported.
        `exact`: with one more output, of doubles.
        """
        classes = [False, True] if self._is_logistic() else list(range(self.plan.classes))
        return export(self._model, list(self._columns), classes, metadata=metadata, exact=exact)

    def state(self) -> bytes:
        """All of it."""
        return pickle.dumps(self._model, protocol=5)

    def _is_logistic(self) -> bool:
        """River's binary regression says True and False, whatever it was given."""
        steps = getattr(self._model, "steps", {})
        return "LogisticRegression" in steps


class _Trusting(pickle.Unpickler):
    """Loads what learners are made of. A state comes from a topic that others may reach."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] != "river" and name not in TRUSTED.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a learner")
        return super().find_class(module, name)


def _dicts(vectors: Vectors) -> list[dict[int, float]]:
    """Column → value of each row, without what is missing."""
    whole = vectors.astype(np.float64)
    there = np.isfinite(whole)
    if there.all():
        return [dict(enumerate(row)) for row in whole.tolist()]
    return [
        {column: value for column, value in enumerate(row) if known[column]}
        for row, known in zip(whole.tolist(), there.tolist(), strict=True)
    ]
