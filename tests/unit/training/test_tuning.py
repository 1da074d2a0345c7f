"""A learner's parameters chosen by trials: better ones are found, what fails is told, budgets
hold, and the model is made again to the byte without a search.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftloop import spec
from driftloop.kit.clock import FakeClock
from driftloop.plugins import Examples, Learnt
from services.training.domain import Limits
from services.training.fit import Workshop
from services.training.plan import LearnerPlan, Plan, Searching, SearchPlan
from services.training.searching import Hunt
from services.training.studies import Study, storage_of
from services.training.tuning import Bench, Trial, Tuned
from tests.support.loop import sea_yaml
from tests.unit.training.examples import NAMES, a_log, made, whole

HOUR_US = 3_600_000_000
SEARCH = SearchPlan({"bias": {"low": -2.0, "high": 2.0}}, trials=15, pruner="none", folds=2)


class Guess:
    """Answers a constant: the best one is the base rate's. Fails below `floor`."""

    def __init__(self, floor: float = -9.0) -> None:
        self.floor, self.fits = floor, 0

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        self.fits += 1
        if params["bias"] < self.floor:
            raise ValueError("too low")
        return Constant(1 / (1 + np.exp(-params["bias"])))


class Constant:
    def __init__(self, share: float) -> None:
        self.share = share

    def answers(self, vectors: np.ndarray) -> np.ndarray:
        return np.tile([1 - self.share, self.share], (len(vectors), 1))

    def onnx(self, metadata: Mapping[str, str]) -> bytes:
        return b""


def the_examples(rows: int = 400) -> Examples:
    vectors, target = made(rows)
    return Examples(np.arange(rows) * HOUR_US, vectors, target, NAMES)


def tuned(
    search: SearchPlan,
    *,
    learner: Guess | None = None,
    clock: FakeClock | None = None,
    told: list[Trial] | None = None,
    folder: Path | None = None,
    run_id: str = "run-1",
) -> Tuned:
    """By one process; `told`: of trials that have ended."""
    params, seed, heard = {"bias": 2.0}, 7, [] if told is None else told
    bench = Bench(learner or Guess(), the_examples(), params, seed, search)
    storage = storage_of(Searching(str(folder) if folder else ""), "sea.guess")
    study = Study(storage, "sea.guess", search, params, seed, run_id)

    def tell(trial: Trial, _: int) -> None:
        if trial.ended:
            heard.append(trial)

    return Hunt(study, search, 1, clock or FakeClock(), tell).alone(bench, params)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_what_is_found_is_better_than_what_was_there(sampler: str) -> None:
    space: Mapping[str, Any] = {"bias": [-1.0, 0.0, 1.0]} if sampler == "grid" else SEARCH.space
    told: list[Trial] = []

    found = tuned(replace(SEARCH, sampler=sampler, space=space), told=told)

    assert abs(found.params["bias"]) < 0.5
    assert found.loss == min(trial.loss for trial in told if trial.loss is not None)
    if sampler == "grid":
        assert (found.own_loss, found.stopped, len(told)) == (None, "grid", 3)
    else:
        assert told[0].params == {"bias": 2.0}  # the file's own come first
        assert found.own_loss is not None
        assert found.loss < found.own_loss


def test_the_same_seed_finds_the_same() -> None:
    assert tuned(SEARCH).params == tuned(SEARCH).params


def test_a_trial_that_fails_is_told_and_the_others_decide() -> None:
    told: list[Trial] = []
    found = tuned(SEARCH, learner=Guess(floor=-0.5), told=told)

    failed = [trial for trial in told if trial.state == "failed"]
    assert failed
    assert {trial.loss for trial in failed} == {None}
    assert found.params["bias"] >= -0.5


def test_if_all_fail_the_candidate_fails_with_the_reason() -> None:
    with pytest.raises(ValueError, match="none of 15 trials gave a loss"):
        tuned(SEARCH, learner=Guess(floor=9.0))


def test_a_budget_in_seconds_ends_it() -> None:
    clock = FakeClock()

    class Slow(Guess):
        def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
            clock.sleep(1.0)
            return super().fit(examples, params, seed)

    found = tuned(replace(SEARCH, seconds=5.0, trials=100), learner=Slow(), clock=clock)

    assert found.stopped == "seconds"
    assert len(found.trials) == 3  # of two fits each


@pytest.mark.parametrize("pruner", ["median", "hyperband", "asha"])
def test_what_can_not_win_is_pruned(pruner: str) -> None:
    learner = Guess()
    search = replace(SEARCH, pruner=pruner, trials=40, folds=8, sampler="random")

    found = tuned(search, learner=learner)

    states = [trial.state for trial in found.trials]
    assert states.count("pruned") > 3
    assert learner.fits < 40 * 8


def test_rows_that_leave_nothing_to_learn_from_are_said() -> None:
    with pytest.raises(ValueError, match="leave nothing to learn from 2 folds"):
        tuned(replace(SEARCH, gap_us=10_000 * HOUR_US))


def a_run(learner: LearnerPlan, told: list[dict[str, Any]]) -> tuple[Any, list[bytes]]:
    log, kept = a_log(3_000), []

    def upload(model: bytes) -> str:
        kept.append(model)
        return f"{len(kept):064}"

    plan = Plan("run-1", "sea", 1, 3, whole(log), [learner], NAMES, 2, Limits(500, 0.1))
    return Workshop(plan, upload, told.append, FakeClock()).run(log), kept


