"""Examples as arrays: the rows of some offsets of `examples`, sorted by (time, id), with their own
digest.

Offsets are the dataset's version: the same ranges give the same rows and the same `rows_sha256`,
whenever they are read; a window may leave out rows of them by event time. Training and evaluation
read through here, and through driftloop.archive what the log may no longer hold. Nothing here fits,
judges or writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.contracts import topics
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.model_pb2 import OffsetRange, Span, Window
from driftloop.kit.broker import Broker, Record
from driftloop.kit.envelope import batch_schema, decode
from driftloop.kit.errors import Malformed
from driftloop.kit.message import parse

Ints = npt.NDArray[np.int64]
_SCHEMA = batch_schema(topics.EXAMPLES.declaration.columns)


@dataclass(frozen=True, slots=True)
class Range:
    """Rows of one partition of `examples`, [start, end) by offset."""

    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Times:
    """Which event times a dataset holds, µs: [from_us, to_us), 0: no such limit; none of `without`,
    which are [from, to) too.
    """

    from_us: int = 0
    to_us: int = 0
    without: Sequence[tuple[int, int]] = ()

    @property
    def all(self) -> bool:
        return not (self.from_us or self.to_us or self.without)

    def hold(self, times: Ints) -> npt.NDArray[np.bool_]:
        """[n] whether each of `times` [n] belongs to it."""
        inside = np.ones(len(times), bool)
        if self.from_us:
            inside &= times >= self.from_us
        if self.to_us:
            inside &= times < self.to_us
        for start, end in self.without:
            inside &= (times < start) | (times >= end)
        return inside


ALL = Times()


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows sorted by (time, id), each with where it stands in the log.

    `vectors` [n, k] float32, NaN: missing; `times` [n] µs of event time; `target` [n] float64;
    `partitions` and `offsets` [n] are the coordinates of each row's envelope.
    """

    ids: pa.StringArray
    times: Ints
    vectors: npt.NDArray[np.float32]
    target: npt.NDArray[np.float64]
    partitions: npt.NDArray[np.int32]
    offsets: Ints

    def __len__(self) -> int:
        return len(self.times)

    def within(self, ranges: Sequence[Range]) -> Rows:
        """The rows of `ranges`, in the same order; a partition that is not named gives none."""
        return self.where(within(ranges, self.partitions, self.offsets))

    def where(self, keep: npt.NDArray[np.bool_]) -> Rows:
        """The rows for which `keep` [n] is true."""
        if keep.all():
            return self
        return Rows(
            self.ids.filter(pa.array(keep)),
            self.times[keep],
            self.vectors[keep],
            self.target[keep],
            self.partitions[keep],
            self.offsets[keep],
        )

    def sha256(self) -> str:
        """Hex, over the columns one after the other: times, lengths of the ids, ids in UTF-8,
        vectors, target (LE).
        """
        lengths = pc.binary_length(self.ids).to_numpy(zero_copy_only=False)
        digest = hashlib.sha256(_bytes(self.times, "<i8"))
        digest.update(_bytes(lengths, "<i4"))
        digest.update(_text(self.ids))
        digest.update(_bytes(self.vectors, "<f4"))
        digest.update(_bytes(self.target, "<f8"))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Envelopes:
    """What a range held, an entry an envelope with rows, in log order by partition.

    `sequences` never fall within a partition, so that a cut by sequence is a cut by offset in each.
    """

    partitions: npt.NDArray[np.int32]
    offsets: Ints
    counts: Ints
    sequences: Ints
    newest: Ints  # event time of each one's newest row, µs


def read(
    broker: Broker,
    ranges: Sequence[Range],
    report: Callable[[int], None] | None = None,
    times: Times = ALL,
) -> tuple[Rows, Envelopes]:
    """All rows of `ranges` that `times` holds, and the envelopes that they came in. `report` hears
    the rows so far, now and then.

    Malformed: an envelope that is not of this topic, or whose vectors have another width than the
    first.
    """
    columns = _Columns()
    for one in ranges:
        columns.take(broker.read(one.topic, one.partition, one.start, one.end), report)
    rows, envelopes = columns.rows(), columns.envelopes()
    return (rows, envelopes) if times.all else _only(rows, envelopes, times)


