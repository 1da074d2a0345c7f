"""Each request gets exactly one answer; a pipeline has at most one open run."""

from __future__ import annotations

import pytest

from services.training.domain import Known, Runs, Wish

KNOWN = {"sea": Known(1, 900_000)}


def wish(
    name: str = "r1",
    pipeline: str = "sea",
    generation: int = 0,
    trigger: str = "drift",
    suppressed: str = "",
    wrong: str = "",
) -> Wish:
    return Wish(name, pipeline, generation, trigger, suppressed, wrong)


@pytest.mark.parametrize(
    ("asked", "outcome", "reason"),
    [
        (wish(), "accepted", ""),
        (wish(generation=1), "accepted", ""),
        (wish(suppressed="cooldown"), "suppressed", "cooldown"),
        (wish(pipeline="lake"), "refused", "not declared"),
        (wish(trigger="whim"), "refused", "wanted one of"),
        (wish(generation=2), "refused", "generation"),
        (wish(wrong="malformed: x"), "refused", "malformed"),
        (wish(wrong="malformed: x", suppressed="cooldown"), "refused", "malformed"),
    ],
)
def test_a_request_is_answered_by_what_it_asks(asked: Wish, outcome: str, reason: str) -> None:
    answer = Runs(KNOWN.get).resolve(asked, 1_000)
    assert answer is not None
    assert answer.outcome == outcome
    assert reason in answer.reason
    assert bool(answer.run_id) == (outcome == "accepted")


def test_while_a_run_is_open_others_are_coalesced_into_it() -> None:
    runs = Runs(KNOWN.get)
    first = runs.resolve(wish("r1"), 1_000)
    assert first is not None and first.deadline_ms == 901_000
    runs.learn(first)
    second = runs.resolve(wish("r2"), 2_000)
    assert second is not None
    assert (second.outcome, second.run_id) == ("coalesced", first.run_id)
    runs.trained(first.run_id)
    assert runs.resolve(wish("r3"), 2_000).outcome == "coalesced"  # type: ignore[union-attr]
    runs.finish(first.run_id)
    assert runs.resolve(wish("r4"), 3_000).outcome == "accepted"  # type: ignore[union-attr]


def test_the_same_request_twice_is_answered_once() -> None:
    runs = Runs(KNOWN.get)
    first = runs.resolve(wish(), 1_000)
    assert first is not None
    runs.learn(first)
    assert runs.resolve(wish(), 2_000) is None


def test_the_same_request_is_the_same_run_in_any_process() -> None:
    answers = [Runs(KNOWN.get).resolve(wish(), now) for now in (1, 2)]
    assert len({one.run_id for one in answers if one}) == 1


def test_an_end_that_was_heard_before_its_acceptance_still_closes_the_run() -> None:
    runs = Runs(KNOWN.get)
    answer = runs.resolve(wish(), 1_000)
    assert answer is not None
    runs.finish(answer.run_id)
    runs.learn(answer)
    assert runs.unfinished() == []
