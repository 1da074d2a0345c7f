"""What a page of /metrics says, read as Prometheus reads it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Mapping

from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from driftloop.kit import rpc
from infra.local.layout import Layout
from infra.local.ports import HOST

Sample = tuple[str, dict[str, str], float]


def samples(page: str) -> Iterator[Sample]:
    """(name, labels, value) of each line."""
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def value(page: str, name: str, **labels: str) -> float | None:
    """The one sample of exactly these labels; None: it is not shown."""
    found = [each for shown, of, each in samples(page) if shown == name and of == labels]
    assert len(found) < 2, (name, labels, found)
    return found[0] if found else None


def kinds(page: str) -> dict[str, str]:
    """Family -> counter, gauge or histogram, as the page says."""
    return {family.name: family.type for family in text_string_to_metric_families(page)}


def page(port: int) -> str:
    """What is served there now."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def pages(layout: Layout) -> Mapping[str, str]:
    """Process -> its page, after each has answered a call."""
    for address in layout.addresses().values():
        with rpc.channel(address) as channel:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    return {name: page(port) for name, port in layout.metrics.items()}
