"""Dead letters: a record as it came, with why and where from in its headers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from driftloop.kit.broker import Record
from driftloop.kit.topic import Emit, Topic, emit_raw
from driftloop.kit.trace import HEADER, passed_on

ROOM_BYTES = 50_000  # of a dead letter's 10 MB, for its headers


def dead_letter(topic: Topic[Any], record: Record, rule: str, reason: str) -> Emit:
    """What is too large for the topic is told of instead, with the trace that it came with."""
    place = record.topic, record.partition, record.offset
    value, key, own = record.value, record.key, record.headers
    size = len(value or b"") + len(key or b"") + sum(len(n) + len(text) for n, text in own)
    if size > topic.declaration.message_bytes_max - ROOM_BYTES:
        traceparent = passed_on(own).encode()
        own = [(HEADER, traceparent)] if traceparent else []
        value, key = _stub(place, value or b""), None
    headers = [*own, *_why(rule, reason, place, record.timestamp_ms)]
    return emit_raw(topic, value, key=key, partition=0, headers=headers)


def _why(
    rule: str, reason: str, place: tuple[str, int, int], time_ms: int
) -> list[tuple[str, bytes]]:
    """Why, and where from; beside the record's own headers."""
    topic, partition, offset = place
    told = {
        "reason": reason[:1_000],
        "rule": rule,
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "time-ms": str(time_ms),
    }
    return [(f"driftloop-{name}", text.encode(errors="replace")) for name, text in told.items()]


def _stub(place: tuple[str, int, int], value: bytes) -> bytes:
    """Instead of a value that no topic of ours would take: where it is, and its hash."""
    topic, partition, offset = place
    return json.dumps(
        {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "bytes": len(value),
            "sha256": hashlib.sha256(value).hexdigest(),
        }
    ).encode()
