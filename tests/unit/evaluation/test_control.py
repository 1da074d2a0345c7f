"""The control loop: one judgement a trained run, also after a crash; none for what is closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelEvaluated, ModelTrained, RunFinished
from driftloop.kit.broker import Subscription, TopicSpec
from driftloop.kit.child import Finished
from driftloop.kit.clock import FakeClock
from driftloop.kit.events import event, read_event, to_json
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.topic import Emit
from services.evaluation.handlers import INPUTS, EvaluationTask
from services.evaluation.judge import Court
from services.evaluation.plan import Champion, Plan
from tests.unit.evaluation.stories import GOOD, Shelf, trained
from tests.unit.training.examples import a_log

TRAINED, EVALUATED = topics.MODEL_TRAINED.topic(), topics.MODEL_EVALUATED.topic()


@dataclass
class Sitting:
    """A child that judges when it is looked at and may go on."""

    court: Court
    bench: Bench
    cancelled: bool = False

    def poll(self) -> Finished | None:
        if not self.bench.may_end:
            return None
        if self.bench.error:
            return Finished(None, self.bench.error)
        return Finished({"evaluated": to_json(self.court.evaluated())})

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Bench:
    """Knows the pipeline `sea`."""

    broker: MemoryBroker
    shelf: Shelf
    live: Champion = field(default_factory=Champion)
    may_end: bool = True
    error: str = ""
    sittings: list[Sitting] = field(default_factory=list)

    def ready(self) -> bool:
        return True

    def champion(self, pipeline: str, generation: int) -> Champion:
        return self.live

    def start(self, run: ModelTrained, champion: Champion) -> Sitting | None:
        if run.pipeline != "sea":
            return None
        plan = Plan(run.SerializeToString(), champion, "log_loss", 0.95, 0.5)
        self.sittings.append(Sitting(Court(plan, self.shelf.fetch, self.broker), self))
        return self.sittings[-1]


class House:
    """A broker with 2,000 examples, a run that is trained, and evaluation's loop."""

    def __init__(self) -> None:
        self.broker = MemoryBroker(FakeClock())
        a_log(2_000, broker=self.broker, slope=4.0)
        self.broker.create([TopicSpec(name, 1) for name in (*INPUTS, EVALUATED.name)])
        self.bench = Bench(self.broker, Shelf())
        self.run_trained = trained(self.broker, self.bench.shelf, [GOOD])
        self.loop = self.start()

    def start(self) -> Loop:
        subscription = Subscription(
            "evaluation-control", INPUTS, "evaluation", start=dict.fromkeys(INPUTS, "earliest")
        )
        spec = LoopSpec(
            "control",
            "",
            subscription,
            lambda: EvaluationTask(self.bench, lambda: None, children_max=1),
            interval_s=0,
        )
        self.loop = Loop(spec, self.broker, FakeClock())
        self.loop.open()
        return self.loop

    def crash(self) -> None:
        self.loop.close()
        self.start()

    def run(self, *emits: Emit) -> list[ModelEvaluated]:
        self.broker.append(emits)
        for _ in range(3):
            self.loop.drain()
        records = self.broker.read(EVALUATED.name, 0, *self.broker.bounds(EVALUATED.name, 0))
        return [read_event(record, ModelEvaluated).message for record in records]


@pytest.fixture
def house() -> House:
    return House()


def said(message: Any, topic: Any = TRAINED) -> Emit:
    return event(topic, message, id=message.run_id, source="/test", time_ms=1, key="sea")


def test_a_trained_run_gets_one_judgement_however_often_it_is_told(house: House) -> None:
    (judged,) = house.run(said(house.run_trained), said(house.run_trained))
    assert (judged.run_id, judged.outcome, judged.winner) == ("run-1", "released", "good")
    house.crash()
    assert len(house.run(said(house.run_trained))) == 1
    assert len(house.bench.sittings) == 1


def test_a_judgement_that_a_crash_has_cut_short_is_made_again(house: House) -> None:
    house.bench.may_end = False
    assert house.run(said(house.run_trained)) == []
    house.crash()
    house.bench.may_end = True
    assert len(house.run()) == 1
    assert house.bench.sittings[0].cancelled


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_a_run_without_a_model_is_not_judged(house: House, outcome: str) -> None:
    house.run_trained.outcome = outcome
    assert house.run(said(house.run_trained)) == []


def test_a_champion_that_changed_meanwhile_makes_it_stale(house: House) -> None:
    house.bench.may_end = False
    house.run(said(house.run_trained))
    house.bench.live, house.bench.may_end = Champion(2, "d" * 64), True
    (judged,) = house.run()
    assert (judged.outcome, judged.winner, judged.winner_digest) == ("rejected", "", "")
    assert judged.reason.startswith("stale: judged against version 0, version 2 is live now")


def test_a_run_that_the_registry_has_closed_is_no_longer_judged(house: House) -> None:
    house.bench.may_end = False
    house.run(said(house.run_trained))
    house.run(said(RunFinished(run_id="run-1", outcome="timed_out"), topics.RUN_FINISHED.topic()))
    house.bench.may_end = True
    assert house.run() == []
    assert house.bench.sittings[0].cancelled


def test_a_judgement_that_fails_says_why(house: House) -> None:
    house.bench.error = "out of memory"
    (judged,) = house.run(said(house.run_trained))
    assert (judged.outcome, judged.reason) == ("failed", "out of memory")


def test_what_cannot_be_read_or_is_of_no_pipeline_stops_nothing(house: House) -> None:
    stranger = ModelTrained(run_id="run-9", pipeline="lake", outcome="trained")
    judged = house.run(Emit(TRAINED.name, b"{", b"sea"), said(stranger), said(house.run_trained))
    assert {one.run_id: one.outcome for one in judged} == {"run-9": "failed", "run-1": "released"}
