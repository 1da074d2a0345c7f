"""A service as a process of its own on a test's broker: started, asked, killed, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from driftloop.kit import rpc
from tests.support.kafka import SharedKafka


@dataclass
class Service:
    """`python -m services.<name>` under a namespace and with a folder of its own."""

    name: str
    kafka: SharedKafka
    namespace: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port = a_free_port()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"services.{self.name}"],
                env=self._environment(),
                stdout=log,
                stderr=log,
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status; negative: the signal that ended it."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def channel(self) -> grpc.Channel:
        return rpc.channel(self.address)

    def _environment(self) -> dict[str, str]:
        kafka = {
            f"KAFKA_{name.upper().replace('.', '_')}": value
            for name, value in self.kafka.properties.items()
            if name != "bootstrap.servers"
        }
        return {
            **os.environ,
            **kafka,
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "DRIFTLOOP_NAMESPACE": self.namespace,
            "DRIFTLOOP_DATA": str(self.folder),
            "DRIFTLOOP_SLOT": "0",
            "DRIFTLOOP_LOG": "json",
            "GRPC_PORT": str(self.port),
            "METRICS_PORT": "0",
            **self.settings,
        }


@contextmanager
def running(*services: Service) -> Iterator[None]:
    """All of them started; whatever is left of them at the end is killed."""
    try:
        for service in services:
            service.start()
        yield
    finally:
        for service in services:
            if service.process is not None and service.process.poll() is None:
                service.process.kill()
                service.process.wait(10)


def a_free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
