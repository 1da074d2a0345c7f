"""How the turns of the loop are read off the control topics, in whatever order their pieces
come."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelEvaluated, ModelReleased, ModelTrained, RunFinished
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    Evidence,
    RetrainRequested,
    RetrainResolved,
    ServingAcknowledged,
)
from driftloop.kit.broker import TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.events import event
from driftloop.kit.follow import Follower
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.metrics import Metrics
from driftloop.kit.topic import ControlTopic
from services.monitor.domain.turns import KEPT, Runs, Turn, Turns
from services.monitor.turns import Watch
from tests.support.eventually import eventually
from tests.support.figures import value

MODEL = ("sea", 1, 2)
Piece = Callable[[], list[Turn]]


def a_turn(turns: Turns, run: str = "run-1") -> list[Piece]:
    """The pieces of one turn, a second apart from 1,000 on."""
    return [
        partial(turns.drifted, "d", 1_000, 2_000),
        partial(turns.requested, "q", "d", 3_000),
        partial(turns.accepted, run, "q"),
        partial(turns.trained, run, 4_000),
        partial(turns.evaluated, run, 6_000),
        partial(turns.released, run, MODEL, 9_000),
        partial(turns.acknowledged, MODEL, frozenset({0}), 9_500),
        partial(turns.acknowledged, MODEL, frozenset({1}), 10_000),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_a_turn_is_told_of_once_when_its_last_piece_has_come(seed: int) -> None:
    turns = Turns({"sea": 2}.get)
    pieces = a_turn(turns)
    random.Random(seed).shuffle(pieces)
    told = [piece() for piece in pieces]
    [turn] = [each for part in told for each in part]
    assert dict(turn.seconds) == {
        "detect": 1.0, "decide": 1.0, "train": 1.0, "evaluate": 2.0, "release": 3.0, "swap": 1.0,
    }  # fmt: skip
    assert (turn.redeploy_s, turn.ended_ms, turn.pipeline) == (8.0, 10_000, "sea")
    assert turns.acknowledged(MODEL, frozenset({0, 1}), 11_000) == []


def test_a_turn_without_a_drift_has_no_detect_and_no_redeploy() -> None:
    turns = Turns({"sea": 1}.get)
    turns.requested("q", "", 3_000)
    for piece in a_turn(turns)[2:6]:
        piece()
    [turn] = turns.acknowledged(MODEL, frozenset({0}), 9_500)
    assert list(turn.seconds) == ["train", "evaluate", "release", "swap"]
    assert turn.redeploy_s is None


@pytest.mark.parametrize("missing", range(8))
def test_a_turn_that_lacks_a_piece_is_not_told_of(missing: int) -> None:
    turns = Turns({"sea": 2}.get)
    pieces = a_turn(turns)
    del pieces[missing]
    assert [piece() for piece in pieces] == [[]] * 7


def test_who_answered_before_the_release_has_not_swapped() -> None:
    turns = Turns({"sea": 2}.get)
    turns.acknowledged(MODEL, frozenset({0, 1}), 8_000)
    for piece in a_turn(turns)[:6]:
        assert piece() == []


def test_only_the_newest_pieces_are_kept() -> None:
    turns = Turns({"sea": 2}.get)
    first, *rest = a_turn(turns)
    first()
    for number in range(KEPT):
        turns.drifted(f"d-{number}", 0, 0)
    assert [piece() for piece in rest] == [[]] * 7


def test_runs_that_are_rejected_in_a_row_are_counted_until_one_is_released() -> None:
    runs = Runs()
    for number, outcome in enumerate(["rejected", "failed", "rejected", "timed_out"]):
        runs.ended(f"run-{number}", "sea", outcome)
    assert runs.rejected_in_a_row("sea") == 2
    runs.ended("run-9", "sea", "released")
    assert runs.rejected_in_a_row("sea") == 0


def test_a_run_is_open_until_it_ends_also_where_its_end_is_read_first() -> None:
    runs = Runs()
    runs.accepted("run-1", "sea")
    runs.accepted("run-2", "other")
    assert runs.open("sea") == 1
    runs.ended("run-1", "sea", "failed")
    runs.ended("run-3", "sea", "failed")
    runs.accepted("run-3", "sea")
    assert runs.open("sea") == 0


class World:
    """A monitor's watch over the control topics of a broker in memory."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.broker = MemoryBroker(self.clock)
        self.broker.create([TopicSpec(each.topic().name, 1) for each in topics.CONTROL])
        self.metrics = Metrics()
        self.followers: list[Follower[Any]] = []

    def watch(self) -> Watch:
        watch = Watch(self.metrics, self.clock.ms())
        watch.declared("sea", 1)
        watch.follow(self)  # type: ignore[arg-type]  # of a kit it uses these two
        return watch

    def before_scrape(self, tell: Callable[[], None]) -> None:
        self.metrics.before_scrape(tell)

    def follow(self, topic: Any, heard: Any) -> None:
        self.followers.append(Follower(self.broker, topic, heard))

    def turn(self, run: str, version: int) -> None:
        of: Any = {"pipeline": "sea", "generation": 1}
        said: list[tuple[ControlTopic[Any], Any]] = [
            (
                topics.DRIFT_DETECTED,
                DriftDetected(**of, evidence=Evidence(newest_row_ms=self.now())),
            ),
            (
                topics.RETRAIN_REQUESTED,
                RetrainRequested(**of, trigger="drift", drift_id=f"{run}-0"),
            ),
            (
                topics.RETRAIN_RESOLVED,
                RetrainResolved(
                    **of, request_id=f"{run}-1", run_id=run, outcome="accepted", trigger="drift"
                ),
            ),
            (topics.MODEL_TRAINED, ModelTrained(**of, run_id=run)),
            (topics.MODEL_EVALUATED, ModelEvaluated(**of, run_id=run)),
            (
                topics.MODEL_RELEASED,
                ModelReleased(**of, run_id=run, version=version, cause="release"),
            ),
            (topics.RUN_FINISHED, RunFinished(**of, run_id=run, outcome="released")),
            (
                topics.SERVING_ACKNOWLEDGED,
                ServingAcknowledged(**of, version=version, partitions=[0]),
            ),
        ]
        for number, (topic, message) in enumerate(said):
            self.clock.advance(2.0)
            told = event(
                topic.topic(), message, id=f"{run}-{number}", source="/t", time_ms=0, key="sea"
            )
            self.broker.append([told])

    def now(self) -> int:
        return self.clock.ms()

    def said(self, name: str, **labels: str) -> float | None:
        return value(self.metrics.text(), name, pipeline="sea", **labels)

    def close(self) -> None:
        for follower in self.followers:
            follower.stop()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_a_turn_is_counted_and_one_that_ended_before_the_start_is_not(world: World) -> None:
    world.turn("run-old", 1)
    world.clock.advance(1.0)
    world.watch()
    world.turn("run-new", 2)
    eventually(lambda: world.said("driftloop_redeploy_seconds_count"), 10)
    eventually(lambda: world.said("driftloop_runs_total", outcome="released"), 10)
    eventually(lambda: world.said("driftloop_runs_open") == 0, 10)
    assert world.said("driftloop_redeploy_seconds_count") == 1
    assert world.said("driftloop_redeploy_seconds_sum") == 14.0
    assert world.said("driftloop_stage_seconds_sum", stage="train") == 4.0
    assert world.said("driftloop_stage_seconds_count", stage="swap") == 1
    assert world.said("driftloop_runs_total", outcome="released") == 1
    of = {"trigger": "drift", "outcome": "accepted"}
    assert world.said("driftloop_retrains_total", **of) == 1


