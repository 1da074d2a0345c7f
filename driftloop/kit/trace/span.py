"""A span as a plain value: who decides says what happened, and the loop sends it once it is
committed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from driftloop.kit.clock import Clock
from driftloop.kit.trace.context import TraceContext, below, bound, parse, render

Value = str | int | float | bool
NO_ATTRIBUTES: Mapping[str, Value] = {}
INTERNAL, SERVER, CONSUMER = 1, 2, 5  # as OTLP numbers them


class Span(NamedTuple):
    """Ids in bytes. `start_ns` 0: when its batch was taken; `end_ns` 0: when that was committed."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes = b""
    start_ns: int = 0
    end_ns: int = 0
    kind: int = INTERNAL
    about: Mapping[str, Value] = NO_ATTRIBUTES  # kept by the maker for many spans: encoded once
    attributes: Mapping[str, Value] = NO_ATTRIBUTES
    links: Sequence[tuple[bytes, bytes]] = ()  # trace id, span id
    error: str = ""


class Tracer(Protocol):
    """Where spans go. `on` False: nowhere, so nobody need make any."""

    @property
    def on(self) -> bool: ...
    @property
    def sample(self) -> float:
        """Share of events that ingestion begins a trace for."""

    def add(self, spans: Sequence[Span]) -> None:
        """Finished spans; never waits, drops what doesn't fit."""

    def close(self) -> None:
        """Send what is there, for a second at most."""


class NoTracer:
    """Tracing is off: nothing is opened, kept or sent."""

    on, sample = False, 0.0

    def add(self, spans: Sequence[Span]) -> None:
        """Nowhere."""

    def close(self) -> None:
        """Nothing is open."""


def root_span(context: TraceContext, name: str, **more: Any) -> list[Span]:
    """`context` itself as a span; none where it is not sampled."""
    if not context.sampled:
        return []
    return [Span(name, bytes.fromhex(context.trace_id), bytes.fromhex(context.span_id), **more)]


def step_span(traceparent: str, name: str, key: str = "", **more: Any) -> list[Span]:
    """A step under `traceparent`, `key` telling it from others of its name; none where that is not
    sampled."""
    parent = parse(traceparent)
    if parent is None or not parent.sampled:
        return []
    ids = below(parent, f"{name}/{key}")
    trace_id, parent_id = bytes.fromhex(parent.trace_id), bytes.fromhex(parent.span_id)
    return [Span(name, trace_id, bytes.fromhex(ids.span_id), parent_id, **more)]


def step_of(traceparent: str, name: str, key: str = "") -> str:
    """The traceparent of the very span that `step_span` makes; empty under none."""
    parent = parse(traceparent)
    return "" if parent is None else render(below(parent, f"{name}/{key}"))


def ended(spans: Sequence[Span], end_ns: int) -> list[Span]:
    """Those that were open end now."""
    return [span if span.end_ns else span._replace(end_ns=end_ns) for span in spans]


class Steps:
    """What a child process did, and when: told to its parent, which makes spans of it. Calls from
    within a step carry it."""

    def __init__(self, traceparent: str, clock: Clock) -> None:
        self._traceparent, self._clock = traceparent, clock
        self.told: list[dict[str, Any]] = []

    @contextmanager
    def step(self, name: str, key: str = "", **attributes: Value) -> Iterator[None]:
        start_ns = self._clock.ns()
        try:
            with bound(step_of(self._traceparent, name, key)):
                yield
        finally:
            self.told.append(
                {
                    "name": name,
                    "key": key,
                    "start_ns": start_ns,
                    "end_ns": self._clock.ns(),
                    "attributes": {f"driftloop.{k}": value for k, value in attributes.items()},
                }
            )


def told_spans(traceparent: str, told: Sequence[Mapping[str, Any]]) -> list[Span]:
    """The spans of a child's steps under `traceparent`."""
    return [span for each in told for span in step_span(traceparent, **each)]
