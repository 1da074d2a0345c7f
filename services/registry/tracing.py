"""What the registry adds to traces: a run's turn is carried on to its release and its end, and a
person's promote or rollback is a trace from their call to the swap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from driftloop.kit.broker import Record
from driftloop.kit.trace import (
    Span,
    Tracer,
    Value,
    parse,
    passed_on,
    render,
    root,
    root_span,
    step_span,
)
from services.registry import domain

RUNS_MAX = 10_000  # turns that are remembered: a run that ends forgets its own
Command = Callable[[domain.Book, int], tuple[Any, list[domain.Fact]]]


@dataclass(frozen=True, slots=True)
class Called:
    """A wish with the traceparent of the call that it came by."""

    command: Command
    traceparent: str

    def __call__(self, book: domain.Book, now_ms: int) -> tuple[Any, list[domain.Fact]]:
        return self.command(book, now_ms)


class Turns:
    """The traceparent of each open run."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._runs: dict[str, str] = {}

    def recall(self, record: Record, fact: domain.Fact) -> None:
        """A fact of the log of record."""
        self._learn(passed_on(record.headers), fact)
        self._forget(fact)

    def told(
        self, facts: Sequence[domain.Fact], traceparent: str = "", since_ms: int = 0
    ) -> tuple[list[tuple[domain.Fact, str]], list[Span]]:
        """Each new fact with what its events carry, and spans of those that end something.
        `traceparent`, `since_ms`: of the event, or call, that brought them about."""
        carried: list[tuple[domain.Fact, str]] = []
        spans: list[Span] = []
        for fact in facts:
            self._learn(traceparent, fact)
            mine, made = self._of(fact, traceparent, since_ms * 1_000_000)
            carried.append((fact, mine))
            spans += made
            self._forget(fact)
        return carried, spans if self._tracer.on else []

    def _of(self, fact: domain.Fact, given: str, since_ns: int) -> tuple[str, Sequence[Span]]:
        match fact:
            case domain.Released() if fact.cause != "release":
                return self._by_hand(fact, given)
            case domain.Released():
                turn = self._runs.get(fact.run_id, "")
                about = _about(fact.pipeline, fact.run_id, version=fact.version)
                released = step_span(
                    turn, "release", fact.run_id, start_ns=since_ns, attributes=about
                )
                return turn, released
            case domain.Finished() if fact.outcome != "released":
                turn = self._runs.get(fact.run_id, "")
                about = _about(fact.pipeline, fact.run_id, outcome=fact.outcome)
                error = "" if fact.outcome == "rejected" else f"{fact.outcome}: {fact.reason}"
                ended = step_span(
                    turn, "finish", fact.run_id, start_ns=since_ns, attributes=about, error=error
                )
                return turn, ended
            case domain.Declared() | domain.Quarantined() | domain.Marked() | domain.Collected():
                return given, ()
            case _:
                return self._runs.get(fact.run_id, ""), ()

    def _by_hand(self, fact: domain.Released, given: str) -> tuple[str, Sequence[Span]]:
        name = f"{fact.pipeline}-{fact.version}-{fact.cause}-{fact.at_ms}"
        about = _about(fact.pipeline, fact.run_id, version=fact.version, cause=fact.cause)
        if parse(given) is not None:
            return given, step_span(given, "release", name, attributes=about)
        context = root(name, sampled=self._tracer.on)
        return render(context), root_span(context, "release", attributes=about)

    def _learn(self, traceparent: str, fact: domain.Fact) -> None:
        if traceparent and isinstance(fact, domain.Opened | domain.Trained | domain.Evaluated):
            self._runs[fact.run_id] = traceparent
            if len(self._runs) > RUNS_MAX:  # anyone may write of runs that never end
                del self._runs[next(iter(self._runs))]

    def _forget(self, fact: domain.Fact) -> None:
        if isinstance(fact, domain.Finished):
            self._runs.pop(fact.run_id, None)


def _about(pipeline: str, run_id: str, **more: Value) -> dict[str, Value]:
    named = {"pipeline": pipeline, "run_id": run_id, **more}
    return {f"driftloop.{name}": value for name, value in named.items()}
