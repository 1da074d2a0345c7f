"""Quarantined spans: facts of the log of record, told with the declaration, lifted by name."""

from __future__ import annotations

import pytest

from services.registry.domain import Quarantined, Unwanted
from tests.unit.registry.stories import House


def a_span(start: int, end: int, *, lifted: bool = False) -> Quarantined:
    return Quarantined("flights", start, end, "a sensor was broken", "me", 5, lifted)


def asked(house: House, fact: Quarantined) -> None:
    house.obey(lambda book, _: (None, book.quarantine(fact)))


def told(house: House) -> list[list[tuple[int, int]]]:
    return [
        [(one.span.from_us, one.span.to_us) for one in declared.quarantined]
        for declared in house.declarations()
    ]


def test_a_quarantine_is_told_with_the_declaration_and_outlives_a_restart() -> None:
    house = House()
    asked(house, a_span(10, 20))
    asked(house, a_span(30, 40))
    assert told(house) == [[], [(10, 20)], [(10, 20), (30, 40)]]
    (last,) = [one for one in house.events() if one.HasField("quarantined")][-1:]
    assert (last.quarantined.reason, last.quarantined.by) == ("a sensor was broken", "me")
    before = house.ledger.quarantined
    house.loop.close()
    house.start()
    assert house.ledger.quarantined == before


def test_the_same_span_twice_changes_nothing_and_a_lifted_one_is_gone() -> None:
    house = House()
    asked(house, a_span(10, 20))
    asked(house, a_span(10, 20))
    asked(house, a_span(10, 20, lifted=True))
    assert told(house) == [[], [(10, 20)], []]
    with pytest.raises(Unwanted, match="no such quarantine"):
        asked(house, a_span(10, 20, lifted=True))


def test_a_new_declaration_keeps_what_is_quarantined() -> None:
    house = House()
    asked(house, a_span(10, 20))
    declared = house.ledger.declared("flights")
    assert declared is not None
    house.obey(lambda book, _: book.declare(type(declared)("flights", 0, 1, "x", "d2", "me", 9)))
    assert told(house)[-1] == [(10, 20)]
