"""Givens of serving's tests: a pipeline, a registry's shelf, releases, envelopes of vectors, and
what came out.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope
from driftloop.contracts.feature_pb2 import Features
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.kit import envelope
from driftloop.kit.broker import Subscription, TopicSpec
from driftloop.kit.clock import SystemClock
from driftloop.kit.errors import Unavailable
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.metrics import Metrics
from driftloop.kit.topic import Emit, emit
from driftloop.kit.trace import NoTracer, Tracer
from services.serving import onnx
from services.serving.domain import Answering, Plan, Release
from services.serving.handlers import ScoringTask
from services.serving.meter import Meter
from services.serving.models import Models, Standing
from services.serving.store import Cache
from tests.unit.serving.nets import FEATURES, digest

PLAN = Plan("flights", 1, 2, FEATURES, "binary", 0.5, True)
SCHEMA = envelope.batch_schema(topics.FEATURES.declaration.columns)
OUTPUTS = envelope.batch_schema(topics.PREDICTIONS.declaration.columns)
START_US = 1_357_000_000_000_000


@dataclass
class House:
    """Serving without processes: models, one pipeline's loop, and a shelf of artifacts in place of
    the registry.
    """

    folder: Path
    plan: Plan = PLAN
    shelf: dict[str, bytes] = field(default_factory=dict)
    dark: bool = False  # the registry does not answer
    swaps: list[int] = field(default_factory=list)
    tracer: Tracer = field(default_factory=NoTracer)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker()
        name, generation, count = self.plan.pipeline, self.plan.generation, self.plan.partitions
        self.broker.create(
            [
                TopicSpec(topics.FEATURES.topic(name, generation).name, count),
                TopicSpec(topics.PREDICTIONS.topic(name, generation).name, count),
                TopicSpec(topics.SCORES.topic(name).name, count),
                TopicSpec(topics.SERVING_ACKNOWLEDGED.topic().name, 1),
            ]
        )
        self.metrics = Metrics()
        self.meter = Meter(self.metrics, SystemClock())
        self.models = self.new_models()
        self.standing = self.models.open(self.plan, threading.Event())
        self.loop = self.new_loop(self.standing)

    def new_models(self) -> Models:
        """As after a start of the process."""
        models = Models(
            Cache(self.folder / "models", artifacts_max=10),
            self.fetch,
            functools.partial(onnx.Session, provider=onnx.CPU),
            SystemClock(),
            self._on_swap,
            retry_seconds=0.02,
        )
        models.start()
        return models

    def new_loop(self, standing: Standing, *, seconds: float = 5.0) -> Loop:
        topic = topics.FEATURES.topic(self.plan.pipeline, self.plan.generation).name
        loop = Loop(
            LoopSpec(
                "scores",
                "flights",
                Subscription("serving", [topic], "serving-0", start={topic: "earliest"}),
                lambda: ScoringTask(
                    standing,
                    "r1",
                    self.broker.clock.ms,
                    self.meter,
                    start_seconds_max=seconds,
                    tracer=self.tracer,
                ),
                interval_s=0.0,
                wake=standing.wake,
            ),
            self.broker,
            self.broker.clock,
            tracer=self.tracer,
        )
        loop.open()
        return loop

    def fetch(self, wanted: str) -> bytes:
        if self.dark:
            raise Unavailable("the registry is dark")
        return self.shelf[wanted]

    def release(self, version: int, data: bytes, **changes: Any) -> Release:
        """Puts a model on the shelf and says that it is live."""
        self.shelf[digest(data)] = data
        release = Release(
            "flights",
            1,
            version,
            digest(data),
            f"run-{version}",
            0,
            "",
            self.plan.features,
            ("0", "1"),
        )
        release = replace(release, **changes)
        self.models.released(release)
        return release

    def send(self, *emits: Emit) -> None:
        self.broker.append(emits)

    def _on_swap(self, standing: Standing, answering: Answering) -> None:
        self.swaps.append(answering.release.version)


def an_envelope(
    partition: int,
    ids: Sequence[str],
    vectors: np.ndarray[Any, Any],
    *,
    watermark_us: int = START_US,
    sequence: int = 1,
    traces: bytes = b"",
) -> Emit:
    """Rows for one partition; without ids a heartbeat. `traces` marks some of them."""
    count = len(ids)
    message = Features(
        envelope=Envelope(
            pipeline="flights",
            generation=1,
            sequence=sequence,
            watermark_us=watermark_us,
            traces=traces,
        ),
        rows=count,
        width=vectors.shape[1],
    )
    if count:
        columns = [
            pa.array(ids),
            pa.array(np.arange(count) * 1_000_000 + START_US),
            pa.array(np.full(count, 1_000)),
            pa.array(np.arange(count, dtype=np.uint64)),
            pa.array(np.zeros(count, bool)),
        ]
        message.columns = envelope.encode(pa.record_batch(columns, schema=SCHEMA))
        message.vectors = vectors.astype("<f4").tobytes()
    return emit(topics.FEATURES.topic("flights", 1), message, partition=partition)


def some_vectors(count: int, seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(count, len(FEATURES))).astype(np.float32)


def predictions(broker: MemoryBroker) -> list[tuple[int, Predictions]]:
    """(partition, message) in log order."""
    topic = topics.PREDICTIONS.topic("flights", 1).name
    return [
        (r.partition, Predictions.FromString(r.value or b""))
        for n in range(2)
        for r in _read(broker, topic, n)
    ]


def predicted(message: Predictions) -> dict[str, list[Any]]:
    return envelope.decode(message.columns, OUTPUTS).to_pydict()  # type: ignore[no-any-return]


def scores(broker: MemoryBroker) -> list[dict[str, Any]]:
    topic = topics.SCORES.topic("flights").name
    return [json.loads(r.value or b"") for n in range(2) for r in _read(broker, topic, n)]


def acknowledgements(broker: MemoryBroker) -> list[dict[str, Any]]:
    return [
        json.loads(r.value or b"")
        for r in _read(broker, topics.SERVING_ACKNOWLEDGED.topic().name, 0)
    ]


def _read(broker: MemoryBroker, topic: str, partition: int) -> Iterator[Any]:
    return broker.read(topic, partition, *broker.bounds(topic, partition))


def strings(values: Sequence[str]) -> pa.StringArray:
    return pa.array(values, pa.string())


def outputs(message: Predictions) -> list[list[float]]:
    """A message's outputs, row by row."""
    rows: list[list[float]] = (
        np.frombuffer(message.outputs, "<f4").reshape(message.rows, -1).tolist()
    )
    return rows
