"""Examples as features would write them, for training's and evaluation's tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope
from driftloop.contracts.feature_pb2 import Examples
from driftloop.dataset import Range
from driftloop.kit.broker import Broker, TopicSpec
from driftloop.kit.envelope import batch_schema, encode
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.topic import Emit, emit

SCHEMA = batch_schema(topics.EXAMPLES.declaration.columns)
DAY_US = 86_400_000_000
STEP_US = 600_000_000  # a row each ten minutes of event time
START_US = 1_356_998_400_000_000  # 2013
WIDTH = 4
NAMES = ("a", "b", "c", "d")

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def made(
    rows: int, *, seed: int = 0, slope: float = 2.0, missing: float = 0.1
) -> tuple[Vectors, Floats]:
    """Vectors whose first column says something of the target; some values are missing."""
    chance = np.random.default_rng(seed)
    vectors = chance.standard_normal((rows, WIDTH)).astype(np.float32)
    odds = 1 / (1 + np.exp(-slope * vectors[:, 0].astype(np.float64)))
    target = (chance.random(rows) < odds).astype(np.float64)
    vectors[chance.random((rows, WIDTH)) < missing] = np.nan
    return vectors, target


def envelope(vectors: Vectors, target: Floats, numbers: npt.NDArray[np.int64]) -> Examples:
    """One message; row `i` of the log has the time START_US + i steps and the id `e<i>`."""
    times = START_US + numbers * STEP_US
    columns = [
        pa.array([f"e{number}" for number in numbers]),
        times,
        times + DAY_US,
        target,
        times // 1000,
    ]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)],
        schema=SCHEMA,
    )
    return Examples(
        envelope=Envelope(sequence=int(numbers[-1])),
        rows=len(numbers),
        columns=encode(batch),
        width=vectors.shape[1],
        vectors=vectors.astype("<f4").tobytes(),
    )


def emits(
    vectors: Vectors,
    target: Floats,
    pipeline: str,
    *,
    partitions: int = 2,
    size: int = 7,
    first: int = 0,
) -> list[Emit]:
    """Envelopes of `size` rows, in turn to each partition, with a heartbeat after each."""
    topic = topics.EXAMPLES.topic(pipeline, 1)
    messages: list[Emit] = []
    for turn, start in enumerate(range(0, len(target), size)):
        rows = slice(start, start + size)
        numbers = np.arange(start, min(start + size, len(target))) + first
        partition = turn % partitions
        messages.append(
            emit(topic, envelope(vectors[rows], target[rows], numbers), partition=partition)
        )
        messages.append(
            emit(topic, Examples(envelope=Envelope(sequence=int(numbers[-1]))), partition=partition)
        )
    return messages


def a_log(
    rows: int,
    *,
    pipeline: str = "sea",
    partitions: int = 2,
    seed: int = 0,
    slope: float = 2.0,
    broker: Broker | None = None,
) -> Broker:
    """A broker whose `examples` hold `rows` rows."""
    broker = broker or MemoryBroker()
    broker.create([TopicSpec(topics.EXAMPLES.topic(pipeline, 1).name, partitions)])
    broker.append(emits(*made(rows, seed=seed, slope=slope), pipeline, partitions=partitions))
    return broker


def whole(broker: Broker, pipeline: str = "sea", partitions: int = 2) -> Sequence[Range]:
    """All offsets of a log."""
    topic = topics.EXAMPLES.topic(pipeline, 1).name
    return [Range(topic, number, *broker.bounds(topic, number)) for number in range(partitions)]
