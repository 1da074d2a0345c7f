"""Traces through gRPC: a call carries `traceparent` in its metadata, and is a span where it came
with one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc

from driftloop.kit import log
from driftloop.kit.clock import Clock
from driftloop.kit.rpc_around import Around, Entered, status_told
from driftloop.kit.trace import (
    HEADER,
    SERVER,
    Span,
    TraceContext,
    Tracer,
    Value,
    bound,
    here,
    parse,
    render,
)


class Traced(Around):
    """A call with a traceparent is done under it; a sampled one gets a span with what came of it.
    Others cost a look at their metadata."""

    def __init__(self, tracer: Tracer, clock: Clock) -> None:
        self._tracer, self._clock = tracer, clock

    def around(self, details: grpc.HandlerCallDetails, *, streams: bool) -> Entered | None:
        given = _given(details)
        if given is None:
            return None
        entered = self._span if streams else self._under
        return partial(entered, details.method, given)

    @contextmanager
    def _under(
        self, method: str, given: TraceContext, context: grpc.ServicerContext
    ) -> Iterator[None]:
        """With the span bound; not for a stream, whose pieces several threads may ask for."""
        with self._span(method, given, context) as own:
            text = render(own)
            with bound(text), log.bound(traceparent=text):
                yield

    @contextmanager
    def _span(
        self, method: str, given: TraceContext, context: grpc.ServicerContext
    ) -> Iterator[TraceContext]:
        if not (self._tracer.on and given.sampled):
            yield given
            return
        own = TraceContext(given.trace_id, secrets.token_hex(8), sampled=True)
        start_ns = self._clock.ns()

        def told(code: str) -> None:
            self._tracer.add([_span_of(method, given, own, start_ns, self._clock.ns(), code)])

        with status_told(context, told):
            yield own


def passing(channel: grpc.Channel) -> grpc.Channel:
    """The same channel; calls from within `bound` carry its traceparent."""
    return grpc.intercept_channel(channel, _Passing())


@dataclass(frozen=True, slots=True)
class _Details(grpc.ClientCallDetails):
    """grpc's own is an interface alone."""

    method: Any
    timeout: Any
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


class _Passing(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the header, whatever kind of call it is."""

    def _call(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        traceparent = here()
        return continuation(_with(details, traceparent) if traceparent else details, request)

    intercept_unary_unary = intercept_unary_stream = _call  # type: ignore[assignment]
    intercept_stream_unary = intercept_stream_stream = _call  # type: ignore[assignment]


def _with(details: Any, traceparent: str) -> _Details:
    return _Details(
        details.method,
        details.timeout,
        [*(details.metadata or ()), (HEADER, traceparent)],
        details.credentials,
        getattr(details, "wait_for_ready", None),
        getattr(details, "compression", None),
    )


def _given(details: grpc.HandlerCallDetails) -> TraceContext | None:
    for name, value in details.invocation_metadata or ():
        if name == HEADER:
            return parse(value if isinstance(value, str) else value.decode("ascii", "replace"))
    return None


def _span_of(
    method: str, given: TraceContext, own: TraceContext, start_ns: int, end_ns: int, code: str
) -> Span:
    service, _, name = method.strip("/").rpartition("/")
    attributes: dict[str, Value] = {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": name,
        "rpc.grpc.status_code": grpc.StatusCode[code].value[0],
    }
    return Span(
        f"{service}/{name}",
        bytes.fromhex(own.trace_id),
        bytes.fromhex(own.span_id),
        bytes.fromhex(given.span_id),
        start_ns,
        end_ns,
        SERVER,
        attributes=attributes,
        error="" if code == "OK" else code,
    )
