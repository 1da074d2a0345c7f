"""What `driftloop status` can't tell is said to be unknown, not wrong; and wrong clocks kill
nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from driftloop.client.overview import Asked
from driftloop.client.problems import problems, status
from tests.unit.client.facts import (
    HOUR,
    LATE,
    MINUTE,
    NOW,
    a_pulse,
    an_answer,
    failed,
    whole,
    with_pulse,
)


@pytest.mark.parametrize("off_ms", [-HOUR, HOUR])
def test_a_process_whose_clock_is_wrong_is_not_taken_for_dead(off_ms: int) -> None:
    facts = with_pulse(whole(), a_pulse("serving", off_ms=off_ms))

    assert problems(facts) == []


UNREAD: list[tuple[Asked, list[str], str]] = [
    (Asked("released", "model.released"), ["live"], "which model is live"),
    (Asked("requested", "retrain.requested"), ["last_trigger"], "the last trigger"),
    (
        Asked("resolved", "retrain.resolved"),
        ["last_trigger", "open_run"],
        "what came of the last trigger",
    ),
    (
        Asked("finished", "run.finished"),
        ["last_trigger", "open_run", "last_runs"],
        "how runs ended",
    ),
    (Asked("source", "sea.events", "sea"), [], "whether this source is there"),
    (Asked("silent", "pulse"), [], "who fell silent"),
]


@pytest.mark.parametrize(("asked", "fields", "untold"), UNREAD)
def test_what_was_not_read_in_time_makes_what_depends_on_it_unknown_and_not_wrong(
    asked: Asked, fields: list[str], untold: str
) -> None:
    """The answer is missing, and would be wrong if it were taken for an empty one."""
    facts = replace(whole(), resolved=[an_answer(deadline_ms=NOW - MINUTE)])
    events = ("released", "requested", "resolved", "finished")
    lacking: dict[str, Any] = {asked.what: []} if asked.what in events else {}

    found = status(replace(facts, unread={asked: LATE}, **lacking))

    assert found["whole"] is None
    (problem,) = found["problems"]
    assert problem["level"] == "unknown"
    assert problem["says"].startswith(f"unknown: {asked.topic} was not read in time: {untold}")
    (sea,) = found["pipelines"]
    assert (sea["unknown"], [sea[name] for name in fields]) == (fields, [None] * len(fields))
    assert (sea["model"] == "unknown") is ("live" in fields)


def test_what_is_wrong_is_wrong_whatever_else_was_not_read() -> None:
    facts = replace(failed(whole()), unread={Asked("finished", "run.finished"): LATE})

    found = status(facts)

    assert found["whole"] is False
    assert [problem["level"] for problem in found["problems"]] == ["wrong", "unknown"]


def test_of_one_pipeline_nothing_is_said_of_what_another_s_topics_keep() -> None:
    facts = replace(whole(), unread={Asked("source", "sky.events", "sky"): LATE})

    assert (status(facts)["whole"], status(facts, "sea")["whole"]) == (None, True)


@pytest.mark.parametrize(
    ("skew_ms", "says"),
    [(300_000, "300 s ahead of the broker's"), (-9_000, "9 s behind the broker's")],
)
def test_a_wrong_clock_of_this_machine_is_told_and_leaves_the_loop_whole(
    skew_ms: int, says: str
) -> None:
    found = status(replace(whole(), skew_ms=skew_ms))

    assert found["whole"] is True
    assert [says in problem["says"] for problem in found["problems"]] == [True]
