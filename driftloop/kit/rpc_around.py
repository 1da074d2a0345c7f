"""What goes on around each call that a server answers: measured, traced.

An interceptor of gRPC may only replace a method; here one says what is entered before it and left
after it, whether the method returns or yields.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import grpc

WATCH = "/grpc.health.v1.Health/Watch"  # lasts as long as who watches
Handler = Any  # grpc.RpcMethodHandler, which at run time takes no parameters
Entered = Callable[[grpc.ServicerContext], AbstractContextManager[object]]


class Around(grpc.ServerInterceptor, ABC):
    """Around every call but who watches our health."""

    @abstractmethod
    def around(self, details: grpc.HandlerCallDetails, *, streams: bool) -> Entered | None:
        """What to enter for a call, in its own thread; None: nothing. `streams`: its answer comes
        in pieces, which several threads may ask for."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler],
        details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = continuation(details)
        if handler is None or details.method == WATCH:
            return handler
        entered = self.around(details, streams=handler.response_streaming)
        return handler if entered is None else _wrapped(handler, entered)


@contextmanager
def status_told(context: grpc.ServicerContext, told: Callable[[str], None]) -> Iterator[None]:
    """Says how the call ended, by its status's name. A stream ends with its last message."""
    unsaid = "UNKNOWN"
    try:
        yield
        unsaid = "OK"
    except GeneratorExit:  # who asked has gone
        unsaid = "CANCELLED"
        raise
    finally:
        code: grpc.StatusCode | None = cast(Any, context).code()  # not in the types
        told(code.name if code else unsaid)


def _wrapped(handler: Handler, entered: Entered) -> Handler:
    kind = "stream" if handler.request_streaming else "unary"
    kind += "_stream" if handler.response_streaming else "_unary"
    behaviour = getattr(handler, kind)

    def returning(request: Any, context: grpc.ServicerContext) -> Any:
        with entered(context):
            return behaviour(request, context)

    def yielding(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with entered(context):
            yield from behaviour(request, context)

    make = getattr(grpc, f"{kind}_rpc_method_handler")
    wrapped = yielding if handler.response_streaming else returning
    return make(wrapped, handler.request_deserializer, handler.response_serializer)
