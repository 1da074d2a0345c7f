"""gRPC, both sides: a server with health and limits, a channel, and our errors as status codes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import grpc

from driftloop.kit import balance
from driftloop.kit.clock import Clock
from driftloop.kit.config import Tls
from driftloop.kit.errors import Malformed, Refused, Unavailable
from driftloop.kit.log import logger, redacted
from driftloop.kit.rpc_around import Around, Entered, status_told

F = TypeVar("F", bound=Callable[..., Any])
log = logger("kit.rpc")

MESSAGE_BYTES_MAX = (
    16 * 2**20
)  # artifacts come in 1 MiB chunks; a call of 10,000 rows x 100 float32 is 4 MB
# In flight and waiting; more get RESOURCE_EXHAUSTED at once instead of a queue without end. Half
# of them for calls, half for clients that watch our health, one call each (kit.health counts them).
CALLS_MAX = 128
THREADS = 16
DRAIN_S = 1.0

_MESSAGES = [
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
]
_SERVER = [
    *_MESSAGES,
    ("grpc.so_reuseport", 0),  # else a second process on the port would share it unseen
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
]
_CHANNEL = [
    *_MESSAGES,
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    port: int
    server: grpc.Server

    def stop(self, grace_s: float = DRAIN_S) -> None:
        """No new calls; those in flight have `grace_s`. Returns when all have ended."""
        self.server.stop(grace_s).wait()


def serve(
    add: Sequence[Callable[[grpc.Server], None]],
    host: str,
    port: int,
    tls: Tls | None = None,
    *,
    threads: int = THREADS,
    interceptors: Sequence[grpc.ServerInterceptor] = (),
) -> Server:
    """Start a server with the servicers of `add` on `port` (0: a free one). Refused: taken, or the
    TLS files are wrong."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="rpc")
    server = grpc.server(
        pool,
        options=_SERVER,
        maximum_concurrent_rpcs=CALLS_MAX,
        interceptors=list(interceptors),
    )
    for add_to in add:
        add_to(server)
    bound = _bind(server, f"{host}:{port}", tls)
    server.start()
    return Server(bound, server)


def channel(
    address: str, tls: Tls | None = None, questions: Sequence[str] = (), name: str = ""
) -> grpc.Channel:
    """A channel to `host:port`, or to the first that answers of `host:port,host:port`; connects at
    the first call. `questions`: services whose calls go round all that serve (kit.balance).
    `name`: for which the other side's certificate is, where that isn't the address."""
    target = balance.target(address)
    balanced = [("grpc.service_config", balance.service_config(questions))] if questions else []
    options = [*_CHANNEL, *balanced]
    if tls is None:
        return grpc.insecure_channel(target, options=options)
    authority = _pem(tls.authority) if tls.authority else None
    credentials = grpc.ssl_channel_credentials(authority, _pem(tls.key), _pem(tls.certificate))
    name = name or (balance.first(address) if "," in address else "")
    named = [("grpc.default_authority", name)] if name else []
    return grpc.secure_channel(target, credentials, options=[*options, *named])


class Timed(Around):
    """Tells of each call that ended: `told("Registry/Apply", "OK", seconds)`, from the call's own
    thread."""

    def __init__(self, told: Callable[[str, str, float], None], clock: Clock) -> None:
        self._told, self._clock = told, clock

    def around(self, details: grpc.HandlerCallDetails, *, streams: bool) -> Entered:
        service, _, method = details.method.strip("/").partition("/")
        return partial(self._timed, f"{service.rpartition('.')[2]}/{method}")

    def _timed(self, name: str, context: grpc.ServicerContext) -> AbstractContextManager[None]:
        began_s = self._clock.seconds()
        return status_told(
            context, lambda code: self._told(name, code, self._clock.seconds() - began_s)
        )


def answers(method: F) -> F:
    """Wrap a servicer's method: Refused → its status (INVALID_ARGUMENT), Malformed →
    INVALID_ARGUMENT, Unavailable → UNAVAILABLE, anything else → INTERNAL and into the log. For
    methods that return and for those that yield."""
    streams = inspect.isgeneratorfunction(method)

    @functools.wraps(method)
    def returning(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except Exception as error:  # noqa: BLE001  # the caller must hear of it, whatever it is
            return _abort(context, error, method.__qualname__)

    @functools.wraps(method)
    def yielding(self: Any, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from method(self, request, context)
        except Exception as error:  # noqa: BLE001  # the same
            _abort(context, error, method.__qualname__)

    return cast(F, yielding if streams else returning)


def _abort(context: grpc.ServicerContext, error: Exception, name: str) -> None:
    code: grpc.StatusCode | None = cast(Any, context).code()  # not in the types
    if code is not None:  # the method has called context.abort itself
        raise error
    if isinstance(error, Refused):
        context.abort(grpc.StatusCode[error.status], str(error))
    if isinstance(error, Malformed):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    if isinstance(error, Unavailable):
        context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    if isinstance(error, grpc.RpcError):  # another service's answer is passed on
        answer = cast(grpc.Call, error)
        context.abort(answer.code(), answer.details() or "")
    log.error("%s failed", name, exc_info=error)
    context.abort(grpc.StatusCode.INTERNAL, redacted(f"{type(error).__name__}: {error}"))


def _bind(server: grpc.Server, address: str, tls: Tls | None) -> int:
    try:
        bound = (
            server.add_insecure_port(address)
            if tls is None
            else server.add_secure_port(address, _credentials(tls))
        )
    except RuntimeError as error:
        bound, reason = 0, error
    else:
        reason = RuntimeError("no reason given")
    if bound == 0:
        raise Refused(
            f"port {address} is in use or not ours to bind: set GRPC_PORT, 0 for a free one"
        ) from reason
    return bound


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    authority = _pem(tls.authority) if tls.authority else None
    return grpc.ssl_server_credentials(
        [(_pem(tls.key), _pem(tls.certificate))], authority, authority is not None
    )


def _pem(path: Any) -> bytes:
    try:
        return bytes(path.read_bytes())
    except OSError as error:
        raise Refused(f"TLS file {path}: {error.strerror}; see DRIFTLOOP_TLS_…") from error
