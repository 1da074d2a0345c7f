"""What becomes of a request to retrain: exactly one answer each, and at most one open run a
pipeline.

A run is open from its acceptance until the registry says `run.finished`; what is asked meanwhile is
coalesced into it. State is what the log says: fed with the same answers, fits and ends, it is the
same again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

TRIGGERS = ("first", "drift", "schedule", "volume", "manual", "challenger")
Outcome = Literal["accepted", "coalesced", "refused", "suppressed"]


@dataclass(frozen=True, slots=True)
class Known:
    """A declared pipeline, as far as accepting goes."""

    generation: int
    deadline_ms: int  # from acceptance to run.finished


@dataclass(frozen=True, slots=True)
class Wish:
    """A request, checked. `wrong` is why it can't be honoured, empty otherwise."""

    request_id: str
    pipeline: str
    generation: int  # 0: the live one
    trigger: str
    suppressed: str = ""
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """An accepted request."""

    run_id: str
    request_id: str
    pipeline: str
    generation: int
    trigger: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Resolution:
    """The one answer to a request."""

    request_id: str
    pipeline: str
    generation: int
    trigger: str
    outcome: Outcome
    reason: str = ""
    run_id: str = ""
    deadline_ms: int = 0


class Runs:
    """The book of requests and runs."""

    def __init__(self, known: Callable[[str], Known | None]) -> None:
        self._known = known
        self._answered: set[str] = set()
        self._open: dict[str, Run] = {}  # by pipeline
        self._trained: set[str] = set()
        self._finished: set[str] = set()

    def resolve(self, wish: Wish, now_ms: int) -> Resolution | None:
        """The answer; None where this request has had it. Nothing changes until it is `learned`."""
        if wish.request_id in self._answered:
            return None
        known = self._known(wish.pipeline)
        refused = wish.wrong or self._refusal(wish, known)
        if refused or known is None:
            return self._answer(wish, wish.generation, "refused", refused)
        if wish.suppressed:
            return self._answer(wish, known.generation, "suppressed", wish.suppressed)
        if wish.pipeline in self._open:
            run_id = self._open[wish.pipeline].run_id
            return self._answer(wish, known.generation, "coalesced", f"{run_id} is open", run_id)
        return self._answer(
            wish,
            known.generation,
            "accepted",
            run_id=run_id_of(wish.request_id),
            deadline_ms=now_ms + known.deadline_ms,
        )

    def learn(self, resolution: Resolution) -> None:
        """An answer that was given, now or before."""
        self._answered.add(resolution.request_id)
        if resolution.outcome == "accepted" and resolution.run_id not in self._finished:
            self._open[resolution.pipeline] = Run(
                resolution.run_id,
                resolution.request_id,
                resolution.pipeline,
                resolution.generation,
                resolution.trigger,
                resolution.deadline_ms,
            )

    def trained(self, run_id: str) -> None:
        """Its model.trained is out, whatever it says."""
        self._trained.add(run_id)

    def finish(self, run_id: str) -> None:
        """The registry has closed it."""
        self._finished.add(run_id)
        self._open = {name: run for name, run in self._open.items() if run.run_id != run_id}

    def unfinished(self) -> list[Run]:
        """Open runs that still owe a model.trained, oldest first."""
        return [run for run in self._open.values() if run.run_id not in self._trained]

    def is_open(self, run_id: str) -> bool:
        return any(run.run_id == run_id for run in self._open.values())

    def _refusal(self, wish: Wish, known: Known | None) -> str:
        if known is None:
            return f"pipeline {wish.pipeline!r} is not declared"
        if wish.trigger not in TRIGGERS:
            return f"trigger: found {wish.trigger!r}, wanted one of {', '.join(TRIGGERS)}"
        if wish.generation not in (0, known.generation):
            return f"generation: found {wish.generation}, {wish.pipeline} is at {known.generation}"
        return ""

    def _answer(
        self,
        wish: Wish,
        generation: int,
        outcome: Outcome,
        reason: str = "",
        run_id: str = "",
        deadline_ms: int = 0,
    ) -> Resolution:
        return Resolution(
            wish.request_id,
            wish.pipeline,
            generation,
            wish.trigger,
            outcome,
            reason,
            run_id,
            deadline_ms,
        )


def run_id_of(request_id: str) -> str:
    """The same for the same request, so that a second try has the same name."""
    return "run-" + hashlib.sha256(request_id.encode()).hexdigest()[:12]
