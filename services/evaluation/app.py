"""Wiring of evaluation: pipelines and releases followed, one control loop, its children, the
door.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import Any

from driftloop import spec
from driftloop.contracts import topics
from driftloop.contracts.evaluation_pb2_grpc import add_EvaluationServicer_to_server
from driftloop.contracts.model_pb2 import ModelReleased, ModelTrained
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.broker import Record, Subscription
from driftloop.kit.child import Child
from driftloop.kit.follow import Follower
from driftloop.kit.loop import LoopSpec
from driftloop.kit.run import App, Kit
from driftloop.kit.trace import here
from driftloop.service import Declared, follow_pipelines
from services.evaluation.config import Config
from services.evaluation.domain import Limits
from services.evaluation.handlers import INPUTS, EvaluationTask
from services.evaluation.meter import Meter
from services.evaluation.plan import Champion, HistoryPlan, Places, Plan, ReplayPlan
from services.evaluation.rpc import Doors

JUDGE, HISTORY = "services.evaluation.judge", "services.evaluation.history"
TICK_S = 0.1  # how soon a child's end is seen
NICE = 5  # a judgement gives way to what must be answered now


def build(config: Config, kit: Kit) -> App:
    bench, wake = Bench(config, kit), threading.Event()
    registry = RegistryStub(kit.channel(kit.common.driftloop_registry))
    doors = Doors(registry, bench.declared, bench.asked, kit.clock)
    subscription = Subscription(
        "evaluation-control", INPUTS, kit.transactional_id("control", "all"),
        start=dict.fromkeys(INPUTS, "earliest"))  # fmt: skip
    control = LoopSpec(
        "control", "", subscription,
        lambda: EvaluationTask(
            bench, wake.set, bench.meter.judged, children_max=config.children_max,
            tracer=kit.tracer,
        ),
        interval_s=config.interval_ms / 1_000, tick_s=TICK_S, wake=wake)  # fmt: skip
    return App(
        servicers=[partial(add_EvaluationServicer_to_server, doors)],
        start=bench.open,
        loops=[control],
    )


def _limits(said: spec.Limits) -> Limits:
    return Limits(said.bytes, said.row_us, said.calibration_error, said.slice_margin)


class Bench:
    """What the task asks of the world: what is live, and a child for a judgement."""

    def __init__(self, config: Config, kit: Kit) -> None:
        self._config, self._kit = config, kit
        self._children = kit.children([JUDGE])
        self._replays = kit.children(
            [JUDGE, HISTORY]
        )  # of the doors' threads; the loop's are its own
        self.meter = Meter(kit.metrics)
        kit.metrics.before_scrape(self._show)
        self._pipelines: dict[str, Declared] = {}  # filled by the followers' threads
        self._live: dict[tuple[str, int], Champion] = {}
        self._followers: list[Follower[Any]] = []
        common = kit.common
        self._places = Places(
            common.kafka, common.driftloop_namespace, common.driftloop_registry, common.tls
        )

    def open(self) -> None:
        pipelines = follow_pipelines(self._kit, self._taken, self._removed)
        released = self._kit.follow(topics.MODEL_RELEASED.topic(), self._released)
        self._followers = [pipelines, released]

    def ready(self) -> bool:
        return bool(self._followers) and all(one.caught_up.is_set() for one in self._followers)

    def champion(self, pipeline: str, generation: int) -> Champion:
        return self._live.get((pipeline, generation), Champion())

    def declared(self, pipeline: str) -> Declared | None:
        return self._pipelines.get(pipeline)

    def start(self, trained: ModelTrained, champion: Champion) -> Child | None:
        declared = self._pipelines.get(trained.pipeline)
        if declared is None:
            return None
        rule, target = declared.pipeline.evaluation, declared.pipeline.target
        run = trained.SerializeToString()
        of = rule.metric, rule.confidence, target.threshold, here(), target.class_count
        columns = declared.pipeline.feature_names()
        slices = {name: columns.index(name) for name in rule.slices}
        plan = Plan(
            run,
            champion,
            *of,
            limits=_limits(rule.limits),
            slices=slices,
            lines=tuple(line.name for line in declared.pipeline.lines),
        )
        return self._children.start(
            trained.run_id, f"{JUDGE}:decide", {"plan": plan, "places": self._places},
            seconds_max=self._config.seconds_max, memory_mb_max=self._config.memory_mb_max,
            nice=NICE)  # fmt: skip

    def asked(self, plan: ReplayPlan | HistoryPlan) -> Child:
        work = f"{JUDGE}:replay"
        if isinstance(plan, HistoryPlan):
            plan, work = replace(plan, archive=self._config.archive), f"{HISTORY}:history"
        return self._replays.start(
            "replay", work, {"plan": plan, "places": self._places},
            seconds_max=self._config.seconds_max, memory_mb_max=self._config.memory_mb_max,
            nice=NICE)  # fmt: skip

    def _show(self) -> None:
        self.meter.working(self._children.at_work + self._replays.at_work)

    def _taken(self, declared: Declared) -> None:
        self._pipelines[declared.name] = declared
        self.meter.declared(declared.name)

    def _removed(self, name: str) -> None:
        self._pipelines.pop(name, None)

    def _released(self, _: str | None, message: ModelReleased | None, __: Record) -> None:
        if message is not None:
            champion = Champion(message.version, message.digest, message.line)
            self._live[message.pipeline, message.generation] = champion
