"""Spans of traced rows: one a row and step, since a trace is read by its own id; how large the
batch was stands in the attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from driftloop.kit.broker import Record
from driftloop.kit.trace.marks import Marks, ids, nothing, read, stepped
from driftloop.kit.trace.span import CONSUMER, Span, Tracer, Value


class Way:
    """One loop's step on the way of rows: its name, and what holds of each of its spans. Where
    tracing is off marks go on as they came, so that a chain stays whole."""

    def __init__(self, tracer: Tracer, step: str, group: str, pipeline: str) -> None:
        self.on, self.step = tracer.on, step
        self._common: Mapping[str, Value] = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.operation.name": step,
            "messaging.consumer.group.name": group,
            "driftloop.pipeline": pipeline,
        }
        self._places: dict[tuple[str, int], Mapping[str, Value]] = {}

    def after(self, marks: Marks) -> Marks:
        """What goes on with the rows."""
        return stepped(marks, self.step) if self.on and len(marks) else marks

    def below(self, span_id: bytes, key: str) -> bytes:
        """The id of one of several spans of this step under the same parent."""
        name = f"{self.step}/{key}".encode()
        return blake2b(span_id + name, digest_size=8).digest()

    def about(self, topic: str, partition: int) -> Mapping[str, Value]:
        """One mapping for all spans of a partition's rows: it is encoded once."""
        known = self._places.get((topic, partition))
        if known is None:
            known = self._places[topic, partition] = {
                **self._common,
                "messaging.destination.name": topic,
                "messaging.destination.partition.id": str(partition),
            }
        return known

    def spans(self, marks: Marks, record: Record, rows: int, **more: Value) -> list[Span]:
        """One for each marked row of an envelope, which came in a batch of so many `rows`."""
        about = self.about(record.topic, record.partition)
        attributes: Mapping[str, Value] = {
            "messaging.kafka.offset": record.offset,
            "messaging.batch.message_count": rows,
            **{f"driftloop.{name}": value for name, value in more.items()},
        }
        return [
            Span(
                self.step,
                trace_id,
                span_id,
                parent_id,
                kind=CONSUMER,
                about=about,
                attributes=attributes,
            )
            for (_, trace_id, span_id), (_, _, parent_id) in zip(
                ids(self.after(marks)), ids(marks), strict=True
            )
        ]


@dataclass(slots=True)
class Gathered:
    """The marks of a batch's envelopes, in the order of their rows."""

    parts: list[tuple[Marks, Record]] = field(default_factory=list)

    def take(self, traces: bytes, record: Record, first: int, rows: int) -> None:
        """An envelope of so many `rows` whose first is the batch's row `first`."""
        if traces:
            marks = read(traces, rows).copy()
            marks["row"] += np.uint32(first)
            self.parts.append((marks, record))

    def marks(self) -> Marks:
        return np.concatenate([marks for marks, _ in self.parts]) if self.parts else nothing()

    def spans(self, way: Way, rows: int, **more: Value) -> Sequence[Span]:
        """A span for each marked row of a batch of so many `rows`; none where tracing is off."""
        if not way.on:
            return ()
        return [
            span for marks, record in self.parts for span in way.spans(marks, record, rows, **more)
        ]
