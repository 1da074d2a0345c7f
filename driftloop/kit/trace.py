"""W3C trace context: parse it, write it, pass it on. No tracer: a span is made by whoever runs
one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

HEADER = "traceparent"
_FORM = re.compile(r"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")


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
