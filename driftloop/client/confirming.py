"""Does serving answer with a version yet? By what its replicas have said of their partitions."""

from __future__ import annotations

from driftloop.client.reading import events
from driftloop.contracts import topics
from driftloop.kit.broker import Broker
from driftloop.kit.clock import Clock

LOOK_S = 0.05


def answered_after(
    broker: Broker, clock: Clock, pipeline: str, version: int, partitions: int, since_ms: int,
    seconds: float,
) -> float | None:  # fmt: skip
    """Seconds from `since_ms` (wall time) until every partition was answered by the version; None:
    not within `seconds` from now.
    """
    until_s = clock.seconds() + seconds
    while True:
        missing = set(range(partitions))
        for event in events(broker, topics.SERVING_ACKNOWLEDGED.topic(), pipeline):
            if event.message.version != version or event.time_ms < since_ms:
                continue
            missing -= set(event.message.partitions)
            if not missing:
                return (event.time_ms - since_ms) / 1_000
        if clock.seconds() >= until_s:
            return None
        clock.sleep(LOOK_S)
