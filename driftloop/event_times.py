"""Event times to offsets: which ranges of `examples` can hold rows of a span of event time.

The index is the log's own: each closed bucket in `<p>.statistics` says how far its partition of
`examples` was read, and between which event times the rows lay that were read since the closing
before. A stretch of the log that no bucket speaks of yet may hold anything, and is named too. So
what is named holds all rows of the span, and as a rule more: `dataset.Times` leaves those out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from driftloop.contracts import topics
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.dataset import Range, Times
from driftloop.kit.broker import Broker
from driftloop.kit.message import parse


@dataclass(frozen=True, slots=True)
class Zone:
    """A stretch of one partition of `examples` and the event times of its oldest and newest row,
    µs; oldest > newest: it has none."""

    partition: int
    start: int
    end: int
    oldest_us: int
    newest_us: int

    def needed(self, times: Times) -> bool:
        """Whether a row of `times` may be in it."""
        if self.oldest_us > self.newest_us or self.newest_us < times.from_us:
            return False
        if times.to_us and self.oldest_us >= times.to_us:
            return False
        return not any(
            start <= self.oldest_us and self.newest_us < end for start, end in times.without
        )


def narrowed(
    broker: Broker, ranges: Sequence[Range], times: Times, pipeline: str, generation: int
) -> list[Range]:
    """`ranges` without what can hold no row of `times`; a partition may have several then."""
    if times.all:
        return list(ranges)
    return cut(ranges, zones(broker, pipeline, generation), times)


def zones(broker: Broker, pipeline: str, generation: int) -> list[Zone]:
    """All that closed buckets say, by partition and in the order of the log."""
    name = topics.STATISTICS.topic(pipeline).name
    found: dict[tuple[int, int], Zone] = {}
    for record in broker.read(name, 0, *broker.bounds(name, 0)):
        message = parse(Statistics, record)
        told = message.HasField("examples_oldest_us") and message.HasField("examples_newest_us")
        if message.generation == generation and told:
            zone = _zone(message)
            found[zone.partition, zone.start] = zone  # buckets that close together say the same
    return [found[key] for key in sorted(found)]


def cut(ranges: Sequence[Range], zones: Iterable[Zone], times: Times) -> list[Range]:
    """`ranges` less the zones that `times` does not need."""
    needless: dict[int, list[Zone]] = defaultdict(list)
    for zone in zones:
        if zone.end > zone.start and not zone.needed(times):
            needless[zone.partition].append(zone)
    return [left for one in ranges for left in _less(one, needless[one.partition])]


def _less(one: Range, needless: Sequence[Zone]) -> list[Range]:
    left, at = [], one.start
    for zone in needless:
        if zone.end <= at or zone.start >= one.end:
            continue
        if zone.start > at:
            left.append(Range(one.topic, one.partition, at, zone.start))
        at = max(at, zone.end)
    return [*left, Range(one.topic, one.partition, at, one.end)] if at < one.end else left


def _zone(message: Statistics) -> Zone:
    return Zone(
        message.partition,
        message.examples_since,
        message.examples.end,
        message.examples_oldest_us,
        message.examples_newest_us,
    )
