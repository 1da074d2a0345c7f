"""Givens of the control loop's tests: requests, ends, and a foundry whose fits are real but run
when they are polled.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelTrained, RunFinished, Window
from driftloop.contracts.retrain_pb2 import Evidence, RetrainRequested, RetrainResolved
from driftloop.kit.broker import Broker, Subscription, TopicSpec
from driftloop.kit.child import Finished
from driftloop.kit.clock import FakeClock
from driftloop.kit.events import event, read_event, to_json
from driftloop.kit.inbox import Inbox
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.topic import Emit
from driftloop.kit.trace import NoTracer, Steps, Tracer, here
from services.training.domain import Known, Limits, Run
from services.training.fit import Workshop
from services.training.handlers import INPUTS, TrainingTask
from services.training.jobs import Command, Dataset, Order
from services.training.plan import LearnerPlan, Plan
from tests.unit.training.examples import NAMES, a_log

CONTROL = (
    topics.RETRAIN_REQUESTED,
    topics.RUN_FINISHED,
    topics.RETRAIN_RESOLVED,
    topics.MODEL_TRAINED,
    topics.TRAINING_PROGRESS,
)
TREES = LearnerPlan("all", "lightgbm", {"num_iterations": 3, "min_data_in_leaf": 20}, 1)


@dataclass
class Fit:
    """A child that works when it is first looked at and may then go on."""

    plan: Plan
    broker: Broker
    may_end: bool = True
    cancelled: bool = False
    told: list[dict[str, Any]] = field(default_factory=list)
    ended: Finished | None = None

    def poll(self) -> Finished | None:
        if self.cancelled:
            return Finished(None, "cancelled", killed=True)
        if self.ended is None and self.may_end:
            clock, upload = FakeClock(), lambda m: hashlib.sha256(m).hexdigest()
            steps = Steps(self.plan.traceparent, clock)
            workshop = Workshop(self.plan, upload, self.told.append, clock, steps)
            trained = workshop.run(self.broker)
            self.ended = Finished({"trained": to_json(trained), "spans": steps.told})
        return self.ended

    def progress(self) -> list[dict[str, Any]]:
        told, self.told = self.told, []
        return told

    def cancel(self) -> None:
        self.cancelled = True


class Foundry:
    """Knows the pipeline `sea`, of 2 partitions."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.fits: list[Fit] = []
        self.may_end = True
        self.is_ready = self.is_declared = True

    def ready(self) -> bool:
        return self.is_ready

    def order(self, pipeline: str) -> Order | None:
        there = pipeline == "sea" and self.is_declared
        return Order(Known(1, 900_000), 4, 2) if there else None

    def start(
        self, run: Run, window: Dataset, change_us: int | None, seconds_max: float
    ) -> Fit | None:
        if not self.is_declared:
            return None
        of, limits = (run.run_id, run.pipeline, 1, 4), Limits(500, 0.1)
        plan = Plan(*of, window.ranges, [TREES], NAMES, 2, limits, change_us, here(), window.times)
        self.fits.append(Fit(plan, self.broker, self.may_end))
        return self.fits[-1]


class House:
    """A broker with 500 examples, the control topics, and training's loop over it."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self.tracer = tracer or NoTracer()
        self.broker = MemoryBroker(FakeClock())
        a_log(500, broker=self.broker)
        self.broker.create([TopicSpec(topic.topic().name, 1) for topic in CONTROL])
        self.inbox: Inbox[Command] = Inbox()
        self.foundry = Foundry(self.broker)
        self.loop = self.start()

    def start(self) -> Loop:
        """A loop anew, as after a crash: nothing is left but the log."""
        subscription = Subscription(
            "training-control", INPUTS, "training", start=dict.fromkeys(INPUTS, "earliest")
        )
        spec = LoopSpec(
            "control",
            "",
            subscription,
            lambda: TrainingTask(self.foundry, self.inbox, children_max=1, tracer=self.tracer),
            interval_s=0,
        )
        self.loop = Loop(spec, self.broker, FakeClock(), tracer=self.tracer)
        self.loop.open()
        return self.loop

    def crash(self) -> Loop:
        self.loop.close()
        return self.start()

    def run(self, *emits: Emit) -> None:
        """Write, and let the loop do all that there is to do."""
        self.broker.append(emits)
        for _ in range(4):  # answer, start, look, tell
            self.loop.drain()

    def answers(self) -> list[RetrainResolved]:
        return [
            read_event(r, RetrainResolved).message
            for r in self.log(topics.RETRAIN_RESOLVED.topic().name)
        ]

    def trained(self) -> list[ModelTrained]:
        return [
            read_event(r, ModelTrained).message for r in self.log(topics.MODEL_TRAINED.topic().name)
        ]

    def log(self, topic: str) -> list[Any]:
        return list(self.broker.read(topic, 0, *self.broker.bounds(topic, 0)))


def request(
    name: str = "r1",
    *,
    pipeline: str = "sea",
    trigger: str = "manual",
    suppressed: str = "",
    window: Window | None = None,
    from_us: int = 0,
) -> Emit:
    message = RetrainRequested(
        pipeline=pipeline,
        trigger=trigger,
        suppressed=suppressed,
        window=window,
        evidence=Evidence(from_us=from_us),
    )
    return said(topics.RETRAIN_REQUESTED.topic(), message, name)


def finished(run_id: str) -> Emit:
    return said(
        topics.RUN_FINISHED.topic(),
        RunFinished(run_id=run_id, outcome="rejected"),
        f"{run_id}-finished",
    )


def said(topic: Any, message: Message, name: str) -> Emit:
    return event(topic, message, id=name, source="/test", time_ms=1, key="sea")
