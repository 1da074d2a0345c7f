"""Is tracing on? OpenTelemetry's own variables say so; off, nothing of it is imported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from driftloop.kit.trace.span import NoTracer, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
log = logging.getLogger("driftloop.kit.trace")  # kit.log itself knows of trace contexts


def tracer_of(
    service: str,
    replica: str,
    sample: float,
    environ: Mapping[str, str],
    count: Callable[[str, int], None],
) -> Tracer:
    """`count` hears (sent, dropped or failed, how many spans)."""
    if not _on(environ):
        return NoTracer()
    from driftloop.kit.trace.otel import OtlpTracer  # 30 MB and 0.3 s: for those alone who ask

    return OtlpTracer(service, replica, sample, count)


def _on(environ: Mapping[str, str]) -> bool:
    if not any(environ.get(name, "").strip() for name in ENDPOINTS):
        return False
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "otlp").strip() == "none":
        return False
    protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), "grpc")
    if protocol != "grpc":
        log.warning("no traces: OTLP is sent by grpc, the environment asks for %s", protocol)
    return protocol == "grpc"
