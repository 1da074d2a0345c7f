"""Wire to columns and back: `records` and their rows, vectors, examples, corrections, pieces of
state."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope, Labels
from driftloop.contracts.feature_pb2 import Features, FeatureState, WindowRound, WindowState
from driftloop.kit.envelope import batch_schema, decode, encode, hash64, matrix
from driftloop.kit.errors import Malformed
from driftloop.kit.trace.marks import Marks, moved, within
from driftloop.spec import kernel
from driftloop.spec.expression import Array
from driftloop.spec.kernel_state import Chunk
from driftloop.spec.model import Pipeline
from driftloop.spec.windows import Program, Rows, float_bits
from services.features.domain import Piece, RoundEnd

PREDICT = 1  # the bit of the role in `_roles`
ROW_BYTES_MAX = 512 * 1024  # of vectors and ids in an envelope; the topic takes 1 MB a message
ROWS_MAX = 1_000
# Of `examples`: rows are held out by whole envelopes, so a burst must not come in a single one.
EXAMPLE_ROWS_MAX = 50
FEATURE_SCHEMA = batch_schema(topics.FEATURES.declaration.columns)
LABEL_SCHEMA = batch_schema(topics.LABELS.declaration.columns)
EXAMPLE_SCHEMA = batch_schema(topics.EXAMPLES.declaration.columns)
CORRECTION_SCHEMA = batch_schema(topics.CORRECTIONS.declaration.columns)
ROUND_KEY = b"round"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of `records` in log order, ready for the windows; and the asked ones' columns of
    `features` envelopes."""

    rows: Rows
    event_ids: pa.StringArray
    columns: dict[str, Array]  # time_us, source_ms, sequence, late of the asked rows


class RecordsCodec:
    """Knows a generation's columns."""

    def __init__(self, pipeline: Pipeline, program: Program) -> None:
        self._schema = batch_schema(pipeline.record_columns())
        self._program = program
        self._sources = len(pipeline.sources)

    def table(self, data: bytes, rows: int) -> pa.RecordBatch:
        """One envelope's rows. Malformed: another number of rows, another schema, a source that is
        not."""
        batch = decode(data, self._schema)
        if batch.num_rows != rows:
            raise Malformed(f"an envelope of records says {rows} rows and holds {batch.num_rows}")
        sources = batch.column("_source").to_numpy(zero_copy_only=False)
        if not np.all((sources >= 0) & (sources < self._sources)):
            raise Malformed(f"a source number of records is not in [0, {self._sources})")
        return batch

    def batch(
        self, tables: Sequence[pa.RecordBatch], offsets: Sequence[int], watermarks: Sequence[int]
    ) -> Batch:
        """All envelopes of a poll as one batch; `offsets` and `watermarks` are each envelope's."""
        table = tables[0] if len(tables) == 1 else pa.concat_batches(tables)
        lengths = [t.num_rows for t in tables]
        head = {
            name: table.column(name) for name in ("_id", "_joins", "_time", "_roles", "_source")
        }
        asked = (head["_roles"].to_numpy(zero_copy_only=False) & PREDICT) != 0
        facts = np.empty((8, table.num_rows), np.int64)
        facts[kernel.TIME] = head["_time"].to_numpy(zero_copy_only=False)
        facts[kernel.OFFSET] = np.repeat(offsets, lengths)
        facts[kernel.WATERMARK] = np.repeat(watermarks, lengths)
        facts[kernel.FROM] = head["_source"].to_numpy(zero_copy_only=False)
        facts[kernel.PLACE] = np.where(asked, np.cumsum(asked) - 1, -1)
        facts[kernel.ID] = hash64(head["_id"]).view(np.int64)
        facts[kernel.JOINS] = hash64(head["_joins"]).view(np.int64)
        facts[kernel.JOINED] = valid(head["_joins"])
        rows = Rows(facts, *self._fields(table, facts[kernel.TIME]))
        return Batch(rows, head["_id"].filter(pa.array(asked)), _asked_columns(table, asked))

    def _fields(
        self, table: pa.RecordBatch, times: NDArray[np.int64]
    ) -> tuple[dict[str, Array], dict[str, tuple[NDArray[np.uint64], NDArray[np.bool_]]]]:
        columns: dict[str, Array] = {"time": times}
        for name in self._program.columns - {"time"}:
            columns[name] = table.column(name).to_numpy(zero_copy_only=False)
        return columns, {name: key_bits(table.column(name)) for name in self._program.keys}


