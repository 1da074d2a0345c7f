"""Labels by the target's kind: what is told of a row; what can't be foretold is a dead letter."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.ingestion import stories
from tests.unit.ingestion.stories import SHOP, Shop, a_payment, an_order

BINARY = 'target: {name: late, from: payments, positive: "late_days > 3", horizon: 30d}'


def a_shop(monkeypatch: pytest.MonkeyPatch, target: str, fields: str) -> Shop:
    """The shop with another target, and `fields` more in a payment."""
    assert BINARY in SHOP
    text = SHOP.replace(BINARY, f"target: {{name: t, from: payments, horizon: 30d, {target}}}")
    text = text.replace('late_days: "float?"}', f'late_days: "float?", {fields}}}')
    monkeypatch.setattr(stories, "SHOP", text)
    return Shop()


def told(world: Shop, *payments: bytes) -> dict[str, float]:
    world.send("orders", *(an_order(number) for number in range(len(payments))))
    world.send("payments", *payments)
    world.end(stories.DAY_S + 1e6)
    world.run(world.loop())
    return {row["event_id"]: row["value"] for row in world.labels()}


@pytest.mark.parametrize(
    ("target", "field", "kind", "values"),
    [
        ("value: way, classes: [air, sea, road]", "way", "string?", ["sea", "road", "air"]),
        ("value: stars, classes: [3, 1, 5]", "stars", "int?", [1, 5, 3]),
        ("value: stars * 2, classes: [2, -4, 0]", "stars", "float?", [-2.0, 0.0, 1.0]),
    ],
)
def test_a_class_is_told_by_its_place_among_the_classes(
    monkeypatch: pytest.MonkeyPatch, target: str, field: str, kind: str, values: list[Any]
) -> None:
    world = a_shop(monkeypatch, f"kind: multiclass, {target}", f'{field}: "{kind}"')
    payments = [a_payment(number, **{field: value}) for number, value in enumerate(values)]
    assert told(world, *payments, a_payment(3)) == {"o0": 1.0, "o1": 2.0, "o2": 0.0}
    assert not world.dead()


def test_a_class_that_the_file_does_not_know_is_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = "kind: multiclass, value: way, classes: [air, sea, road]"
    world = a_shop(monkeypatch, target, 'way: "string?"')
    wrong = a_payment(1, way="rail")
    assert told(world, a_payment(0, way="sea"), wrong, a_payment(2, way="air")) == {
        "o0": 1.0,
        "o2": 0.0,
    }
    ((rule, record),) = world.dead()
    assert (rule, record.value) == ("unknown_class", wrong)
    reason = dict(record.headers)["driftloop-reason"].decode()
    assert reason == "the label is 'rail', none of air, sea, road"
    assert world.quality()["unknown_class"] == 1
    assert len(world.rows()) == 3 + 2  # nor does it change any state


def test_a_number_is_told_as_it_is_and_one_that_is_not_finite_is_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = a_shop(monkeypatch, 'kind: regression, value: "1 / days"', 'days: "float?"')
    payments = [a_payment(n, days=days) for n, days in enumerate([2.0, 0.0, None, -4.0, 1e-39])]
    assert told(world, *payments) == {"o0": 0.5, "o3": -0.25}
    assert [(rule, record.value) for rule, record in world.dead()] == [
        ("not_finite", payments[1]),
        ("not_finite", payments[4]),
    ]


def test_a_missing_field_tells_nothing_even_where_another_stands_in_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = 'value: "coalesce(days, late_days)"'
    world = a_shop(monkeypatch, f"kind: regression, {value}", 'days: "float?"')
    none = a_payment(2, late_days=None)
    assert told(world, a_payment(0, days=7.5), a_payment(1), none) == {"o0": 7.5, "o1": 1.0}
    assert not world.dead()
