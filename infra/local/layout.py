"""Which processes make the local stack, where each listens, and what each finds in its environment.
Starts nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local import places, ports, ready
from infra.local.supervisor import Service

FIRST = "registry"  # makes the control topics that all others follow
LIVE = "monitor-live"
OTHERS = ("features", "serving", "training", "evaluation", "ingestion", "monitor")

# Two cores are shared by nine processes: a pool of threads in each would only wait for the others'.
LEAN = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Ports of one stack. `kafka` is what librdkafka must know as KAFKA_… settings, the bootstrap
    included.
    """

    grpc: Mapping[str, int]
    metrics: Mapping[str, int]
    live: int

    def addresses(self) -> Mapping[str, str]:
        """Service → host:port of its gRPC."""
        return {name: f"{ports.HOST}:{port}" for name, port in self.grpc.items()}

    def taken(self) -> list[int]:
        """Those of our ports that somebody else listens on."""
        wanted = [*self.grpc.values(), *self.metrics.values(), self.live]
        return [port for port in wanted if not ports.is_free(port)]


def fixed() -> Layout:
    """The documented ports of `make run`."""
    above = {name: port + ports.METRICS_ABOVE for name, port in ports.GRPC.items()}
    return Layout(ports.GRPC, above, ports.LIVE)


def free() -> Layout:
    """Ports that nobody has, for demo and tests."""
    names = list(ports.GRPC)
    found = ports.free(2 * len(names) + 1)
    grpc = dict(zip(names, found, strict=False))
    metrics = dict(zip(names, found[len(names) :], strict=False))
    return Layout(grpc, metrics, found[-1])


def client_environ(layout: Layout, kafka: Mapping[str, str]) -> dict[str, str]:
    """The settings that lead a client, or a service, to this stack."""
    asked = ("registry", "features", "serving", "training", "evaluation")
    addresses = layout.addresses()
    return {**kafka, **{f"DRIFTLOOP_{name.upper()}": addresses[name] for name in asked}}


def service(name: str, layout: Layout, environ: Mapping[str, str], data: Path) -> Service:
    """One of the seven, or the live view."""
    module = "services.monitor.live" if name == LIVE else f"services.{name}"
    own = {
        "DRIFTLOOP_SLOT": "0",
        "DRIFTLOOP_LOG": "json",
        "DRIFTLOOP_DATA": str(data),
        "GRPC_PORT": str(layout.grpc.get(name, 0)),
        "METRICS_PORT": str(layout.metrics.get(name, 0)),
        "LIVE_PORT": str(layout.live),
    }
    address = layout.addresses().get(name)
    return Service(
        name,
        [sys.executable, "-m", module],
        {**LEAN, **environ, **own},
        places.ROOT,
        ready=(lambda: ready.serving(address)) if address else (lambda: True),
    )