def valid(column: pa.Array) -> NDArray[np.bool_]:
    """Where there is a value. Arrow's own kernel costs 10 us also where there is one everywhere."""
    if not column.null_count:
        return np.ones(len(column), np.bool_)
    return column.is_valid().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def key_bits(column: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """64 bits a row that tell the values of a field apart, and where there is one."""
    known = valid(column)
    if pa.types.is_string(column.type):
        return hash64(column), known
    if pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False)
        return float_bits(values), known & ~np.isnan(values)
    whole = (
        column.fill_null(False if pa.types.is_boolean(column.type) else 0)
        if column.null_count
        else column
    )
    return whole.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64), known


def _asked_columns(table: pa.RecordBatch, asked: NDArray[np.bool_]) -> dict[str, Array]:
    names = {
        "time_us": "_time",
        "source_ms": "_source_ms",
        "sequence": "_sequence",
        "late": "_late",
    }
    return {
        ours: table.column(theirs).to_numpy(zero_copy_only=False)[asked]
        for ours, theirs in names.items()
    }


def record_batch(columns: Sequence[pa.Array | Array], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [c if isinstance(c, pa.Array) else pa.array(c) for c in columns], schema=schema
    )


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of one partition that fit an envelope. `last`: no more of this partition in this
    transaction."""

    partition: int
    columns: bytes
    rows: int
    vectors: bytes
    last: bool
    traces: bytes = b""


def slices(
    batch: pa.RecordBatch,
    vectors: NDArray[np.float32],
    partitions: NDArray[np.signedinteger],
    rows_max: int = ROWS_MAX,
    marks: Marks | None = None,
) -> list[Slice]:
    """A batch by partition, in order within each, cut to envelopes; `marks`: which of its rows are
    traced."""
    order = np.argsort(partitions, kind="stable")
    sorted_batch, vectors = batch.take(pa.array(order)), vectors[order]
    ends = np.searchsorted(
        partitions[order], np.arange(int(partitions.max(initial=0)) + 1), side="right"
    )
    most = max(1, min(rows_max, ROW_BYTES_MAX // _row_bytes(batch, vectors)))
    marks = _sorted(marks, order)
    found, start = [], 0
    for partition, end in enumerate(ends.tolist()):
        for first in range(start, end, most):
            rows = min(most, end - first)
            found.append(
                Slice(
                    partition,
                    encode(sorted_batch.slice(first, rows)),
                    rows,
                    vectors[first : first + rows].tobytes(),
                    first + rows == end,
                    within(marks, first, first + rows) if marks is not None else b"",
                )
            )
        start = end
    return found


def _row_bytes(batch: pa.RecordBatch, vectors: NDArray[np.float32]) -> int:
    """Of the largest row: ids differ, so a mean would let many long ones into one envelope."""
    ids = batch.column("event_id")
    ends = np.frombuffer(ids.buffers()[1], np.int32)[ids.offset : ids.offset + len(ids) + 1]
    longest = int(np.diff(ends).max(initial=0))
    width = int(vectors.shape[1] * vectors.itemsize)
    return longest + 8 * int(batch.num_columns) + width


def _sorted(marks: Marks | None, order: NDArray[np.signedinteger]) -> Marks | None:
    if marks is None or not len(marks):
        return None
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return moved(marks, places)


def envelope(
    pipeline: str, generation: int, sequence: int, watermark_us: int, traces: bytes = b""
) -> Envelope:
    return Envelope(
        pipeline=pipeline,
        generation=generation,
        sequence=sequence,
        watermark_us=watermark_us,
        traces=traces,
    )


def state_message(item: Piece | RoundEnd, layout: str) -> tuple[bytes, FeatureState]:
    """The changelog's key and message of a piece or of a round's end."""
    if isinstance(item, RoundEnd):
        return ROUND_KEY, FeatureState(
            round=WindowRound(round=item.round, start_offset=item.start, layout=layout)
        )
    chunk = item.chunk
    turn = (
        f"/{item.round % 2}" if chunk.number < 0 else ""
    )  # open rows lie under two keys in turn: domain.Rounds
    packed = zlib.compress(
        np.int64(chunk.number).tobytes() + chunk.data, 1
    )  # 1: rings are mostly zeros
    return f"{chunk.kind}/{chunk.number}{turn}".encode(), FeatureState(
        window=WindowState(
            entity=chunk.kind, round=item.round, input_offset=item.offset, slots=packed
        )
    )


def chunk_of(message: WindowState) -> Chunk:
    """Malformed: not packed by us."""
    try:
        data = zlib.decompress(message.slots)
    except zlib.error as error:
        raise Malformed(f"state of {message.entity}: {error}") from error
    if len(data) < 8 or len(data) % 8:
        raise Malformed(f"state of {message.entity}: {len(data)} bytes")
    return Chunk(message.entity, int(np.frombuffer(data[:8], np.int64)[0]), data[8:])


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Rows or labels of one poll, in order by partition: `batch` as kernel_join wants it, their
    ids, vectors of rows."""

    batch: NDArray[np.int64]
    event_ids: pa.StringArray
    vectors: NDArray[np.float32]


