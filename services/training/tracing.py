"""A run as part of its turn's trace: who began the turn, and what the fits did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from driftloop.contracts.model_pb2 import ModelTrained
from driftloop.contracts.retrain_pb2 import RetrainRequested
from driftloop.kit.events import Event
from driftloop.kit.trace import (
    Span,
    Tracer,
    Value,
    render,
    root,
    root_span,
    step_of,
    step_span,
    told_spans,
)
from services.training.domain import Run

NS_A_MS = 1_000_000
MONITOR = "monitor"  # it has begun the turn of its requests itself


def turn_of(tracer: Tracer, request: Event[RetrainRequested]) -> tuple[str, Sequence[Span]]:
    """What the run's events carry, and the span of a turn that begins here: one that a person, or a
    program with a trace of its own, asked for."""
    message, given = request.message, request.traceparent
    if given and (message.by == MONITOR or not tracer.on):
        return given, ()
    attributes: dict[str, Value] = {
        "driftloop.pipeline": message.pipeline,
        "driftloop.request_id": request.id,
        "driftloop.trigger": message.trigger,
        "driftloop.reason": message.reason,
    }
    more = {"start_ns": request.time_ms * NS_A_MS, "attributes": attributes}
    if given:
        return step_of(given, "turn", request.id), step_span(given, "turn", request.id, **more)
    context = root(f"{request.id}-{request.time_ms}", sampled=tracer.on)
    return render(context), root_span(context, "turn", **more)


def work_of(turn: str, run: Run) -> str:
    """What the run's child is under."""
    return step_of(turn, "train", run.run_id)


def spans(
    turn: str, run: Run, requested_ms: int, message: ModelTrained, told: Sequence[Mapping[str, Any]]
) -> Sequence[Span]:
    """`train` from the request to the commit of its model.trained, and in it the child's steps."""
    attributes: dict[str, Value] = {
        "driftloop.pipeline": run.pipeline,
        "driftloop.run_id": run.run_id,
        "driftloop.outcome": message.outcome,
        "driftloop.candidates": len(message.candidates),
    }
    error = "" if message.outcome == "trained" else f"{message.outcome}: {message.reason}"
    whole = step_span(
        turn,
        "train",
        run.run_id,
        start_ns=requested_ms * NS_A_MS,
        attributes=attributes,
        error=error,
    )
    return [*whole, *told_spans(work_of(turn, run), told)]
