"""Wiring of serving: one follower of releases, one loader, a loop for each declared pipeline, the
V2 doors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import Event

from driftloop.contracts import topics
from driftloop.contracts.inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from driftloop.contracts.model_pb2 import ModelReleased
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.broker import Record, Subscription
from driftloop.kit.errors import Unavailable
from driftloop.kit.follow import Follower
from driftloop.kit.log import logger
from driftloop.kit.loop import LoopSpec
from driftloop.kit.run import App, Kit
from driftloop.service import Declared, follow_pipelines
from services.serving import codec, onnx
from services.serving.calls import Journal
from services.serving.config import Config
from services.serving.domain import Answering, Plan
from services.serving.fetch import fetch
from services.serving.handlers import ScoringTask, acknowledged, acknowledgement
from services.serving.models import Models, Standing
from services.serving.rpc import Doors
from services.serving.store import Cache

LOOK_SECONDS = 0.2  # how soon a watcher sees its stop
log = logger(__name__)


def build(config: Config, kit: Kit) -> App:
    provider = onnx.provider(config.provider)
    kit.metrics.provider.labels(provider).set(1)
    log.info("models run on %s", provider)
    stub = RegistryStub(kit.channel(kit.common.driftloop_registry))
    journal = Journal(kit.broker, calls_max=config.journal_calls_max)
    models = Models(
        Cache(kit.data / "models", artifacts_max=config.cache_artifacts_max),
        functools.partial(fetch, stub, seconds_max=config.fetch_seconds_max),
        functools.partial(onnx.Session, provider=provider),
        kit.clock,
        _on_swap(kit),
    )
    doors = Doors(models, journal, kit.clock.ms, call_rows_max=config.call_rows_max)

    def declared(pipeline: Declared) -> None:
        known = models.standing(pipeline.name)
        standing = models.open(_plan(pipeline), known.wake if known else Event())
        if known is None:
            kit.loops.start(_loop(standing, config, kit))

    def removed(name: str) -> None:
        kit.loops.stop(f"scores-{name}")
        models.close(name)

    def start() -> None:
        models.start()
        journal.start()
        follow_pipelines(kit, declared, removed)
        releases = kit.follow(topics.MODEL_RELEASED.topic(), _on_released(models))
        kit.background("releases", lambda stop: _watch(releases, models, stop))

    def stop() -> None:
        journal.stop()
        models.stop()

    return App(
        servicers=[lambda server: add_GRPCInferenceServiceServicer_to_server(doors, server)],
        start=start,
        stop=stop,
    )


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
    )


def _loop(standing: Standing, config: Config, kit: Kit) -> LoopSpec:
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
            standing, kit.replica, kit.clock.ms, start_seconds_max=config.start_seconds_max
        ),
        records_max=config.records_max,
        interval_s=config.interval_seconds,
        wake=standing.wake,
    )


def _on_released(models: Models) -> Callable[[str | None, ModelReleased | None, Record], None]:
    """A tombstone says nothing; a malformed release is passed over by the follower."""

    def on_released(key: str | None, message: ModelReleased | None, record: Record) -> None:
        if message is not None:
            models.released(codec.release(message))

    return on_released


def _watch(releases: Follower[ModelReleased], models: Models, stop: Event) -> None:
    """Tells the models once that whatever is live is known."""
    while not stop.is_set():
        if releases.caught_up.wait(LOOK_SECONDS):
            models.read_to_end()
            return


def _on_swap(kit: Kit) -> Callable[[Standing, Answering], None]:
    """A replica without partitions has no transaction to acknowledge in."""

    def on_swap(standing: Standing, answering: Answering) -> None:
        release = answering.release
        kit.metrics.answer_with(release.pipeline, release.version)
        if standing.held:
            return
        now_ms = kit.clock.ms()
        try:
            kit.broker.append(
                [acknowledgement(acknowledged(answering, kit.replica, (), now_ms), now_ms)]
            )
        except Unavailable as error:
            log.warning("a swap for calls was not acknowledged: %s", error)

    return on_swap
