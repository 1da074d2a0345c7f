"""The door of /metrics: one page, in the text format of Prometheus, by a server of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from driftloop.kit.errors import Refused
from driftloop.kit.log import logger

log = logger("kit.metrics")
FORMAT = "text/plain; version=0.0.4; charset=utf-8"
PATHS = ("/metrics", "/")
ASK_SECONDS_MAX = 10.0  # who connects and says nothing is let go


class _Server(ThreadingMixIn, TCPServer):
    """Not http.server's own: that one asks a name server who it is before it begins."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, page: Callable[[], str]) -> None:
        self.page = page
        super().__init__((host, port), _Asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked has gone before the answer: nothing to say. All else is our bug, and no reason
        to stop what is measured."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            log.error("the page failed", exc_info=True)


class _Asked(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    timeout = ASK_SECONDS_MAX

    def do_GET(self) -> None:
        if self.path.partition("?")[0] not in PATHS:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = self.server.page().encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", FORMAT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A scrape every few seconds is no news."""


def serve(host: str, port: int, page: Callable[[], str]) -> int:
    """Answer on `port` (0: a free one) from a thread of its own; gives back the port. Refused: it
    is taken."""
    try:
        server = _Server(host, port, page)
    except OSError as error:
        raise Refused(
            f"port {host}:{port} ({error.strerror}): set METRICS_PORT, 0 for a free one"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_address[1])
