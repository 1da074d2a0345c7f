"""W3C trace context: parse it, write it, pass it on, and name what comes below it.

Ids are made from what caused them, not by chance: what is done again after a crash has the same
ids again, so that a backend that keeps spans by id shows it once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b

HEADER = "traceparent"
_FORM = re.compile(r"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")
_HERE: ContextVar[str] = ContextVar("driftloop-traceparent", default="")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """`trace_id` 32 and `span_id` 16 hex digits, not all zero."""

    trace_id: str
    span_id: str
    sampled: bool


def parse(text: str) -> TraceContext | None:
    """None for what https://www.w3.org/TR/trace-context/ tells us to ignore."""
    found = _FORM.match(text.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if (
        version == "ff"
        or (version == "00" and rest)
        or not int(trace_id, 16)
        or not int(span_id, 16)
    ):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & 1))


def render(context: TraceContext) -> str:
    """Version 00."""
    return f"00-{context.trace_id}-{context.span_id}-{'01' if context.sampled else '00'}"


def passed_on(headers: Sequence[tuple[str, bytes]]) -> str:
    """The traceparent of a record's headers, made canonical; empty where there is none or it is
    broken."""
    for name, value in headers:
        if name == HEADER:
            context = parse(value.decode("ascii", "replace"))
            return render(context) if context else ""
    return ""


def root(cause: str, *, sampled: bool) -> TraceContext:
    """The beginning of a trace that `cause` brings about: the same for the same cause."""
    return TraceContext(_digest(cause, 16), _digest(f"{cause}/root", 8), sampled)


def below(context: TraceContext, step: str) -> TraceContext:
    """A step under `context`: the same for the same step."""
    return TraceContext(context.trace_id, _digest(f"{context.span_id}/{step}", 8), context.sampled)


def here() -> str:
    """The traceparent that the running call, or step, was given; empty where there is none."""
    return _HERE.get()


@contextmanager
def bound(traceparent: str) -> Iterator[None]:
    """Calls to other services from within carry `traceparent`."""
    token = _HERE.set(traceparent)
    try:
        yield
    finally:
        _HERE.reset(token)


def _digest(text: str, size: int) -> str:
    """Hex; all zero, which W3C forbids, is no digest that anyone will see."""
    return blake2b(text.encode(), digest_size=size).hexdigest()
