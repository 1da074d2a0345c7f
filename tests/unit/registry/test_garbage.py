"""What is given up, and what never is."""

from __future__ import annotations

import importlib

import pytest

from services.registry.domain import Unwanted, garbage
from tests.unit.registry.stories import House, digest

LATER = 10**15
# the package shows a function of the same name
module = importlib.import_module("services.registry.domain.garbage")


def a_house(versions: int = 5) -> House:
    """So many releases, one after the other, and as many runs behind them that released nothing."""
    house = House(stored="abcdefg")
    for number, name in enumerate("abcdefg"[:versions]):
        house.run(f"r{number + 1}", name, number)
    return house


def left(house: House, keep: int = 1) -> set[str]:
    return {one.digest for one in garbage(house.ledger, LATER, keep)}


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if only the newest run could be reused."""
    monkeypatch.setattr(module, "RUNS_KEPT", 1)


def test_what_a_recent_run_has_made_is_kept_for_later_fits() -> None:
    house = a_house()
    assert left(house) == {digest("f"), digest("g")}  # uploaded, and of no run


def test_live_previous_baseline_and_the_newest_versions_are_never_given_up(forgetful: None) -> None:
    house = a_house()
    assert left(house) == {digest(name) for name in "bcfg"}  # a baseline, d previous, e live
    assert left(house, keep=3) == {digest(name) for name in "bfg"}


def test_what_is_pinned_stays_and_what_is_young_too(forgetful: None) -> None:
    house = a_house()
    house.obey(
        lambda book, now_ms: (
            None,
            book.mark("flights", 2, pinned=True, note=None, tags={}, by="me", now_ms=now_ms),
        )
    )
    assert left(house) == {digest(name) for name in "cfg"}
    assert garbage(house.ledger, 0, 1) == []


def test_what_was_given_up_is_gone_after_a_restart_too_and_can_t_be_promoted(
    forgetful: None,
) -> None:
    house = a_house()
    house.obey(lambda book, now_ms: book.collect(LATER, 1, by="me", now_ms=now_ms))
    house.loop.close()
    house.start()
    assert digest("b") not in house.ledger.stored and digest("e") in house.ledger.stored
    with pytest.raises(Unwanted, match="flights@2 was collected"):
        house.obey(
            lambda book, now_ms: (
                None,
                [book.promote("flights", 2, by="me", reason="", now_ms=now_ms)],
            )
        )
