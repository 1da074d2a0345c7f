"""Our own messages: rows → `records` and `labels` envelopes, quality; and `records` read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from driftloop.contracts.event_pb2 import Envelope, Labels, Quality, Records, SourceOffset
from driftloop.kit.envelope import batch_schema, decode, encode, partition_rows
from driftloop.kit.trace.marks import Marks, apart
from driftloop.spec import HEAD_COLUMNS, Pipeline
from services.ingestion.domain.row import Ordered

ROWS_MAX = 1_000
BYTES_MAX = (
    256_000  # of columns an envelope, so that a message stays far below 1 MB whatever its rows hold
)


class LabelRow(NamedTuple):
    """What a label source said."""

    event_id: str
    time_us: int
    value: float
    source_ms: int


class Recalled(NamedTuple):
    """Rows of `records` read back, by column."""

    sources: list[int]
    ids: list[str]
    times_us: list[int]
    sources_ms: list[int]


class EnvelopeCodec:
    """Messages of one pipeline's generation."""

    def __init__(
        self,
        pipeline: Pipeline,
        generation: int,
        sources: Sequence[int],
        label_columns: Mapping[str, str],
    ) -> None:
        """`sources[rank]` is the index of a source; `label_columns` those of
        topics/generation/labels.yaml.
        """
        self._name, self._generation, self._sources = pipeline.name, generation, sources
        self._roles = [pipeline.sources[index].role_bits() for index in sources]
        self._schema = batch_schema(pipeline.record_columns())
        self._width = len(self._schema) - len(HEAD_COLUMNS)
        self._struct, self._label_struct = (
            pa.struct(list(self._schema)),
            pa.struct(list(batch_schema(label_columns))),
        )
        self._partitions = pipeline.partitions

    def records(self, rows: Sequence[Ordered], sequence: int) -> Iterator[Records]:
        """Envelopes of at most 1,000 rows and 256 kB; the first row has the number `sequence`."""
        for start in range(0, len(rows), ROWS_MAX):
            yield from self._records(rows[start : start + ROWS_MAX], sequence + start)

    def heartbeat(
        self, sequence: int, watermark_us: int, offsets: Sequence[tuple[str, int, int]]
    ) -> Records:
        """No rows; the next offset of each source partition."""
        return Records(
            envelope=self._envelope(sequence, watermark_us),
            rows=0,
            next_offsets=[
                SourceOffset(topic=topic, partition=partition, next=after)
                for topic, partition, after in offsets
            ],
        )

    def labels(
        self, rows: Sequence[LabelRow], sequence: int, watermark_us: int, marks: Marks
    ) -> dict[int, Labels]:
        """Envelopes by partition, for those that get rows. At most 1,000 rows, so some 100 kB, go
        in; `marks` says which of them are traced.
        """
        if not rows:
            return {}
        partitions = partition_rows(
            pa.array([row.event_id for row in rows], pa.string()), self._partitions
        )
        parts: dict[int, list[LabelRow]] = {}
        for row, partition in zip(rows, partitions.tolist(), strict=True):
            parts.setdefault(partition, []).append(row)
        messages = {
            partition: self._label(part, sequence, watermark_us)
            for partition, part in sorted(parts.items())
        }
        for partition, traces in apart(marks, partitions).items():
            if traces:
                messages[partition].envelope.traces = traces
        return messages

    def label_heartbeat(self, sequence: int, watermark_us: int) -> Labels:
        """No rows, but the time."""
        return Labels(envelope=self._envelope(sequence, watermark_us), rows=0)

    def recalled(self, message: Records) -> Recalled:
        """The rows of an envelope of ours. Malformed: it is none."""
        batch = decode(message.columns, self._schema)
        return Recalled(
            *(batch.column(name).to_pylist() for name in ("_source", "_id", "_time", "_source_ms"))
        )

    def quality(self, counts: Mapping[str, int], at_ms: int) -> Quality:
        """Counts of one second."""
        return Quality(pipeline=self._name, generation=self._generation, at_ms=at_ms, counts=counts)

    def _records(self, rows: Sequence[Ordered], sequence: int) -> Iterator[Records]:
        columns = encode(self._batch(rows, sequence))
        if len(columns) > BYTES_MAX and len(rows) > 1:
            half = len(rows) // 2
            yield from self._records(rows[:half], sequence)
            yield from self._records(rows[half:], sequence + half)
            return
        last = sequence + len(rows) - 1
        yield Records(
            envelope=self._envelope(last, rows[-1].watermark_us), rows=len(rows), columns=columns
        )

    def _batch(self, rows: Sequence[Ordered], sequence: int) -> pa.RecordBatch:
        width = self._width
        tuples = [
            (
                self._sources[row.rank],
                self._roles[row.rank],
                row.id,
                row.joins,
                row.time_us,
                row.source_ms,
                number,
                late,
                *row.values[:width],
            )
            for number, (row, late, _) in enumerate(rows, sequence)
        ]
        return _batch_of(tuples, self._struct)

    def _label(self, rows: Sequence[LabelRow], sequence: int, watermark_us: int) -> Labels:
        columns = encode(_batch_of(rows, self._label_struct))
        return Labels(
            envelope=self._envelope(sequence, watermark_us), rows=len(rows), columns=columns
        )

    def _envelope(self, sequence: int, watermark_us: int) -> Envelope:
        return Envelope(
            pipeline=self._name,
            generation=self._generation,
            sequence=sequence,
            watermark_us=watermark_us,
        )


def _batch_of(rows: Sequence[tuple[Any, ...]], struct: pa.StructType) -> pa.RecordBatch:
    """Columns of tuples, by one call: with an array made for each column, 20 rows cost three times
    as much.
    """
    return pa.RecordBatch.from_struct_array(pa.array(rows, struct))
