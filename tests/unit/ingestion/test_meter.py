"""What ingestion tells on /metrics of what became of records, and how much it holds."""

from __future__ import annotations

from tests.support.figures import value
from tests.unit.ingestion.stories import Shop, an_order


def said(shop: Shop, name: str, **labels: str) -> float | None:
    return value(shop.metrics.text(), f"driftloop_{name}", pipeline="shop", **labels)


def became(shop: Shop) -> dict[str, float | None]:
    names = ("accepted", "duplicate", "late", "dead")
    return {name: said(shop, "records_total", outcome=name) for name in names}


def test_counters_begin_at_nothing() -> None:
    assert set(became(Shop()).values()) == {0}


def test_each_record_is_counted_by_what_became_of_it_and_the_dead_by_their_rule() -> None:
    shop = Shop(late="dead")
    shop.send("orders", an_order(1), an_order(1), an_order(2, amount=-1.0), b"{", an_order(3))
    shop.send("orders", an_order(600), an_order(4))
    shop.run(shop.loop())
    assert became(shop) == {"accepted": 3, "duplicate": 1, "late": 1, "dead": 3}
    rules = ("rule:amount", "not_json", "late")
    assert [said(shop, "dead_letters_total", rule=rule) for rule in rules] == [1, 1, 1]


def test_a_late_row_that_is_kept_is_accepted_too() -> None:
    shop = Shop(late="keep")
    shop.send("orders", an_order(600), an_order(4))
    shop.run(shop.loop())
    assert became(shop) == {"accepted": 2, "duplicate": 0, "late": 1, "dead": 0}


def test_it_tells_how_many_rows_wait_and_how_many_ids_it_remembers() -> None:
    shop = Shop(partitions=2)
    loop = shop.loop()
    shop.send("orders", *(an_order(number) for number in range(5)))
    shop.clock.advance(1.0)
    loop.run_once()
    shop.clock.advance(1.0)
    loop.run_once()
    sizes = loop.state.sizes
    assert sizes.queues["merge"] + (sizes.rows or 0) == 5
    shop.run(loop, 60)
    assert (loop.state.sizes.queues, loop.state.sizes.rows) == ({"merge": 0}, 5)
    loop.close()
    assert (loop.state.sizes.queues, loop.state.sizes.rows) == ({"merge": 0}, 0)
