"""What each kind of bad record gets: its rule, a dead letter whole and untouched, and no stop."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from driftloop import spec
from driftloop.kit.envelope import partition_rows
from services.ingestion.codec.source import SourceReader
from tests.unit.ingestion.stories import (
    DAY_S,
    SHOP,
    Shop,
    a_payment,
    an_order,
    committed,
    ids,
    shop,
)


def order_with(**changes: object) -> bytes:
    fields = json.loads(an_order(1))
    return json.dumps(
        {name: value for name, value in {**fields, **changes}.items() if value != "<gone>"}
    ).encode()


RULES = [
    ("not_json", b"{"),
    ("not_json", b""),
    ("not_json", b"\xff\xfe"),
    ("not_json", None),
    ("not_json", b'{"a":' * 5_000),
    ("not_json", b'{"order": "\\ud800"}'),
    ("not_object", b"[1]"),
    ("not_object", b"7"),
    ("not_object", b"null"),
    ("missing_field", order_with(amount="<gone>")),
    ("missing_field", order_with(amount=None)),
    ("wrong_type", order_with(amount="5")),
    ("wrong_type", order_with(amount=True)),
    ("wrong_type", order_with(items=1.5)),
    ("wrong_type", order_with(order=7)),
    ("wrong_type", order_with(gift="yes")),
    ("wrong_type", order_with(at=17)),
    ("out_of_range", order_with(items=2**63)),
    ("out_of_range", an_order(1).replace(b"5.0", b"1e999")),
    ("not_finite", an_order(1).replace(b"5.0", b"NaN")),
    ("not_finite", an_order(1).replace(b"5.0", b"-Infinity")),
    ("wrong_time", order_with(at="yesterday")),
    ("wrong_time", order_with(at="2024-01-01T00:00:00")),
    ("wrong_time", order_with(at="2024-02-30T00:00:00Z")),
    ("wrong_time", order_with(at="1969-12-31T00:00:00Z")),
    ("wrong_time", order_with(at="2300-01-01T00:00:00Z")),
    ("too_large", order_with(note="x" * 1_000_001)),
    ("id_too_long", order_with(order="x" * 251)),
    ("rule:amount", order_with(amount=0.0)),
    ("rule:items", order_with(items=100)),
]


@pytest.mark.parametrize(
    ("rule", "value"), RULES, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(RULES)]
)
def test_a_bad_record_is_a_dead_letter_and_its_neighbours_go_on(
    rule: str, value: bytes | None
) -> None:
    world = Shop()
    world.send("orders", an_order(0), value, an_order(2))

    world.run(world.loop())

    assert ids(world.rows()) == ["o0", "o2"]
    ((found, record),) = world.dead()
    headers = dict(record.headers)
    assert (found, record.value, record.key) == (rule, value, b"key")
    assert (
        headers["driftloop-topic"],
        headers["driftloop-partition"],
        headers["driftloop-offset"],
    ) == (b"orders", b"0", b"1")
    assert headers["driftloop-reason"]
    assert committed(world, "orders").offset == 3


def test_a_label_without_the_fields_that_it_joins_by_is_unknown_join() -> None:
    world = Shop()
    world.send("payments", a_payment(1, order=None), a_payment(2))
    world.run(world.loop())
    assert [rule for rule, _ in world.dead()] == ["unknown_join"]
    assert [row["event_id"] for row in world.labels()] == ["o2"]


def test_a_rule_does_not_judge_a_row_that_lacks_its_field() -> None:
    world = Shop()
    world.send("orders", order_with(items=None), order_with(order="o9", items="<gone>"))
    world.run(world.loop())
    assert len(world.rows()) == 2
    assert not world.dead()


def test_the_senders_headers_stay_on_a_dead_letter() -> None:
    world = Shop()
    world.send("orders", b"{", headers=[("trace", b"t1")])
    world.run(world.loop())
    ((_, record),) = world.dead()
    assert record.headers[0] == ("trace", b"t1")


@pytest.mark.parametrize("fields", [10, 1_000])
def test_a_row_that_would_not_fit_a_message_is_a_dead_letter_however_many_fields_there_are(
    fields: int,
) -> None:
    world = Shop()
    more = "".join(f', f{number}: "string?"' for number in range(fields))
    world.pipeline = spec.parse(
        SHOP.replace("LATE", "keep").replace('gift: "bool?"', f'gift: "bool?"{more}')
    )
    for size in range(500_000, 1_000_000, 40_000):
        world.send("orders", an_order(size, at_s=0, f1="x" * size))
    world.run(world.loop())
    dead = [rule for rule, _ in world.dead()]
    assert set(dead) <= {"too_large"}
    assert len(world.rows()) + len(dead) == 13
    assert len(dead) == (0 if fields == 10 else 7)


def test_a_dead_letter_that_is_too_large_for_its_topic_leaves_its_place_and_its_hash() -> None:
    world = Shop()
    world.send("orders", b"x" * 10_500_000)
    world.run(world.loop())
    ((rule, record),) = world.dead()
    stub = json.loads(record.value or b"")
    assert rule == "too_large"
    assert (stub["topic"], stub["offset"], stub["bytes"], len(stub["sha256"])) == (
        "orders",
        0,
        10_500_000,
        64,
    )


def test_a_dead_letter_whose_headers_are_too_large_leaves_them_out() -> None:
    world = Shop()
    world.send("orders", b"{", headers=[("trace", b"x" * 10_500_000)])
    world.run(world.loop())
    ((rule, record),) = world.dead()
    assert (rule, json.loads(record.value or b"")["bytes"]) == ("not_json", 1)
    assert "trace" not in dict(record.headers)


def test_an_id_that_would_not_fit_our_topics_is_a_dead_letter_and_stops_nothing() -> None:
    world = Shop()
    world.send("payments", a_payment(1, order="x" * 600_000), a_payment(2))
    world.run(world.loop())
    assert [rule for rule, _ in world.dead()] == ["id_too_long"]
    assert [row["event_id"] for row in world.labels()] == ["o2"]


def test_a_batch_of_the_longest_ids_fits_our_topics() -> None:
    world = Shop()
    found = partition_rows(pa.array([f"{n:04}" + "\U0001f6eb" * 246 for n in range(3_000)]), 2)
    chosen = np.flatnonzero(found == 0)[:1_000]  # all for one partition
    orders = [f"{n:04}" + "\U0001f6eb" * 246 for n in chosen.tolist()]
    world.send("payments", *(a_payment(n, order=order) for n, order in enumerate(orders)))
    world.run(world.loop())
    assert not world.dead()
    assert len(world.labels()) == 1_000


def test_counts_by_rule_are_told_once_a_second() -> None:
    world = Shop()
    world.send("orders", an_order(0), b"{", an_order(0), an_order(1))
    world.run(world.loop(), rounds=120)
    assert world.quality() == {"accepted": 2, "duplicate": 1, "not_json": 1}


IDS = [
    (["a", "b"], "a|b"),
    (["a|b", "c"], "a\\|b|c"),
    (["a", "b|c"], "a|b\\|c"),
    (["a\\", "b"], "a\\\\|b"),
]


@pytest.mark.parametrize(("parts", "wanted"), IDS)
def test_ids_of_two_fields_never_meet(parts: list[str], wanted: str) -> None:
    pipeline = shop().model_copy()
    source = pipeline.predict.model_copy(update={"id": ("order", "customer")})
    reader = SourceReader(pipeline, source, 1_000_000)
    value = json.dumps(
        {**json.loads(an_order(1)), "order": parts[0], "customer": parts[1]}
    ).encode()
    assert reader.read(value, "")[2] == wanted


def test_a_time_with_its_offset_and_a_time_in_milliseconds_are_the_same_instant() -> None:
    world = Shop()
    world.send("orders", order_with(at="2024-01-01T02:00:00.250+01:00"))
    world.send("payments", a_payment(1, at_s=3_600.25))
    world.run(world.loop())
    assert [row["_time"] for row in world.rows()] == [(DAY_S + 3_600) * 1_000_000 + 250_000] * 2
