"""Server-sent events: framing, resuming, heartbeats, and what becomes of a page that is slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from driftloop.contracts.model_pb2 import PipelineDeclared, RegistryEvent
from driftloop.contracts.pulse_pb2 import Live, Pulse
from driftloop.kit.broker import Record
from driftloop.kit.clock import FakeClock
from driftloop.kit.events import Event
from driftloop.web.state import State
from driftloop.web.streams import HEARTBEAT_S, Stream, Streams, event, since
from tests.support.year import FLIGHTS, MS

Sent = list[MutableMapping[str, Any]]


def a_state() -> State:
    """One declared pipeline."""
    state = State()
    declare(state)
    return state


def declare(state: State) -> None:
    declared = PipelineDeclared(name="flights", version=1, generation=1, yaml=FLIGHTS.read_text())
    record = Record("driftloop.registry.events", 0, 0, None, b"", (), MS)
    state.on_fact(Event("e", MS, RegistryEvent(declared=declared), record))


def streamed(
    streams: Streams, steps: list[Callable[[], None]], last: str = "", *, takes: bool = True
) -> list[tuple[str, str, Any]]:
    """Open a stream, do each step once what came before was told, go away when the last one was:
    (id, event, data) of each event."""
    sent: Sent = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if not takes:
            await asyncio.Event().wait()
        sent.append(message)

    async def run() -> None:
        gone = asyncio.Event()

        async def receive() -> MutableMapping[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        stream = asyncio.create_task(Stream(streams, "flights", last)({}, receive, send))
        told = 1  # the head
        for step in [lambda: None, *steps]:
            step()
            while len(sent) <= told and not stream.done():
                await asyncio.wait([stream], timeout=0.02)
            told = len(sent)
        gone.set()
        await stream

    asyncio.run(asyncio.wait_for(run(), 20))
    body = b"".join(message.get("body", b"") for message in sent).decode()
    return [framed(block) for block in body.split("\n\n") if block]


def framed(block: str) -> tuple[str, str, Any]:
    fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
    return fields.get("id", ""), fields.get("event", ""), json.loads(fields.get("data", "null"))


def test_an_event_is_framed_as_browsers_read_it() -> None:
    assert event("update", b"{}", "a-1") == b"id: a-1\nevent: update\ndata: {}\n\n"
    assert event("services", b"[]") == b"event: services\ndata: []\n\n"


@pytest.mark.parametrize(
    ("header", "asked", "wanted"),
    [(None, None, ""), (None, "a-1", "a-1"), ("a-2", "a-1", "a-2"), ("", "a-1", "a-1")],
)
def test_what_a_page_has_seen(header: str | None, asked: str | None, wanted: str) -> None:
    assert since(header, asked) == wanted


def test_a_page_is_told_everything_and_then_only_what_changed() -> None:
    state = a_state()
    streams = Streams(state, FakeClock(MS))

    told = streamed(
        streams,
        [
            lambda: state.on_live(Live(pipeline="flights", watermark_us=5)),
            lambda: state.on_pulse(Pulse(service="serving", replica="a", at_ms=MS)),
            lambda: state.trouble("broker", "no broker answers at nowhere:1"),
        ],
    )

    (first, _, everything), *_ = told
    updates = [(told_id, data) for told_id, name, data in told if name == "update"]
    assert {"models", "triggers", "psi", "totals", "live"} <= everything.keys()
    assert [sorted(data.keys() - everything.keys()) for _, data in updates] == [[], []]
    assert "models" not in updates[1][1] and updates[1][1]["live"]["event_time_us"] == 5
    assert len({first, updates[1][0]}) == 2
    assert [data[0]["service"] for _, name, data in told if name == "services" and data] == [
        "serving"
    ]
    assert told[-1] == ("", "trouble", {"says": "no broker answers at nowhere:1"})


def test_a_page_that_comes_back_is_told_only_what_it_missed() -> None:
    state = a_state()
    streams = Streams(state, FakeClock(MS))
    [(seen, _, _), *_] = streamed(streams, [])
    state.on_live(Live(pipeline="flights", watermark_us=9))

    [(_, _, update), *_] = streamed(streams, [], last=seen)

    assert update["live"]["event_time_us"] == 9
    assert "models" not in update and "buckets" not in update


def test_a_page_of_another_start_is_told_everything() -> None:
    [(_, _, update), *_] = streamed(Streams(a_state(), FakeClock(MS)), [], last="00000000-7")

    assert "models" in update


def test_silence_is_broken_by_a_heartbeat() -> None:
    clock = FakeClock(MS)
    stream = Stream(Streams(a_state(), clock), "flights", "")
    stream._news()

    assert stream._news() == b""
    clock.advance(HEARTBEAT_S)
    assert stream._news() == b": still here\n\n"


def test_a_pipeline_that_is_not_known_yet_is_waited_for() -> None:
    state = State()
    stream = Stream(Streams(state, FakeClock(MS)), "flights", "")

    assert b"event: update" not in stream._news()


def test_a_page_is_told_that_its_pipeline_is_no_more_and_when_it_is_back() -> None:
    state = a_state()
    stream = Stream(Streams(state, FakeClock(MS)), "flights", "")
    assert b"event: update" in stream._news()

    state.forget()
    assert b'event: trouble\ndata: {"says":"no pipeline flights' in stream._news()
    assert b"event: trouble" not in stream._news()

    declare(state)
    assert b'event: trouble\ndata: {"says":""}' in stream._news()


def test_a_page_that_takes_nothing_is_dropped_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    streams = Streams(a_state(), FakeClock(MS), slow_s=0.05)

    assert streamed(streams, [], takes=False) == []

    assert (streams.open, streams.dropped) == (0, 1)
    assert "took nothing" in caplog.text


def test_streams_end_when_the_server_shall() -> None:
    streams = Streams(a_state(), FakeClock(MS))

    async def run() -> list[str]:
        sent: Sent = []

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)
            streams.ending.set()

        async def receive() -> MutableMapping[str, Any]:
            await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        await asyncio.wait_for(Stream(streams, "flights", "")({}, receive, send), 5)
        return [message["type"] for message in sent]

    assert asyncio.run(run())[-1] == "http.response.body"
    assert streams.open == 0
