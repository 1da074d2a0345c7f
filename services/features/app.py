"""Wiring of features: two loops for each pipeline that is declared, and one servicer for
questions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from driftloop.contracts import topics
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.contracts.transform_pb2_grpc import (
    FeatureStoreStub,
    add_FeatureStoreServicer_to_server,
)
from driftloop.kit.broker import Record, Subscription
from driftloop.kit.loop import LoopSpec
from driftloop.kit.run import App, Kit
from driftloop.service import Declared, follow_pipelines
from driftloop.spec.windows import program
from services.features.config import Config
from services.features.domain import Rounds
from services.features.handlers import Generation, Shelf, WindowsTask
from services.features.joining import JoinTask
from services.features.owners import Owners
from services.features.rpc import FeatureStore
from services.features.warm import warm_up


def build(config: Config, kit: Kit) -> App:
    shelf, owners = Shelf(), Owners()
    running: dict[str, int] = {}  # pipeline -> generation

    def declared(pipeline: Declared) -> None:
        """A new version of the same generation changes nothing here: what we read is fixed."""
        if running.get(pipeline.name) == pipeline.generation:
            return
        running[pipeline.name] = pipeline.generation
        generation = Generation(
            pipeline.name, pipeline.generation, pipeline.pipeline, program(pipeline.pipeline)
        )
        warm_up(generation)
        kit.loops.start(_windows(generation, shelf, config, kit))
        kit.loops.start(_join(generation, config, kit))

    def removed(name: str) -> None:
        running.pop(name, None)
        for loop in ("windows", "join"):
            kit.loops.stop(f"{loop}-{name}")

    def pulsed(key: str | None, pulse: Pulse | None, record: Record) -> None:
        if pulse is not None:
            owners.heard(pulse, kit.clock.seconds())

    def start() -> None:
        follow_pipelines(kit, declared, removed)
        kit.follow(topics.PULSE.topic(), pulsed, newest=True)

    add = partial(
        add_FeatureStoreServicer_to_server,
        FeatureStore(shelf, _elsewhere(owners, kit), rows_max=config.question_rows_max),
    )
    return App(servicers=[add], start=start)


def _elsewhere(owners: Owners, kit: Kit) -> Callable[[str], FeatureStoreStub | None]:
    """Channels to the other replicas, one for each address, opened when first needed."""
    stubs: dict[str, FeatureStoreStub] = {}

    def elsewhere(pipeline: str) -> FeatureStoreStub | None:
        address = owners.of(pipeline, kit.clock.seconds())
        if address is None or address == kit.address:
            return None
        if address not in stubs:
            stubs[address] = FeatureStoreStub(kit.channel(address))
        return stubs[address]

    return elsewhere


def _windows(generation: Generation, shelf: Shelf, config: Config, kit: Kit) -> LoopSpec:
    inputs = [topics.RECORDS.topic(generation.name, generation.number).name]

    def task() -> WindowsTask:
        rounds = Rounds(
            round(config.round_seconds * 1_000), config.round_rows_max, config.checkpoint_bytes_max
        )
        return WindowsTask(
            generation,
            rounds,
            shelf,
            heartbeat_ms=config.heartbeat_ms,
            state_bytes_max=config.state_mb_max << 20,
            tracer=kit.tracer,
        )

    return LoopSpec(
        f"windows-{generation.name}",
        generation.name,
        _subscription("windows", generation, inputs, kit),
        task,
        records_max=config.records_max,
        interval_s=config.interval_seconds,
    )


def _join(generation: Generation, config: Config, kit: Kit) -> LoopSpec:
    name, number = generation.name, generation.number
    inputs = [topics.FEATURES.topic(name, number).name, topics.LABELS.topic(name, number).name]
    return LoopSpec(
        f"join-{name}",
        name,
        _subscription("join", generation, inputs, kit),
        lambda: JoinTask(generation, heartbeat_ms=config.heartbeat_ms, tracer=kit.tracer),
        records_max=config.records_max,
        interval_s=config.join_interval_seconds,
    )


def _subscription(loop: str, generation: Generation, inputs: list[str], kit: Kit) -> Subscription:
    whole = f"{generation.name}.g{generation.number}"
    return Subscription(
        f"features-{loop}-{whole}",
        inputs,
        kit.transactional_id(loop, whole),
        start=dict.fromkeys(inputs, "earliest"),
    )
