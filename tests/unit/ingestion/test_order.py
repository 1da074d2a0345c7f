"""The one order: by event time across sources, whatever the batches; duplicates, late rows,
watermark, the end.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from services.ingestion.domain.watermark import Watermark
from services.ingestion.handlers import Limits
from tests.unit.ingestion.stories import DAY_S, Shop, a_payment, an_order, committed, ids

HOUR_US = 3_600_000_000


def busy(**settings: object) -> Shop:
    """200 orders and 200 payments in three partitions each, all there before anyone reads."""
    world = Shop(partitions=3, **settings)  # type: ignore[arg-type]
    for number in range(200):
        world.send("orders", an_order(number), partition=number % 3)
        world.send("payments", a_payment(number), partition=number % 2)
    world.send("orders", an_order(190), b"{", partition=1)
    world.end(at_s=DAY_S + 10**6)
    return world


@pytest.mark.parametrize("records_max", [1, 7, 1_000])
def test_batches_of_any_size_give_the_same_rows(records_max: int) -> None:
    world, other = busy(), busy()
    world.run(world.loop(records_max), rounds=600)
    other.run(other.loop(50), rounds=600)
    assert len(world.rows()) == 400
    assert world.rows() == other.rows()
    assert world.labels() == other.labels()
    assert [row["_time"] for row in world.rows()] == sorted(row["_time"] for row in world.rows())


def test_rows_of_the_same_instant_go_by_topic_then_partition_then_offset() -> None:
    world = Shop(partitions=2)
    world.send("payments", a_payment(1, at_s=0.0), partition=1)
    world.send("payments", a_payment(2, at_s=0.0), partition=0)
    world.send("orders", an_order(4, at_s=0), an_order(3, at_s=0), partition=1)
    world.send("orders", an_order(5, at_s=0), partition=0)
    world.run(world.loop())
    assert [row["_joins"] or row["_id"] for row in world.rows()] == [
        "o5",
        "o4",
        "o3",
        "o2",
    ]  # o1 has o2's id: a duplicate


def test_a_partition_keeps_its_own_order() -> None:
    world = Shop(partitions=2)
    world.send(
        "orders", an_order(1, at_s=10), an_order(2, at_s=100), an_order(3, at_s=20), partition=0
    )
    world.send("orders", an_order(4, at_s=50), an_order(5, at_s=150), partition=1)
    world.run(world.loop())
    assert ids(world.rows()) == ["o1", "o4", "o2", "o3", "o5"]


def test_a_row_waits_for_an_idle_partition_only_so_long_and_is_not_committed_meanwhile() -> None:
    world = Shop()
    loop = world.loop()
    loop.run_once()
    world.clock.advance(2.0)
    world.send("orders", an_order(1))
    loop.run_once()
    assert world.rows() == []
    assert committed(world, "orders").offset in (None, 0)
    world.clock.advance(0.021)
    loop.run_once()
    assert ids(world.rows()) == ["o1"]
    assert committed(world, "orders").offset == 1


def test_a_record_from_the_future_of_our_clock_does_not_wait_for_it() -> None:
    world = Shop()
    loop = world.loop()
    world.send("orders", an_order(1, at_s=5 * 86_400))
    world.run(loop, rounds=5)
    assert ids(world.rows()) == ["o1"]


def test_a_partition_that_has_records_but_gives_none_holds_the_others_for_a_while() -> None:
    world = Shop(limits=Limits(20, 1_000, 86_400_000_000, 1_000_000))
    loop = world.loop()
    world.run(loop, rounds=2)
    assert loop._session is not None
    world.clock.advance(2.0)
    loop._session.pause([("payments", 0)])
    world.send("payments", a_payment(1))
    world.send("orders", an_order(1))
    world.run(loop, rounds=20)
    assert world.rows() == []
    world.clock.advance(1.0)
    world.run(loop, rounds=3)
    assert ids(world.rows()) == ["o1"]


def test_what_comes_twice_within_the_window_does_nothing_the_second_time() -> None:
    world = Shop()
    loop = world.loop()
    world.send("orders", an_order(1, at_s=0), an_order(1, at_s=0))
    world.run(loop)
    world.send("orders", an_order(1, at_s=0))
    world.run(loop, rounds=100)
    assert ids(world.rows()) == ["o1"]
    assert world.quality()["duplicate"] == 2
    assert not world.dead()


def test_an_id_is_forgotten_once_event_time_has_moved_by_the_window() -> None:
    world = Shop()
    loop = world.loop()
    world.send(
        "orders",
        an_order(1, at_s=0),
        an_order(2, at_s=3 * 3_600),
        an_order(3, at_s=6 * 3_600),
        an_order(1, at_s=6 * 3_600),
    )
    world.run(loop)
    assert ids(world.rows()) == ["o1", "o2", "o3", "o1"]


@pytest.mark.parametrize(("late", "rows", "dead"), [("keep", 3, 0), ("drop", 2, 0), ("dead", 2, 1)])
def test_a_row_older_than_the_watermark_is_kept_dropped_or_dead_as_its_source_says(
    late: str, rows: int, dead: int
) -> None:
    world = Shop(late=late)
    world.send("orders", an_order(1, at_s=7_200), an_order(2, at_s=3_600), an_order(3, at_s=3_599))
    world.run(world.loop(), rounds=100)
    assert [row["_late"] for row in world.rows()] == [False, False, True][:rows]
    assert [rule for rule, _ in world.dead()] == ["late"] * dead
    assert world.quality()["late"] == 1


def test_the_watermark_is_the_newest_time_less_the_lateness_and_never_falls() -> None:
    world = busy()
    world.run(world.loop(records_max=20), rounds=200)
    marks = [message.envelope.watermark_us for message in world.envelopes() if message.rows]
    assert marks == sorted(marks)
    assert marks[-1] == (DAY_S + 199 * 60 + 30) * 1_000_000 - HOUR_US


def test_a_few_rows_far_ahead_do_not_move_the_watermark_and_ten_in_a_row_do() -> None:
    watermark = Watermark(HOUR_US, ahead_us=24 * HOUR_US)
    assert watermark.see(100 * HOUR_US, source_ms=100 * 3_600_000) == 99 * HOUR_US
    assert [watermark.see(200 * HOUR_US, 0) for _ in range(9)] == [99 * HOUR_US] * 9
    assert watermark.see(101 * HOUR_US, 0) == 100 * HOUR_US
    assert [watermark.see(200 * HOUR_US, 0) for _ in range(9)] == [100 * HOUR_US] * 9
    assert watermark.see(200 * HOUR_US, 0) == 199 * HOUR_US


def test_the_first_row_of_all_may_be_far_ahead_too() -> None:
    watermark = Watermark(HOUR_US, ahead_us=24 * HOUR_US)
    assert watermark.see(200 * HOUR_US, source_ms=100 * 3_600_000) == 0
    assert watermark.see(100 * HOUR_US, source_ms=100 * 3_600_000) == 99 * HOUR_US


def test_silence_is_filled_by_a_heartbeat_a_second_with_every_sources_next_offset() -> None:
    world = Shop(partitions=2)
    world.send("orders", an_order(1), partition=1)
    world.run(world.loop(), rounds=150)
    beats = [message for message in world.envelopes() if not message.rows]
    assert 3 <= len(beats) <= 5
    offsets = {(each.topic, each.partition): each.next for each in beats[-1].next_offsets}
    assert offsets == {("orders", 0): 0, ("orders", 1): 1, ("payments", 0): 0, ("payments", 1): 0}
    assert {partition for partition, _ in world.label_heartbeats()} == {0, 1}


def test_the_end_of_the_stream_flows_down_at_once_when_all_is_read() -> None:
    world = Shop(partitions=2)
    loop = world.loop()
    world.send("orders", an_order(1), partition=1)
    world.run(loop, rounds=3)
    world.end(at_s=DAY_S + 10**6)
    loop.run_once()
    end_us = (DAY_S + 10**6) * 1_000_000
    assert world.envelopes()[-1].envelope.watermark_us == end_us
    assert [partition for partition, mark in world.label_heartbeats() if mark == end_us] == [0, 1]


def test_an_end_that_not_all_partitions_have_said_does_nothing_and_outlives_a_restart() -> None:
    world = Shop()
    mark = [("driftloop-watermark", str((DAY_S + 10**6) * 1_000_000).encode())]
    world.send("orders", an_order(1), None, headers=mark)
    world.send("orders", None, headers=mark)
    first = world.loop()
    world.run(first)
    assert ids(world.rows()) == ["o1"]
    assert committed(world, "orders").offset == 2
    first.close()
    world.send("payments", None, headers=mark)
    world.run(world.loop(name="two"))
    assert world.envelopes()[-1].envelope.watermark_us == (DAY_S + 10**6) * 1_000_000


def test_sequences_are_gapless_in_the_order_of_records() -> None:
    world = busy()
    world.run(world.loop(records_max=30), rounds=200)
    assert [row["_sequence"] for row in world.rows()] == list(range(1, 401))
    sequences = [message.envelope.sequence for message in world.envelopes()]
    assert all(a <= b for a, b in pairwise(sequences))


def test_labels_go_by_the_id_that_they_join_and_say_the_target() -> None:
    world = Shop()
    world.send(
        "payments",
        a_payment(1, late_days=4.0),
        a_payment(2, late_days=3.0),
        a_payment(3, late_days=None),
    )
    world.run(world.loop())
    found = {row["event_id"]: row["value"] for row in world.labels()}
    assert found == {"o1": 1.0, "o2": 0.0}
    assert len(world.rows()) == 3


def test_envelopes_are_capped_by_rows_and_by_bytes() -> None:
    world = Shop()
    world.send("orders", *[an_order(number, customer="c" * 2_000) for number in range(300)])
    world.send(
        "orders", *[an_order(1_000 + number, at_s=30_000 + number) for number in range(1_500)]
    )
    world.run(world.loop())
    envelopes = [message for message in world.envelopes() if message.rows]
    assert sum(message.rows for message in envelopes) == 1_800
    assert max(message.rows for message in envelopes) <= 1_000
    assert max(len(message.columns) for message in envelopes) <= 256_000