def rows_of(arrived: Sequence[tuple[Features | Labels, int, int, int]], width: int) -> Arrivals:
    """`arrived`: (message, partition, offset, floor). Malformed: another width than the pipeline's,
    or number of rows."""
    for message, *_ in arrived:
        assert isinstance(message, Features)
        if message.width != width:
            raise Malformed(f"an envelope of features is {message.width} wide, wanted {width}")
    table, batch = _arrivals(arrived, FEATURE_SCHEMA, 5)
    vectors = [matrix(m.vectors, m.rows, width) for m, *_ in arrived if isinstance(m, Features)]
    return Arrivals(
        batch,
        table.column("event_id"),
        vectors[0] if len(vectors) == 1 else np.concatenate(vectors),
    )


def labels_of(arrived: Sequence[tuple[Features | Labels, int, int, int]]) -> Arrivals:
    """The same for labels."""
    table, batch = _arrivals(arrived, LABEL_SCHEMA, 7)
    batch[:, 5] = table.column("value").to_numpy(zero_copy_only=False).view(np.int64)
    batch[:, 6] = table.column("source_ms").to_numpy(zero_copy_only=False)
    return Arrivals(batch, table.column("event_id"), np.zeros((0, 0), np.float32))


def _arrivals(
    arrived: Sequence[tuple[Features | Labels, int, int, int]], schema: pa.Schema, width: int
) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
    """Key, partition, time, offset and floor in the first five columns."""
    tables = [decode(message.columns, schema) for message, *_ in arrived]
    lengths = [message.rows for message, *_ in arrived]
    if lengths != [table.num_rows for table in tables]:
        raise Malformed(f"envelopes say {lengths} rows and hold {[t.num_rows for t in tables]}")
    table = tables[0] if len(tables) == 1 else pa.concat_batches(tables)
    batch = np.empty((table.num_rows, width), np.int64)
    batch[:, 0] = hash64(table.column("event_id")).view(np.int64)
    batch[:, 2] = table.column("time_us").to_numpy(zero_copy_only=False)
    for column, field in ((1, 1), (3, 2), (4, 3)):
        batch[:, column] = np.repeat([a[field] for a in arrived], lengths)
    return table, batch
