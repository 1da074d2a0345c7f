"""A real OTLP receiver: a gRPC server of OpenTelemetry's own service, with all spans that came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

NONE = ""


@dataclass(frozen=True, slots=True)
class Got:
    """One span as it came; ids in hex, `parent` empty at a root."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    start_ns: int
    end_ns: int
    kind: int
    attributes: Mapping[str, Any]
    links: Sequence[tuple[str, str]]
    error: str


class Receiver(TraceServiceServicer):
    """Listens on a free port of loopback while it is entered."""

    def __init__(self) -> None:
        # by trace and id: OTLP delivers at least once, and a backend takes a span once
        self._lock, self._spans = Lock(), dict[tuple[str, str], Got]()
        self.metadata: dict[str, str] = {}  # of the newest call
        self._server = grpc.server(ThreadPoolExecutor(4))
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    @property
    def environ(self) -> Mapping[str, str]:
        """What switches tracing on, and sends it here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}"}

    def Export(
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        got = [
            _got(span, _plain(ours.resource.attributes)["service.name"])
            for ours in request.resource_spans
            for scope in ours.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            for span in got:
                known = self._spans.setdefault((span.trace, span.id), span)
                assert (known.name, known.parent) == (span.name, span.parent), (known, span)
            self.metadata = {key: str(value) for key, value in context.invocation_metadata()}
        return ExportTraceServiceResponse()

    def spans(self, trace: str = NONE) -> list[Got]:
        """All, or those of one trace."""
        with self._lock:
            return [span for span in self._spans.values() if trace in (NONE, span.trace)]

    def by_trace(self) -> dict[str, list[Got]]:
        found: dict[str, list[Got]] = {}
        for span in self.spans():
            found.setdefault(span.trace, []).append(span)
        return found

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()


def _got(span: Any, service: str) -> Got:
    return Got(
        service,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.kind,
        _plain(span.attributes),
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        span.status.message,
    )


def _plain(attributes: Sequence[KeyValue]) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes
    }
