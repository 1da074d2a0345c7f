"""`records` in, vectors out, through the loop and a broker in memory."""

from __future__ import annotations

import random

import pytest

from driftloop.contracts.feature_pb2 import Features
from tests.unit.features.world import FEATURES, STATE, World
from tests.unit.spec.windows_reference import Event


def test_each_asked_row_gets_one_vector_and_the_watermark_is_passed_on() -> None:
    world = World()
    world.records([Event(0, 10, 1, 1, 0, 2.0), Event(1, 20, 1, 1, 0, 3.0)], watermark_us=5)
    world.records([Event(0, 30, 2, 1, 0, 4.0)], watermark_us=25)

    world.windows(records_max=10).drain()

    assert set(world.features()) == {"row-1", "row-2"}
    heads = [message.envelope for message in world.messages(FEATURES.name, Features)]
    assert max(head.watermark_us for head in heads) == 25
    assert max(head.sequence for head in heads) == 3


def test_a_heartbeat_that_moves_the_watermark_is_passed_on_at_once_to_all_partitions() -> None:
    world = World()
    world.records([Event(0, 10, 1, 1, 0, 2.0)], watermark_us=5)
    world.records([], watermark_us=10**9)

    loop = world.windows()
    for _ in range(3):
        loop.run_once()

    for partition in range(2):
        bounds = world.broker.bounds(FEATURES.name, partition)
        last = list(world.broker.read(FEATURES.name, partition, *bounds))[-1]
        message = Features.FromString(last.value or b"")
        assert (message.rows, message.envelope.watermark_us) == (0, 10**9)


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_task_goes_on_as_if_nothing_had_happened(seed: int) -> None:
    """Given checkpoints that are spread over transactions, when the loop ends at any point, several
    times, then the vectors are those of an undisturbed run."""
    envelopes = a_stream(seed)
    undisturbed = World()
    for envelope in envelopes:
        undisturbed.records(envelope)
    undisturbed.windows(records_max=100).drain()
    chance = random.Random(seed)
    world = World()
    for envelope in envelopes:
        world.records(envelope)

    while len(world.features()) < len(undisturbed.features()):
        loop = world.windows(rows_max=15, bytes_max=1, records_max=chance.randint(1, 4))
        for _ in range(chance.randint(1, 12)):
            loop.run_once()
        if chance.random() < 0.3:
            world.broker.fail_commits(1)
            with pytest.raises(Exception, match="abort"):
                while True:
                    loop.run_once()
                    loop.drain()
                    world.records([])
        loop.close()

    assert world.features() == undisturbed.features()
    written = world.broker.bounds(STATE.name, 0)[1]
    assert written > 10


def test_a_checkpoint_is_read_and_not_all_of_records() -> None:
    world = World()
    for envelope in a_stream(1):
        world.records(envelope)
    first = world.windows(rows_max=20)
    first.drain()
    first.close()

    read: list[int] = []
    original = world.broker.read

    def watched(topic: str, partition: int, start: int, end: int):  # type: ignore[no-untyped-def]
        if topic.endswith("records"):
            read.append(start)
        return original(topic, partition, start, end)

    world.broker.read = watched  # type: ignore[method-assign]
    world.windows(rows_max=20).drain()

    assert not read or min(read) > 10


def a_stream(seed: int) -> list[list[Event]]:
    chance, time = random.Random(seed), 0
    envelopes: list[list[Event]] = []
    for _ in range(40):
        envelope: list[Event] = []
        for _ in range(chance.randint(1, 6)):
            time += chance.choice([0, 0, 1, 3, 20, -2])
            source = chance.randint(0, 1)
            number = chance.choice([float("nan"), -1.0, 0.5, 2.25])
            row = len(envelopes) * 10 + len(envelope)
            known = row if source == 0 else chance.randint(max(0, row - 40), row)
            shop, kind = chance.choice([None, 1, 2, 3]), chance.choice([None, 0, 1])
            envelope.append(Event(source, time, known, shop, kind, number))
        envelopes.append(envelope)
    return envelopes
