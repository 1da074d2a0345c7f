"""Which ports the local stack listens on: fixed and documented for `make run`, free ones for demo
and tests.

Loopback only; what a port is used for is the stack's business.
"""

from __future__ import annotations

import socket

HOST = "127.0.0.1"

GRPC = {
    "registry": 17101,
    "features": 17102,
    "serving": 17103,
    "training": 17104,
    "evaluation": 17105,
    "ingestion": 17106,
    "monitor": 17107,
}
METRICS_ABOVE = 100  # metrics of a service: its gRPC port + 100
KAFKA = 19092
WEB = 17300
LIVE = 17301


def is_free(port: int) -> bool:
    """True if we could listen on `port` of the loopback address now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int, within_s: float = 0.5) -> bool:
    """True if something accepts a connection on `port`."""
    with socket.socket() as caller:
        caller.settimeout(within_s)
        return caller.connect_ex((HOST, port)) == 0


def free(count: int) -> list[int]:
    """`count` different ports that nobody listens on; held together until all are known."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind((HOST, 0))
        return [int(listener.getsockname()[1]) for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
