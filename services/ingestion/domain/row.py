"""One row between decoding and `records`, and what the order decided about it."""

from __future__ import annotations

from typing import Any, NamedTuple

Place = tuple[int, int]  # rank of the source's topic among all by name, partition


class Row(NamedTuple):
    """A source record that was read. The first four fields are its place in the order; no two rows
    share them.

    `key_us` is the event time, raised to that of the rows that wait before it in its partition: a
    partition's own order is never changed. `values` holds every field of the pipeline, None where
    the source lacks it. `verdict` is the rule that it breaks, empty if none; then `reason` says
    how, and `time_us`, `id` and `values` may be void. `origin` is what it was read from, whole and
    untouched, for a dead letter.
    """

    key_us: int
    rank: int
    partition: int
    offset: int
    time_us: int
    source_ms: int
    ready_ms: int  # wall time from which it waits for no idle partition
    id: str
    joins: str | None
    values: tuple[Any, ...]
    verdict: str
    reason: str
    origin: Any


class Ordered(NamedTuple):
    """A row that goes into `records`, with what was decided."""

    row: Row
    late: bool
    watermark_us: int  # after this row
