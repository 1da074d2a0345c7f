"""The page's process: the port taken, the feed begun, uvicorn until a signal; everything ended
within seconds.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import FrameType

import uvicorn

from driftloop.client import Client
from driftloop.kit.broker import Broker
from driftloop.kit.clock import SystemClock
from driftloop.kit.errors import Refused
from driftloop.kit.kafka import KafkaBroker
from driftloop.web.app import Asks, Page, build
from driftloop.web.feed import Feed
from driftloop.web.guard import Rules, is_loopback
from driftloop.web.state import State
from driftloop.web.streams import Streams

PORT = 17300
END_S = 3  # for answers under way; streams end at once
CONNECTIONS_MAX = 256
TOKEN_BYTES = 16
QUIET = {"log_level": "0"}  # the page says itself when the broker is away


@dataclass(frozen=True, slots=True)
class Where:
    """To listen on, what beside addresses and localhost it is called, and the token for changes
    where others can reach it; empty: one is made."""

    host: str = "127.0.0.1"
    port: int = PORT
    names: Sequence[str] = ()
    token: str = ""


@dataclass(frozen=True, slots=True)
class Listening:
    """Told once the port is open. `token` None: changes are free."""

    address: str
    token: str | None


def serve(client: Client, where: Where, on_open: Callable[[Listening], None]) -> None:
    """Until SIGINT or SIGTERM. Refused: the port is in use, or no address of this machine."""
    common = client.place.common
    broker = KafkaBroker({**QUIET, **common.kafka}, common.driftloop_namespace)
    with contextlib.closing(broker):
        serve_from(broker, client, where, common.kafka_bootstrap, on_open)


def serve_from(
    broker: Broker, asks: Asks, where: Where, bootstrap: str, on_open: Callable[[Listening], None]
) -> None:
    """The same from any log. `bootstrap`: where it is, for people."""
    rules = _rules(where)
    state, clock = State(), SystemClock()
    streams = Streams(state, clock)
    writes = "free" if rules.token is None else "token"
    page = Page(state, asks, clock, version("driftloop"), writes, streams)
    with listener(where.host, where.port) as opened, Feed(broker, state, bootstrap):
        on_open(Listening(_address(where.host, opened), rules.token))
        _Server(_config(page, rules), streams).run(sockets=[opened])


@contextlib.contextmanager
def listener(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; port 0: a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
            opened.listen()  # at once: the address is told before uvicorn takes the socket over
        except OSError as error:
            raise Refused(_not_opened(host, port, error)) from error
        yield opened


class _Server(uvicorn.Server):
    """Streams never end by themselves, so they are told when the server shall."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn raises a captured signal again once all has ended; a stop that was asked for is
        no crash, so nothing comes of that."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        with super().capture_signals():
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._streams.ending.set()
        super().handle_exit(sig, frame)


def _config(page: Page, rules: Rules) -> uvicorn.Config:
    return uvicorn.Config(
        build(page, rules),
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level=logging.WARNING,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=END_S,
    )


def _rules(where: Where) -> Rules:
    if is_loopback(where.host):
        return Rules(where.names)
    names = (*where.names, socket.gethostname())
    return Rules(names, where.token or secrets.token_urlsafe(TOKEN_BYTES))


def _address(host: str, opened: socket.socket) -> str:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{opened.getsockname()[1]}"


def _not_opened(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is in use: another page runs (`driftloop env` says where), or choose one "
            "by --port"
        )
    return f"{host}:{port} can't be listened on: {error.strerror}"
