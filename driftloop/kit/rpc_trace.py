"""Traces through gRPC: a call carries `traceparent` in its metadata, and is a span where it came
with one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import grpc

from driftloop.kit import log
from driftloop.kit.clock import Clock
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

Handler = Any  # grpc.RpcMethodHandler, which at run time takes no parameters


class Traced(grpc.ServerInterceptor):
    """A call with a traceparent is done under it; a sampled one gets a span with what came of it.
    Others cost a look at their metadata."""

    def __init__(self, tracer: Tracer, clock: Clock) -> None:
        self._tracer, self._clock = tracer, clock

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler],
        details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = continuation(details)
        given = _given(details)
        if handler is None or given is None:
            return handler
        kind = "stream" if handler.request_streaming else "unary"
        kind += "_stream" if handler.response_streaming else "_unary"
        behaviour = getattr(handler, kind)
        wrap = self._yielding if handler.response_streaming else self._returning
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(
            wrap(details.method, given, behaviour),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _returning(
        self, method: str, given: TraceContext, behaviour: Callable[..., Any]
    ) -> Callable[..., Any]:
        def traced(request: Any, context: grpc.ServicerContext) -> Any:
            with self._span(method, given, context) as own:
                text = render(own)
                with bound(text), log.bound(traceparent=text):
                    return behaviour(request, context)

        return traced

    def _yielding(
        self, method: str, given: TraceContext, behaviour: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Nothing is bound: the pieces of a stream may be asked for by several threads."""

        def traced(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._span(method, given, context):
                yield from behaviour(request, context)

        return traced

    @contextmanager
    def _span(
        self, method: str, given: TraceContext, context: grpc.ServicerContext
    ) -> Iterator[TraceContext]:
        if not (self._tracer.on and given.sampled):
            yield given
            return
        own = TraceContext(given.trace_id, secrets.token_hex(8), sampled=True)
        start_ns, code = self._clock.ns(), "UNKNOWN"
        try:
            yield own
            code = "OK"
        except GeneratorExit:  # who asked has gone
            code = "CANCELLED"
            raise
        finally:
            said: grpc.StatusCode | None = cast(Any, context).code()  # not in the types
            code = said.name if said else code
            self._tracer.add([_span_of(method, given, own, start_ns, self._clock.ns(), code)])


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
