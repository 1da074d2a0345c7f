"""What came of a row, and when to write state down: the join of rows and labels, the rounds of
checkpoints, heartbeats.

Plain arrays in and out. The windows themselves are `driftloop.spec.windows`; nothing here knows of
Kafka or Arrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from driftloop.spec import kernel_join as kernel
from driftloop.spec.kernel_state import Chunk
from driftloop.spec.windows import Windows

Ints = NDArray[np.int64]
Vectors = NDArray[np.float32]
CELLS_FIRST = 1_024  # a power of two; doubled when full
OUTCOME_NAMES = (
    "examples",
    "corrections",
    "duplicate_labels",
    "late_labels",
    "labels_for_nothing",
    "unlabelled",
    "rows_twice",
)
# remembered rows are looked through each time the watermark has moved by horizon / SCANS, or on a
# heartbeat
SCANS = 256


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be written of a batch: lines of `kernel_join` (F_... columns), with the vector of
    each line's row."""

    lines: Ints
    vectors: Vectors


class LabelJoin:
    """Rows that are remembered until both logs have passed their time + horizon; labels, which may
    come first."""

    def __init__(self, partitions: int, width: int, horizon_us: int) -> None:
        self._horizon = horizon_us
        self._cells = np.zeros((0, kernel.COLUMNS), np.int64)
        self._vectors = np.zeros((0, width), np.float32)
        self._table = np.zeros((0, 2), np.int64)
        self._meta = np.array([-1, 0, 0], np.int64)
        self._counts = np.zeros(kernel.OUTCOMES, np.int64)
        self._scanned = np.zeros(partitions, np.int64)
        self.least = np.full((partitions, 4), kernel.NONE, np.int64)
        self._grow(CELLS_FIRST)

    @property
    def remembered(self) -> int:
        """Rows and waiting labels."""
        return int(self._meta[kernel.TAKEN])

    @property
    def waiting(self) -> int:
        """Labels whose row has not come."""
        return int(self._meta[kernel.WAITING])

    @property
    def bytes_held(self) -> int:
        return self._cells.nbytes + self._vectors.nbytes + self._table.nbytes

    def rows(self, batch: Ints, vectors: Vectors) -> Found:
        """Rows in the order of their log; `batch` as `kernel_join.take_rows` wants it."""
        self._make_room(len(batch))
        cell_of = np.empty(len(batch), np.int64)
        lines = np.empty((len(batch) + int(self._meta[kernel.WAITING]), 9), np.int64)
        written = kernel.take_rows(
            self._cells, self._table, self._meta, self._horizon, batch, cell_of, lines, self._counts
        )
        fresh = cell_of >= 0
        self._vectors[cell_of[fresh]] = vectors[fresh]
        self._lower(batch, 0)
        return self._found(lines[:written])

    def labels(self, batch: Ints) -> Found:
        """Labels in the order of their log; `batch` as `kernel_join.take_labels` wants it."""
        self._make_room(len(batch))
        lines = np.empty((len(batch), 9), np.int64)
        written = kernel.take_labels(
            self._cells, self._table, self._meta, self._horizon, batch, lines, self._counts
        )
        self._lower(batch, 2)
        return self._found(lines[:written])

    def expire(self, passed: Ints, *, now: bool) -> None:
        """Forget what `passed` [partitions], the smaller watermark of the two logs, has passed.
        Cheap unless it moved by a good part of the horizon, or `now` says that it will not move for
        long."""
        moved = passed - self._scanned
        if np.any(moved * SCANS >= self._horizon) or (now and np.any(moved > 0)):
            self._scanned = passed.copy()
            kernel.expire(
                self._cells,
                self._table,
                self._meta,
                self._horizon,
                passed,
                self._counts,
                self.least,
            )

    def counts(self) -> Mapping[str, int]:
        """Outcomes since the last call."""
        counts = {name: int(n) for name, n in zip(OUTCOME_NAMES, self._counts, strict=True) if n}
        self._counts[:] = 0
        return counts

    def _found(self, lines: Ints) -> Found:
        return Found(lines, self._vectors[lines[:, kernel.F_CELL]])

    def _lower(self, batch: Ints, column: int) -> None:
        """Where rereading must begin, once something is remembered of a partition of which nothing
        was."""
        for part in np.flatnonzero(self.least[:, column] == kernel.NONE):
            first = batch[batch[:, 1] == part][:1]
            if len(first):
                self.least[part, column], self.least[part, column + 1] = first[0, 3], first[0, 4]

    def _make_room(self, count: int) -> None:
        if self.remembered + count > len(self._cells):
            self._grow(1 << (self.remembered + count - 1).bit_length())

    def _grow(self, size: int) -> None:
        """New cells go to the head of the free ones; the table is made anew at twice their
        number."""
        old = len(self._cells)
        cells = np.zeros((size, kernel.COLUMNS), np.int64)
        cells[:old] = self._cells
        cells[old:, kernel.NEXT] = np.arange(old + 1, size + 1)
        cells[-1, kernel.NEXT] = self._meta[kernel.FREE_HEAD]
        self._meta[kernel.FREE_HEAD] = old
        vectors = np.zeros((size, self._vectors.shape[1]), np.float32)
        vectors[:old] = self._vectors
        self._cells, self._vectors, self._table = cells, vectors, np.zeros((2 * size, 2), np.int64)
        kernel.index(cells, self._table)