def rows_of(broker: Broker, window: Window) -> Rows:
    """The rows that a window's record names, as the log has them now; `driftloop.archive.recall`
    checks them against its digest.
    """
    return read(broker, ranges_of(window), times=times_of(window))[0]


def bounds(broker: Broker, pipeline: str, generation: int, partitions: int) -> list[Range]:
    """All that `examples` holds now."""
    topic = topics.EXAMPLES.topic(pipeline, generation).name
    return [Range(topic, number, *broker.bounds(topic, number)) for number in range(partitions)]


def window(rows: Rows, ranges: Sequence[Range], times: Times = ALL) -> Window:
    """The record of a dataset: its offsets, span, size and digest."""
    return Window(
        ranges=[
            OffsetRange(topic=one.topic, partition=one.partition, start=one.start, end=one.end)
            for one in ranges
        ],
        start_us=int(rows.times[0]) if len(rows) else 0,
        end_us=int(rows.times[-1]) if len(rows) else 0,
        rows=len(rows),
        rows_sha256=rows.sha256(),
        from_us=times.from_us,
        to_us=times.to_us,
        without=[Span(from_us=start, to_us=end) for start, end in times.without],
    )


def ranges_of(window: Window) -> list[Range]:
    """The offsets that a window's record names."""
    return [Range(one.topic, one.partition, one.start, one.end) for one in window.ranges]


def times_of(window: Window) -> Times:
    """The event times that a window's record names."""
    without = tuple((one.from_us, one.to_us) for one in window.without)
    return Times(window.from_us, window.to_us, without)


def parted(ranges: Sequence[Range], cuts: Mapping[int, int]) -> tuple[list[Range], list[Range]]:
    """`ranges` before and from `cuts` on: partition → offset; one without a cut is all before."""
    before, after = [], []
    for one in ranges:
        cut = min(max(one.start, cuts.get(one.partition, one.end)), one.end)
        before.append(Range(one.topic, one.partition, one.start, cut))
        if one.partition in cuts:
            after.append(Range(one.topic, one.partition, cut, one.end))
    return [one for one in before if one.end > one.start], [
        one for one in after if one.end > one.start
    ]


def within(
    ranges: Sequence[Range], partitions: npt.NDArray[np.int32], offsets: Ints
) -> npt.NDArray[np.bool_]:
    """[n] whether each of n coordinates lies in any of `ranges`; a partition may have several."""
    inside = np.zeros(len(offsets), bool)
    for one in ranges:
        mine = partitions == one.partition
        inside |= mine & (offsets >= one.start) & (offsets < one.end)
    return inside


def _only(rows: Rows, envelopes: Envelopes, times: Times) -> tuple[Rows, Envelopes]:
    """What `times` holds of both: an envelope counts the rows that are left, and goes with its
    last one."""
    kept = rows.where(times.hold(rows.times))
    key = envelopes.partitions.astype(np.int64) << 48 | envelopes.offsets
    order = np.argsort(key)
    mine = kept.partitions.astype(np.int64) << 48 | kept.offsets
    at = order[np.searchsorted(key, mine, sorter=order)]
    counts = np.bincount(at, minlength=len(key)).astype(np.int64)
    newest = np.full(len(key), np.iinfo(np.int64).min)
    np.maximum.at(newest, at, kept.times)
    left = counts > 0
    return kept, Envelopes(
        envelopes.partitions[left],
        envelopes.offsets[left],
        counts[left],
        envelopes.sequences[left],
        newest[left],
    )


