"""A line that is fitted anew on its newest rows, each time enough have come: for learners that
can't learn on.

Its state is these rows. A fit falls on whole multiples of its pace, counted in the order of the
log, so what it is after n rows is a function of the log alone.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from driftloop.plugins import LEARNERS, Examples, find
from services.training.learners import SHIPPED
from services.training.learners.parity import PARITY_MAX, measured
from services.training.online.line import Floats, Vectors
from services.training.online.plan import LinePlan

Ints = npt.NDArray[np.int64]
Columns = tuple[Ints, Vectors, Floats]  # times, vectors, target
CLASSES_MIN = 2  # of one class nothing can be learnt


class Refit:
    """The newest rows of a line, as many as a fit may want."""

    def __init__(self, plan: LinePlan, columns: Columns | None = None, rows: int = 0) -> None:
        """Unknown: there is no such learner."""
        self.plan, self.rows = plan, rows
        self._learner = find(LEARNERS, plan.kind, SHIPPED)
        none = np.empty(0, np.int64), np.empty((0, plan.features), np.float32), np.empty(0)
        self._parts: list[Columns] = [none if columns is None else columns]
        self._held = len(self._parts[0][0])

    @classmethod
    def of_state(cls, plan: LinePlan, state: bytes, rows: int) -> Refit:
        """What `state` gave. ValueError: it is none of that."""
        with np.load(io.BytesIO(state), allow_pickle=False) as kept:
            return cls(plan, (kept["times"], kept["vectors"], kept["target"]), rows)

    def learn(self, times: Ints, vectors: Vectors, target: Floats) -> None:
        """[n] times, [n, k] rows and [n] truths, in order."""
        self._parts.append((times, vectors, target))
        self.rows, self._held = self.rows + len(times), self._held + len(times)
        if self._held > 2 * self._most():
            self._parts = [self._newest(self._most(), 0)]
            self._held = len(self._parts[0][0])

    def due(self, told_rows: int, since_s: float) -> bool:
        return self.rows // self.plan.rows > told_rows // self.plan.rows

    def exported(self, metadata: Mapping[str, str]) -> tuple[bytes, int]:
        """The model of the last whole multiple, and how many rows that was; empty where these are
        of one class. ValueError: it can't be fitted or exported.
        """
        plan, beyond = self.plan, self.rows % self.plan.rows
        times, vectors, target = self._newest(plan.window, beyond)
        if len(np.unique(target)) < CLASSES_MIN:
            return b"", self.rows - beyond
        examples = Examples(times, vectors, target, plan.names, plan.classes)
        learnt = self._learner().fit(examples, plan.params, plan.seed)
        model = learnt.onnx(metadata)
        largest = measured(learnt, model, vectors).largest
        if largest > PARITY_MAX:
            raise ValueError(f"the export differs from the learner by {largest:g}")
        return model, self.rows - beyond

    def state(self) -> bytes:
        """The rows that the next fits may want."""
        times, vectors, target = self._newest(self._most(), 0)
        kept = io.BytesIO()
        np.savez(kept, times=times, vectors=vectors, target=target)
        return kept.getvalue()

    def _most(self) -> int:
        return self.plan.window + self.plan.rows

    def _newest(self, rows: int, beyond: int) -> Columns:
        """The newest `rows` of those before the last `beyond`."""
        times, vectors, target = (
            np.concatenate([part[number] for part in self._parts]) for number in range(3)
        )
        end = len(times) - beyond
        mine = slice(max(0, end - rows), end)
        return times[mine], vectors[mine], target[mine]
