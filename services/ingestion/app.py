"""Wiring of ingestion: one loop for each pipeline's generation that is declared."""

from __future__ import annotations

from driftloop.contracts import topics
from driftloop.kit.broker import Subscription
from driftloop.kit.loop import LoopSpec
from driftloop.kit.run import App, Kit
from driftloop.service import Declared, follow_pipelines
from services.ingestion.config import Config
from services.ingestion.handlers import Limits, OrderTask
from services.ingestion.meter import Meter

TICK_S = 0.02  # rows that wait for an idle partition go at the next tick


def build(config: Config, kit: Kit) -> App:
    running: dict[str, str] = {}  # pipeline -> digest of the generation that its loop runs

    def declared(pipeline: Declared) -> None:
        digest = pipeline.pipeline.generation_digest()
        if (
            running.get(pipeline.name) != digest
        ):  # another learner or policy is nothing to ingestion
            running[pipeline.name] = digest
            kit.loops.start(_order(pipeline, config, kit))

    def removed(name: str) -> None:
        running.pop(name, None)
        kit.loops.stop(f"order-{name}")

    def start() -> None:
        follow_pipelines(kit, declared, removed)

    return App(start=start)


def _order(declared: Declared, config: Config, kit: Kit) -> LoopSpec:
    name, generation, pipeline = declared.name, declared.generation, declared.pipeline
    subscription = Subscription(
        group=f"ingestion-order-{name}.g{generation}",
        topics=[topics.LEASE.topic(name, generation).name],
        transactional_id=kit.transactional_id("order", f"{name}.g{generation}"),
        attached=[source.topic for source in pipeline.sources],
        start={source.topic: source.from_ for source in pipeline.sources},
    )
    meter = Meter(kit.metrics, name)
    return LoopSpec(
        f"order-{name}",
        name,
        subscription,
        lambda: OrderTask(pipeline, generation, _limits(config), meter.counted, kit.tracer),
        records_max=config.records_max,
        interval_s=config.interval_ms / 1_000,
        tick_s=TICK_S,
    )


def _limits(config: Config) -> Limits:
    return Limits(
        config.idle_ms,
        config.stall_ms,
        int(config.ahead_hours * 3_600_000_000),
        config.record_bytes_max,
    )
