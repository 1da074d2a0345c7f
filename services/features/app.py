"""Wiring of features: two loops for each pipeline that is declared, and one servicer for
questions."""

from __future__ import annotations

from functools import partial
from threading import Lock

import grpc

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.contracts.transform_pb2_grpc import (
    FeatureStoreStub,
    add_FeatureStoreServicer_to_server,
)
from driftloop.kit.broker import Record, Subscription
from driftloop.kit.follow import Follower
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
    shelf, elsewhere = Shelf(), Elsewhere(kit)
    running: dict[str, int] = {}  # pipeline -> generation
    pipelines: list[Follower[PipelineDeclared]] = []  # one, once it is begun

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
            elsewhere.heard(pulse)

    def ready() -> bool:
        """Each pipeline that was declared has its loops."""
        return bool(pipelines) and pipelines[-1].caught_up.is_set()

    def start() -> None:
        pipelines.append(follow_pipelines(kit, declared, removed))
        kit.follow(topics.PULSE.topic(), pulsed, newest=True)

    store = FeatureStore(
        shelf,
        elsewhere.of,
        lambda pipeline: pipeline in running or not ready(),
        rows_max=config.question_rows_max,
    )
    return App(
        servicers=[partial(add_FeatureStoreServicer_to_server, store)],
        start=start,
        ready=ready,
        stop=elsewhere.close,
    )


class Elsewhere:
    """The other replicas: a channel to each address, opened when first needed, closed when who
    answered there has gone."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._owners = kit, Owners()
        self._channels: dict[str, grpc.Channel] = {}
        self._lock = Lock()  # calls open, the thread that hears pulses closes

    def heard(self, pulse: Pulse) -> None:
        now_s = self._kit.clock.seconds()
        self._owners.heard(pulse, now_s)
        for address in self._owners.gone(now_s):
            self._close(address)

    def of(self, pipeline: str) -> FeatureStoreStub | None:
        """Who holds the pipeline's windows, if that is known and not this replica."""
        address = self._owners.of(pipeline, self._kit.clock.seconds())
        if address is None or address == self._kit.address:
            return None
        with self._lock:
            if address not in self._channels:
                self._channels[address] = self._kit.channel(address)
            return FeatureStoreStub(self._channels[address])

    def close(self) -> None:
        for address in list(self._channels):
            self._close(address)

    def _close(self, address: str) -> None:
        with self._lock:
            channel = self._channels.pop(address, None)
        if channel is not None:
            channel.close()


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
