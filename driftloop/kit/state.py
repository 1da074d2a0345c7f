"""A task's state after a restart: read back from the log, never remembered.

Two ways: rereading the input from a note's offset to the committed one, with outputs suppressed by
the task; and the newest record of each key of a compacted changelog. The note is a small JSON
object, committed with the offsets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from driftloop.kit.broker import Partition, Record
from driftloop.kit.errors import Malformed
from driftloop.kit.task import Assigned

BATCH_RECORDS = 1000  # of a reread; a transition never depends on where a batch ends
NOTE_BYTES_MAX = 4000  # the broker's offset.metadata.max.bytes is 4,096
_spelt = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def note(**values: Any) -> str:
    """For Decision.notes, as `note(**{"from": 123})`; short, in one order."""
    text = _spelt(values)  # made once: dumps would make an encoder for each of 300 notes a second
    assert len(text.encode()) <= NOTE_BYTES_MAX, f"a note of {len(text)} bytes"
    return text


def noted(assigned: Assigned, partition: Partition) -> Mapping[str, Any]:
    """What was committed beside the offset of `partition`; empty if nothing was. Malformed if it
    is not ours."""
    text = assigned.positions[partition].note
    if not text:
        return {}
    try:
        values = json.loads(text)
    except ValueError as error:
        raise Malformed(f"the note of {partition[0]}[{partition[1]}]: {error}") from error
    if not isinstance(values, dict):
        raise Malformed(f"the note of {partition[0]}[{partition[1]}] is no object")
    return values


def reread(assigned: Assigned, partition: Partition, start: int) -> Iterator[list[Record]]:
    """Committed records of `partition` from `start` to the committed offset, in batches; none if
    never committed."""
    end = assigned.positions[partition].offset
    if end is not None and start < end:
        yield from batches(assigned.read(*partition, start, end))


def latest(assigned: Assigned, topic: str, partition: int) -> dict[bytes, Record]:
    """The newest record of each key up to the end that open transactions have too; tombstones take
    keys away."""
    newest: dict[bytes, Record] = {}
    for record in assigned.read(topic, partition, *assigned.bounds(topic, partition)):
        key = record.key or b""
        newest.pop(key, None)
        if record.value is not None:
            newest[key] = record
    return newest


def batches(records: Iterable[Record], size: int = BATCH_RECORDS) -> Iterator[list[Record]]:
    """Lists of at most `size`, in order."""
    rest = iter(records)
    while batch := list(islice(rest, size)):
        yield batch
