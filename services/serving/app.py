"""Wiring of serving: one follower of releases, one loader, a loop for each declared pipeline, the
V2 doors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from threading import Event

from driftloop.contracts import topics
from driftloop.contracts.inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from driftloop.contracts.model_pb2 import ModelReleased, PipelineDeclared
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.broker import Record, Subscription
from driftloop.kit.errors import Unavailable
from driftloop.kit.follow import Follower
from driftloop.kit.log import logger
from driftloop.kit.loop import LoopSpec
from driftloop.kit.run import App, Kit
from driftloop.kit.trace import passed_on
from driftloop.service import Declared, follow_pipelines
from services.serving import codec, onnx
from services.serving.calls import Journal
from services.serving.config import Config
from services.serving.domain import Answering, Plan
from services.serving.fetch import fetch
from services.serving.handlers import ScoringTask, acknowledged, acknowledgement, swap_span
from services.serving.lines import Lines
from services.serving.meter import Meter
from services.serving.models import Models, Standing
from services.serving.rpc import Doors
from services.serving.store import Cache

LOOK_SECONDS = 0.2  # how soon a watcher sees its stop
log = logger(__name__)


def build(config: Config, kit: Kit) -> App:
    provider = _provider(config, kit)
    meter = Meter(kit.metrics, kit.clock)
    stub = RegistryStub(kit.channel(kit.common.driftloop_registry))
    journal = Journal(kit.broker, meter, calls_max=config.journal_calls_max)
    load = functools.partial(onnx.Session, provider=provider)
    models = Models(
        Cache(kit.data / "models", artifacts_max=config.cache_artifacts_max),
        functools.partial(fetch, stub, seconds_max=config.fetch_seconds_max),
        load,
        kit.clock,
        _on_swap(kit, meter),
    )
    lines = Lines(kit.follow, load)
    kit.metrics.before_scrape(lambda: meter.waiting(journal.waiting()))
    doors = Doors(models, journal, kit.clock.ms, meter, call_rows_max=config.call_rows_max)

    pipelines: list[Follower[PipelineDeclared]] = []

    def declared(pipeline: Declared) -> None:
        meter.opened(pipeline.name)
        known = models.standing(pipeline.name)
        standing = models.open(_plan(pipeline), known.wake if known else Event())
        lines.open(standing)
        if known is None:
            kit.loops.start(_loop(standing, meter, config, kit))

    def removed(name: str) -> None:
        kit.loops.stop(f"scores-{name}")
        lines.close(name)
        models.close(name)

    def start() -> None:
        for each in (models, lines, journal):
            each.start()
        pipelines.append(follow_pipelines(kit, declared, removed))
        releases = kit.follow(topics.MODEL_RELEASED.topic(), _on_released(models))
        kit.background("releases", lambda stop: _watch(releases, models, stop))

    def stop() -> None:
        for each in (journal, lines, models):
            each.stop()

    return App(
        servicers=[functools.partial(add_GRPCInferenceServiceServicer_to_server, doors)],
        start=start,
        ready=_ready(pipelines, models, kit, config),
        stop=stop,
    )


def _provider(config: Config, kit: Kit) -> str:
    provider = onnx.provider(config.provider)
    kit.metrics.provider_info.labels(provider).set(1)
    log.info("models run on %s", provider)
    return provider


def _ready(
    pipelines: Sequence[Follower[PipelineDeclared]], models: Models, kit: Kit, config: Config
) -> Callable[[], bool]:
    """All pipelines are known, and what is live of each; or that took too long, since one
    pipeline's trouble is not the others'."""
    known_s: list[float] = []

    def ready() -> bool:
        if not pipelines or not pipelines[-1].caught_up.is_set():
            return False
        if not known_s:
            known_s.append(kit.clock.seconds())
        return models.ready() or kit.clock.seconds() - known_s[0] > config.start_seconds_max

    return ready


def _plan(declared: Declared) -> Plan:
    pipeline = declared.pipeline
    return Plan(
        pipeline=declared.name,
        generation=declared.generation,
        partitions=pipeline.partitions,
        features=pipeline.feature_names(),
        kind=pipeline.target.kind,
        threshold=pipeline.target.threshold,
        baseline=pipeline.release.baseline == "first",
        outputs=pipeline.target.outputs,
        lines=tuple(line.name for line in pipeline.lines),
    )


def _loop(standing: Standing, meter: Meter, config: Config, kit: Kit) -> LoopSpec:
    plan = standing.plan
    owner = f"{plan.pipeline}.g{plan.generation}"
    features = topics.FEATURES.topic(plan.pipeline, plan.generation).name
    return LoopSpec(
        f"scores-{plan.pipeline}",
        plan.pipeline,
        Subscription(
            f"serving-scores-{owner}",
            [features],
            kit.transactional_id("scores", owner),
            start={features: "earliest"},
        ),
        lambda: ScoringTask(
            standing,
            kit.replica,
            kit.clock.ms,
            meter,
            start_seconds_max=config.start_seconds_max,
            tracer=kit.tracer,
        ),
        records_max=config.records_max,
        interval_s=config.interval_seconds,
        wake=standing.wake,
    )


def _on_released(models: Models) -> Callable[[str | None, ModelReleased | None, Record], None]:
    """A tombstone says nothing; a malformed release is passed over by the follower."""

    def on_released(key: str | None, message: ModelReleased | None, record: Record) -> None:
        if message is not None:
            models.released(codec.release(message, passed_on(record.headers)))

    return on_released


def _watch(releases: Follower[ModelReleased], models: Models, stop: Event) -> None:
    """Tells the models once that whatever is live is known."""
    while not stop.is_set():
        if releases.caught_up.wait(LOOK_SECONDS):
            models.read_to_end()
            return


def _on_swap(kit: Kit, meter: Meter) -> Callable[[Standing, Answering], None]:
    """A replica without partitions has no transaction to acknowledge in."""

    started_ms = kit.clock.ms()

    def on_swap(standing: Standing, answering: Answering) -> None:
        release = answering.release
        kit.metrics.answer_with(release.pipeline, release.version)
        meter.swapped(release)
        if standing.held:
            return
        now_ms = kit.clock.ms()
        try:
            message = acknowledged(answering, kit.replica, (), now_ms)
            kit.broker.append([acknowledgement(message, now_ms, release.traceparent)])
            if kit.tracer.on:
                kit.tracer.add(swap_span(message, release, started_ms, kit.clock.ns()))
        except Unavailable as error:
            log.warning("a swap for calls was not acknowledged: %s", error)

    return on_swap
