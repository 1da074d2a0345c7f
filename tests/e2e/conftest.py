"""The whole product for end-to-end tests: one stack of real processes, and the small stream that
has gone round its loop once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infra.local.stack import Stack
from infra.tools import sea
from tests.support.eventually import eventually
from tests.support.loop import World, last_us

ROWS, DRIFT = 7_000, 3_000


@dataclass(frozen=True)
class Looped:
    """A stream that drifted, and the version that the loop answered the drift with."""

    world: World
    stream: str
    events: list[tuple[str, str]]
    version: int


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Kafka, the seven services and the live view, with a client beside them."""
    with Stack(tmp_path_factory.mktemp("stack")) as stack, World.of(stack) as world:
        yield world


@pytest.fixture(scope="session")
def looped(world: World) -> Looped:
    """Events in three parts: to the first model, past the drift to the next one, to the end."""
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
    return Looped(world, stream, events, version)
