"""A run from offsets to one `model.trained`, over a broker in memory and a shelf that is a
dictionary.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from driftloop import dataset
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Candidate, ModelTrained
from driftloop.kit.broker import Broker, TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.memory import MemoryBroker
from services.training.domain import Limits, Weighing
from services.training.fit import Workshop
from services.training.learners.gbm import Trees
from services.training.learners.logistic import RiverLogistic
from services.training.plan import LearnerPlan, Plan
from tests.unit.training.examples import (
    DAY_US,
    NAMES,
    START_US,
    STEP_US,
    Floats,
    Vectors,
    a_log,
    emits,
    made,
    whole,
)

TREES = LearnerPlan("all", "lightgbm", {"num_iterations": 5, "min_data_in_leaf": 20}, 1)
LINE = LearnerPlan("line", "river", {}, 1)


def plan(broker: Broker, *learners: LearnerPlan, change_us: int | None = None) -> Plan:
    return Plan(
        "run-1", "sea", 1, 3, whole(broker), learners, NAMES, 2, Limits(500, 0.1), change_us
    )


def worked(
    broker: Broker, asked: Plan
) -> tuple[ModelTrained, dict[str, bytes], list[dict[str, Any]]]:
    shelf: dict[str, bytes] = {}
    told: list[dict[str, Any]] = []

    def upload(model: bytes) -> str:
        digest = hashlib.sha256(model).hexdigest()
        shelf[digest] = model
        return digest

    return Workshop(asked, upload, told.append, FakeClock()).run(broker), shelf, told


def test_all_candidates_come_in_one_message_with_what_they_were_fitted_on() -> None:
    broker = a_log(2_000)
    trained, shelf, told = worked(broker, plan(broker, TREES, LINE))
    assert (trained.outcome, trained.reason, trained.declaration) == ("trained", "", 3)
    assert {one.digest for one in trained.candidates} == set(shelf)
    assert all(0 < one.parity_max <= 1e-5 for one in trained.candidates)
    assert [one["stage"] for one in told] == ["reading", *["fitting", "exporting", "uploading"] * 2]
    assert trained.code and trained.cpu


def test_what_is_held_out_is_the_newest_and_in_no_candidates_window() -> None:
    broker = a_log(2_000)
    trained, _, _ = worked(broker, plan(broker, TREES))
    held, fitted = trained.holdout, trained.candidates[0].window
    assert 193 <= held.rows <= 200
    assert held.rows + fitted.rows == 2_000
    assert fitted.end_us < held.start_us
    rows, _ = dataset.read(broker, dataset.ranges_of(held))
    assert rows.sha256() == held.rows_sha256


def test_after_drift_half_of_the_rows_since_the_change_are_learnt_from() -> None:
    broker = a_log(60_000)
    change_us = START_US + 54_000 * STEP_US
    wide = replace(plan(broker, TREES, change_us=change_us), limits=Limits(5_000, 0.1))
    trained, _, _ = worked(broker, wide)
    assert 2_980 <= trained.holdout.rows <= 3_000  # whole envelopes


def test_a_newest_window_ends_with_the_others_and_starts_later() -> None:
    broker = a_log(2_000)
    newest = replace(TREES, name="newest", window_us=3 * DAY_US)
    trained, _, _ = worked(broker, plan(broker, TREES, newest))
    everything, part = (one.window for one in trained.candidates)
    assert part.end_us == everything.end_us
    assert 3 * 144 <= part.rows <= 3 * 144 + 14  # a row each ten minutes; whole envelopes
    rows, _ = dataset.read(broker, dataset.ranges_of(part))
    assert rows.sha256() == part.rows_sha256


def test_the_same_rows_and_recipe_are_fitted_once_and_are_the_same_bytes_in_another_run() -> None:
    broker = a_log(2_000)
    twin = replace(TREES, name="newest", window_us=365 * DAY_US)
    trained, shelf, _ = worked(broker, plan(broker, TREES, twin))
    assert [one.name for one in trained.candidates] == ["all", "newest"]
    assert len({one.digest for one in trained.candidates}) == len(shelf) == 1
    _, other, _ = worked(broker, replace(plan(broker, TREES), run_id="run-2"))
    assert set(other) == set(shelf)


def test_a_model_says_in_its_metadata_what_it_is_made_of() -> None:
    broker = a_log(2_000)
    trained, shelf, _ = worked(broker, plan(broker, TREES))
    model = onnx.load_from_string(shelf[trained.candidates[0].digest])
    said = {prop.key: prop.value for prop in model.metadata_props}
    assert said["rows_sha256"] == trained.candidates[0].window.rows_sha256
    assert (said["pipeline"], said["seed"], said["code"]) == ("sea", "1", trained.code)


def test_one_that_fails_says_why_and_the_others_go_on() -> None:
    broker = a_log(2_000)
    wrong = replace(LINE, name="wrong", params={"momentum": 1})
    trained, _, _ = worked(broker, plan(broker, wrong, TREES))
    assert trained.outcome == "trained"
    assert "momentum" in trained.candidates[0].error
    assert not trained.candidates[0].digest


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (KeyError("colour"), "KeyError: 'colour'"),
        (ValueError("no blue"), "no blue"),
        (MemoryError(), "out of memory"),
        (RecursionError("too deep"), "RecursionError: too deep"),
    ],
)
def test_whatever_a_learner_raises_fails_its_candidate_alone(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, text: str
) -> None:
    broker = a_log(2_000)
    monkeypatch.setattr(RiverLogistic, "fit", lambda *_: (_ for _ in ()).throw(raised))
    trained, shelf, _ = worked(broker, plan(broker, LINE, TREES))
    assert trained.outcome == "trained"
    assert trained.candidates[0].error.startswith(text)
    assert len(shelf) == 1


def test_an_export_that_differs_is_refused_with_the_rows_that_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = a_log(2_000)
    answers = Trees.answers

    def elsewhere(self: Trees, vectors: Vectors) -> Floats:
        given = answers(self, vectors)
        given[[2, 5], 0] += [0.01, 0.3]
        return given

    monkeypatch.setattr(Trees, "answers", elsewhere)
    trained, shelf, _ = worked(broker, plan(broker, TREES))
    assert not shelf
    assert trained.candidates[0].parity_max == pytest.approx(0.3, abs=1e-6)
    assert "differs from the learner by 0.3" in trained.reason
    assert "in 2 of 1" in trained.reason
    assert trained.reason.endswith("rows, e5 by 0.3, e2 by 0.01")


def test_a_learner_whose_library_is_missing_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = a_log(2_000)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "services.training.learners.network", raising=False)
    trained, _, _ = worked(broker, plan(broker, replace(LINE, kind="torch"), TREES))
    assert "kind: torch needs torch" in trained.candidates[0].error
    assert "make setup EXTRAS=torch" in trained.candidates[0].error
    assert trained.outcome == "trained"


def test_weights_reach_the_learner_and_the_models_own_record() -> None:
    broker = a_log(2_000)
    heavy = replace(TREES, name="heavy", weighing=Weighing(classes=(1.0, 50.0)))
    trained, shelf, _ = worked(broker, plan(broker, TREES, heavy))
    plain, weighted = (onnx.load_from_string(shelf[one.digest]) for one in trained.candidates)
    said = {prop.key: prop.value for prop in weighted.metadata_props}
    assert '"classes": [1.0, 50.0]' in said["weights"]
    assert plain.graph != weighted.graph


def test_a_learner_since_the_change_looks_at_what_came_since() -> None:
    broker = a_log(2_000)
    late = replace(TREES, name="late", since_change=True)
    change_us = START_US + 1_000 * STEP_US
    trained, _, _ = worked(broker, plan(broker, late, change_us=change_us))
    window = trained.candidates[0].window
    assert change_us - 7 * STEP_US <= window.start_us <= change_us  # whole envelopes
    unknown, _, _ = worked(broker, plan(broker, late))
    assert unknown.candidates[0].window.start_us == START_US


@pytest.mark.parametrize(
    ("rows", "learners", "text"),
    [
        (2_000, (replace(LINE, kind="oracle"),), "no 'oracle'"),
        (4, (TREES,), "too few to hold any out"),
        (0, (TREES,), "too few"),
    ],
)
def test_a_run_without_any_model_has_failed(
    rows: int, learners: tuple[LearnerPlan, ...], text: str
) -> None:
    broker = a_log(rows)
    trained, shelf, _ = worked(broker, plan(broker, *learners))
    assert trained.outcome == "failed"
    assert text in trained.reason
    assert not shelf


def test_a_window_of_nothing_but_missing_values_is_not_learnt() -> None:
    broker = MemoryBroker()
    broker.create([TopicSpec(topics.EXAMPLES.topic("sea", 1).name, 2)])
    vectors, truth = made(2_000)
    broker.append(emits(np.full_like(vectors, np.nan), truth, "sea"))
    trained, _, _ = worked(broker, plan(broker, TREES))
    assert "every value of" in trained.reason


@pytest.mark.parametrize(("target", "text"), [(0.0, "1 classes"), (0.5, "are no 2 classes")])
def test_targets_that_are_no_classes_are_not_learnt(target: float, text: str) -> None:
    broker = MemoryBroker()
    broker.create([TopicSpec(topics.EXAMPLES.topic("sea", 1).name, 2)])
    vectors, truth = made(2_000)
    truth[truth == 1.0] = target
    broker.append(emits(vectors, truth, "sea"))
    trained, _, _ = worked(broker, plan(broker, TREES))
    assert text in trained.reason


def test_a_fit_that_an_earlier_run_has_made_is_reused_and_named() -> None:
    log = a_log(2_000)
    first, _, _ = worked(log, plan(log, TREES))
    (made,) = first.candidates
    made.cached_from = "run-0"
    uploaded: list[bytes] = []

    def upload(model: bytes) -> str:
        uploaded.append(model)
        return hashlib.sha256(model).hexdigest()

    def again(learner: LearnerPlan) -> Candidate:
        workshop = Workshop(
            plan(log, learner), upload, lambda _: None, FakeClock(), known={made.recipe: made}
        )
        (candidate,) = workshop.run(log).candidates
        return candidate

    kept = again(TREES)
    assert (kept.digest, kept.cached_from, kept.fit_s, uploaded) == (made.digest, "run-0", 0.0, [])
    assert kept.window == made.window
    other = again(replace(TREES, seed=2))
    assert not other.cached_from and len(uploaded) == 1
