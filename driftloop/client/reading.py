"""Which records a reader means, and the events of a control topic: everything read committed, in
log order.

A bound is an instant (event time) or offsets; instants are found by reading, since event times do
not resolve to offsets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

import polars as pl
from google.protobuf.message import Message

from driftloop.client.plain import Instant, instant_us
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelReleased
from driftloop.kit.broker import Broker, Record
from driftloop.kit.errors import Malformed, Refused
from driftloop.kit.events import Event, read_event
from driftloop.kit.topic import Topic

M = TypeVar("M", bound=Message)
INSTANT = (str, datetime, date)
Bound = Instant | int | Mapping[int, int] | None


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end), by event time or by offset. An offset stands for every partition, a mapping for
    each by number.
    """

    start: Bound = None
    end: Bound = None

    def __post_init__(self) -> None:
        kinds = {_kind(bound) for bound in (self.start, self.end) if bound is not None}
        if len(kinds) > 1:
            raise Refused(
                "start and end: found a time and an offset, wanted two times or two offsets"
            )

    def offsets(self, partition: int, bounds: tuple[int, int]) -> tuple[int, int]:
        """What to read of a partition that holds `bounds`."""
        first, last = bounds
        start, end = _offset(self.start, partition, first), _offset(self.end, partition, last)
        return max(first, start), min(last, end)

    def within(self, frame: pl.DataFrame, column: str = "time") -> pl.DataFrame:
        """The rows whose time is in the span, in the order of time."""
        at, conditions = pl.col(column).dt.epoch("us"), [pl.lit(True)]
        if isinstance(self.start, INSTANT):
            conditions.append(at >= instant_us(self.start))
        if isinstance(self.end, INSTANT):
            conditions.append(at < instant_us(self.end))
        return frame.filter(conditions).sort(column, maintain_order=True)


WHOLE = Span()


def records(broker: Broker, topic: str, span: Span = WHOLE) -> list[Record]:
    """Committed records of every partition, partition after partition. Refused: no such topic."""
    count = broker.partitions(topic)
    if count is None:
        raise Refused(
            f"no topic {topic} on the broker; `driftloop pipelines` lists what is declared"
        )
    found: list[Record] = []
    for partition in range(count):
        start, end = span.offsets(partition, broker.bounds(topic, partition))
        if start < end:
            found += broker.read(topic, partition, start, end)
    return found


def events(broker: Broker, topic: Topic[M], pipeline: str = "") -> Sequence[Event[M]]:
    """The well-formed events of a control topic, of one pipeline where it is named. A missing topic
    has none.
    """
    if broker.partitions(topic.name) is None:
        return []
    return [
        event
        for event in parsed(topic, records(broker, topic.name))
        if not pipeline or getattr(event.message, "pipeline", pipeline) == pipeline
    ]


def releases(broker: Broker, pipeline: str) -> list[Event[ModelReleased]]:
    """Every release of a pipeline, the oldest first: from the log of record, since the topic of
    releases is compacted and keeps the live one alone.
    """
    found: dict[str, Event[ModelReleased]] = {}
    for event in events(broker, topics.REGISTRY_EVENTS.topic()):
        released = event.message.released
        if event.message.WhichOneof("kind") == "released" and released.pipeline == pipeline:
            found[event.id] = Event(event.id, event.time_ms, released, event.record)
    for live in events(broker, topics.MODEL_RELEASED.topic(), pipeline):
        found.setdefault(live.id, live)
    return sorted(found.values(), key=lambda event: (event.time_ms, event.message.at_ms))


def newest(broker: Broker, topic: Topic[M], count: int) -> Sequence[Event[M]]:
    """The newest `count` well-formed events of a control topic."""
    if broker.partitions(topic.name) is None:
        return []
    end = broker.bounds(topic.name, 0)[1]
    return between(broker, topic, max(0, end - count), end)


def between(broker: Broker, topic: Topic[M], start: int, end: int) -> Sequence[Event[M]]:
    """The well-formed events of [start, end) of a control topic."""
    return parsed(topic, records(broker, topic.name, Span(start, end)))


def parsed(topic: Topic[M], found: Iterable[Record]) -> list[Event[M]]:
    """The well-formed events of these records."""
    assert topic.message is not None, topic
    good: list[Event[M]] = []
    for record in found:
        try:
            good.append(read_event(record, topic.message))
        except Malformed:
            continue  # anyone may write there; training and the registry answer and count it
    return good


def _kind(bound: Bound) -> str:
    if bound is None:
        return ""
    return "time" if isinstance(bound, INSTANT) else "offset"


def _offset(bound: Bound, partition: int, otherwise: int) -> int:
    if isinstance(bound, Mapping):
        return int(bound.get(partition, otherwise))
    return bound if isinstance(bound, int) else otherwise
