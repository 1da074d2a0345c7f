"""Server-sent events: one stream a page, each told what has changed since it was last told.

There is no queue: a stream keeps a revision, and what it missed while it was slow is told at once
when it is ready. One that takes nothing for SLOW_S is dropped, and may come back by Last-Event-ID.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import msgspec
from starlette.types import Message, Receive, Scope, Send

from driftloop.kit.clock import Clock
from driftloop.kit.errors import Refused
from driftloop.web.state import State

log = logging.getLogger("driftloop.web.streams")

LOOK_S = 0.5  # pulses come once a second
HEARTBEAT_S = 15.0  # a proxy closes what is silent for 30 to 60 s
SLOW_S = 10.0
STREAMS_MAX = 64  # pages open at once; each looks twice a second
encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Streams:
    """How many are open, and whether they shall end."""

    state: State
    clock: Clock
    slow_s: float = SLOW_S
    open: int = 0
    dropped: int = 0
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def full(self) -> bool:
        return self.open >= STREAMS_MAX


class Stream:
    """One page's events, as an ASGI answer."""

    def __init__(self, streams: Streams, pipeline: str, since: str) -> None:
        self._streams, self._pipeline, self._since = streams, pipeline, since
        self._services = self._trouble = b""
        self._gone = ""  # why the pipeline that the page knows is no longer there
        self._said_s = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.open += 1
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await self._send(send, _start())
            await self._run(send, gone)
        except TimeoutError:
            self._streams.dropped += 1
            log.warning("a page took nothing for %g s and was dropped", self._streams.slow_s)
        except OSError as error:
            log.debug("a page went away: %s", error)
        finally:
            self._streams.open -= 1
            gone.cancel()

    async def _run(self, send: Send, gone: asyncio.Future[None]) -> None:
        ending = asyncio.ensure_future(self._streams.ending.wait())
        try:
            while not gone.done() and not ending.done():
                data = await asyncio.to_thread(self._news)
                if data:
                    await self._send(send, _body(data))
                await asyncio.wait((gone, ending), timeout=LOOK_S, return_when="FIRST_COMPLETED")
            if not gone.done():
                await self._send(send, {"type": "http.response.body", "body": b""})
        finally:
            ending.cancel()

    async def _send(self, send: Send, message: Message) -> None:
        """Raises TimeoutError where nothing is taken: uvicorn waits once 64 KB stand unsent."""
        await asyncio.wait_for(send(message), self._streams.slow_s)

    def _news(self) -> bytes:
        """All that this page doesn't know yet, as events; else a heartbeat if one is due."""
        state, now_ms = self._streams.state, self._streams.clock.ms()
        news = self._update()
        services = encode(state.services(now_ms))
        if services != self._services:
            self._services = services
            news += event("services", services)
        trouble = encode({"says": self._gone or state.troubles(now_ms)})
        if trouble != (self._trouble or encode({"says": ""})):
            self._trouble = trouble
            news += event("trouble", trouble)
        return self._or_heartbeat(news)

    def _update(self) -> bytes:
        try:
            revision, update = self._streams.state.update(self._pipeline, self._since)
        except Refused as error:  # not read yet: a browser would never come back to a 404
            self._gone = str(error) if self._since else ""
            return b""
        self._gone = ""
        if update is None:
            return b""
        self._since = revision
        return event("update", update, revision)

    def _or_heartbeat(self, news: bytes) -> bytes:
        now_s = self._streams.clock.seconds()
        if not news and now_s - self._said_s < HEARTBEAT_S:
            return b""
        self._said_s = now_s
        return news or b": still here\n\n"


def event(name: str, data: bytes, told: str = "") -> bytes:
    """One event. `data` is JSON, so it has no line breaks of its own."""
    head = f"id: {told}\n" if told else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"


def since(last_event_id: str | None, asked: str | None) -> str:
    """What a page has seen: by its header when it comes back, else by its question."""
    return last_event_id or asked or ""


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def _start() -> Message:
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # nginx would collect events
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}
