"""What the topics hold after a replay, as frames: every figure of the report is counted in the log,
read_committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
from google.protobuf.message import Message

from driftloop.contracts import topics
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.kit.broker import Broker, Record
from driftloop.kit.envelope import batch_schema, decode, matrix
from driftloop.kit.events import Event, read_event
from driftloop.kit.message import parse
from driftloop.kit.topic import ControlTopic, Topic

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Said(Generic[M]):
    """A control event with its append time."""

    id: str
    ms: int
    message: M


def records(broker: Broker, topic: str) -> Iterator[Record]:
    """All that a topic holds, partition by partition."""
    for partition in range(broker.partitions(topic) or 0):
        start, end = broker.bounds(topic, partition)
        yield from broker.read(topic, partition, start, end)


def predictions(broker: Broker, pipeline: str, generation: int = 1) -> pl.DataFrame:
    """Rows that were answered from the stream: event_id, time_us, source_ms, version, loop, frozen
    (probabilities).
    """
    topic = topics.PREDICTIONS.topic(pipeline, generation)
    schema = batch_schema(topics.PREDICTIONS.declaration.columns)
    batches, version, loop, frozen = [], [], [], []
    for record in records(broker, topic.name):
        message = parse(Predictions, record)
        if not message.rows or message.origin == "call":
            continue
        batches.append(decode(message.columns, schema))
        version.append(np.full(message.rows, message.version))
        answered = _positive(message.outputs, message)
        loop.append(answered)
        own = message.baseline_version == message.version
        frozen.append(
            answered if own and not message.baseline else _positive(message.baseline, message)
        )
    return _frame(batches, schema).with_columns(
        pl.Series("version", _joined(version, np.int64)),
        pl.Series("loop", _joined(loop, np.float32)),
        pl.Series("frozen", _joined(frozen, np.float32)),
    )


def examples(broker: Broker, pipeline: str, generation: int = 1) -> tuple[pl.DataFrame, np.ndarray]:
    """Rows that got their label: event_id, time_us, label_time_us, target; and their vectors, [n,
    k].
    """
    topic = topics.EXAMPLES.topic(pipeline, generation)
    schema = batch_schema(topics.EXAMPLES.declaration.columns)
    batches, vectors = [], []
    for record in records(broker, topic.name):
        message = parse(Examples, record)
        if message.rows:
            batches.append(decode(message.columns, schema))
            vectors.append(matrix(message.vectors, message.rows, message.width))
    return _frame(batches, schema), np.concatenate(vectors) if vectors else np.empty(
        (0, 0), np.float32
    )


def scores(broker: Broker, pipeline: str) -> pl.DataFrame:
    """The user's output by its keys: event_id, scored_ms (append time)."""
    rows = [
        (record.key, record.timestamp_ms)
        for record in records(broker, topics.SCORES.topic(pipeline).name)
    ]
    return pl.DataFrame(
        {
            "event_id": [(key or b"").decode() for key, _ in rows],
            "scored_ms": [ms for _, ms in rows],
        },
        schema={"event_id": pl.String, "scored_ms": pl.Int64},
    )


def dead(broker: Broker, pipeline: str) -> dict[str, int]:
    """Dead letters by rule."""
    counts: dict[str, int] = {}
    for record in records(broker, topics.DEAD.topic(pipeline).name):
        rule = dict(record.headers).get("driftloop-rule", b"?").decode()
        counts[rule] = counts.get(rule, 0) + 1
    return counts


def messages(broker: Broker, topic: Topic[M], kind: type[M]) -> list[M]:
    """Protobuf messages of a one-partition topic."""
    return [parse(kind, record) for record in records(broker, topic.name)]


def said(broker: Broker, topic: ControlTopic[M], kind: type[M], pipeline: str) -> list[Said[M]]:
    """Control events of one pipeline, oldest first."""
    events: list[Event[M]] = [
        read_event(record, kind)
        for record in records(broker, topic.topic().name)
        if record.value is not None
    ]
    return [
        Said(each.id, each.time_ms, each.message)
        for each in events
        if getattr(each.message, "pipeline", "") == pipeline
    ]


def _positive(data: bytes, message: Predictions) -> np.ndarray:
    """The positive class's probability; NaN where there is no answer."""
    if not data or not message.width:
        return np.full(message.rows, np.nan, np.float32)
    return matrix(data, message.rows, message.width)[:, -1]


def _frame(batches: list[pa.RecordBatch], schema: pa.Schema) -> pl.DataFrame:
    frame = pl.from_arrow(pa.Table.from_batches(batches, schema))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, kind)
