"""Traces: the W3C context that is passed on, and the spans of what was done, by OTLP where
OTEL_EXPORTER_OTLP_ENDPOINT says so.

`otel` alone imports OpenTelemetry, and is itself imported only when tracing is on; `marks` and
`rows`, for the data plane, are imported by those who need them.
"""

from driftloop.kit.trace.context import (
    HEADER,
    TraceContext,
    below,
    bound,
    here,
    parse,
    passed_on,
    render,
    root,
)
from driftloop.kit.trace.settings import tracer_of
from driftloop.kit.trace.span import (
    CONSUMER,
    INTERNAL,
    SERVER,
    NoTracer,
    Span,
    Steps,
    Tracer,
    Value,
    ended,
    root_span,
    step_of,
    step_span,
    told_spans,
)

__all__ = [
    "CONSUMER",
    "HEADER",
    "INTERNAL",
    "SERVER",
    "NoTracer",
    "Span",
    "Steps",
    "TraceContext",
    "Tracer",
    "Value",
    "below",
    "bound",
    "ended",
    "here",
    "parse",
    "passed_on",
    "render",
    "root",
    "root_span",
    "step_of",
    "step_span",
    "told_spans",
    "tracer_of",
]
