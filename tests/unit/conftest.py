"""Unit tests never leave the machine: a connection to anywhere but loopback is an error."""

from __future__ import annotations

import socket
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses what would go out; Unix sockets and loopback (forkserver, metrics) stay."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            assert str(address[0]).startswith(("127.", "::1", "localhost")), (
                f"unit test calls {address}"
            )
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
