"""Spans to an OTLP receiver, from a thread of its own behind a bounded queue; the only import of
OpenTelemetry.

The stock exporter carries them: endpoint, headers, TLS, compression, timeout and retries are its
own settings. What it is given is encoded here, since its encoder takes 35 us a span and this one 5:
attributes that many spans share are made once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.exporter import InvalidCompressionValueException
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as Described
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from driftloop.kit.errors import Refused
from driftloop.kit.log import logger
from driftloop.kit.trace.span import Span, Value

QUEUE_MAX = 20_000  # spans: 10 MB, some seconds of a busy service with every event traced
BATCH_MAX = 2_000  # spans a call: 1 MB, a quarter of what a receiver takes by default
EVERY_S = 1.0
FLUSH_S = 1.0  # of the 5 s in which a process drains
SHARED_MAX = 1_000  # mappings that are kept encoded
log = logger("kit.trace")


class OtlpTracer:
    """On. `add` takes 0.2 us a span and never waits."""

    on = True

    def __init__(
        self, service: str, replica: str, sample: float, count: Callable[[str, int], None]
    ) -> None:
        self.sample, self._count = sample, count
        self._queue: deque[Span] = deque()
        self._exporter = _exporter(_resource(service, replica))
        self._filled, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def add(self, spans: Sequence[Span]) -> None:
        room = max(0, QUEUE_MAX - len(self._queue))
        self._queue.extend(spans[:room])
        if len(spans) > room:
            self._count("dropped", len(spans) - room)
        if len(self._queue) >= BATCH_MAX:
            self._filled.set()

    def close(self) -> None:
        self._closing.set()
        self._filled.set()
        self._thread.join(FLUSH_S)
        self._exporter.shutdown()  # ends a call or a wait of the thread that is still under way
        self._thread.join(FLUSH_S / 10)
        if self._queue:
            self._count("dropped", len(self._queue))

    def _run(self) -> None:
        while not self._closing.is_set():
            self._filled.wait(EVERY_S)
            self._filled.clear()
            self._send()
        self._send()

    def _send(self) -> None:
        while self._queue:
            spans = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            sent = self._sent(spans)
            self._count("sent" if sent else "failed", len(spans))
            if not sent and self._closing.is_set():
                return

    def _sent(self, spans: Sequence[Span]) -> bool:
        """A span that can't be encoded, or a bug of the exporter's, costs its batch and no more:
        what is traced matters less than what is served."""
        try:
            return self._exporter.sent(spans)
        except Exception as error:
            log.error("%d spans are lost: %s", len(spans), error, exc_info=error)
            return False


class Exporter(OTLPSpanExporter):
    """The stock exporter, given our spans."""

    def __init__(self, resource: Resource) -> None:
        super().__init__()
        texts = {name: str(value) for name, value in resource.attributes.items()}
        self._resource = Described(attributes=_encoded(texts))
        self._scope = InstrumentationScope(name="driftloop")
        self._shared: dict[int, tuple[Mapping[str, Value], list[KeyValue]]] = {}

    def sent(self, spans: Sequence[Any]) -> bool:
        """Waits for the receiver, at most as long as OTEL_EXPORTER_OTLP_TIMEOUT says."""
        try:
            return self.export(spans) is SpanExportResult.SUCCESS
        except ValueError:  # grpc's word for a channel that `shutdown` has closed meanwhile
            return False

    def _translate_data(self, data: Iterable[Any]) -> ExportTraceServiceRequest:
        request = ExportTraceServiceRequest()
        ours = request.resource_spans.add(resource=self._resource)
        spans = ours.scope_spans.add(scope=self._scope).spans
        for span in data:
            self._encode(span, spans.add())
        return request

    def _encode(self, span: Span, into: trace_pb2.Span) -> None:
        into.trace_id, into.span_id, into.parent_span_id = (
            span.trace_id,
            span.span_id,
            span.parent_id,
        )
        into.name, into.flags = span.name, 1
        into.kind = span.kind  # type: ignore[assignment]  # the same numbers
        into.start_time_unix_nano, into.end_time_unix_nano = span.start_ns, span.end_ns
        if span.about:
            into.attributes.extend(self._known(span.about))
        if span.attributes:
            into.attributes.extend(_encoded(span.attributes))
        for trace_id, span_id in span.links:
            into.links.add(trace_id=trace_id, span_id=span_id, flags=1)
        if span.error:
            into.status.code = trace_pb2.Status.STATUS_CODE_ERROR
            into.status.message = span.error

    def _known(self, about: Mapping[str, Value]) -> list[KeyValue]:
        """By identity: the mapping is held here, so its id is no one else's."""
        known = self._shared.get(id(about))
        if known is None:
            if len(self._shared) >= SHARED_MAX:
                self._shared.clear()
            known = self._shared[id(about)] = about, _encoded(about)
        return known[1]


def _exporter(resource: Resource) -> Exporter:
    try:
        return Exporter(resource)
    except (ValueError, InvalidCompressionValueException) as error:
        raise Refused(f"OTEL_EXPORTER_OTLP_…: {error}") from error


def _encoded(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in attributes.items()]


def _value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)


def _resource(service: str, replica: str) -> Resource:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over our own words."""
    own = Resource(
        {
            "service.name": f"driftloop-{service}",
            "service.namespace": "driftloop",
            "service.instance.id": replica,
        }
    )
    given = Resource.create()
    named = given.attributes.get("service.name", "")
    if str(named).startswith("unknown_service"):
        return given.merge(own)
    return own.merge(given)
