"""The routes: what the page asks, answered from the state; what it wishes, passed on to the
registry. Errors are JSON with one sentence.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from driftloop.client.plain import Plain
from driftloop.kit.clock import Clock
from driftloop.kit.errors import DriftloopError, Refused, Unavailable
from driftloop.web.guard import Guard, Rules
from driftloop.web.state import State
from driftloop.web.streams import STREAMS_MAX, Stream, Streams, since

STATIC = Path(__file__).parent / "static"
GZIP_BYTES_MIN = 2_000
GZIP_LEVEL = 4  # a year of buckets in 15 ms; level 9 takes ten times that for a tenth less
REASON_CHARACTERS_MAX = 2_000
STATUS = {"NOT_FOUND": 404, "FAILED_PRECONDITION": 409, "ALREADY_EXISTS": 409}
encode = msgspec.json.Encoder().encode


class Asks(Protocol):
    """The client's two wishes that the page has."""

    def promote(self, pipeline: str, version: int, reason: str = "") -> Plain: ...
    def rollback(self, pipeline: str, reason: str = "") -> Plain: ...


VERSION_DIGITS_MAX = 9  # below 2**32, protobuf's uint32


class Promote(msgspec.Struct, forbid_unknown_fields=True):
    """A version made live, and why."""

    version: Annotated[int, msgspec.Meta(ge=1, le=10**VERSION_DIGITS_MAX)]
    reason: str = ""


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    """The previous version made live again, and why."""

    reason: str = ""


W = TypeVar("W", Promote, Rollback)


@dataclass(slots=True)
class Page:
    """What the routes answer from."""

    state: State
    asks: Asks
    clock: Clock
    product: str
    writes: str  # free, token
    streams: Streams

    async def index(self, _: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def health(self, _: Request) -> Response:
        """The page lives, whoever else does not."""
        troubles = self.state.troubles(self.clock.ms())
        return JSONResponse({"status": "up", "trouble": troubles, "pages": self.streams.open})

    def overview(self, request: Request) -> Response:
        said = {
            "version": self.product,
            "now_ms": self.clock.ms(),
            "writes": self.writes,
            "pipelines": self.state.overview(),
        }
        return _json(request, encode(said))

    def pipeline(self, request: Request) -> Response:
        _, document = self.state.document(request.path_params["pipeline"])
        return _json(request, document)

    def run(self, request: Request) -> Response:
        named = request.path_params
        return _json(request, encode(self.state.run(named["pipeline"], named["run"])))

    def compare(self, request: Request) -> Response:
        a, b = (_number(request, name) for name in ("a", "b"))
        return _json(request, encode(self.state.compare(request.path_params["pipeline"], a, b)))

    def services(self, request: Request) -> Response:
        return _json(request, encode(self.state.services(self.clock.ms())))

    def stream(self, request: Request) -> Response | Stream:
        name = request.path_params["pipeline"]
        if self.streams.full:
            raise HTTPException(503, f"{STREAMS_MAX} pages are open already; close one")
        told = since(request.headers.get("last-event-id"), request.query_params.get("since"))
        return Stream(self.streams, name, told)

    async def promote(self, request: Request) -> Response:
        wish = _wish(await request.body(), Promote)
        name = request.path_params["pipeline"]
        return await _told(lambda: self.asks.promote(name, wish.version, wish.reason))

    async def rollback(self, request: Request) -> Response:
        wish = _wish(await request.body(), Rollback)
        name = request.path_params["pipeline"]
        return await _told(lambda: self.asks.rollback(name, wish.reason))


def build(page: Page, rules: Rules) -> ASGIApp:
    """The whole application, guarded."""
    app = Starlette(
        routes=_routes(page),
        exception_handlers={
            HTTPException: _on_http,
            DriftloopError: _on_ours,
            ClientDisconnect: _on_disconnect,
        },
    )
    return Guard(app, rules)


def _routes(page: Page) -> list[BaseRoute]:
    one = "/api/pipelines/{pipeline}"
    return [
        Route("/", page.index),
        Route("/healthz", page.health),
        Route("/api/overview", page.overview),
        Route("/api/services", page.services),
        Route(one, page.pipeline),
        Route(one + "/runs/{run}", page.run),
        Route(one + "/compare", page.compare),
        Route(one + "/stream", page.stream),
        Route(one + "/promote", page.promote, methods=["POST"]),
        Route(one + "/rollback", page.rollback, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
    ]


def _json(request: Request, data: bytes) -> Response:
    """As bytes, gzipped where it pays and is wanted."""
    headers = {"cache-control": "no-store", "vary": "accept-encoding"}
    if len(data) >= GZIP_BYTES_MIN and "gzip" in request.headers.get("accept-encoding", ""):
        data, headers = gzip.compress(data, GZIP_LEVEL), {**headers, "content-encoding": "gzip"}
    return Response(data, headers=headers, media_type="application/json")


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= VERSION_DIGITS_MAX):
        raise Refused(f"{name} is {text!r}, wanted a version's number")
    return int(text)


def _wish(body: bytes, kind: type[W]) -> W:
    try:
        wish = msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise Refused(f"body: {error}") from error
    if len(wish.reason) > REASON_CHARACTERS_MAX:
        raise Refused(f"reason: at most {REASON_CHARACTERS_MAX} characters")
    return wish


async def _told(wish: Callable[[], Plain]) -> Response:
    """The registry's answer in a sentence."""
    released = await run_in_threadpool(wish)
    version, before = released["version"], released["previous_version"]
    message = f"version {version} is live" + (f", {before} was before" if before else "")
    return JSONResponse({"version": version, "message": message})


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), error
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _on_ours(_: Request, error: Exception) -> Response:
    status = 503 if isinstance(error, Unavailable) else 400
    if isinstance(error, Refused):
        status = STATUS.get(error.status, 400)
    return JSONResponse({"error": str(error)}, status)


async def _on_disconnect(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the body was too long, or its sender went away"}, 413)