class _Columns:
    """Envelopes gathered as they are read; columns are joined once, at the end."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._vectors: list[bytes] = []
        self._width: int | None = None
        self._heads: list[tuple[int, int, int, int]] = []  # partition, offset, rows, sequence
        self._count = 0

    def take(self, records: Iterable[Record], report: Callable[[int], None] | None) -> None:
        highest = 0
        for record in records:
            message = parse(Examples, record)
            if not message.rows:
                continue  # a heartbeat
            highest = max(highest, message.envelope.sequence)
            self._add(record, message, highest)
            if report is not None and len(self._heads) % 10_000 == 0:
                report(self._count)

    def _add(self, record: Record, message: Examples, sequence: int) -> None:
        if self._width is None:
            self._width = message.width
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        if (message.width, len(message.vectors)) != (self._width, message.rows * self._width * 4):
            found = f"{len(message.vectors)} bytes of width {message.width}"
            raise Malformed(f"{where}: found {found}, wanted {message.rows} x {self._width} x 4")
        batch = decode(message.columns, _SCHEMA)
        if batch.num_rows != message.rows:
            raise Malformed(f"{where}: {message.rows} rows are said, {batch.num_rows} are there")
        self._batches.append(batch)
        self._vectors.append(message.vectors)
        self._heads.append((record.partition, record.offset, message.rows, sequence))
        self._count += message.rows

    def rows(self) -> Rows:
        table = pa.Table.from_batches(self._batches, _SCHEMA).combine_chunks()
        ids, times = _column(table, "event_id"), _numbers(table, "time_us")
        order = _order(ids, times)
        heads = self._table()
        width = self._width or 0
        vectors = np.frombuffer(b"".join(self._vectors), "<f4").reshape(len(times), width)
        return Rows(
            ids.take(pa.array(order)),
            times[order],
            vectors[order],
            _numbers(table, "target")[order],
            np.repeat(heads[:, 0], heads[:, 2])[order].astype(np.int32),
            np.repeat(heads[:, 1], heads[:, 2])[order],
        )

    def envelopes(self) -> Envelopes:
        heads = self._table()
        starts = np.concatenate([[0], np.cumsum(heads[:, 2])[:-1]]).astype(np.int64)
        times = _numbers(pa.Table.from_batches(self._batches, _SCHEMA), "time_us")
        newest = np.maximum.reduceat(times, starts) if len(heads) else np.zeros(0, np.int64)
        return Envelopes(
            heads[:, 0].astype(np.int32), heads[:, 1], heads[:, 2], heads[:, 3], newest
        )

    def _table(self) -> Ints:
        return np.array(self._heads, np.int64).reshape(-1, 4)


def _order(ids: pa.StringArray, times: Ints) -> Ints:
    """By time; equal times by id. Only rows that share their instant pay for the comparison of
    strings.
    """
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    if not len(same):
        return order
    tied = np.unique(np.concatenate([same, same + 1]))
    rows = order[tied]
    keys = pa.table({"time": ordered[tied], "id": ids.take(pa.array(rows))})
    by = pc.sort_indices(keys, sort_keys=[("time", "ascending"), ("id", "ascending")]).to_numpy()
    order[tied] = rows[by]
    return order


def _column(table: pa.Table, name: str) -> Any:
    column = table.column(name)
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    )


def _numbers(table: pa.Table, name: str) -> Any:
    """A copy without nulls: a null float is NaN, a null whole number our own bug upstream."""
    column = table.column(name)
    if column.null_count and not pa.types.is_floating(column.type):
        raise Malformed(f"examples: {column.null_count} rows without {name}")
    return column.to_numpy()


def _bytes(values: npt.NDArray[Any], kind: str) -> memoryview:
    return np.ascontiguousarray(values, kind).data


def _text(ids: pa.StringArray) -> bytes:
    """The strings one after the other."""
    whole = pa.concat_arrays([ids])  # drops what a slice leaves outside
    _, offsets, data = whole.buffers()
    if data is None or not len(whole):
        return b""
    first, last = np.frombuffer(offsets, np.int32)[[whole.offset, whole.offset + len(whole)]]
    return bytes(memoryview(data)[first:last])
