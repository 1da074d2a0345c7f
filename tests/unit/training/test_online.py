"""Lines: what they learn is a function of the log alone, whatever dies in between."""

from __future__ import annotations

import inspect
import pickle
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Snapshot
from driftloop.kit.broker import Subscription, TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.message import parse
from driftloop.plugins import Examples
from driftloop.spec.learners import RIVER, target_kind
from services.training.learners.gbm import LightGBM
from services.training.online.estimators import made
from services.training.online.line import Line
from services.training.online.merge import At, Merge
from services.training.online.plan import LinePlan
from services.training.online.task import LinesTask
from tests.unit.training import examples

PARTITIONS, ROWS, SIZE = 3, 840, 7
LEARNT = ROWS - 2 * SIZE  # the newest envelope of two partitions waits for the third to go on
LEASE = topics.LEASE.topic("sea", 1).name
EXAMPLES = topics.EXAMPLES.topic("sea", 1).name
SNAPSHOTS = topics.SNAPSHOTS.topic("sea", 1).name
STATE = topics.STATE_TRAINING.topic("sea", 1).name
CLASSES: Mapping[str, tuple[int, ...]] = {"binary": (2,), "multiclass": (3,), "regression": (0,)}


def plan(estimator: str, classes: int = 2, **params: Any) -> LinePlan:
    of = {"estimator": estimator, **params}
    return LinePlan(estimator.lower(), of, 1, classes, examples.WIDTH, 50, 1.0)


LOGISTIC, TREE = plan("LogisticRegression"), plan("HoeffdingTreeClassifier", grace_period=40)
NO_TIMES = np.empty(0, np.int64)
SMALL = {"num_iterations": 5, "min_data_in_leaf": 10}
NEWEST = LinePlan("newest", SMALL, 1, 2, examples.WIDTH, 100, 1.0, "lightgbm", 150, examples.NAMES)
FOREST = plan("ARFClassifier", n_models=3, grace_period=20)


class House:
    """The examples of a pipeline of three partitions, and the loop over them."""

    def __init__(self, *plans: LinePlan) -> None:
        self.plans, self.clock = plans, FakeClock()
        self.broker = MemoryBroker(self.clock)
        self.broker.create([TopicSpec(EXAMPLES, PARTITIONS)])
        self.broker.create([TopicSpec(name, 1) for name in (LEASE, SNAPSHOTS, STATE)])
        vectors, target = examples.made(ROWS)
        self.emits = examples.emits(vectors, target, "sea", partitions=PARTITIONS, size=SIZE)
        self.loop = self.start()

    def start(self, *plans: LinePlan) -> Loop:
        """A loop anew, as after a crash: nothing is left but the log."""
        wanted = plans or self.plans
        start = {EXAMPLES: "earliest", LEASE: "earliest"}
        subscription = Subscription("lines", [LEASE], "lines", [EXAMPLES], start)
        task = lambda: LinesTask("sea", 1, PARTITIONS, wanted, self.clock)  # noqa: E731
        self.loop = Loop(LoopSpec("lines", "sea", subscription, task), self.broker, self.clock)
        self.loop.open()
        return self.loop

    def crash(self, *plans: LinePlan) -> None:
        self.loop.close()
        self.start(*plans)

    def write(self, start: int, end: int) -> None:
        """These of all envelopes; the loop learns them."""
        self.broker.append(self.emits[start:end])
        self.clock.sleep(1.0)
        self.loop.drain()

    def newest(self) -> dict[str, Snapshot]:
        """By line."""
        end = self.broker.bounds(SNAPSHOTS, 0)[1]
        told = [parse(Snapshot, record) for record in self.broker.read(SNAPSHOTS, 0, 0, end)]
        return {message.line: message for message in told}


def undisturbed(*plans: LinePlan) -> dict[str, Snapshot]:
    house = House(*plans)
    house.write(0, len(house.emits))
    return house.newest()


@pytest.mark.parametrize("seed", range(5))
def test_a_crash_at_any_time_ends_in_the_state_of_an_undisturbed_run(seed: int) -> None:
    chance, house = random.Random(seed), House(LOGISTIC, FOREST, NEWEST)
    at = 0
    while at < len(house.emits):
        step = chance.randint(1, 60)
        house.write(at, at + step)
        at += step
        if chance.random() < 0.5:
            house.clock.sleep(
                chance.choice([0.0, 40.0])
            )  # with a checkpoint on the way, or without
            house.loop.drain()
        house.crash()
    house.clock.sleep(1.0)
    house.loop.drain()
    found, wanted = house.newest(), undisturbed(LOGISTIC, FOREST, NEWEST)
    assert {name: one.digest for name, one in found.items()} == {
        name: one.digest for name, one in wanted.items()
    }
    assert {name: one.rows for name, one in found.items()} == {
        LOGISTIC.name: LEARNT, FOREST.name: LEARNT, "newest": LEARNT // 100 * 100
    }  # fmt: skip


def test_what_is_learnt_does_not_hang_on_how_the_log_is_cut() -> None:
    house = House(TREE)
    for start in range(0, len(house.emits)):
        house.write(start, start + 1)
    assert house.newest()[TREE.name].digest == undisturbed(TREE)[TREE.name].digest


def test_a_line_that_joins_later_learns_from_the_first_row_and_holds_up_no_other() -> None:
    house = House(LOGISTIC)
    house.write(0, 150)
    house.clock.sleep(60.0)
    house.loop.drain()
    house.crash(LOGISTIC, TREE)
    house.write(150, len(house.emits))
    wanted = undisturbed(LOGISTIC, TREE)
    assert {n: (m.rows, m.digest) for n, m in house.newest().items()} == {
        n: (m.rows, m.digest) for n, m in wanted.items()
    }


