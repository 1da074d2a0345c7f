"""The run machine, the log of record and its rebuilding, over MemoryBroker."""

from __future__ import annotations

import itertools

import pytest

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import RunFinished
from driftloop.kit.topic import Emit
from services.registry.domain import Book, Fact, Terms, Unwanted
from tests.unit.registry.stories import (
    DEADLINE_MS,
    TERMS,
    House,
    digest,
    evaluated,
    resolved,
    trained,
)

GOOD = [resolved("r1"), trained("r1", "a", "b"), evaluated("r1", "a")]


@pytest.mark.parametrize(
    ("heard", "wanted"),
    [
        ([resolved("r1", "coalesced")], []),
        ([resolved("r1", "refused"), resolved("r1", "suppressed")], []),
        ([resolved("r1")], []),
        (GOOD[:2], []),
        (GOOD, [("r1", "released", 1)]),
        ([*GOOD[:2], evaluated("r1", "", outcome="rejected")], [("r1", "rejected", 0)]),
        ([*GOOD[:2], evaluated("r1", "", outcome="failed")], [("r1", "failed", 0)]),
        ([GOOD[0], trained("r1", outcome="failed", reason="no rows")], [("r1", "failed", 0)]),
        ([GOOD[0], trained("r1", outcome="cancelled")], [("r1", "cancelled", 0)]),
        ([*GOOD[:2], evaluated("r1", "c")], [("r1", "failed", 0)]),  # not a candidate
        (
            [GOOD[0], trained("r1", "never stored"), evaluated("r1", "never stored")],
            [("r1", "failed", 0)],
        ),
        ([*GOOD[:2], evaluated("r1", "a", champion=3)], [("r1", "rejected", 0)]),  # stale
        (
            [*GOOD, *GOOD, evaluated("r1", "b", outcome="rejected")],
            [("r1", "released", 1)],
        ),  # redelivered, and late
    ],
)
def test_a_run_ends_as_its_events_say_and_once(
    heard: list[Emit], wanted: list[tuple[str, str, int]]
) -> None:
    house = House()

    house.hear(*heard)

    assert house.finished() == wanted


@pytest.mark.parametrize("order", list(itertools.permutations(GOOD)))
def test_events_of_a_run_may_come_in_any_order(order: tuple[Emit, ...]) -> None:
    house = House()

    for emit in order:
        house.hear(emit)

    assert house.finished() == [("r1", "released", 1)]


def test_a_run_without_an_end_is_timed_out_at_its_deadline_and_what_comes_later_is_ignored() -> (
    None
):
    house = House()
    house.hear(*GOOD[:2])

    house.clock.advance(DEADLINE_MS / 1000 + 1)
    house.loop.drain()
    house.hear(GOOD[2])

    assert house.finished() == [("r1", "timed_out", 0)]
    assert house.releases() == []


def test_after_a_stop_what_stands_in_the_log_is_judged_before_deadlines() -> None:
    house = House()
    house.hear(*GOOD[:2])
    house.loop.close()
    house.broker.append([GOOD[2]])
    house.clock.advance(DEADLINE_MS / 1000 + 60)

    house.start()

    assert house.finished() == [("r1", "released", 1)]


def test_the_second_release_names_the_first_as_baseline_and_previous() -> None:
    house = House()

    house.run("r1", "a", champion=0)
    house.run("r2", "b", champion=1)

    first, second = house.releases()
    assert (
        first.version,
        first.previous_version,
        first.baseline_version,
        first.baseline_digest,
    ) == (1, 0, 0, "")
    assert (second.version, second.previous_version, second.baseline_version) == (2, 1, 1)
    assert (second.baseline_digest, second.digest, second.bytes) == (digest("a"), digest("b"), 10)
    assert (list(second.inputs), list(second.classes), second.cause, second.by) == (
        ["a", "b"],
        ["0", "1"],
        "release",
        "gate",
    )
    assert house.ledger.aliases("flights") == {"champion": 2, "previous": 1, "baseline": 1}


def test_a_release_has_the_key_of_its_generation() -> None:
    house = House()

    house.run("r1", "a", champion=0)

    (record,) = house.broker.read(topics.MODEL_RELEASED.topic().name, 0, 0, 1)
    assert record.key == b"flights.g1"


def test_without_a_wanted_baseline_none_is_named() -> None:
    house = House(Terms(("a", "b"), ("0", "1"), baseline=False, approve=False))

    house.run("r1", "a", champion=0)
    house.run("r2", "b", champion=1)

    assert [m.baseline_version for m in house.releases()] == [0, 0]


def test_in_approve_mode_the_winner_gets_a_version_and_waits_for_promote() -> None:
    house = House(Terms(("a", "b"), ("0", "1"), baseline=True, approve=True))

    house.run("r1", "a", champion=0)
    assert house.finished() == [("r1", "rejected", 1)] and house.releases() == []
    (ended,) = house.messages(topics.RUN_FINISHED.topic(), RunFinished)
    assert "`driftloop approve flights@1`" in ended.reason
    house.obey(
        lambda book, now_ms: _same(
            book.promote("flights", 1, by="ann", reason="looks good", now_ms=now_ms)
        )
    )

    (release,) = house.releases()
    assert (release.version, release.by, release.cause) == (1, "ann", "promote")


WAITING = Terms(("a", "b"), ("0", "1"), baseline=True, approve=True, expiry_ms=60_000)


def decide(house: House, word: str, version: int = 1) -> None:
    """`approve` or `reject`, as the registry's doors ask it of the book."""

    def command(book: Book, now_ms: int) -> tuple[None, list[Fact]]:
        found = getattr(book, word)("flights", version, by="ann", reason="so", now_ms=now_ms)
        return None, found if isinstance(found, list) else [found]

    house.obey(command)


