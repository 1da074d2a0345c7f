"""Wiring of the monitor: two loops for each pipeline that is declared, and the figures on
/metrics.
"""

from __future__ import annotations

from driftloop.contracts import topics
from driftloop.kit.broker import Subscription
from driftloop.kit.loop import LoopSpec
from driftloop.kit.run import App, Kit
from driftloop.service import Declared, follow_pipelines
from driftloop.spec import Pipeline
from services.monitor.config import Config
from services.monitor.domain.buckets import Shape
from services.monitor.domain.policy import Policy, Rules
from services.monitor.domain.shadows import Contest
from services.monitor.handlers import BucketsTask, DecideTask
from services.monitor.meter import Meter
from services.monitor.turns import Watch


def build(config: Config, kit: Kit) -> App:
    watch = Watch(kit.metrics, kit.clock.ms())

    def declared(pipeline: Declared) -> None:
        watch.declared(pipeline.name, pipeline.pipeline.partitions)
        kit.loops.start(_buckets(pipeline, config, kit))
        kit.loops.start(_decide(pipeline, config, kit))

    def removed(name: str) -> None:
        for loop in ("buckets", "decide"):
            kit.loops.stop(f"{loop}-{name}")
        watch.removed(name)

    def start() -> None:
        follow_pipelines(kit, declared, removed)
        watch.follow(kit)

    return App(start=start)


def _buckets(declared: Declared, config: Config, kit: Kit) -> LoopSpec:
    name, generation = declared.name, declared.generation
    inputs = [
        topics.PREDICTIONS.topic(name, generation).name,
        topics.EXAMPLES.topic(name, generation).name,
    ]
    pipeline = declared.pipeline
    shape = Shape(
        pipeline.monitor.bucket,
        pipeline.monitor.slack,
        pipeline.target.horizon,
        pipeline.target.kind,
        Contest(
            tuple(line.name for line in pipeline.lines),
            pipeline.target.kind,
            pipeline.target.class_count,
            pipeline.target.threshold,
        ),
    )
    return LoopSpec(
        f"buckets-{name}",
        name,
        Subscription(
            f"monitor-buckets-{name}.g{generation}",
            inputs,
            kit.transactional_id("buckets", f"{name}.g{generation}"),
            start=_earliest(inputs),
        ),
        lambda: BucketsTask(name, generation, shape, pipeline.target.outputs),
        records_max=config.records_max,
        interval_s=config.interval_ms / 1_000,
    )


def _decide(declared: Declared, config: Config, kit: Kit) -> LoopSpec:
    name, generation = declared.name, declared.generation
    inputs = [
        topics.STATISTICS.topic(name).name,
        topics.MODEL_RELEASED.topic().name,
        topics.RETRAIN_RESOLVED.topic().name,
        topics.RUN_FINISHED.topic().name,
    ]
    rules = _rules(declared.pipeline)

    def task() -> DecideTask:
        pipeline = declared.pipeline
        meter = Meter(
            kit.metrics,
            name,
            pipeline.feature_names(),
            pipeline.monitor.psi.buckets,
            rules.detector,
        )
        return DecideTask(name, generation, lambda: Policy(rules), rules, meter, kit.tracer)

    return LoopSpec(
        f"decide-{name}",
        name,
        Subscription(
            f"monitor-decide-{name}.g{generation}",
            inputs,
            kit.transactional_id("decide", f"{name}.g{generation}"),
            start=_earliest(inputs),
        ),
        task,
        records_max=config.records_max,
        interval_s=config.interval_ms / 1_000,
    )


def _rules(pipeline: Pipeline) -> Rules:
    detector, retrain = pipeline.monitor.detectors[0], pipeline.retrain
    return Rules(
        detector=detector.kind,
        params=detector.params,
        statistic=detector.on,
        first_us=retrain.first,
        rows_min=retrain.rows_min,
        triggers=frozenset(retrain.on),
        every_us=retrain.every,
        volume=retrain.volume,
        cooldown_us=retrain.cooldown,
        partitions=pipeline.partitions,
        lines=tuple(line.name for line in pipeline.lines),
    )


def _earliest(names: list[str]) -> dict[str, str]:
    return dict.fromkeys(names, "earliest")
