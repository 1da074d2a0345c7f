"""Wiring of training: the pipelines followed, one control loop, its children, and the doors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from driftloop import spec
from driftloop.archive import Archive
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Given, ModelVersion, PipelineDeclared, Window
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.contracts.training_pb2_grpc import add_TrainingServicer_to_server
from driftloop.dataset import Times
from driftloop.kit.broker import Subscription
from driftloop.kit.child import Child
from driftloop.kit.follow import Follower
from driftloop.kit.inbox import Inbox
from driftloop.kit.kafka.admin import KafkaAdmin
from driftloop.kit.loop import LoopSpec
from driftloop.kit.objects import Objects
from driftloop.kit.run import App, Kit
from driftloop.kit.task import Task
from driftloop.kit.trace import here
from driftloop.service import Declared, follow_pipelines
from services.training.config import Config
from services.training.domain import Known, Limits, Run, Weighing
from services.training.handlers import INPUTS, TrainingTask
from services.training.housekeeping import Housekeeping, Models
from services.training.jobs import Command, Dataset, Order
from services.training.meter import Meter
from services.training.online import LinePlan
from services.training.plan import GivenPlan, LearnerPlan, Places, Plan, Searching, SearchPlan
from services.training.rpc import Doors

FIT = "services.training.fit"
REBUILD, ARCHIVE = "services.training.rebuild", "services.training.archiving"
LINES_RECORDS = 32  # of up to 1,000 rows each, of which a forest learns 1,000 a second
TICK_S = 0.1  # how soon a child's end is seen: a tenth of what a fit takes at least
NICE = 5  # a fit gives way to what must be answered now, and still ends soon


def build(config: Config, kit: Kit) -> App:
    inbox: Inbox[Command] = Inbox()
    lines = Lines(config, kit)
    foundry = Foundry(config, kit, lines)
    records = Records(config, kit, foundry)
    doors = Doors(
        inbox,
        foundry.declared,
        records.keeping,
        records.rebuild,
        kit.clock,
        answer_seconds_max=config.answer_seconds_max,
    )

    def start() -> None:
        foundry.open()
        kit.background("housekeeping", records.keeping.work)

    control = LoopSpec(
        "control",
        "",
        Subscription(
            "training-control",
            INPUTS,
            kit.transactional_id("control", "all"),
            start=dict.fromkeys(INPUTS, "earliest"),
        ),
        lambda: TrainingTask(
            foundry,
            inbox,
            foundry.meter.trained,
            children_max=config.children_max,
            tracer=kit.tracer,
        ),
        interval_s=config.interval_ms / 1_000,
        tick_s=TICK_S,
        wake=inbox.wake,
    )
    return App(
        servicers=[partial(add_TrainingServicer_to_server, doors)],
        start=start,
        loops=[control],
    )


class Foundry:
    """What the task asks of the world: the pipelines that there are, and a child for a run."""

    def __init__(self, config: Config, kit: Kit, lines: Lines) -> None:
        self._config, self._kit, self._lines = config, kit, lines
        self._children = kit.children([FIT])
        self.meter = Meter(kit.metrics)
        kit.metrics.before_scrape(lambda: self.meter.working(self._children.at_work))
        self._pipelines: dict[
            str, Declared
        ] = {}  # replaced by the follower's thread, entry by entry
        self._follower: Follower[PipelineDeclared] | None = None
        common = kit.common
        self.places = Places(
            common.kafka, common.driftloop_namespace, common.driftloop_registry, common.tls
        )

    def open(self) -> None:
        self._follower = follow_pipelines(
            self._kit, self._declared, self._removed, quarantines=True
        )

    def declared(self, name: str) -> bool:
        return name in self._pipelines

    def names(self) -> list[str]:
        return list(self._pipelines)

    def ready(self) -> bool:
        return self._follower is not None and self._follower.caught_up.is_set()

    def order(self, pipeline: str) -> Order | None:
        declared = self._pipelines.get(pipeline)
        if declared is None:
            return None
        known = Known(declared.generation, declared.pipeline.retrain.deadline // 1_000)
        return Order(known, declared.version, declared.pipeline.partitions)

    def start(
        self, run: Run, window: Dataset, change_us: int | None, seconds_max: float
    ) -> Child | None:
        declared = self._pipelines.get(run.pipeline)
        if declared is None:  # removed since it was asked for
            return None
        plan = _plan(run, declared, window, change_us)
        plan = replace(plan, searching=_searching(self._config, self._kit))
        return self._children.start(
            run.run_id,
            f"{FIT}:fit",
            {"plan": plan, "places": self.places},
            seconds_max=seconds_max,
            memory_mb_max=self._config.memory_mb_max,
            nice=NICE,
        )

    def _declared(self, declared: Declared) -> None:
        self._pipelines[declared.name] = declared
        self.meter.declared(declared.pipeline)
        self._lines.declared(declared)

    def _removed(self, name: str) -> None:
        self._pipelines.pop(name, None)
        self._lines.removed(name)


class Lines:
    """The loops that online learners learn in, one for each pipeline that has any."""

    def __init__(self, config: Config, kit: Kit) -> None:
        self._config, self._kit = config, kit
        self._running: dict[str, tuple[int, Sequence[LinePlan]]] = {}

    def declared(self, declared: Declared) -> None:
        """A loop anew where its lines, or their generation, are other ones than before."""
        name, wanted = declared.name, (declared.generation, _lines(declared))
        if not wanted[1]:
            self.removed(name)
        elif self._running.get(name) != wanted:
            self._running[name] = wanted
            self._kit.loops.start(self._loop(declared, wanted[1]))

    def removed(self, name: str) -> None:
        if self._running.pop(name, None) is not None:
            self._kit.loops.stop(f"lines-{name}")

    def _loop(self, declared: Declared, plans: Sequence[LinePlan]) -> LoopSpec:
        name, generation = declared.name, declared.generation
        owner = f"{name}.g{generation}"
        lease = topics.LEASE.topic(name, generation).name
        examples = topics.EXAMPLES.topic(name, generation).name
        partitions = declared.pipeline.partitions

        def task() -> Task:
            # River is 60 MB and a second: for those alone who have online learners
            from services.training.online.task import LinesTask

            return LinesTask(name, generation, partitions, plans, self._kit.clock)

        return LoopSpec(
            f"lines-{name}",
            name,
            Subscription(
                f"training-lines-{owner}",
                [lease],
                self._kit.transactional_id("lines", owner),
                [examples],
                {lease: "earliest", examples: "earliest"},
            ),
            task,
            records_max=LINES_RECORDS,
            interval_s=self._config.interval_ms / 1_000,
            tick_s=TICK_S,
        )


class Records:
    """Models that there are: their windows, and a child for each that is archived or made again."""

    def __init__(self, config: Config, kit: Kit, foundry: Foundry) -> None:
        self._config, self._foundry = config, foundry
        self._children = kit.children([FIT])  # of other threads than the loop's, which has its own
        self._archive = config.archive or str(kit.data / "archive")
        common = kit.common
        self.keeping = Housekeeping(
            Models(RegistryStub(kit.channel(common.driftloop_registry))),
            foundry.names,
            kit.broker,
            KafkaAdmin(common.kafka, common.driftloop_namespace),
            Archive(Objects(self._archive)),
            self._archived,
            kit.clock,
            config.archive_share,
            config.archive_seconds,
        )

    def rebuild(self, model: ModelVersion) -> Child:
        return self._start("rebuild", f"{REBUILD}:rebuild", {"model": model.SerializeToString()})

    def _archived(self, window: Window) -> Child:
        return self._start("archive", f"{ARCHIVE}:archive", {"window": window.SerializeToString()})

    def _start(self, name: str, target: str, argument: dict[str, Any]) -> Child:
        return self._children.start(
            name,
            target,
            {**argument, "places": self._foundry.places, "archive": self._archive},
            seconds_max=self._config.rebuild_seconds_max,
            memory_mb_max=self._config.memory_mb_max,
            nice=NICE,
        )


def _searching(config: Config, kit: Kit) -> Searching:
    folder = str(kit.data / "searches")
    return Searching(folder, config.studies, kit.replica, config.workers_max, config.memory_mb_max)


def _plan(run: Run, declared: Declared, window: Dataset, change_us: int | None) -> Plan:
    pipeline = declared.pipeline
    lines = [one for one in _lines(declared) if window.line in ("", one.name)]
    windowed = () if window.line else pipeline.windowed
    learners = [_learner(one, pipeline.target) for one in windowed]
    limits = Limits(pipeline.evaluation.holdout.rows, pipeline.evaluation.holdout.share_max)
    return Plan(
        run.run_id,
        run.pipeline,
        run.generation,
        declared.version,
        window.ranges,
        learners,
        tuple(pipeline.feature_names()),
        _classes(pipeline),
        limits,
        change_us,
        here(),
        _times(window.times, declared),
        _given(window.given),
        lines=lines,
    )


def _given(given: Given | None) -> GivenPlan | None:
    return GivenPlan(given.name, given.digest, given.bytes, given.note) if given else None


def _times(asked: Times, declared: Declared) -> Times:
    """As asked, less what is quarantined now."""
    return replace(asked, without=sorted({*asked.without, *declared.quarantined}))


def _lines(declared: Declared) -> Sequence[LinePlan]:
    pipeline = declared.pipeline
    names = tuple(pipeline.feature_names())
    return [
        LinePlan(
            one.name,
            {**one.params, **({"estimator": one.estimator} if one.estimator else {})},
            one.seed,
            _classes(pipeline),
            len(names),
            one.snapshot.rows,
            one.snapshot.seconds,
            one.kind,
            one.newest_rows or 0,
            names,
        )
        for one in pipeline.lines
        if one.snapshot is not None
    ]


def _learner(one: spec.Learner, target: spec.Target) -> LearnerPlan:
    """`estimator` is one more parameter to whoever learns."""
    params = {**one.params, **({"estimator": one.estimator} if one.estimator else {})}
    return LearnerPlan(
        one.name,
        one.kind,
        params,
        one.seed,
        one.newest_us,
        one.since_change,
        _weighing(one.weights, target),
        _search(one, target),
    )


def _search(one: spec.Learner, target: spec.Target) -> SearchPlan | None:
    """The gap is the horizon: by then a row has its label, or never gets one."""
    asked = one.search
    if asked is None:
        return None
    space = {
        name: list(each) if isinstance(each, tuple) else each.model_dump()
        for name, each in asked.space.items()
    }
    return SearchPlan(
        space,
        asked.trials,
        asked.seconds / 1e6,
        asked.sampler,
        asked.pruner,
        asked.validation,
        asked.folds,
        target.horizon,
        asked.workers,
    )


def _weighing(said: spec.Weights, target: spec.Target) -> Weighing:
    given = said.classes
    if given is None or isinstance(given, str):
        return Weighing(said.half_life, balanced=given is not None)
    each = tuple(given.get(name, 1.0) for name in target.class_names)
    return Weighing(said.half_life, classes=each)


def _classes(pipeline: spec.Pipeline) -> int:
    return pipeline.target.class_count
