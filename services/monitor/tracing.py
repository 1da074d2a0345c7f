"""The beginning of a turn of the loop as a trace: evidence, then the decision about it.

Its ids are made from the request and from when the bucket that caused it was written, so a decision
that is made again after a crash begins the same trace.
"""

from __future__ import annotations

from collections.abc import Sequence

from driftloop.kit.broker import Record
from driftloop.kit.task import Moment
from driftloop.kit.trace import (
    Span,
    TraceContext,
    Tracer,
    Value,
    render,
    root,
    root_span,
    step_span,
)
from services.monitor.domain.policy import Wish

NS_A_MS = 1_000_000


def turn(tracer: Tracer, request_id: str, cause: Record) -> TraceContext:
    """The context that all events of the turn carry, also where tracing is off: for the logs."""
    return root(f"{request_id}-{cause.timestamp_ms}", sampled=tracer.on)


def spans(
    context: TraceContext, wish: Wish, request_id: str, pipeline: str, cause: Record, now: Moment
) -> Sequence[Span]:
    """`turn` from the newest evidence row to the request; in it `detect`, until the bucket was
    heard, and `decide`."""
    evidence_ms = wish.raised.newest_row_ms if wish.raised else cause.timestamp_ms
    attributes: dict[str, Value] = {
        "driftloop.pipeline": pipeline,
        "driftloop.request_id": request_id,
        "driftloop.trigger": wish.trigger,
        "driftloop.reason": wish.reason,
    }
    if wish.suppressed:
        attributes["driftloop.suppressed"] = wish.suppressed
    start_ns = evidence_ms * NS_A_MS
    begun = root_span(context, "turn", start_ns=start_ns, attributes=attributes)
    detect: Sequence[Span] = ()
    if wish.raised:
        detect = step_span(
            render(context),
            "detect",
            start_ns=start_ns,
            end_ns=max(evidence_ms, now.ms) * NS_A_MS,
            attributes={
                "driftloop.value": wish.raised.value,
                "driftloop.reference": wish.raised.reference,
                "driftloop.rows": wish.raised.rows,
                "driftloop.model_version": wish.version,
            },
        )
    return [*begun, *detect, *step_span(render(context), "decide")]
