"""Is the loop whole? Facts in, problems in plain words out; each thing that can be wrong is seen
to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from driftloop.client.overview import Asked, Facts, SourceFacts, pipelines, processes, services
from driftloop.client.problems import ago, problems, status
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.contracts.retrain_pb2 import Statistics, TrainingProgress
from driftloop.kit.errors import Refused
from driftloop.kit.events import Event
from tests.unit.client.facts import (
    HOUR,
    LATE,
    MINUTE,
    NOW,
    a_loop,
    a_pulse,
    a_release,
    an_answer,
    an_end,
    an_event,
    failed,
    whole,
    with_pulse,
    without,
)


def test_a_loop_in_order_is_whole_and_says_why_its_model_is_live() -> None:
    found = status(whole())

    assert (found["whole"], found["problems"]) == (True, [])
    (sea,) = found["pipelines"]
    assert (sea["model"], sea["live"]["by"], sea["live"]["since_ms"]) == (
        "sea@2",
        "gate",
        NOW - HOUR,
    )
    assert (sea["last_trigger"]["trigger"], sea["last_trigger"]["outcome"]) == ("drift", "released")
    assert (sea["last_trigger"]["version"], sea["open_run"]) == (2, None)
    assert (sea["label_coverage"], sea["event_time"]) == (0.9, "1970-01-01T00:01:00Z")


def falls_behind(facts: Facts) -> Facts:
    before = a_pulse("serving", NOW - 20_000, loops=[a_loop("scores-sea", lag_records=1_000)])
    after = a_pulse("serving", loops=[a_loop("scores-sea", lag_records=9_000)])
    facts = with_pulse(facts, after)
    return replace(facts, pulses=[before, *facts.pulses])


def dead_letters(facts: Facts) -> Facts:
    def order(at_ms: int, dead: int) -> Event[Pulse]:
        counts = {"accepted": 100 + dead, "duplicate": 3, "not_json": dead}
        return a_pulse("ingestion", at_ms, loops=[a_loop("order-sea", counts=counts)])

    facts = with_pulse(facts, order(NOW - 500, 40))
    return replace(facts, pulses=[order(NOW - 20_000, 10), *facts.pulses])


def deaf(facts: Facts) -> Facts:
    loop = a_loop("windows-sea", state="waiting", error="commit: fenced")
    return with_pulse(facts, a_pulse("features", loops=[loop, a_loop("join-sea")]))


WRONG: list[tuple[Callable[[Facts], Facts], str, str, str]] = [
    (
        lambda f: replace(f, pulses=without(f, "training")),
        "training",
        "no replica runs: none was seen",
        "docker compose up -d training",
    ),
    (
        lambda f: with_pulse(f, a_pulse("serving", NOW - 4 * MINUTE)),
        "serving",
        "its last pulse is 4 min old",
        "its log",
    ),
    (
        lambda f: replace(f, pulses=[*f.pulses, a_pulse("serving", NOW - 40_000, "serving-1")]),
        "serving",
        "serving-1 fell silent 40 s ago without a good-bye",
        "start it again",
    ),
    (failed, "sea", "serving's loop scores-sea failed: schema: no column a", "restart serving"),
    (deaf, "sea", "windows-sea is waiting on every replica: commit: fenced", "driftloop doctor"),
    (
        lambda f: with_pulse(f, a_pulse("monitor", loops=[])),
        "sea",
        "monitor runs no loop of it",
        "restart of monitor",
    ),
    (falls_behind, "sea", "scores-sea falls behind: 9,000 messages", "another replica of serving"),
    (
        lambda f: replace(f, released=[a_release(3)]),
        "sea",
        "version 3 is live, but serving still answers with 2",
        "serving's log",
    ),
    (
        lambda f: replace(f, finished=[], resolved=[an_answer(deadline_ms=NOW - MINUTE)]),
        "sea",
        "run run-1 is past its deadline",
        "registry",
    ),
    (
        lambda f: replace(f, finished=[an_end("failed", reason="out of memory")]),
        "sea",
        "the last run failed: out of memory",
        "driftloop explain sea",
    ),
    (
        lambda f: replace(f, finished=[an_end("rejected", f"run-{n}") for n in (1, 2, 3)]),
        "sea",
        "the gate rejected the last 3 runs",
        "new features",
    ),
    (
        lambda f: replace(f, resolved=[]),
        "sea",
        "the retrain asked for 2 h ago has no answer",
        "training answers",
    ),
    (
        lambda f: replace(f, sources={"sea": [SourceFacts("sea.truth", None, 0)]}),
        "sea",
        "its source topic sea.truth does not exist",
        "--topic sea.truth",
    ),
    (dead_letters, "sea", "30 of the last 60 source records were dead", "driftloop dead list sea"),
]


@pytest.mark.parametrize(("break_it", "where", "says", "mend"), WRONG)
def test_what_is_wrong_is_said_with_its_mend(
    break_it: Callable[[Facts], Facts], where: str, says: str, mend: str
) -> None:
    found = problems(break_it(whole()))

    wrong = [problem for problem in found if problem.level == "wrong"]
    assert [problem.where for problem in wrong] == [where], found
    assert says in wrong[0].says
    assert mend in wrong[0].mend
    assert status(break_it(whole()))["whole"] is False


NOTES: list[tuple[Callable[[Facts], Facts], str]] = [
    (lambda f: replace(f, released=[]), "no model yet"),
    (
        lambda f: replace(f, statistics={"sea": [Statistics(scored=1, unlabelled=9)]}),
        "only 10% of the newest answered rows got a label",
    ),
    (
        lambda f: replace(
            f,
            sources={
                "sea": [SourceFacts("a", 1, NOW - 1_000), SourceFacts("b", 1, NOW - 5 * HOUR)]
            },
        ),
        "source b has been silent for 5 h",
    ),
    (lambda f: replace(f, calls={"serving": "nothing answers gRPC at x"}), "can't be called"),
    (
        lambda f: replace(f, unread={Asked("statistics", "sea.statistics", "sea"): LATE}),
        "unknown: sea.statistics was not read in time",
    ),
]


@pytest.mark.parametrize(("change", "says"), NOTES)
def test_what_is_good_to_know_leaves_the_loop_whole(
    change: Callable[[Facts], Facts], says: str
) -> None:
    found = status(change(whole()))

    assert found["whole"] is True
    assert [says in problem["says"] for problem in found["problems"]] == [True]


def test_a_replica_that_said_good_bye_or_came_back_under_another_name_is_not_missed() -> None:
    ended = a_pulse("serving", NOW - 40_000, "serving-a1", ended=True)
    killed = a_pulse("serving", NOW - 50_000, "serving-b2")
    anew = a_pulse("serving", replica="serving-c3", started_ms=NOW - 45_000)
    facts = with_pulse(whole(), anew)

    assert problems(replace(facts, pulses=[ended, killed, *facts.pulses])) == []


def test_a_process_that_has_just_started_may_restore_its_state() -> None:
    loop = a_loop("windows-sea", state="restoring")
    young = a_pulse("features", started_ms=NOW - 5_000, loops=[loop, a_loop("join-sea")])

    assert problems(with_pulse(whole(), young)) == []


def test_the_last_error_stays_with_its_age_when_the_loop_runs_again() -> None:
    loop = a_loop("scores-sea", last_error="broker away", last_error_ms=NOW - 3 * MINUTE)
    facts = with_pulse(whole(), a_pulse("serving", loops=[loop]))

    serving = next(one for one in services(facts) if one["service"] == "serving")
    assert (serving["last_error"], serving["last_error_age_s"]) == ("broker away", 180.0)
    assert problems(facts) == []


def test_an_open_run_is_told_with_its_stage() -> None:
    step = TrainingProgress(run_id="run-1", stage="fitting", candidate="all")
    facts = replace(whole(), finished=[], progress=[an_event(step)])

    (sea,) = pipelines(facts)
    assert (sea["open_run"]["stage"], sea["open_run"]["since_ms"]) == ("fitting all", NOW - HOUR)
    assert sea["last_trigger"]["outcome"] == "under way"


def test_rates_are_between_a_replica_s_own_pulses() -> None:
    before = a_pulse("serving", NOW - 10_500, loops=[a_loop("scores-sea", rows_in=1_000)])
    after = a_pulse("serving", NOW - 500, loops=[a_loop("scores-sea", rows_in=3_000)])
    facts = replace(whole(), pulses=[before, after])

    assert processes(facts)[0]["rows_per_s"] == 200.0


def test_a_pulse_from_long_ago_says_nothing_of_how_it_is_now() -> None:
    def order(at_ms: int, rows: int, dead: int) -> Event[Pulse]:
        counts = {"accepted": 100, "not_json": dead}
        return a_pulse("ingestion", at_ms, loops=[a_loop("order-sea", rows_in=rows, counts=counts)])

    facts = whole()
    old, then, now = (
        order(NOW - 15 * MINUTE, 0, 0),
        order(NOW - 10_500, 9_000, 90),
        order(NOW - 500, 9_100, 90),
    )
    facts = replace(facts, pulses=[old, *without(facts, "ingestion"), then, now])

    assert problems(facts) == []  # the 90 dead letters are of before the last minute
    assert next(p for p in processes(facts) if p["service"] == "ingestion")["rows_per_s"] == 10.0


def test_a_replica_that_was_killed_long_ago_is_still_missed() -> None:
    killed = a_pulse("serving", NOW - 15 * MINUTE, "serving-1")
    before = a_pulse("serving", NOW - 20 * MINUTE)
    after = a_pulse("serving", started_ms=NOW - 5 * MINUTE)  # serving-0 was restarted meanwhile
    facts = with_pulse(whole(), after)

    found = problems(replace(facts, pulses=[before, killed, *facts.pulses]))

    assert [problem.says[:37] for problem in found] == ["serving-1 fell silent 15 min ago with"]


def test_each_that_began_stands_for_one_that_went_just_before() -> None:
    """Three starts without a slot, one after the other, beside one that never came back."""
    pulses = [
        a_pulse("serving", NOW - 20 * MINUTE, "serving-gone", started_ms=NOW - HOUR),
        a_pulse("serving", NOW - 15 * MINUTE, "serving-a", started_ms=NOW - HOUR),
        a_pulse("serving", NOW - 9 * MINUTE, "serving-b", started_ms=NOW - 14 * MINUTE),
        a_pulse("serving", replica="serving-c", started_ms=NOW - 8 * MINUTE),
    ]
    facts = whole()

    found = problems(replace(facts, pulses=[*without(facts, "serving"), *pulses]))

    assert [problem.says.split()[0] for problem in found] == ["serving-gone"]


def test_a_service_that_was_stopped_is_told_from_one_that_was_killed() -> None:
    ended = a_pulse("training", NOW - 3 * MINUTE, ended=True)

    (found,) = problems(with_pulse(whole(), ended))

    assert "no replica runs: it ended in good order 3 min ago" in found.says


def test_one_pipeline_s_troubles_are_not_another_s() -> None:
    other = PipelineDeclared(name="sky", version=1, generation=1, at_ms=NOW - HOUR)
    facts = whole()
    facts = replace(facts, declared=[*facts.declared, other])

    assert not status(facts)["whole"]
    found = status(facts, "sea")
    assert found["whole"] and [one["name"] for one in found["pipelines"]] == ["sea"]
    with pytest.raises(Refused, match="no pipeline ski; there are sea, sky"):
        status(facts, "ski")


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0 s"), (119_000, "119 s"), (300_000, "5 min"), (200 * HOUR, "8 d")]
)
def test_ages_are_short(ms: int, text: str) -> None:
    assert ago(NOW - ms, NOW) == text
