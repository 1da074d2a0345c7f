"""How a process is: gRPC's standard health service, and what the process uses of the machine."""

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

WATCHERS_MAX = 64  # half of the calls that a server has at a time, see kit.rpc
WHOLE = ""  # the service name that asks for the whole process
_STATM = Path("/proc/self/statm")


class Health:
    """SERVING for the process once it has started, and for each loop while it runs."""

    def __init__(self) -> None:
        self._servicer = _Watched()
        self.set(WHOLE, serving=False)

    def add(self, server: grpc.Server) -> None:
        """Answer grpc.health.v1.Health on `server`."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    def set(self, service: str, *, serving: bool) -> None:
        """What `Check(service)` answers from now on."""
        status = health_pb2.HealthCheckResponse
        self._servicer.set(service, status.SERVING if serving else status.NOT_SERVING)

    def set_all(self, services: Mapping[str, bool]) -> None:
        for service, serving in services.items():
            self.set(service, serving=serving)

    def end(self) -> None:
        """NOT_SERVING for good: this process drains."""
        self._servicer.enter_graceful_shutdown()


class _Watched(health.HealthServicer):  # type: ignore[misc]  # its makers have no types
    """Whoever comes when so many watch is told that watching is not to be had here: then gRPC's
    clients call all the same, while those who watch never take the calls' places."""

    def __init__(self) -> None:
        self._counting, self._watchers = threading.Lock(), 0
        super().__init__()

    def Watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: Any,
        send_response_callback: Callable[..., None] | None = None,
    ) -> Any:
        with self._counting:
            full = self._watchers >= WATCHERS_MAX
            self._watchers += not full
        if full:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{WATCHERS_MAX} watch already")
        if not context.add_callback(self._gone):
            self._gone()  # before we heard of it
        return super().Watch(request, context, send_response_callback)

    def _gone(self) -> None:
        with self._counting:
            self._watchers -= 1


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the start (children that work in `kit.child` not included), resident
    megabytes now."""

    cpu_s: float
    rss_mb: float


def usage() -> Usage:
    """Of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(used.ru_utime + used.ru_stime, _resident_bytes(used) / 1e6)


def _resident_bytes(used: resource.struct_rusage) -> int:
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    return used.ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )  # the peak: macOS has no cheap way to ask for now
