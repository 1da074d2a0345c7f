"""State read back from the log: notes, rereads and changelogs."""

from __future__ import annotations

import pytest

from driftloop.kit import state
from driftloop.kit.broker import Position, TopicSpec
from driftloop.kit.errors import Malformed
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.task import Assigned
from driftloop.kit.topic import Emit

IN = ("story.in", 0)


def assigned(broker: MemoryBroker, position: Position) -> Assigned:
    return Assigned([IN], {IN: position}, broker.read, broker.bounds)


def a_broker(*records: tuple[bytes | None, bytes | None]) -> MemoryBroker:
    broker = MemoryBroker()
    broker.create([TopicSpec("story.in", 1)])
    broker.append([Emit("story.in", value, key, 0) for key, value in records])
    return broker


def test_a_reread_ends_where_the_commit_stands() -> None:
    broker = a_broker(*[(None, b"%d" % n) for n in range(2500)])
    held = assigned(broker, Position(2400))
    batches = list(state.reread(held, IN, 100))
    assert [len(batch) for batch in batches] == [1000, 1000, 300]
    assert (batches[0][0].value, batches[-1][-1].value) == (b"100", b"2399")


def test_nothing_is_reread_of_what_was_never_committed() -> None:
    held = assigned(a_broker((None, b"x")), Position(None))
    assert list(state.reread(held, IN, 0)) == []


def test_a_changelog_gives_the_newest_of_each_key() -> None:
    broker = a_broker((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None))
    newest = state.latest(assigned(broker, Position(None)), *IN)
    assert {key: record.value for key, record in newest.items()} == {b"a": b"2"}


def test_a_note_comes_back_as_it_went() -> None:
    text = state.note(**{"from": 12, "a": [1]})
    assert text == '{"a":[1],"from":12}'
    assert state.noted(assigned(a_broker(), Position(1, text)), IN) == {"a": [1], "from": 12}
    assert state.noted(assigned(a_broker(), Position(None)), IN) == {}


@pytest.mark.parametrize("text", ["{", "[1]", "null"])
def test_a_note_that_is_not_ours_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match=r"story\.in"):
        state.noted(assigned(a_broker(), Position(1, text)), IN)


def test_a_note_too_long_for_the_broker_is_our_bug() -> None:
    with pytest.raises(AssertionError):
        state.note(much="x" * 5000)
