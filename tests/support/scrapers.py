"""Who scrapes /metrics and hangs: says nothing, says half of it, or never reads the answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from infra.local.ports import HOST

ASKS = (b"", b"GET /metr", b"GET /metrics HTTP/1.0\r\n\r\n")
AGAIN_S = 2.0
NARROW = 500  # bytes a packet: an answer fits into no buffer on its way


def hung(port: int, ask: bytes) -> socket.socket:
    """A connection on which `ask` was said, and nothing will be read."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * NARROW)
    reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, NARROW)
    reader.settimeout(5.0)
    reader.connect((HOST, port))
    reader.sendall(ask)
    return reader


@contextlib.contextmanager
def hanging(ports: Sequence[int]) -> Iterator[Counter[int]]:
    """At each port three of them at any time, since a server lets those go. Port → how often the
    three were taken in so far."""
    told, stop = Counter[int](), threading.Event()

    def hang() -> None:
        while not stop.is_set():
            with contextlib.ExitStack() as ends:
                for port in ports:
                    for ask in ASKS:
                        ends.enter_context(hung(port, ask))
                    told[port] += 1
                stop.wait(AGAIN_S)

    thread = threading.Thread(target=hang, name="hanging")
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join()
