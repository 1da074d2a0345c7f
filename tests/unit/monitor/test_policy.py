"""The policy: which retrains are asked for, and which are said but suppressed."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import replace

import numpy as np
import pytest

from driftloop.spec.model import DETECTOR_PARAMS
from driftloop.statistics import psi
from services.monitor.domain.drift import KINDS, LossDetector, Losses
from services.monitor.domain.policy import DAY_US, ENDED_MAX, Part, Policy, Rules, Wish

RULES = Rules(
    detector="PageHinkley",
    params={"min_instances": 200, "delta": 0.02, "threshold": 20.0, "mode": "up"},
    statistic="log_loss",
    first_us=3 * DAY_US,
    rows_min=100,
    triggers=frozenset({"drift", "schedule", "volume"}),
    every_us=None,
    volume=None,
    cooldown_us=2 * DAY_US,
    partitions=2,
)


def day(number: int, *, loss: float, version: int, rows: int = 100, partition: int = 0) -> Part:
    times = number * DAY_US + np.arange(rows) * 1_000
    scored = rows if version else 0
    return Part(
        partition,
        number * DAY_US,
        (number + 1) * DAY_US,
        version,
        scored,
        rows,
        times[:scored],
        np.full(scored, loss),
        5,
        1,
        (0, (number + 1) * rows),
        np.zeros((scored, 0), np.int8),
    )


def days(policy: Policy, numbers: range, *, loss: float, version: int) -> list[Wish]:
    return [
        wish
        for number in numbers
        for partition in (0, 1)
        for wish in policy.part(day(number, loss=loss, version=version, partition=partition))
    ]


def test_the_first_model_is_asked_for_once_when_enough_time_has_passed() -> None:
    policy = Policy(RULES)
    [wish] = days(policy, range(0, 9), loss=0, version=0)
    assert (wish.trigger, wish.at_us, wish.suppressed) == ("first", 3 * DAY_US, "")
    assert wish.examples == {0: (0, 300), 1: (0, 300)}


def test_a_first_model_that_was_rejected_is_asked_for_again_after_the_cooldown() -> None:
    policy = Policy(RULES)
    days(policy, range(0, 3), loss=0, version=0)
    policy.resolved("accepted", "run-1")
    policy.finished("run-1")
    assert [wish.at_us for wish in days(policy, range(3, 6), loss=0, version=0)] == [5 * DAY_US]


def test_a_rise_of_the_loss_is_a_drift_with_its_evidence() -> None:
    policy = a_live_policy()
    assert days(policy, range(0, 5), loss=0.4, version=1) == []
    [wish] = days(policy, range(5, 8), loss=0.9, version=1)
    assert (wish.trigger, wish.drift, wish.suppressed) == ("drift", True, "")
    assert wish.raised is not None
    assert wish.raised.reference == pytest.approx(0.4)
    assert wish.raised.value == pytest.approx(0.9)
    assert wish.raised.from_us == 5 * DAY_US


def test_a_fall_of_the_loss_is_none() -> None:
    policy = Policy(dataclasses.replace(RULES, params={**RULES.params, "mode": "both"}))
    policy.released(1)
    days(policy, range(0, 5), loss=0.9, version=1)
    assert days(policy, range(5, 9), loss=0.3, version=1) == []


def test_while_the_loss_stays_raised_it_asks_again_but_never_while_a_run_is_open() -> None:
    policy = a_live_policy()
    days(policy, range(0, 5), loss=0.4, version=1)
    [first] = days(policy, range(5, 6), loss=0.9, version=1)
    policy.resolved("accepted", "run-1")
    assert days(policy, range(6, 12), loss=0.9, version=1) == []
    policy.finished("run-1")
    [again] = days(policy, range(12, 13), loss=0.9, version=1)
    assert (first.drift, again.drift) == (True, False)
    assert again.raised is not None
    assert again.raised.reference == pytest.approx(0.4)


def test_a_loss_that_has_fallen_back_is_watched_afresh() -> None:
    policy = a_live_policy()
    days(policy, range(0, 5), loss=0.4, version=1)
    days(policy, range(5, 6), loss=0.9, version=1)
    policy.resolved("accepted", "run-1")
    policy.finished("run-1")
    assert days(policy, range(6, 16), loss=0.4, version=1) == []


def test_a_run_that_ended_before_its_resolution_was_read_is_not_open() -> None:
    policy = Policy(RULES)
    days(policy, range(0, 3), loss=0, version=0)
    policy.finished("run-1")
    policy.resolved("accepted", "run-1")
    assert len(days(policy, range(3, 6), loss=0, version=0)) == 1


def test_runs_that_ended_are_not_remembered_for_ever() -> None:
    policy = Policy(RULES)
    for number in range(3 * ENDED_MAX):
        policy.resolved("accepted", f"run-{number}")
        policy.finished(f"run-{number}")
    assert len(policy._ended) == ENDED_MAX
    policy.resolved("coalesced", f"run-{3 * ENDED_MAX - 1}")  # read late: it has ended
    assert [wish.suppressed for wish in days(policy, range(5), loss=0.5, version=0)] == [""]


def test_what_the_policy_forbids_is_said_with_its_reason() -> None:
    policy = a_live_policy(triggers=frozenset({"schedule"}))
    days(policy, range(0, 5), loss=0.4, version=1)
    [wish] = days(policy, range(5, 6), loss=0.9, version=1)
    assert wish.suppressed == "drift is not among retrain.on"


def test_volume_asks_when_enough_new_labels_have_come() -> None:
    policy = a_live_policy(volume=1_000)
    wishes = days(policy, range(0, 5), loss=0.4, version=1)
    assert [(wish.trigger, wish.at_us) for wish in wishes] == [("volume", 5 * DAY_US)]


def test_a_bucket_is_judged_only_when_all_partitions_have_closed_it() -> None:
    policy = Policy(RULES)
    for number in range(10):
        assert policy.part(day(number, loss=0, version=0, partition=0)) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_detector_is_still_on_a_steady_loss_and_speaks_of_a_jump(kind: str) -> None:
    random = np.random.default_rng(3)
    detector = LossDetector(kind, {"threshold": 20.0} if kind == "PageHinkley" else {})
    steady = [detector.observe(bucket(i, random.normal(0.4, 0.05, 100))) for i in range(20)]
    risen = [detector.observe(bucket(i, random.normal(0.9, 0.05, 100))) for i in range(20, 40)]
    assert not any(steady)
    assert sum(each is not None for each in risen) == 1


def test_psi_is_zero_for_the_same_shares_and_large_for_others() -> None:
    old = np.array([100, 200, 300, 400, 0, 50])
    assert psi(old, old * 3) == pytest.approx(0)
    assert psi(old, np.array([400, 300, 200, 100, 0, 50])) > 0.25


def a_live_policy(**changes: object) -> Policy:
    policy = Policy(dataclasses.replace(RULES, **changes))  # type: ignore[arg-type]
    policy.released(1)
    return policy


def bucket(number: int, values: np.ndarray) -> Losses:
    return Losses(number * DAY_US, (number + 1) * DAY_US, values, 0)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_names_that_a_pipeline_file_may_say_are_rivers_own(kind: str) -> None:
    assert DETECTOR_PARAMS[kind] == frozenset(inspect.signature(KINDS[kind]).parameters)


LINES = replace(RULES, lines=("slow", "online"), partitions=1)


def rows_of_a_line(number: int, gain: int, *, version: int = 1, rows: int = 100) -> Part:
    gains = np.zeros((rows, 2), np.int8)
    gains[:, 1] = gain
    return replace(day(number, loss=0.3, version=version, rows=rows), gains=gains)


def test_a_line_that_errs_less_challenges_what_is_live_without_waiting_for_a_cooldown() -> None:
    policy = Policy(LINES)
    policy.released(1)
    (wish,) = policy.part(rows_of_a_line(0, 1))
    assert (wish.trigger, wish.line, wish.suppressed) == ("challenger", "online", "")
    assert "line online errs less than version 1" in wish.reason
    assert policy.part(rows_of_a_line(1, 1)) == []  # the run is open
    policy.resolved("accepted", "r1")
    policy.finished("r1")
    (again,) = policy.part(rows_of_a_line(2, 1))  # rejected, and still better: its record grows
    assert again.line == "online"


def test_what_was_won_against_an_older_version_counts_no_more() -> None:
    policy = Policy(LINES)
    policy.released(1)
    assert policy.part(rows_of_a_line(0, 0)) == []
    policy.released(2)
    assert policy.part(rows_of_a_line(1, 1, version=1)) == []  # late labels of the old version
    assert [wish.line for wish in policy.part(rows_of_a_line(2, 1, version=2))] == ["online"]
