"""Which rows are traced from here on: those whose source record came with a sampled traceparent,
and a share of the others by the hash of their id.

A row that joins another is chosen by that one's id, so that a traced event's label is traced too.
Ids are made from where the source record stands: what is read again after a crash has the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from driftloop.kit.envelope import hash64
from driftloop.kit.trace import (
    CONSUMER,
    Span,
    TraceContext,
    Tracer,
    Value,
    parse,
    passed_on,
)
from driftloop.kit.trace.marks import Marks, made, nothing
from driftloop.kit.trace.rows import Way
from services.ingestion.domain.order import Outcome
from services.ingestion.domain.row import Row

STEP = "ingest"
# A source that stamps its records itself may say 2013: then the span begins when we took the record
OLD_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Traced:
    """Rows of a batch that are traced: where each stands in its trace, and what is told of it."""

    accepted: Marks = field(default_factory=nothing)
    ids: Mapping[int, tuple[bytes, bytes]] = field(default_factory=dict)  # id(row) -> trace, span
    spans: Sequence[Span] = ()

    def of(self, rows: Sequence[Row]) -> Marks:
        """Of some of the accepted rows, by their place among these."""
        if not self.ids:
            return self.accepted
        found = [(n, self.ids[id(row)]) for n, row in enumerate(rows) if id(row) in self.ids]
        return made([n for n, _ in found], [i[0] for _, i in found], [i[1] for _, i in found])


NONE = Traced()


class Sampling:
    """Chooses, and makes the first span of each trace: source append to the commit of `records`."""

    def __init__(self, tracer: Tracer, pipeline: str, group: str) -> None:
        self._way = Way(tracer, STEP, group, pipeline)
        self._limit = np.uint64(min(int(tracer.sample * 2**64), 2**64 - 1))
        self._none = tracer.sample == 0

    def traced(self, outcome: Outcome, now_ms: int) -> Traced:
        """Of all rows that are decided. Of dead letters only those that came with a traceparent:
        there is no id to go by."""
        if not self._way.on:
            return NONE
        rows = [each.row for each in outcome.accepted]
        given = {n: own for n, row in enumerate(rows) if row.origin.headers and (own := _own(row))}
        chosen = {n for n in self._chosen(rows) if n not in given}
        numbers = sorted(chosen | {n for n, own in given.items() if own.sampled})
        spans = [self._span(rows[n], given.get(n), now_ms) for n in numbers]
        ids = [(span.trace_id, span.span_id) for span in spans]
        marks = made(numbers, [trace for trace, _ in ids], [span for _, span in ids])
        for row, rule, _ in outcome.dead:
            if (own := _own(row)) and own.sampled:
                spans.append(self._span(row, own, now_ms, f"dead letter: {rule}"))
        known = {id(rows[n]): each for n, each in zip(numbers, ids, strict=True)}
        return Traced(marks, known, spans)

    def _chosen(self, rows: Sequence[Row]) -> Sequence[int]:
        """By numpy: this is the one step that every event pays for."""
        if self._none or not rows:
            return ()
        names = pa.array([row.joins or row.id for row in rows], pa.string())
        chosen: list[int] = np.flatnonzero(hash64(names) <= self._limit).tolist()
        return chosen

    def _span(self, row: Row, given: TraceContext | None, now_ms: int, error: str = "") -> Span:
        origin = row.origin
        place = f"{origin.topic}-{origin.partition}-{origin.offset}-{row.source_ms}"
        digest = blake2b(f"{place}-{row.id}".encode(), digest_size=24).digest()
        attributes: dict[str, Value] = {
            "messaging.kafka.offset": origin.offset,
            "driftloop.event_id": row.id,
        }
        if row.joins:
            attributes["driftloop.joins"] = row.joins
        return Span(
            STEP,
            bytes.fromhex(given.trace_id) if given else digest[:16],
            digest[16:],
            bytes.fromhex(given.span_id) if given else b"",
            row.source_ms * 1_000_000 if now_ms - row.source_ms < OLD_MS else 0,
            kind=CONSUMER,
            about=self._way.about(origin.topic, origin.partition),
            attributes=attributes,
            error=error,
        )


def _own(row: Row) -> TraceContext | None:
    """What the record came with."""
    return parse(passed_on(row.origin.headers))
