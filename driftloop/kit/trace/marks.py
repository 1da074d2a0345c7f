"""Which rows of an envelope are traced: a sparse list that goes wherever its rows go.

On the wire (`Envelope.traces`) 28 bytes a traced row: its number in the envelope (uint32, little-
endian), the trace id (16 bytes) and the id of the span that wrote it there (8 bytes, as W3C orders
them). In memory the same bytes as a structured array, so that a batch is re-partitioned by numpy
whether one row in a hundred is traced or all.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.kit.errors import Malformed

Marks = npt.NDArray[Any]  # of MARK, rows rising
# Ids are bytes to numpy too: numbers it would turn to the machine's own order when it joins arrays
MARK = np.dtype([("row", "<u4"), ("trace", "V16"), ("span", "V8")])
_GOLDEN, _M1, _M2 = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


def nothing() -> Marks:
    """No row is traced."""
    return np.zeros(0, MARK)


def read(data: bytes, rows: int) -> Marks:
    """The marks of one envelope. Malformed: not whole, or of a row that it doesn't have."""
    if len(data) % MARK.itemsize:
        raise Malformed(f"Envelope.traces has {len(data)} bytes, wanted {MARK.itemsize} a row")
    marks: Marks = np.frombuffer(data, MARK)
    if len(marks) and int(marks["row"].max()) >= rows:
        raise Malformed(f"Envelope.traces names row {marks['row'].max()} of {rows}")
    return marks


def made(rows: Sequence[int], traces: Sequence[bytes], spans: Sequence[bytes]) -> Marks:
    """Marks of rows in rising order; ids of 16 and 8 bytes."""
    whole = b"".join(
        row.to_bytes(4, "little") + trace + span
        for row, trace, span in zip(rows, traces, spans, strict=True)
    )
    return np.frombuffer(whole, MARK)


def moved(marks: Marks, places: npt.NDArray[Any]) -> Marks:
    """The same traces with `places[row]` as each row's new number; below 0: left out."""
    there = np.asarray(places)[marks["row"]]
    kept: Marks = marks[there >= 0].copy()
    kept["row"] = there[there >= 0]
    ordered: Marks = kept[np.argsort(kept["row"], kind="stable")]
    return ordered


def within(marks: Marks, start: int, end: int) -> bytes:
    """On the wire: those of the rows [start, end), numbered from there."""
    return rebased(marks, start, end).tobytes() if len(marks) else b""


def rebased(marks: Marks, start: int, end: int) -> Marks:
    """Those of the rows [start, end), numbered from there."""
    if not len(marks):
        return marks
    first, last = np.searchsorted(marks["row"], [start, end])
    part = marks[first:last].copy()
    part["row"] -= np.uint32(start)
    return part


def apart(marks: Marks, partitions: npt.NDArray[Any]) -> dict[int, bytes]:
    """On the wire, by partition: rows in order within each."""
    if not len(marks):
        return {}
    order = np.argsort(partitions, kind="stable")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    sorted_marks = moved(marks, places)
    ends = np.cumsum(np.bincount(partitions)).tolist()
    return {
        number: within(sorted_marks, start, end)
        for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
    }


def stepped(marks: Marks, step: str) -> Marks:
    """The same rows after `step`: each span id is made from the one before (splitmix64), so that
    the step done again gives the same."""
    after = marks.copy()
    seed = np.frombuffer(blake2b(step.encode(), digest_size=8).digest(), np.uint64)[0]
    before = np.frombuffer(marks["span"].tobytes(), ">u8").astype(np.uint64)
    mixed = (before ^ seed) + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _M1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _M2
    mixed ^= mixed >> np.uint64(31)
    known = np.where(mixed == 0, np.uint64(1), mixed)  # all zero is no span id
    after["span"] = np.frombuffer(known.astype(">u8").tobytes(), "V8")
    return after


def ids(marks: Marks) -> list[tuple[int, bytes, bytes]]:
    """(row, trace id, span id) of each."""
    data = marks.tobytes()
    size = MARK.itemsize
    return [
        (row, data[at + 4 : at + 20], data[at + 20 : at + size])
        for row, at in zip(marks["row"].tolist(), range(0, len(data), size), strict=True)
    ]


def traceparents(marks: Marks) -> dict[int, bytes]:
    """Row → the header that says where it stands in its trace."""
    return {row: f"00-{trace.hex()}-{span.hex()}-01".encode() for row, trace, span in ids(marks)}
