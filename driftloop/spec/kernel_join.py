"""Rows and the truths that come for them, matched by id, one after the other.

What comes of a label is a function of the two logs alone, not of how their records were
interleaved: it counts if it is within the row's horizon and neither log had passed that time when
it stood there; the first one wins. So the logs may be read again in any interleaving, and leave the
same.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# Columns of `cells`, one row a remembered row or a label that waits for its row. FLOOR is the
# watermark of its own log when it stood there; NEXT links labels of one id that wait, in order, or
# free cells; -1 ends.
(
    KEY,
    KIND,
    PART,
    TIME,
    OFFSET,
    FLOOR,
    VALUE,
    LABEL_TIME,
    LABEL_OFFSET,
    LABEL_FLOOR,
    SOURCE_MS,
    NEXT,
) = range(12)
COLUMNS = 12
FREE, ROW, LABELLED, LABEL = range(4)
# What came of an arrival. The first two are written out; all are counted.
EXAMPLE, CORRECTION, DUPLICATE, LATE, ORPHAN, UNLABELLED, ROW_TWICE = range(7)
OUTCOMES = 7
# Columns of `found`: outcome, place in the batch, cell of the row, bits of the label's value and of
# the one before, the label's time and source append time, the row's time and partition.
F_OUTCOME, F_PLACE, F_CELL, F_VALUE, F_OLD, F_LABEL_TIME, F_SOURCE_MS, F_TIME, F_PART = range(9)
# `meta`: head of the free cells, how many are taken, how many labels wait.
FREE_HEAD, TAKEN, WAITING = range(3)
NONE = 2**62


@numba.njit(cache=True, nogil=True)
def take_rows(
    cells: Any,
    table: Any,
    meta: Any,
    horizon: Any,
    batch: Any,
    cell_of: Any,
    found: Any,
    counts: Any,
) -> Any:
    """Remember rows; labels that waited for them count now. `batch` [rows, 5]: key, partition,
    time, offset, floor.

    `cell_of` gets each row's cell (-1: its id is here already). Gives back how many lines of
    `found` were written.
    """
    written = 0
    for i in range(batch.shape[0]):
        at = _place(table, batch[i, 0])
        waiting = np.int64(-1)
        if table[at, 1] > 0:
            waiting = table[at, 1] - 1
            if cells[waiting, KIND] != LABEL:
                counts[ROW_TWICE] += 1
                cell_of[i] = -1
                continue
        cell = _taken(cells, meta)
        cells[cell, KEY], cells[cell, KIND], cells[cell, PART] = batch[i, 0], ROW, batch[i, 1]
        cells[cell, TIME], cells[cell, OFFSET], cells[cell, FLOOR] = (
            batch[i, 2],
            batch[i, 3],
            batch[i, 4],
        )
        cells[cell, NEXT] = -1
        table[at, 0], table[at, 1] = batch[i, 0], cell + 1
        cell_of[i] = cell
        while waiting >= 0:
            after = cells[waiting, NEXT]
            written += _judge(cells, cell, cells[waiting], horizon, i, found[written], counts)
            _freed(cells, meta, waiting)
            meta[WAITING] -= 1
            waiting = after
    return written


@numba.njit(cache=True, nogil=True)
def take_labels(
    cells: Any, table: Any, meta: Any, horizon: Any, batch: Any, found: Any, counts: Any
) -> Any:
    """Labels for rows that are here count; others wait. `batch` [labels, 7]: key, partition, time,
    offset, floor, bits of the value, source append time. Gives back how many lines of `found` were
    written."""
    written = 0
    label = np.zeros(COLUMNS, np.int64)
    for i in range(batch.shape[0]):
        label[KEY], label[KIND], label[PART], label[NEXT] = batch[i, 0], LABEL, batch[i, 1], -1
        label[LABEL_TIME], label[LABEL_OFFSET], label[LABEL_FLOOR] = (
            batch[i, 2],
            batch[i, 3],
            batch[i, 4],
        )
        label[VALUE], label[SOURCE_MS] = batch[i, 5], batch[i, 6]
        at = _place(table, batch[i, 0])
        held = table[at, 1] - 1
        if held >= 0 and cells[held, KIND] != LABEL:
            written += _judge(cells, held, label, horizon, i, found[written], counts)
            continue
        cell = _taken(cells, meta)
        cells[cell] = label
        meta[WAITING] += 1
        if held < 0:
            table[at, 0], table[at, 1] = batch[i, 0], cell + 1
        else:
            while cells[held, NEXT] >= 0:
                held = cells[held, NEXT]
            cells[held, NEXT] = cell
    return written


@numba.njit(cache=True, nogil=True)
def expire(
    cells: Any, table: Any, meta: Any, horizon: Any, passed: Any, counts: Any, least: Any
) -> Any:
    """Forget what both logs have passed. `passed` [partitions]: the smaller watermark of each.

    `least` [partitions, 4] gets the lowest offset of remembered rows with its floor, then that of
    labels.
    """
    least[:, 0] = NONE
    least[:, 2] = NONE
    for cell in range(cells.shape[0]):
        kind = cells[cell, KIND]
        if kind == FREE:
            continue
        part = cells[cell, PART]
        time = cells[cell, LABEL_TIME] if kind == LABEL else cells[cell, TIME]
        if time + horizon < passed[part]:
            counts[ORPHAN if kind == LABEL else UNLABELLED] += 0 if kind == LABELLED else 1
            meta[WAITING] -= 1 if kind == LABEL else 0
            _forget(cells, table, meta, cell)
            continue
        if kind != LABEL and cells[cell, OFFSET] < least[part, 0]:
            least[part, 0], least[part, 1] = cells[cell, OFFSET], cells[cell, FLOOR]
        if kind != ROW and cells[cell, LABEL_OFFSET] < least[part, 2]:
            least[part, 2], least[part, 3] = cells[cell, LABEL_OFFSET], cells[cell, LABEL_FLOOR]


@numba.njit(cache=True, nogil=True)
def index(cells: Any, table: Any) -> Any:
    """Fill an empty `table` [places, 2] from the cells; of a chain of labels, its first."""
    later = np.zeros(cells.shape[0], np.uint8)
    for cell in range(cells.shape[0]):
        if cells[cell, KIND] != FREE and cells[cell, NEXT] >= 0:
            later[cells[cell, NEXT]] = 1
    for cell in range(cells.shape[0]):
        if cells[cell, KIND] != FREE and later[cell] == 0:
            at = _place(table, cells[cell, KEY])
            table[at, 0], table[at, 1] = cells[cell, KEY], cell + 1


@numba.njit(cache=True, nogil=True)
def _judge(
    cells: Any, cell: Any, label: Any, horizon: Any, place: Any, line: Any, counts: Any
) -> Any:
    """What comes of a label for a row that is here; 1 if a line was written."""
    ends = cells[cell, TIME] + horizon
    if label[LABEL_TIME] > ends or label[LABEL_FLOOR] > ends:
        counts[LATE] += 1
        return 0
    if (
        cells[cell, FLOOR] > label[LABEL_TIME] + horizon
    ):  # the row came when this label could have been forgotten
        counts[ORPHAN] += 1
        return 0
    outcome = EXAMPLE
    if cells[cell, KIND] == LABELLED:
        outcome = DUPLICATE if cells[cell, VALUE] == label[VALUE] else CORRECTION
    counts[outcome] += 1
    if outcome == DUPLICATE:
        return 0
    line[F_OUTCOME], line[F_PLACE], line[F_CELL], line[F_PART] = (
        outcome,
        place,
        cell,
        cells[cell, PART],
    )
    line[F_VALUE], line[F_OLD], line[F_TIME] = label[VALUE], cells[cell, VALUE], cells[cell, TIME]
    line[F_LABEL_TIME], line[F_SOURCE_MS] = label[LABEL_TIME], label[SOURCE_MS]
    cells[cell, VALUE] = label[VALUE]
    if outcome == EXAMPLE:
        cells[cell, KIND] = LABELLED
        cells[cell, LABEL_OFFSET], cells[cell, LABEL_FLOOR] = (
            label[LABEL_OFFSET],
            label[LABEL_FLOOR],
        )
    return 1


@numba.njit(cache=True, nogil=True)
def _taken(cells: Any, meta: Any) -> Any:
    cell = meta[FREE_HEAD]
    meta[FREE_HEAD] = cells[cell, NEXT]
    meta[TAKEN] += 1
    return cell


@numba.njit(cache=True, nogil=True)
def _freed(cells: Any, meta: Any, cell: Any) -> Any:
    cells[cell, KIND] = FREE
    cells[cell, NEXT] = meta[FREE_HEAD]
    meta[FREE_HEAD] = cell
    meta[TAKEN] -= 1


@numba.njit(cache=True, nogil=True)
def _forget(cells: Any, table: Any, meta: Any, cell: Any) -> Any:
    """Take a cell out: of its id's chain of waiting labels, or of the table if it was alone."""
    at = _place(table, cells[cell, KEY])
    head = table[at, 1] - 1
    after = cells[cell, NEXT]
    if head == cell and after >= 0:
        table[at, 1] = after + 1
    elif head == cell:
        _remove(table, at)
    else:
        while cells[head, NEXT] != cell:
            head = cells[head, NEXT]
        cells[head, NEXT] = after
    _freed(cells, meta, cell)


@numba.njit(cache=True, nogil=True)
def _place(table: Any, key: Any) -> Any:
    mask = table.shape[0] - 1
    at = key & mask  # the key is a hash already
    while table[at, 1] != 0 and table[at, 0] != key:
        at = (at + 1) & mask
    return at


@numba.njit(cache=True, nogil=True)
def _remove(table: Any, hole: Any) -> Any:
    """Empty a place and move up those that had to pass it (linear probing without tombstones)."""
    mask = table.shape[0] - 1
    at = hole
    while True:
        at = (at + 1) & mask
        if table[at, 1] == 0:
            break
        if ((at - (table[at, 0] & mask)) & mask) >= ((at - hole) & mask):
            table[hole, 0], table[hole, 1] = table[at, 0], table[at, 1]
            hole = at
    table[hole, 1] = 0
