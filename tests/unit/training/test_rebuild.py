"""A model made again from its record: the same bytes, or the causes by name."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from driftloop import dataset
from driftloop.archive import Archive, recall
from driftloop.contracts.model_pb2 import ModelVersion
from driftloop.contracts.training_pb2 import RebuildReply
from driftloop.dataset import Times
from driftloop.kit.broker import Broker
from driftloop.kit.clock import FakeClock
from driftloop.kit.errors import Refused
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.objects import Objects
from services.training import fit, rebuild
from services.training.domain import Weighing
from services.training.learners.gbm import LightGBM
from services.training.plan import LearnerPlan, of_recipe, recipe
from tests.unit.training.examples import NAMES, START_US, STEP_US, a_log
from tests.unit.training.test_fit import LINE, TREES, plan, worked
from tests.unit.training.test_record import without


@pytest.fixture
def shelf(tmp_path: Path) -> Archive:
    return Archive(Objects(str(tmp_path)))


def a_version(
    broker: Broker, learner: LearnerPlan = TREES, times: Times = dataset.ALL
) -> tuple[ModelVersion, bytes]:
    """As the registry keeps it after a run."""
    trained, kept, _ = worked(broker, replace(plan(broker, learner), times=times))
    (candidate,) = trained.candidates
    assert candidate.digest, candidate.error
    model = ModelVersion(
        pipeline="sea",
        generation=1,
        version=7,
        digest=candidate.digest,
        run_id="run-1",
        candidate=candidate,
        inputs=NAMES,
        classes=["0", "1"],
    )
    return model, kept[candidate.digest]


def rebuilt(broker: Broker, model: ModelVersion, kept: bytes, shelf: Archive) -> RebuildReply:
    return rebuild.Rebuild(model, kept, broker, shelf, FakeClock()).reply()


def causes(reply: RebuildReply) -> list[str]:
    assert not reply.equal
    return [one.what for one in reply.causes]


@pytest.mark.parametrize("learner", [TREES, LINE])
@pytest.mark.parametrize(
    "times",
    [dataset.ALL, Times(0, START_US + 900 * STEP_US, ((START_US, START_US + 99 * STEP_US),))],
)
def test_the_same_record_gives_the_same_bytes(
    learner: LearnerPlan, times: Times, shelf: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    # by event times the log is narrowed by `statistics`, which this broker has not
    monkeypatch.setattr(fit, "narrowed", lambda _, ranges, *__: ranges)
    broker = a_log(1_000)
    model, kept = a_version(broker, learner, times)
    reply = rebuilt(broker, model, kept, shelf)
    assert reply.equal, reply
    assert reply.same_graph
    assert (reply.rebuilt, reply.source) == (model.digest, "log")
    assert reply.rows == model.candidate.window.rows


def test_from_the_archive_too_once_the_log_has_lost_its_rows(shelf: Archive) -> None:
    broker = a_log(1_000)
    model, kept = a_version(broker)
    shelf.keep(model.candidate.window, recall(broker, model.candidate.window).rows)
    assert isinstance(broker, MemoryBroker)
    without(broker, 2)
    reply = rebuilt(broker, model, kept, shelf)
    assert reply.equal, reply
    assert reply.source == "archive"


def test_a_recipe_says_all_of_a_learner_but_its_window() -> None:
    learner = LearnerPlan("x", "lightgbm", {"a": 3, "b": 0.5, "c": ["d"], "e": True}, 7)
    learner = replace(learner, weighing=Weighing(5, classes=(1.0, 2.0)))
    assert of_recipe("x", recipe(learner)) == learner
    windows = {"window_us", "since_change", "search"}  # what a search found is in the params
    carried = {"name", "kind", "params", "seed", "weighing"}  # a new one belongs into `recipe` too
    assert {one.name for one in fields(LearnerPlan)} == carried | windows


def test_an_expired_window_is_the_cause(shelf: Archive) -> None:
    broker = a_log(1_000)
    model, kept = a_version(broker)
    assert isinstance(broker, MemoryBroker)
    without(broker, 2)
    reply = rebuilt(broker, model, kept, shelf)
    assert causes(reply) == ["window"]
    assert "no longer holds" in reply.causes[0].found


def test_other_rows_at_the_same_offsets_are_the_cause(shelf: Archive) -> None:
    model, kept = a_version(a_log(1_000))
    reply = rebuilt(a_log(1_000, seed=5), model, kept, shelf)
    assert causes(reply) == ["rows"]
    assert reply.causes[0].recorded == model.candidate.window.rows_sha256


@pytest.mark.parametrize(
    ("where", "name", "value", "cause"),
    [
        (fit, "code_digest", lambda: "f" * 64, "code"),
        (fit, "libraries", lambda _: {"lightgbm": "0.1"}, "libraries"),
        (fit, "THREADS", 8, "threads"),
    ],
)
def test_what_makes_a_model_is_named_where_it_is_another(
    where: Any,
    name: str,
    value: Any,
    cause: str,
    shelf: Archive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = a_log(1_000)
    model, kept = a_version(broker)
    monkeypatch.setattr(where, name, value)
    reply = rebuilt(broker, model, kept, shelf)
    assert causes(reply) == [cause]
    assert reply.same_graph, "only the record that it carries differs"


def test_another_seed_in_the_record_is_named_and_changes_the_model(shelf: Archive) -> None:
    broker = a_log(1_000)
    sampled = {"bagging_fraction": 0.5, "bagging_freq": 1}
    learner = replace(TREES, params={**TREES.params, **sampled})
    model, kept = a_version(broker, learner)
    model.candidate.seed = 2
    reply = rebuilt(broker, model, kept, shelf)
    assert causes(reply) == ["seed"]
    assert not reply.same_graph
    assert (reply.causes[0].recorded, reply.causes[0].found) == ("1", "2")


def test_another_cpu_is_named_after_the_rest(
    shelf: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = a_log(1_000)
    model, kept = a_version(broker)
    model.candidate.cpu = "AVX2 alone"
    assert rebuilt(broker, model, kept, shelf).equal, "another CPU alone is no difference"
    monkeypatch.setattr(fit, "libraries", lambda _: {"lightgbm": "0.1"})
    assert causes(rebuilt(broker, model, kept, shelf)) == ["libraries", "cpu"]


def test_a_difference_that_nothing_explains_says_so(shelf: Archive) -> None:
    broker = a_log(1_000)
    model, kept = a_version(broker)
    other = onnx.load_model_from_string(kept)
    other.producer_name = "somebody"
    changed = other.SerializeToString(deterministic=True)
    model.digest = hashlib.sha256(changed).hexdigest()
    reply = rebuilt(broker, model, changed, shelf)
    assert causes(reply) == ["unknown"]
    assert not reply.same_graph


def test_a_learner_that_promises_nothing_is_refused_with_its_reason(
    shelf: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = a_log(1_000)
    monkeypatch.setattr(LightGBM, "deterministic", False, raising=False)
    monkeypatch.setattr(LightGBM, "chance", "sums on a GPU come in any order", raising=False)
    model, kept = a_version(broker)
    assert model.candidate.chance == "sums on a GPU come in any order"
    monkeypatch.undo()
    with pytest.raises(Refused, match=r"sea@7 can't be made again to the byte: sums on a GPU"):
        rebuilt(broker, model, kept, shelf)


def test_a_model_that_was_not_fitted_here_is_refused(shelf: Archive) -> None:
    broker = a_log(1_000)
    model, kept = a_version(broker)
    model.candidate.window.Clear()
    with pytest.raises(Refused, match="names no window"):
        rebuilt(broker, model, kept, shelf)
