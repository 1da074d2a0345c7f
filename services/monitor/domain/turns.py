"""The turns of the loop as the control topics tell them: how long each stage took, what became of
requests and runs. For reading alone; no decision rests on it.

The topics are read beside each other, so the pieces of a turn come in any order; a turn is told of
once, when its last piece is there. Times are the records' append times, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import TypeVar

KEPT = 1_000  # pieces of each kind, the newest: a month of a turn every 45 minutes
STAGES = ("detect", "decide", "train", "evaluate", "release", "swap")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Turn:
    """A run that a model came of, from its cause to the last partition that answers with it."""

    run_id: str
    pipeline: str
    seconds: Mapping[str, float]  # by stage; without a drift there is no detect and no decide
    redeploy_s: float | None  # from drift.detected; None: no drift was the cause
    ended_ms: int


@dataclass(slots=True)
class _Run:
    """What is known of one run; 0: not yet."""

    request_id: str = ""
    trained_ms: int = 0
    evaluated_ms: int = 0
    released_ms: int = 0
    model: tuple[str, int, int] = ("", 0, 0)  # pipeline, generation, version


@dataclass(frozen=True, slots=True)
class _Request:
    at_ms: int
    drift_id: str


@dataclass(frozen=True, slots=True)
class _Drift:
    at_ms: int
    newest_row_ms: int


@dataclass(slots=True)
class Turns:
    """Of all pipelines. `partitions`: how many a pipeline has; None: it is not declared."""

    partitions: Callable[[str], int | None]
    _drifts: dict[str, _Drift] = field(default_factory=dict)
    _requests: dict[str, _Request] = field(default_factory=dict)
    _runs: dict[str, _Run] = field(default_factory=dict)
    # model -> when which partitions were named
    _answered: dict[tuple[str, int, int], list[tuple[int, frozenset[int]]]] = field(
        default_factory=dict
    )
    _told: dict[str, None] = field(default_factory=dict)

    def drifted(self, drift_id: str, newest_row_ms: int, at_ms: int) -> list[Turn]:
        _keep(self._drifts, drift_id, _Drift(at_ms, newest_row_ms))
        return self._whole()

    def requested(self, request_id: str, drift_id: str, at_ms: int) -> list[Turn]:
        _keep(self._requests, request_id, _Request(at_ms, drift_id))
        return self._whole()

    def accepted(self, run_id: str, request_id: str) -> list[Turn]:
        self._run(run_id).request_id = request_id
        return self._whole()

    def trained(self, run_id: str, at_ms: int) -> list[Turn]:
        self._run(run_id).trained_ms = at_ms
        return self._whole()

    def evaluated(self, run_id: str, at_ms: int) -> list[Turn]:
        self._run(run_id).evaluated_ms = at_ms
        return self._whole()

    def released(self, run_id: str, model: tuple[str, int, int], at_ms: int) -> list[Turn]:
        """`model`: pipeline, generation, version."""
        run = self._run(run_id)
        run.model, run.released_ms = model, at_ms
        return self._whole()

    def acknowledged(
        self, model: tuple[str, int, int], partitions: frozenset[int], at_ms: int
    ) -> list[Turn]:
        """A replica answers these partitions with this model."""
        _keep(self._answered, model, self._answered.get(model, []))
        if len(self._answered[model]) < KEPT:  # a replica that starts again says it again
            self._answered[model].append((at_ms, partitions))
        return self._whole()

    def _run(self, run_id: str) -> _Run:
        if run_id not in self._runs:
            _keep(self._runs, run_id, _Run())
        return self._runs[run_id]

    def _whole(self) -> list[Turn]:
        """Turns of which all is known by now, and was not before."""
        turns = [
            turn
            for run_id, run in self._runs.items()
            if run.released_ms and run_id not in self._told and (turn := self._turn(run_id, run))
        ]
        for turn in turns:
            _keep(self._told, turn.run_id, None)
        return turns

    def _turn(self, run_id: str, run: _Run) -> Turn | None:
        request = self._requests.get(run.request_id)
        swapped_ms = self._swapped_ms(run)
        if request is None or not (run.trained_ms and run.evaluated_ms and swapped_ms):
            return None
        drift = self._drifts.get(request.drift_id)
        if request.drift_id and drift is None:
            return None
        marks = [request.at_ms, run.trained_ms, run.evaluated_ms, run.released_ms, swapped_ms]
        if drift is not None:
            marks = [drift.newest_row_ms, drift.at_ms, *marks]
        names = STAGES[-(len(marks) - 1) :]
        lasted = [max(0, end - start) / 1_000 for start, end in pairwise(marks)]
        redeploy_s = None if drift is None else max(0, swapped_ms - drift.at_ms) / 1_000
        return Turn(
            run_id, run.model[0], dict(zip(names, lasted, strict=True)), redeploy_s, swapped_ms
        )

    def _swapped_ms(self, run: _Run) -> int:
        """When the last partition was named, since the release; 0: not yet."""
        missing = set(range(self.partitions(run.model[0]) or 0))
        named = sorted(self._answered.get(run.model, ()), key=itemgetter(0)) if missing else ()
        for at_ms, partitions in named:
            if at_ms >= run.released_ms:
                missing -= partitions
                if not missing:
                    return at_ms
        return 0


@dataclass(slots=True)
class Runs:
    """Which runs are open, and how many the gate has rejected in a row."""

    _open: dict[str, str] = field(default_factory=dict)  # run -> pipeline
    _ended: dict[str, None] = field(default_factory=dict)  # may be read before its acceptance
    _rejected: dict[str, int] = field(default_factory=dict)

    def accepted(self, run_id: str, pipeline: str) -> None:
        if run_id not in self._ended:
            _keep(self._open, run_id, pipeline)

    def ended(self, run_id: str, pipeline: str, outcome: str) -> None:
        """Failed, cancelled and timed out say nothing of the gate."""
        self._open.pop(run_id, None)
        _keep(self._ended, run_id, None)
        if outcome == "released":
            self._rejected[pipeline] = 0
        elif outcome == "rejected":
            self._rejected[pipeline] = self.rejected_in_a_row(pipeline) + 1

    def open(self, pipeline: str) -> int:
        return sum(each == pipeline for each in self._open.values())

    def rejected_in_a_row(self, pipeline: str) -> int:
        return self._rejected.get(pipeline, 0)

    def forget(self, pipeline: str) -> None:
        self._rejected.pop(pipeline, None)
        self._open = {run: each for run, each in self._open.items() if each != pipeline}


K = TypeVar("K")


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """The newest KEPT."""
    kept[key] = value
    if len(kept) > KEPT:
        del kept[next(iter(kept))]