@dataclass(frozen=True, slots=True)
class Piece:
    """A frozen chunk on its way to the changelog."""

    chunk: Chunk
    round: int
    offset: int  # what it reflects: one past the last record


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """All pieces of a round are written: a restore may begin at `start`."""

    round: int
    start: int


@dataclass(slots=True)
class Rounds:
    """When state is frozen, and how its pieces are spread over ordinary transactions.

    A round's open rows are kept under one of two keys in turn, so that those of the last complete
    round outlive a round that is broken off: a round after a restore takes the other parity than
    the last complete one.
    """

    every_ms: int
    rows_max: int
    bytes_max: int
    complete: int = 0
    newest: int = 0
    _rows: int = 0
    _began_ms: int = -1
    _end: RoundEnd | None = None
    _left: list[Piece] = field(default_factory=list)

    def after(
        self, windows: Windows, rows: int, offset: int, now_ms: int
    ) -> Sequence[Piece | RoundEnd]:
        """What goes with this transaction, whose input ends before `offset`."""
        self._rows += rows
        if self._began_ms < 0:
            self._began_ms = now_ms
        if self._end is None and self._due(now_ms):
            self._freeze(windows, offset, now_ms)
        return self._next()

    def _due(self, now_ms: int) -> bool:
        return self._rows > 0 and (
            now_ms - self._began_ms >= self.every_ms or self._rows >= self.rows_max
        )

    def _freeze(self, windows: Windows, offset: int, now_ms: int) -> None:
        self._rows, self._began_ms = 0, now_ms
        self.newest += 1 if (self.newest - self.complete) % 2 == 0 else 2
        self._left = [
            Piece(chunk, self.newest, offset) for state in windows.kinds for chunk in state.freeze()
        ]
        self._end = RoundEnd(self.newest, offset)

    def _next(self) -> list[Piece | RoundEnd]:
        if self._end is None:
            return []
        pieces: list[Piece | RoundEnd] = []
        room = self.bytes_max
        while self._left and (room >= len(self._left[0].chunk.data) or not pieces):
            room -= len(self._left[0].chunk.data)
            pieces.append(self._left.pop(0))
        if not self._left:
            pieces.append(self._end)
            self.complete, self._end = self._end.round, None
        return pieces


class Told:
    """What each output partition was last told, and when: a silent one gets a heartbeat if there is
    news."""

    def __init__(self, partitions: int, every_ms: int) -> None:
        self._every_ms = every_ms
        self._at_ms = [0] * partitions
        self._sequence = [0] * partitions
        self._watermark_us = [0] * partitions

    def watermark_us(self, partition: int) -> int:
        return self._watermark_us[partition]

    def told(self, partition: int, sequence: int, watermark_us: int, now_ms: int) -> None:
        self._at_ms[partition] = now_ms
        self._sequence[partition], self._watermark_us[partition] = sequence, watermark_us

    def due(
        self, partition: int, sequence: int, watermark_us: int, now_ms: int, *, moved: bool = False
    ) -> bool:
        """`moved`: a heartbeat came in and moved the watermark; then the news goes out at once."""
        later = watermark_us > self._watermark_us[partition]
        news = later or sequence > self._sequence[partition]
        return news and ((moved and later) or now_ms - self._at_ms[partition] >= self._every_ms)
