"""After a restart, an abort or a new owner the order goes on as if nothing had happened."""

from __future__ import annotations

import pytest

from driftloop import spec
from driftloop.kit.errors import Unavailable
from services.ingestion.domain.watermark import Watermark
from tests.unit.ingestion.stories import DAY_S, SHOP, Shop, a_payment, an_order, committed


def in_portions(world: Shop, restart: bool) -> Shop:
    """The same 240 records in eight portions, each read by a new loop if `restart`."""
    loop = world.loop(name="0")
    for portion in range(8):
        for number in range(portion * 15, portion * 15 + 15):
            world.send("orders", an_order(number), an_order(max(0, number - 20)))
            world.send("payments", a_payment(number))
        if restart:
            loop.close()
            loop = world.loop(name=str(portion))
        world.run(loop, rounds=10)
    world.end(at_s=DAY_S + 10**6)
    world.run(loop, rounds=10)
    return world


def test_restarts_between_portions_change_nothing() -> None:
    undisturbed, restarted = in_portions(Shop(), restart=False), in_portions(Shop(), restart=True)
    assert restarted.rows() == undisturbed.rows()
    assert restarted.labels() == undisturbed.labels()
    assert len(undisturbed.rows()) == 240


def test_an_aborted_transaction_comes_again_whole() -> None:
    world = Shop()
    world.send("orders", an_order(1), b"{", an_order(2))
    loop = world.loop()
    world.run(loop, rounds=1)
    world.broker.fail_commits(1)
    world.send("orders", an_order(3), an_order(4))
    world.clock.advance(0.1)
    with pytest.raises(Unavailable):
        world.run(loop, rounds=5)
    loop.close()
    world.run(world.loop(name="two"))
    assert [row["_id"] for row in world.rows()] == ["o1", "o2", "o3", "o4"]
    assert [row["_sequence"] for row in world.rows()] == [1, 2, 3, 4]
    assert len(world.dead()) == 1


def test_the_note_says_from_where_records_must_be_read_back() -> None:
    world = Shop()
    loop = world.loop()
    for hour in range(12):
        world.send("orders", an_order(hour, at_s=hour * 3_600))
        world.run(loop, rounds=2)
        world.clock.advance(6.0)
    note = committed(world, "shop.g1.lease").note
    start = int(note.removeprefix('{"from":').removesuffix("}"))
    log = world.broker.log["shop.g1.records", 0]
    assert 0 < start < len(log)
    loop.close()
    world.send(
        "orders",
        an_order(11, at_s=11 * 3_600),
        an_order(10, at_s=10 * 3_600),
        an_order(12, at_s=12 * 3_600),
    )
    world.run(world.loop(name="two"))
    assert [row["_id"] for row in world.rows()] == [f"o{number}" for number in range(13)]


def test_a_row_far_ahead_that_is_read_back_first_moves_nothing() -> None:
    hour, day, wall_ms = 3_600 * 10**6, 86_400 * 10**6, 1_700_000_000_000
    undisturbed, restored = Watermark(hour, day), Watermark(hour, day)
    times = [100 * day, 130 * day, 100 * day + 1, 100 * day + 2]  # the second is far ahead
    written = [undisturbed.see(time, wall_ms) for time in times]
    for time in times[1:]:  # one envelope, which carries what stood after its last row
        restored.recall(time, wall_ms, written[-1])
    assert restored.at_us == undisturbed.at_us == 100 * day + 2 - hour
    later = [100 * day + 3, 131 * day, *[132 * day] * 10]
    assert [restored.see(t, wall_ms) for t in later] == [undisturbed.see(t, wall_ms) for t in later]


def test_latest_means_the_first_start_ever_and_not_each() -> None:
    world = Shop()
    text = SHOP.replace("LATE", "keep").replace(
        "    role: predict", "    from: latest\n    role: predict"
    )
    world.pipeline = spec.parse(text)
    world.send("orders", an_order(0))
    first = world.loop(name="0", start={"orders": "latest"})
    world.run(first, rounds=60)
    first.close()
    world.send("orders", an_order(1))
    world.run(world.loop(name="1", start={"orders": "latest"}))
    assert [row["_id"] for row in world.rows()] == ["o1"]
