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
WEB = "web"
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
    web: int

    def addresses(self) -> Mapping[str, str]:
        """Service → host:port of its gRPC."""
        return {name: f"{ports.HOST}:{port}" for name, port in self.grpc.items()}

    @property
    def page(self) -> str:
        """The address of the page of the loop."""
        return f"http://{ports.HOST}:{self.web}"

    def replicas(self, service: str) -> list[str]:
        """A service's processes: `serving`, `serving-1`, …; the first has the service's name."""
        return [name for name in self.grpc if part(name)[0] == service]

    def taken(self) -> list[int]:
        """Those of our ports that somebody else listens on."""
        wanted = [*self.grpc.values(), *self.metrics.values(), self.live, self.web]
        return [port for port in wanted if not ports.is_free(port)]


def part(name: str) -> tuple[str, str]:
    """A process's service and slot: `serving-1` is ("serving", "1")."""
    service, _, slot = name.rpartition("-")
    return (service, slot) if slot.isdigit() else (name, "0")


def fixed() -> Layout:
    """The documented ports of `make run`."""
    above = {name: port + ports.METRICS_ABOVE for name, port in ports.GRPC.items()}
    return Layout(ports.GRPC, above, ports.LIVE, ports.WEB)


def free(replicas: Mapping[str, int] | None = None) -> Layout:
    """Ports that nobody has, for demo and tests. `replicas`: service → how many, where not one."""
    more = {name: range(1, count) for name, count in (replicas or {}).items()}
    names = [*ports.GRPC, *(f"{name}-{slot}" for name, slots in more.items() for slot in slots)]
    found = ports.free(2 * len(names) + 2)
    grpc = dict(zip(names, found, strict=False))
    metrics = dict(zip(names, found[len(names) :], strict=False))
    return Layout(grpc, metrics, found[-2], found[-1])


def client_environ(layout: Layout, kafka: Mapping[str, str]) -> dict[str, str]:
    """The settings that lead a client, or a service, to this stack."""
    asked = ("registry", "features", "serving", "training", "evaluation")
    every = layout.addresses()
    addresses = {name: ",".join(every[each] for each in layout.replicas(name)) for name in asked}
    settings = {f"DRIFTLOOP_{name.upper()}": addresses[name] for name in asked}
    return {**kafka, **settings, "DRIFTLOOP_WEB": layout.page}


def service(name: str, layout: Layout, environ: Mapping[str, str], data: Path) -> Service:
    """One of the seven, the live view, or the page."""
    if name == WEB:
        return _page(layout, environ)
    service, slot = part(name)
    module = "services.monitor.live" if name == LIVE else f"services.{service}"
    own = {
        "DRIFTLOOP_SLOT": slot,
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


def _page(layout: Layout, environ: Mapping[str, str]) -> Service:
    """Loopback only, whatever the services listen on. Nobody waits for it."""
    options = ["--host", ports.HOST, "--port", str(layout.web)]
    return Service(
        WEB,
        [sys.executable, "-m", "driftloop.cli", "web", *options],
        {**LEAN, **environ, "DRIFTLOOP_LOG": "json"},
        places.ROOT,
    )
