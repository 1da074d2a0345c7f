"""The loop on a stream, a row a second: the monitor's policy, the learners, the gate and the bets
are the product's own; only Kafka and the clock are left out, so a model is live with the next row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from driftloop.betting import Bets, gains
from driftloop.plugins import LEARNERS, Examples, find
from services.evaluation.domain import Rule, judge, losses_of, without_model
from services.evaluation.domain.gate import surely
from services.monitor.domain.policy import Part, Policy, Rules, Wish
from services.serving import onnx
from services.training.domain import Limits
from services.training.learners import SHIPPED
from tests.bench.learning.records import SECOND_US, STEP, Floats
from tests.bench.learning.streams import Stream

FIRST = 2_000  # rows: retrain.rows_min by default
COOLDOWN = 1_000  # rows
TREES = {"num_iterations": 100, "num_leaves": 31, "learning_rate": 0.1}  # as `try` drafts
LINEAR = {"estimator": "LogisticRegression"}
THRESHOLD = 0.5


@dataclass
class Loop:
    """One stream with labels `delay` rows late. `lines`: what each would have answered."""

    stream: Stream
    delay: int
    lines: Mapping[str, Floats]
    answers: Floats = field(init=False)
    versions: npt.NDArray[np.int64] = field(init=False)
    retrains: int = 0
    released: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = len(self.stream.target)
        self.answers = np.full((rows, self.stream.classes), np.nan)
        self.versions = np.zeros(rows, np.int64)
        self._live: str | onnx.Session | None = None  # a line's name, or a model
        self._version = 0
        self._policy = Policy(
            Rules(
                detector="PageHinkley", params={}, statistic="log_loss",
                first_us=FIRST * SECOND_US, rows_min=FIRST, triggers=frozenset({"drift"}),
                every_us=None, volume=None, cooldown_us=COOLDOWN * SECOND_US, partitions=1,
                lines=tuple(self.lines),
            )
        )  # fmt: skip
        self._bets = Bets(len(self.lines))

    def run(self) -> None:
        rows, known = len(self.stream.target), 0
        for start in range(0, rows, STEP):
            asked = slice(start, start + STEP)
            self.answers[asked] = self._said(asked)
            self.versions[asked] = self._version
            end = max(0, min(rows, start + STEP) - self.delay)
            if end > known:
                for wish in self._policy.part(self._bucket(known, end)):
                    self._wished(wish, end)
                known = end

    def _said(self, rows: slice) -> Floats:
        if self._live is None:
            return np.full((len(self.stream.target[rows]), self.stream.classes), np.nan)
        if isinstance(self._live, str):
            return self.lines[self._live][rows]
        return self._live.run(self.stream.vectors[rows]).astype(np.float64)

    def _bucket(self, start: int, end: int) -> Part:
        """The rows whose labels have come, with the losses of what is live now."""
        at = np.arange(start, end)
        mine = at[self.versions[at] == self._version] if self._version else at[:0]
        target, times = self.stream.target[mine], mine * SECOND_US
        losses = losses_of(target, self.answers[mine], self.stream.classes, "log_loss")
        gained = self._gains(mine)
        self._bets.take(gained)
        return Part(
            0, start * SECOND_US, end * SECOND_US, self._version, len(mine), len(at), times,
            losses, 0, 1, (0, end), gained,
        )  # fmt: skip

    def _gains(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        target, live = self.stream.target[rows], self.answers[rows]
        found = [
            gains(live, given[rows], target, self.stream.classes, THRESHOLD)
            for given in self.lines.values()
        ]
        return np.stack(found, axis=1)

    def _wished(self, wish: Wish, known: int) -> None:
        if wish.suppressed:
            return
        self.retrains += 1
        name = f"run-{self.retrains}"
        self._policy.resolved("accepted", name)
        if wish.line:
            peak = self._bets.peaks[list(self.lines).index(wish.line)]
            self._release(wish.line, wish.line) if peak > self._bets.least else None
        else:
            self._retrain(wish, known)
        self._policy.finished(name)

    def _retrain(self, wish: Wish, known: int) -> None:
        """Fits on what is known but the newest rows, which the gate then judges by."""
        change = wish.raised.from_us // SECOND_US if wish.raised else None
        held = Limits().rows(known, None if change is None else known - change)
        cut, rows = known - held, slice(known - held, known)
        live = self._said(rows) if self._version else None
        windows = {"all": 0, "newest": max(0, cut - 2_000), "linear": 0}
        if change is not None:
            windows["since_change"] = min(change, cut)
        models = {
            name: fitted(self.stream, start, cut, linear=name == "linear")
            for name, start in windows.items()
        }
        gained = {
            name: self._opposed(live, rows, windows[name], cut) - self._losses(rows, model)
            for name, model in models.items()
            if model is not None
        }
        winner = judge(gained, Rule(), self.retrains, self._barred(live, rows, models)).winner
        if winner:
            self._release(winner, models[winner])

    def _release(self, name: str, live: str | onnx.Session | None) -> None:
        self._version += 1
        self._live = live
        self._policy.released(self._version)
        self._bets = Bets(len(self.lines))
        self.released.append(name)

    def _opposed(self, live: Floats | None, rows: slice, start: int, end: int) -> Floats:
        classes, target = self.stream.classes, self.stream.target
        said = (
            without_model(target[start:end], classes, len(target[rows])) if live is None else live
        )
        return losses_of(target[rows], said, classes, "log_loss")

    def _losses(self, rows: slice, model: onnx.Session) -> Floats:
        said = model.run(self.stream.vectors[rows]).astype(np.float64)
        return losses_of(self.stream.target[rows], said, self.stream.classes, "log_loss")

    def _barred(
        self, live: Floats | None, rows: slice, models: Mapping[str, onnx.Session | None]
    ) -> dict[str, str]:
        """What follows a line must surely err less, as services.evaluation.judge has it."""
        if live is None or not isinstance(self._live, str):
            return {}
        target, vectors = self.stream.target[rows], self.stream.vectors[rows]
        gained = {
            name: gains(live, model.run(vectors).astype(np.float64), target,
                        self.stream.classes, THRESHOLD)
            for name, model in models.items()
            if model is not None
        }  # fmt: skip
        return {
            name: "it does not surely err less"
            for name, each in gained.items()
            if not surely(each, Rule(), self.retrains)
        }


def fitted(stream: Stream, start: int, end: int, *, linear: bool = False) -> onnx.Session | None:
    """LightGBM on rows [start, end), or a logistic regression; None where they are of one class."""
    rows = slice(start, end)
    if len(np.unique(stream.target[rows])) < 2:
        return None
    names = tuple(f"x{number}" for number in range(stream.vectors.shape[1]))
    times = np.arange(start, end, dtype=np.int64) * SECOND_US
    examples = Examples(times, stream.vectors[rows], stream.target[rows], names, stream.classes)
    kind, params = ("sklearn", LINEAR) if linear else ("lightgbm", TREES)
    model = find(LEARNERS, kind, SHIPPED)().fit(examples, params, 1).onnx({})
    return onnx.Session(model, width=len(names), classes=stream.classes, provider=onnx.CPU)