def test_a_run_tells_each_trial_and_its_model_is_that_of_what_was_found() -> None:
    told: list[dict[str, Any]] = []
    space = {"num_leaves": {"low": 2, "high": 31, "log": True}, "learning_rate": [0.01, 0.1, 0.3]}
    search = SearchPlan(space, trials=6, folds=2, gap_us=HOUR_US)
    params = {"num_iterations": 10, "min_data_in_leaf": 20}
    learner = LearnerPlan("searched", "lightgbm", params, 1, search=search)

    trained, [model] = a_run(learner, told)

    [candidate] = trained.candidates
    assert candidate.error == ""
    assert candidate.tuning.trials == 6
    every = [each["trial"] for each in told if each["stage"] == "tuning"]
    assert [trial["state"] for trial in every][::2] == ["running"] * 6
    trials = every[1::2]
    assert [trial["number"] for trial in trials] == list(range(6))
    json.dumps(trials)
    best = min((t for t in trials if t["state"] == "complete"), key=lambda t: t["loss"])
    assert dict(candidate.params) == {**params, **best["params"]}
    plain = LearnerPlan("searched", "lightgbm", {**params, **best["params"]}, 1)
    assert a_run(plain, [])[1] == [model]  # made again by its record, without a search


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ("{space: {num_leavez: [3, 4]}}", "num_leavez.*num_leaves"),
        ("{space: {num_leaves: {low: 9, high: 3}}}", "less than high"),
        ("{space: {learning_rate: {low: 0, high: 1, log: true}}}", "low above 0"),
        ("{space: {num_leaves: {low: 2, high: 9}}, sampler: grid}", "a list of choices"),
        ("{space: {}}", "space"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused_by_name(search: str, says: str) -> None:
    text = sea_yaml().replace(
        "{name: river_logistic,",
        f"{{name: searched, kind: lightgbm, search: {search}}}\n  - {{name: river_logistic,",
    )
    with pytest.raises(spec.Mistakes, match=says):
        spec.parse(text, "sea.yaml")


class Killed(BaseException):
    """What no search catches, as no process catches a SIGKILL."""


class Mortal(Guess):
    """Is killed in the midst of its fit number `last`."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        if self.fits + 1 == self.last:
            raise Killed
        return super().fit(examples, params, seed)


def test_a_search_that_was_killed_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    before, after = list[Trial](), list[Trial]()
    with pytest.raises(Killed):
        tuned(SEARCH, learner=Mortal(last=14), told=before, folder=tmp_path)
    learner = Guess()
    found = tuned(SEARCH, learner=learner, told=after, folder=tmp_path)

    assert [trial.number for trial in before] == [0, 1, 2, 3, 4, 5]
    assert learner.fits == 2 * (SEARCH.trials - 6)  # what had ended is kept
    undisturbed = tuned(SEARCH)
    said = [(each.number, each.loss, each.params, each.state) for each in found.trials]
    assert said == [(e.number, e.loss, e.params, e.state) for e in undisturbed.trials]
    assert [trial.attempt for trial in found.trials if trial.number == 6] == [2]


def test_a_trial_that_kills_its_process_each_time_has_failed(tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(Killed):
            tuned(SEARCH, learner=Mortal(last=1), folder=tmp_path)
    found = tuned(SEARCH, folder=tmp_path)
    assert (found.trials[0].number, found.trials[0].state) == (0, "failed")
    assert "3 times" in found.trials[0].error
    assert len(found.trials) == SEARCH.trials


def test_a_larger_budget_goes_on_with_the_trials_that_there_are(tmp_path: Path) -> None:
    first = tuned(SEARCH, folder=tmp_path)
    learner = Guess()
    more = tuned(replace(SEARCH, trials=25), learner=learner, folder=tmp_path, run_id="run-2")
    assert more.trials[:15] == first.trials
    assert learner.fits == 2 * 10
    assert more.loss <= first.loss
    again = Guess()
    assert tuned(replace(SEARCH, trials=25), learner=again, folder=tmp_path) == more
    assert again.fits == 0


def test_a_line_that_was_written_in_part_is_cut_off(tmp_path: Path) -> None:
    first = tuned(SEARCH, folder=tmp_path)
    with (tmp_path / "sea.guess.journal").open("ab") as journal:
        journal.write(b'{"op_code": 5, "worker')
    assert tuned(replace(SEARCH, trials=16), folder=tmp_path).trials[:15] == first.trials


def test_a_larger_budget_prolongs_the_way_through_a_grid() -> None:
    space = {"bias": [-1.0, 0.0, 1.0, 2.0], "other": [1, 2, 3]}
    grid = SearchPlan(space, trials=5, sampler="grid", pruner="none", folds=2)
    some = tuned(grid)
    every = tuned(replace(grid, trials=50))
    assert [each.params for each in every.trials[:5]] == [each.params for each in some.trials]
    assert len({tuple(each.params.items()) for each in every.trials}) == len(every.trials) == 12
    assert (some.stopped, every.stopped) == ("trials", "grid")


def test_one_that_waits_beyond_the_budget_is_left_until_the_budget_grows(tmp_path: Path) -> None:
    space = {"bias": [-1.0, 0.0, 1.0, 2.0], "other": [1, 2, 3]}
    grid = SearchPlan(space, trials=5, sampler="grid", pruner="none", folds=2)
    storage = storage_of(Searching(str(tmp_path)), "sea.guess")
    study, other = (Study(storage, "sea.guess", grid, {}, 7) for _ in range(2))
    assert study.top_up(4) == 4
    other._study.enqueue_trial({})  # as many as if both had seen that there were four
    other._study.enqueue_trial({})

    some = tuned(grid, folder=tmp_path)
    every = tuned(replace(grid, trials=12), folder=tmp_path)
    assert len(some.trials) == 5
    assert len({tuple(each.params.items()) for each in every.trials}) == 12