def test_counters_of_a_turn_begin_at_nothing_with_the_declaration(world: World) -> None:
    world.watch()
    assert world.said("driftloop_runs_total", outcome="rejected") == 0
    assert world.said("driftloop_retrains_total", trigger="drift", outcome="refused") == 0
    assert world.said("driftloop_stage_seconds_count", stage="detect") == 0
    assert world.said("driftloop_runs_rejected_in_a_row") == 0


def test_answers_and_ends_of_what_is_not_declared_are_counted_as_others(world: World) -> None:
    watch = world.watch()
    watch.removed("sea")
    world.metrics.forget("sea")
    world.turn("run-late", 1)
    ended, retrained = "driftloop_runs_total", "driftloop_retrains_total"
    of = {"pipeline": "other"}
    eventually(lambda: value(world.metrics.text(), ended, **of, outcome="released"))
    page = world.metrics.text()
    assert value(page, retrained, **of, trigger="drift", outcome="accepted") == 1
    assert 'pipeline="sea"' not in page


def test_a_removed_pipelines_runs_are_shown_no_more(world: World) -> None:
    watch = world.watch()
    assert world.said("driftloop_runs_open") == 0
    watch.removed("sea")
    world.metrics.forget("sea")
    assert world.said("driftloop_runs_open") is None
