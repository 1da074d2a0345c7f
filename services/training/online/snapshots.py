"""The newest snapshot of each line, from the topic that holds them."""

from __future__ import annotations

from collections.abc import Iterable

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Snapshot
from driftloop.kit.broker import Broker, Record
from driftloop.kit.message import parse


def newest(broker: Broker, pipeline: str, generation: int) -> dict[str, Snapshot]:
    """By line."""
    topic = topics.SNAPSHOTS.topic(pipeline, generation).name
    if broker.partitions(topic) is None:
        return {}
    return of(broker.read(topic, 0, *broker.bounds(topic, 0)))


def of(records: Iterable[Record]) -> dict[str, Snapshot]:
    """The same of these records."""
    return {message.line: message for message in (parse(Snapshot, each) for each in records)}
