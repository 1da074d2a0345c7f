"""A process in which others write to the log: gRPC's core, uvicorn, faust, warnings, a child, and
at last a crash."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import warnings
from contextlib import suppress
from typing import Any

from driftloop.kit import log  # isort: skip  # as every service: the kit before gRPC

import faust
import grpc
import uvicorn

from driftloop.kit.child import Children
from driftloop.kit.clock import SystemClock


def main() -> None:
    log.setup("chatter", "chatter-0", "json", level="debug", secrets={sys.argv[1]})
    _grpc()
    asyncio.run(_uvicorn())
    logging.getLogger(faust.__name__).warning("faust says %s", sys.argv[1])
    warnings.warn("odd", stacklevel=1)
    with log.bound(run_id="run-7", pipeline="sea"):
        _child()
    raise RuntimeError(f"the end, with {sys.argv[1]}")


def talk(argument: dict[str, Any], report: Any) -> dict[str, Any]:
    """In the child."""
    log.logger("services.training.fit").info("fitted with %s", argument["secret"])
    raise ValueError(argument["secret"])


def _grpc() -> None:
    """A port that another has: the core says so on stderr, if it may."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = grpc.server(None, options=[("grpc.so_reuseport", 0)])  # type: ignore[arg-type]
        try:
            server.add_insecure_port(f"127.0.0.1:{taken.getsockname()[1]}")
        except RuntimeError as error:
            log.logger("chatter").warning("no port: %s", error)


async def _uvicorn() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError(f"a page with {sys.argv[1]}")

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    with suppress(SystemExit):  # its start fails, and it wants to end the process
        await server.serve()


def _child() -> None:
    children, clock = Children(), SystemClock()
    child = children.start(
        "talk",
        "tests.integration.kit.chatter:talk",
        {"secret": sys.argv[1]},
        seconds_max=20,
        memory_mb_max=500,
    )
    while (finished := child.poll()) is None:
        clock.sleep(0.02)
    log.logger("chatter").error("child: %s %s", finished.error, finished.detail)


if __name__ == "__main__":
    main()
