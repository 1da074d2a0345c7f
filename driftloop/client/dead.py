"""Dead letters: listed, shown and sent back to where they came from."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.client.plain import iso
from driftloop.kit.broker import Record
from driftloop.kit.errors import Refused
from driftloop.kit.topic import Emit

REDRIVEN = "driftloop-redriven"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One bad record, whole, with why and from where. `number` is its offset in `<p>.dead`."""

    number: int
    at: str  # wall time, ISO 8601
    rule: str
    reason: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    redriven: bool


def letter(record: Record) -> DeadLetter:
    """A record of `<p>.dead`; headers that are missing or wrong leave their field empty."""
    headers = {
        name: value.decode("utf-8", "replace")
        for name, value in record.headers
        if value is not None
    }
    at_ms = _whole(headers.get("driftloop-time-ms", ""), record.timestamp_ms)
    return DeadLetter(
        record.offset,
        iso(at_ms * 1_000),
        headers.get("driftloop-rule", ""),
        headers.get("driftloop-reason", ""),
        headers.get("driftloop-topic", ""),
        _whole(headers.get("driftloop-partition", ""), -1),
        _whole(headers.get("driftloop-offset", ""), -1),
        record.key,
        record.value,
        REDRIVEN in headers,
    )


def back(dead: DeadLetter) -> Emit:
    """The record as it was, for its source. Refused: no origin, or a value that was too large to
    keep.
    """
    if not dead.topic:
        raise Refused(
            f"dead letter {dead.number}: it does not say which topic it came from; produce it by "
            "hand"
        )
    if dead.value is None:
        raise Refused(
            f"dead letter {dead.number}: its value was not kept; it is "
            f"{dead.topic}[{dead.partition}]@{dead.offset}"
        )
    return Emit(dead.topic, dead.value, dead.key, None, [(REDRIVEN, str(dead.number).encode())])


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.lstrip("-").isdigit() else otherwise
