"""What is traced of the rows that wait for their label, and of labels that wait for their row.

Beside the join's arrays, since one row in a hundred is traced: a dictionary by the hash of the id.
It is filled again by rereading, as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from driftloop.kit.trace import CONSUMER, Span, Tracer, Value
from driftloop.kit.trace.marks import ids
from driftloop.kit.trace.rows import Gathered, Way
from driftloop.spec import kernel_join as kernel
from services.features.domain import Found, Ints

K = TypeVar("K")
# Of each kind: 20 MB. With more the oldest are followed no longer; their labels count all the same
FOLLOWED_MAX = 100_000
LOOK_THROUGH = 1_000  # how many more than after the last time before what has passed is forgotten


class Seen(NamedTuple):
    """One traced row or label: the span that wrote it, and where it stood."""

    trace_id: bytes
    span_id: bytes
    time_us: int
    topic: str
    partition: int
    offset: int


class Following:
    """Traced rows and labels by the hash of the row's id."""

    def __init__(self, tracer: Tracer, group: str, pipeline: str, horizon_us: int) -> None:
        self._way = Way(tracer, "join", group, pipeline)
        self._horizon_us = horizon_us
        self._rows: dict[int, Seen] = {}
        self._labels: dict[tuple[int, int], Seen] = {}  # by the label's time too
        self._look_at = LOOK_THROUGH

    @property
    def on(self) -> bool:
        return self._way.on

    def rows(self, traced: Gathered, batch: Ints) -> None:
        """Rows of a batch as the join takes them: key, partition, time in its first columns."""
        for key, seen in self._seen(traced, batch):
            self._rows.setdefault(key, seen)

    def labels(self, traced: Gathered, batch: Ints) -> None:
        """The same for labels."""
        for key, seen in self._seen(traced, batch):
            self._labels.setdefault((key, seen.time_us), seen)

    def spans(self, found: Found, batch: Ints) -> Sequence[Span]:
        """A span for each traced row whose label counts, or changes, by these lines: under the row,
        linked to the trace in which the label came."""
        if not self._rows or not len(found.lines):
            return ()
        keys = batch[found.lines[:, kernel.F_PLACE], 0].tolist()
        return [
            self._span(key, line.tolist())
            for key, line in zip(keys, found.lines, strict=True)
            if key in self._rows
        ]

    def expire(self, passed: Ints) -> None:
        """Forget what both logs have passed; seldom, and then all at once."""
        if len(self._rows) + len(self._labels) < self._look_at:
            return
        over = [time_us - self._horizon_us for time_us in passed.tolist()]
        _forget(self._rows, over)
        _forget(self._labels, over)
        self._look_at = len(self._rows) + len(self._labels) + LOOK_THROUGH

    def _seen(self, traced: Gathered, batch: Ints) -> list[tuple[int, Seen]]:
        if not self.on:
            return []
        return [
            (key, Seen(trace_id, span_id, time_us, record.topic, partition, record.offset))
            for marks, record in traced.parts
            for row, trace_id, span_id in ids(marks)
            for key, partition, time_us in [batch[row, :3].tolist()]
        ]

    def _span(self, key: int, line: Sequence[int]) -> Span:
        time_us = line[kernel.F_LABEL_TIME]
        row, label = self._rows[key], self._labels.get((key, time_us))
        of = row if label is None else label
        outcome = "example" if line[kernel.F_OUTCOME] == kernel.EXAMPLE else "correction"
        attributes: Mapping[str, Value] = {
            "messaging.kafka.offset": of.offset,
            "driftloop.outcome": outcome,
        }
        return Span(
            self._way.step,
            row.trace_id,
            self._way.below(row.span_id, f"{outcome}-{time_us}"),
            row.span_id,
            kind=CONSUMER,
            about=self._way.about(of.topic, of.partition),
            attributes=attributes,
            links=() if label is None else ((label.trace_id, label.span_id),),
        )


def _forget(kept: dict[K, Seen], over_us: Sequence[int]) -> None:
    for key in [key for key, at in kept.items() if at.time_us < over_us[at.partition]]:
        del kept[key]
    for key in [*kept][: max(0, len(kept) - FOLLOWED_MAX)]:
        del kept[key]
