"""The whole product for end-to-end tests: one stack of real processes, and the small stream that
has gone round its loop once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser

from infra.local.stack import Stack
from infra.tools import sea
from tests.support import figures
from tests.support.eventually import eventually
from tests.support.loop import World, last_us
from tests.support.otlp import Receiver
from tests.support.page import chromium
from tests.support.scrapers import hanging

ROWS, DRIFT = 7_000, 3_000
TRACED = 0.05  # of all events


@dataclass(frozen=True)
class Looped:
    """A stream that drifted, and the version that the loop answered the drift with."""

    world: World
    stream: str
    events: list[tuple[str, str]]
    version: int
    pages: Mapping[str, str]  # process -> its /metrics then
    hung: Mapping[str, int]  # process -> how often scrapers hung at it meanwhile


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """What the whole stack sends its traces to."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[World]:
    """Kafka, the seven services and the live view, with a client beside them."""
    environ = {**os.environ, **receiver.environ, "DRIFTLOOP_TRACE_SAMPLE": str(TRACED)}
    folder = tmp_path_factory.mktemp("stack")
    with Stack(folder, environ=environ) as stack, World.of(stack) as world:
        yield world


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real one; what needs it is skipped where there is none."""
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def looped(world: World) -> Looped:
    """Events in three parts: to the first model, past the drift to the next one, to the end. All
    the while whoever scrapes hangs.
    """
    ports = world.stack.layout.metrics
    with hanging(list(ports.values())) as told:
        stream, events, version = turned(world)
    hung = {name: told[port] for name, port in ports.items()}
    return Looped(world, stream, events, version, figures.pages(world.stack.layout), hung)


def turned(world: World) -> tuple[str, list[tuple[str, str]], int]:
    """The stream, its events, and the version that answered the drift."""
    stream = "sea-loop"
    world.declare(stream)
    events = list(sea.events(ROWS, DRIFT))
    world.produce(stream, events[:4_000])
    eventually(lambda: world.released(stream), within_s=60, every_s=0.3)
    world.produce(stream, events[4_000:9_000])
    eventually(lambda: world.drifts(stream), within_s=60, every_s=0.3)
    eventually(lambda: world.released(stream)[-1].version > 1, within_s=60, every_s=0.3)
    version = world.released(stream)[-1].version
    world.produce(stream, events[9_000:])
    world.end(stream, last_us(events))
    eventually(lambda: swapped(world, stream), within_s=30, every_s=0.3)
    eventually(lambda: not open_runs(world, stream), within_s=60, every_s=0.3)
    return stream, events, version


def open_runs(world: World, stream: str) -> set[str]:
    """Runs that were begun and have not ended."""
    begun = {each.run_id for each in world.resolved(stream) if each.outcome == "accepted"}
    return begun - {each.run_id for each in world.finished(stream)}


def swapped(world: World, stream: str) -> bool:
    """The monitor has seen the whole turn."""
    page = figures.page(world.stack.layout.metrics["monitor"])
    return bool(figures.value(page, "driftloop_redeploy_seconds_count", pipeline=stream))