def test_other_parameters_are_another_line() -> None:
    house = House(LOGISTIC)
    house.write(0, len(house.emits))
    other = plan("LogisticRegression", learning_rate=0.5)
    house.crash(other)
    house.clock.sleep(1.0)
    house.loop.drain()
    assert house.newest()[other.name].digest == undisturbed(other)[other.name].digest


def test_a_snapshot_goes_out_after_so_many_rows_or_so_many_seconds_and_never_twice() -> None:
    house = House(LOGISTIC)
    house.write(0, 12)
    first = house.newest()[LOGISTIC.name].rows
    assert 0 < first < LOGISTIC.rows
    told = house.broker.bounds(SNAPSHOTS, 0)[1]
    house.clock.sleep(5.0)
    house.loop.drain()
    house.crash()
    house.clock.sleep(5.0)
    house.loop.drain()
    assert house.broker.bounds(SNAPSHOTS, 0)[1] == told


def test_a_line_whose_weights_run_away_ends_and_the_others_go_on() -> None:
    wild = LinePlan("wild", {"estimator": "LinearRegression", "learning_rate": 1e6, "l2": 1e6}, 1,
                    0, examples.WIDTH, 50, 1.0)  # fmt: skip
    calm = LinePlan("calm", {"estimator": "HoeffdingTreeRegressor"}, 1, 0, examples.WIDTH, 50, 1.0)
    house = House(wild, calm)
    house.write(0, len(house.emits))
    assert house.newest()["calm"].rows == LEARNT
    assert house.newest().get("wild", Snapshot()).rows < LEARNT
    assert house.loop.state.counts["lines_failed"] == 1


def test_a_state_that_would_call_something_is_not_loaded() -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return print, ("pwned",)

    with pytest.raises(ValueError, match=r"builtins\.print is no part of a learner"):
        Line.of_state(LOGISTIC, pickle.dumps(Evil()), 0)


ESTIMATORS = [
    (name, classes)
    for name, one in RIVER.items()
    for kind in one.targets
    for classes in CLASSES[kind]
]


@pytest.mark.parametrize(("name", "classes"), ESTIMATORS)
def test_every_estimator_goes_out_as_it_answers_and_comes_back_as_it_was(
    name: str, classes: int
) -> None:
    line = Line(plan(name, classes))
    vectors, target = examples.made(600)
    truth = target if classes == 2 else np.arange(600) % classes if classes else vectors[:, 1]
    line.learn(NO_TIMES, vectors[:400], np.nan_to_num(truth[:400]).astype(np.float64))
    again = Line.of_state(line.plan, line.state(), line.rows)
    for one in (line, again):
        one.learn(NO_TIMES, vectors[400:500], np.nan_to_num(truth[400:500]).astype(np.float64))
    assert again.onnx({}) == line.onnx({}) and again.rows == 500
    session = onnxruntime.InferenceSession(line.onnx({}))
    output = "probability" if classes else "value"
    said = np.asarray(session.run([output], {"features": vectors[500:]})[0]).reshape(100, -1)
    expected = line.answers(vectors[500:])
    assert np.abs(said - expected).max() <= 1e-6 * max(1.0, np.abs(expected).max())


def test_the_parameters_that_a_file_may_name_are_rivers_own() -> None:
    for name, one in RIVER.items():
        classes = {"binary": 2, "multiclass": 3, "regression": 0}[one.targets[-1]]
        assert target_kind(classes) == one.targets[-1]
        model = made({"estimator": name}, classes, 1)
        known = set(inspect.signature(type(model).__init__).parameters)
        own = {"learning_rate", "intercept_learning_rate", "l2"}
        assert one.params <= known | (own if name.endswith("Regression") else set()), name


def test_rows_of_equal_sequence_go_by_partition_and_nothing_goes_too_early() -> None:
    merge: Merge[str] = Merge(2)
    merge.add(1, 5, "late")
    assert list(merge.ready()) == []  # partition 0 may still bring what stands before it
    merge.add(0, 5, "early")
    assert [batch for _, batch in merge.ready()] == ["early"]  # another such may come in 0
    merge.add(0, 7, None)
    merge.add(1, 6, "next")
    assert [batch for _, batch in merge.ready()] == ["late", "next"]
    assert merge.waiting() == 1


def test_a_merge_begins_where_it_stood() -> None:
    merge: Merge[str] = Merge(2, {0: At(9, 40), 1: At(3, 10)})
    merge.add(1, 30, "b")
    assert [batch for _, batch in merge.ready()] == ["b"]  # partition 0 is at 40 already


def test_a_line_of_its_newest_rows_is_what_a_fit_of_these_rows_is() -> None:
    house = House(NEWEST)
    house.write(0, len(house.emits))
    told = house.newest()["newest"]
    vectors, target = examples.made(ROWS)
    rows = slice(told.rows - NEWEST.window, told.rows)
    fit = LightGBM().fit(
        Examples(NO_TIMES, vectors[rows], target[rows], examples.NAMES), NEWEST.params, 1
    )
    bare = onnx.load_model_from_string(told.model)
    del bare.metadata_props[:]
    assert bare == onnx.load_model_from_string(fit.onnx({}))


def test_a_window_of_one_class_waits_for_better_rows() -> None:
    house = House(NEWEST)
    vectors, target = examples.made(ROWS)
    target[:400] = 0.0
    house.emits = examples.emits(vectors, target, "sea", partitions=PARTITIONS, size=SIZE)
    house.write(0, 80)
    assert house.newest() == {}
    house.write(80, len(house.emits))
    assert house.newest()["newest"].rows == LEARNT // 100 * 100
