"""The pulses that say how processes are, and what time it is where they are stamped: the broker's
clock is the one that all ages are told by, since a person's machine may have a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence

from driftloop.client import reading
from driftloop.contracts import topics
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.kit.broker import Broker
from driftloop.kit.clock import Clock
from driftloop.kit.events import Event

LATELY_MS = 60_000
# where those who have fallen silent are looked for: some seconds of pulses each
EARLIER_MS = (300_000, 900_000, 2_700_000)
EARLIER_SPAN_MS = 5_000
SKEW_MS = (
    2_000  # a pulse takes some milliseconds to be appended; only a busy machine takes a second
)
TAIL_RECORDS = 8  # at the end of a partition, since transactions leave markers there
WATCH_S = 1.1  # each process pulses every second

Pulses = Sequence[Event[Pulse]]


def lately(broker: Broker) -> Pulses:
    """Of the minute before the newest pulse, whenever that was."""
    topic = topics.PULSE.topic()
    if broker.partitions(topic.name) is None:
        return []
    first, end = broker.bounds(topic.name, 0)
    newest = list(broker.read(topic.name, 0, max(first, end - TAIL_RECORDS), end))
    if not newest:
        return []
    start = broker.offset_at(topic.name, 0, newest[-1].timestamp_ms - LATELY_MS)
    return reading.between(broker, topic, start, end)


def earlier(broker: Broker, recent: Pulses) -> Pulses:
    """Of some moments before `recent`: who was there then."""
    found: list[Event[Pulse]] = []
    if not recent:
        return found
    topic, newest_ms = topics.PULSE.topic(), recent[-1].time_ms
    for back_ms in reversed(EARLIER_MS):
        start = broker.offset_at(topic.name, 0, newest_ms - back_ms)
        stop = broker.offset_at(topic.name, 0, newest_ms - back_ms + EARLIER_SPAN_MS)
        found += reading.between(broker, topic, start, min(stop, recent[0].record.offset))
    return found


def last_words(broker: Broker, before: Pulses, recent: Pulses) -> Pulses:
    """The last pulse of each that was there `before` and has none among the `recent`: when it
    ended, and whether it said so. Most of what lies between is not even parsed."""
    here = {one.message.replica for one in recent}
    gone = [one for one in before if one.message.replica not in here]
    if not gone:
        return []
    topic, end = topics.PULSE.topic(), recent[0].record.offset
    names = {one.message.replica.encode() for one in gone}
    start = min(one.record.offset for one in gone)
    records = broker.read(topic.name, 0, start, end)
    last = {record.key: record for record in records if record.key in names}
    return reading.parsed(topic, last.values())


def skew_ms(broker: Broker, clock: Clock, newest_ms: int) -> int:
    """How far this machine's clock is ahead of the broker's; below 0: behind.

    It is right, and told as 0, where it agrees with the newest record. Else the next pulse tells;
    without one it is behind at least as far as the newest record is in its future.
    """
    off_ms = clock.ms() - newest_ms
    if not newest_ms or abs(off_ms) <= SKEW_MS:
        return 0
    arrived_ms = _next_ms(broker)
    if arrived_ms is None:
        return min(0, off_ms)
    off_ms = clock.ms() - arrived_ms
    return off_ms if abs(off_ms) > SKEW_MS else 0


def _next_ms(broker: Broker) -> int | None:
    """When the next pulse was appended; None: there is none while one would have come."""
    topic = topics.PULSE.topic().name
    if broker.partitions(topic) is None:
        return None
    end = broker.bounds(topic, 0)[1]
    for records in broker.tail(topic, 0, end, WATCH_S):
        return records[-1].timestamp_ms if records else None
    return None