def test_a_version_that_waits_is_approved_by_a_person() -> None:
    house = House(WAITING)
    house.run("r1", "a", champion=0)
    decide(house, "approve")
    (release,) = house.releases()
    assert (release.version, release.by, release.cause) == (1, "ann", "approve")
    with pytest.raises(Unwanted, match="released already"):
        decide(house, "approve")


def test_a_version_that_was_rejected_or_has_waited_too_long_is_not_approved() -> None:
    house = House(WAITING)
    house.run("r1", "a", champion=0)
    decide(house, "reject")
    with pytest.raises(Unwanted, match="rejected by ann: so"):
        decide(house, "approve")
    house.run("r2", "b", champion=0)
    house.clock.advance(60_001)
    with pytest.raises(Unwanted, match=r"could be approved until .* `driftloop runs retry r2`"):
        decide(house, "approve", 2)
    assert house.releases() == []


def test_under_mode_auto_there_is_nothing_to_approve() -> None:
    house = House()
    house.run("r1", "a", champion=0)
    with pytest.raises(Unwanted, match=r"release\.mode auto"):
        decide(house, "approve")


def test_promote_and_rollback_move_the_live_version_and_are_remembered() -> None:
    house = House()
    house.run("r1", "a", champion=0)
    first_ms = house.clock.ms()
    house.clock.advance(10)
    house.run("r2", "b", champion=1)
    house.clock.advance(10)

    house.obey(
        lambda book, now_ms: _same(
            book.rollback("flights", by="ann", reason="worse", now_ms=now_ms)
        )
    )

    assert [(m.version, m.cause, m.by) for m in house.releases()] == [
        (1, "release", "gate"),
        (2, "release", "gate"),
        (1, "rollback", "ann"),
    ]
    served = [
        house.ledger.who_served("flights", at_ms)
        for at_ms in (first_ms - 1, first_ms, house.clock.ms() - 1_000, house.clock.ms())
    ]
    assert [s.version if s else None for s in served] == [None, 1, 2, 1]


@pytest.mark.parametrize(
    "wish",
    [
        lambda book, now_ms: book.promote("flights", 7, by="", reason="", now_ms=now_ms),
        lambda book, now_ms: book.promote("flights", 1, by="", reason="", now_ms=now_ms),
        lambda book, now_ms: book.rollback("flights", by="", reason="", now_ms=now_ms),
    ],
)
def test_a_wish_that_cannot_be_fulfilled_is_refused_and_changes_nothing(wish: object) -> None:
    house = House()
    house.run("r1", "a", champion=0)
    before = len(house.events())

    with pytest.raises(Unwanted):
        house.obey(lambda book, now_ms: _same(wish(book, now_ms)))  # type: ignore[operator]

    assert len(house.events()) == before


def test_a_state_rebuilt_from_the_log_of_record_equals_the_live_one() -> None:
    house = House()
    house.run("r1", "a", champion=0)
    house.run("r2", "b", champion=1)
    house.hear(
        resolved("r3"), trained("r3", outcome="failed"), resolved("r4"), trained("unheard", "c")
    )
    house.obey(
        lambda book, now_ms: _same(book.rollback("flights", by="ann", reason="", now_ms=now_ms))
    )
    live = house.ledger
    house.loop.close()

    house.start()

    assert house.ledger == live
    assert house.ledger.open.keys() == {"r4"}


def test_an_aborted_transaction_shows_nothing_and_is_done_again() -> None:
    house = House()
    house.hear(*GOOD[:2])
    house.broker.fail_commits(1)

    with pytest.raises(Exception, match="aborted as asked"):
        house.hear(GOOD[2])
    house.loop.close()
    house.start()

    assert house.finished() == [("r1", "released", 1)]
    assert [m.version for m in house.releases()] == [1]


def test_the_same_file_again_changes_nothing_and_another_is_the_next_version() -> None:
    house = House()
    draft = house.ledger.declared("flights")
    assert draft is not None

    same, _ = house.obey(lambda book, now_ms: ((book.declare(draft)[0], 0), []))
    assert same.version == 1 and len(house.declarations()) == 1
    other = type(draft)("flights", 0, 1, "name: flights  # 2", "d2", "you", house.clock.ms())
    house.obey(lambda book, now_ms: book.declare(other))

    assert [(m.version, m.digest, m.by) for m in house.declarations()] == [
        (1, "d1", "me"),
        (2, "d2", "you"),
    ]


@pytest.mark.parametrize(
    "value",
    [b"no json", b"[]", b"{}", b'{"run_id": "r", "pipeline": "p", "outcome": "well"}', None],
)
def test_a_malformed_control_event_is_counted_and_stops_nothing(value: bytes | None) -> None:
    house = House()

    house.hear(Emit(topics.MODEL_TRAINED.topic().name, value, b"flights"), *GOOD)

    assert house.finished() == [("r1", "released", 1)]
    assert (
        sum(
            house.loop.state.counts.get(rule, 0)
            for rule in ("malformed", "missing_field", "wrong_outcome")
        )
        == 1
    )


def test_runs_heard_of_but_never_opened_are_bounded() -> None:
    house = House()

    house.hear(*(trained(f"ghost-{number}", "a") for number in range(1_200)))

    assert len(house.ledger.runs) == 1_000


def test_a_run_of_an_undeclared_pipeline_still_ends() -> None:
    house = House(TERMS, declared=False)

    house.hear(*GOOD)

    assert house.finished() == [("r1", "failed", 0)]


def _same(fact: object) -> tuple[object, list[object]]:
    return fact, [fact]
