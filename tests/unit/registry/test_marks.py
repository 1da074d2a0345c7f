"""What a person says of a version: facts of the log of record, the newest of which holds."""

from __future__ import annotations

from typing import Any

import pytest

from services.registry.domain import Ledger, Unwanted
from tests.unit.registry.stories import House, digest


def a_house() -> House:
    """Two versions, the second one live."""
    house = House()
    house.run("r1", "a", 0)
    house.run("r2", "b", 1)
    return house


def marked(house: House, version: int, **said: Any) -> None:
    asked = {"pinned": None, "note": None, "tags": {}, "by": "me", **said}
    house.obey(lambda book, now_ms: (None, book.mark("flights", version, now_ms=now_ms, **asked)))


def told(ledger: Ledger, version: int) -> tuple[bool, str, dict[str, str]]:
    mark = ledger.mark("flights", version)
    assert mark is not None
    return mark.pinned, mark.note, dict(mark.tags)


def test_what_is_not_said_stays_and_all_of_it_outlives_a_restart() -> None:
    house = a_house()
    marked(house, 1, pinned=True, note="before the sale")
    marked(house, 1, tags={"team": "risk", "stage": "old"})
    marked(house, 1, tags={"stage": "", "owner": "me"})
    assert told(house.ledger, 1) == (True, "before the sale", {"owner": "me", "team": "risk"})
    assert house.ledger.mark("flights", 2) is None
    house.loop.close()
    house.start()
    assert told(house.ledger, 1) == (True, "before the sale", {"owner": "me", "team": "risk"})
    marked(house, 1, pinned=False)
    assert told(house.ledger, 1)[0] is False


def test_the_same_again_is_no_fact_and_a_version_that_is_not_there_is_refused() -> None:
    house = a_house()
    marked(house, 1, pinned=True)
    before = len(house.events())
    marked(house, 1, pinned=True)
    assert len(house.events()) == before
    with pytest.raises(Unwanted, match="flights@9 does not exist"):
        marked(house, 9, pinned=True)


def test_the_challenger_is_a_newest_version_that_was_never_live() -> None:
    house = a_house()
    assert "challenger" not in house.ledger.aliases("flights")
    versions = house.ledger.versions["flights"]
    versions[3] = versions[2]  # as approval mode leaves it
    assert house.ledger.aliases("flights")["challenger"] == 3
    assert digest("b") == versions[2].digest
