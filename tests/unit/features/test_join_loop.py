"""`features` and `labels` in, examples and corrections out, through the loop and a broker in
memory."""

from __future__ import annotations

import random

import pytest

from driftloop.contracts.feature_pb2 import Examples
from tests.unit.features.world import EXAMPLES, HORIZON_US, World
from tests.unit.spec.windows_reference import Event

DONE = 10**15  # a watermark that passes everything


def test_a_label_that_comes_after_its_row_makes_an_example_with_the_rows_vector() -> None:
    world = a_world_with_rows([100, 200])
    world.labels([("row-1", 250, 1.0)], watermark_us=150)

    world.join(records_max=100).drain()

    (example,) = world.examples()
    assert example[:3] == ("row-1", 250, 1.0)
    assert example[3] == world.features()["row-1"][0]


def test_a_label_that_overtakes_its_row_waits_for_it() -> None:
    world = World()
    world.labels([("row-0", 150, 0.0), ("row-0", 160, 1.0)])
    loop = world.join()
    loop.drain()
    assert world.examples() == []

    world.records([Event(0, 100, 0, 1, 1, 1.0)])
    world.windows().drain()
    loop.drain()

    assert [e[:3] for e in world.examples()] == [("row-0", 150, 0.0)]
    assert world.corrections() == [("row-0", 0.0, 1.0)]


def test_the_first_label_wins_an_equal_one_is_counted_and_another_is_a_correction() -> None:
    world = a_world_with_rows([100])
    loop = world.join()
    world.labels([("row-0", 150, 1.0)])
    world.labels([("row-0", 160, 1.0)])
    world.labels([("row-0", 170, 0.0), ("row-0", 180, 1.0)])

    loop.drain()

    assert [e[:3] for e in world.examples()] == [("row-0", 150, 1.0)]
    assert world.corrections() == [("row-0", 1.0, 0.0), ("row-0", 0.0, 1.0)]
    assert loop.state.counts["duplicate_labels"] == 1


def test_a_label_beyond_the_horizon_is_counted_late() -> None:
    world = a_world_with_rows([100])
    world.labels([("row-0", 101 + HORIZON_US, 1.0)])

    loop = world.join()
    loop.drain()

    assert world.examples() == []
    assert loop.state.counts["late_labels"] == 1


def test_what_never_finds_its_other_half_expires_and_is_counted() -> None:
    world = a_world_with_rows([100, 200, 300])
    world.labels([("row-1", 250, 1.0), ("a-stranger", 260, 1.0)])
    loop = world.join(records_max=100)
    loop.drain()
    assert "unlabelled" not in loop.state.counts

    world.records([], watermark_us=DONE)
    world.windows().drain()
    for partition in range(2):
        world.labels([], DONE, partition)
    loop.drain()

    assert loop.state.counts["unlabelled"] == 2
    assert loop.state.counts["labels_for_nothing"] == 1


def test_a_heartbeat_at_the_end_of_the_stream_reaches_every_partition_of_examples() -> None:
    world = a_world_with_rows([100])
    loop = world.join()
    world.records([], watermark_us=DONE)
    world.windows().drain()
    for partition in range(2):
        world.labels([], DONE, partition)

    loop.drain()

    for partition in range(2):
        bounds = world.broker.bounds(EXAMPLES.name, partition)
        last = list(world.broker.read(EXAMPLES.name, partition, *bounds))[-1]
        assert Examples.FromString(last.value or b"").envelope.watermark_us == DONE


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_any_point_and_read_in_any_order_the_same_examples_come_out(seed: int) -> None:
    undisturbed = World()
    feed(undisturbed, seed)
    undisturbed.join(records_max=1_000).drain()
    chance = random.Random(seed)
    world = World()
    feed(world, seed)

    for _ in range(40):
        loop = world.join(records_max=chance.randint(1, 5))
        for _ in range(chance.randint(1, 15)):
            loop.run_once()
        loop.close()
    world.join().drain()

    assert sorted(world.examples()) == sorted(undisturbed.examples())
    assert sorted(world.corrections()) == sorted(undisturbed.corrections())
    assert len(world.examples()) > 20


def feed(world: World, seed: int) -> None:
    """Rows with labels that overtake, repeat, differ, come late or never; watermarks that
    follow."""
    chance, time, labels = random.Random(seed), 0, []
    for ident in range(120):
        time += chance.choice([0, 1, HORIZON_US // 40])
        world.records([Event(0, time, ident, 1, 1, float(ident))], watermark_us=time - 10)
        for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
            delay = chance.choice([1, HORIZON_US // 8, HORIZON_US // 2, HORIZON_US + 1])
            labels.append((f"row-{ident}", time + delay, float(chance.randint(0, 1))))
    world.windows(records_max=3).drain()
    # Some stand in the log so late that the watermark has passed their row, which may be forgotten.
    stands = {label: label[1] + chance.choice([0, 0, 0, 2 * HORIZON_US]) for label in labels}
    for label in sorted(labels, key=lambda line: stands[line]):
        world.labels([label], watermark_us=stands[label] - chance.choice([10, HORIZON_US // 4]))


def a_world_with_rows(times: list[int]) -> World:
    """Asked rows, `row-<n>`, already in `features`."""
    world = World()
    world.records([Event(0, t, n, 1, 1, float(n)) for n, t in enumerate(times)])
    world.windows().drain()
    return world
