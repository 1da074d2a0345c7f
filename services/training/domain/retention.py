"""When a window must be archived: before retention can delete its first record, and no sooner.

Kafka deletes whole segments, once their newest record is older than the topic's retention; so a
record's own age tells of its end early, never late.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FOREVER = -1  # Kafka's own word for no limit


@dataclass(frozen=True, slots=True)
class Stretch:
    """A window's range of one partition, and how the log stands there."""

    start: int
    first: int  # offset: the first that is kept
    end: int  # of the log
    oldest_ms: int | None  # append time of the range's first record; None: not known


@dataclass(frozen=True, slots=True)
class Retention:
    """Of a topic, by Kafka's names; -1: no limit."""

    ms: int
    bytes: int = FOREVER


def endangered(
    stretches: Iterable[Stretch], retention: Retention, now_ms: int, share: float
) -> str:
    """Why the window must be archived now; empty: not yet.

    `share` of the retention's time, or of the log's length where its beginning moves, is how early
    that is.
    """
    if retention.bytes != FOREVER:
        return f"the topic is kept by size ({retention.bytes:,} bytes): its end can't be foretold"
    for one in stretches:
        if one.first > 0 and one.start - one.first <= share * (one.end - one.first):
            return f"the log begins {one.start - one.first:,} offsets before it"
        if retention.ms == FOREVER or one.oldest_ms is None:
            continue
        left_ms = one.oldest_ms + retention.ms - now_ms
        if left_ms <= share * retention.ms:
            return f"its oldest record is kept for {max(0, left_ms) / 3_600_000:.1f} h more"
    return ""
