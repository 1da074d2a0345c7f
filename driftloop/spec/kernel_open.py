"""Which rows open and which close, for `agg: open`: a table of open rows by id, in log order.

It depends on the log alone, never on what windows hold, so it is settled before them. A closing row
that stands before its opening row (they may be of one instant) cancels it.
"""

from __future__ import annotations

from typing import Any

import numba

# An entry of a table. The id is a 64-bit hash.
ID, SLOT, TIME, STATE = range(4)
EMPTY, IS_OPEN, IS_CLOSED = range(3)
# Columns of `pairs`, one row a table: source that opens, source that closes, window.
OPENER, CLOSER, WINDOW = range(3)


@numba.njit(cache=True, nogil=True)
def resolve(
    opens: Any, entries: Any, pairs: Any, slots: Any, times: Any, marks: Any, sources: Any,
    ids: Any, joins: Any, joined: Any, opened: Any, closed: Any,
) -> Any:  # fmt: skip
    """Fill `opened` [tables, rows] with 1 where the row opens and `closed` [tables, 2, rows] with
    slot (-1: none) and time of the open row that it closes.

    `opens` [tables, places, 4] with room for an entry for each row; `entries` [tables] counts them;
    `marks` are the rows' watermarks: an entry whose window they have passed is as good as gone.
    """
    for number in range(opens.shape[0]):
        table = opens[number]
        window = pairs[number, WINDOW]
        for row in range(len(times)):
            opened[number, row] = 0
            closed[number, 0, row] = -1
            if sources[row] == pairs[number, OPENER] and slots[row] >= 0:
                at = _found(table, ids[row], marks[row] - window, entries, number)
                if table[at, STATE] == EMPTY:
                    _enter(table, at, ids[row], slots[row], times[row], IS_OPEN)
                    entries[number] += 1
                    opened[number, row] = 1
                elif table[at, STATE] == IS_CLOSED:
                    _remove(table, at)
                    entries[number] -= 1
            if joined[row] != 0 and sources[row] == pairs[number, CLOSER]:
                at = _found(table, joins[row], marks[row] - window, entries, number)
                if table[at, STATE] == EMPTY:
                    _enter(table, at, joins[row], -1, times[row], IS_CLOSED)
                    entries[number] += 1
                elif table[at, STATE] == IS_OPEN:
                    closed[number, 0, row] = table[at, SLOT]
                    closed[number, 1, row] = table[at, TIME]
                    _remove(table, at)
                    entries[number] -= 1


@numba.njit(cache=True, nogil=True)
def rebuild(old: Any, new: Any, dead_before: Any) -> Any:
    """Move the living entries of a table to an empty one. Gives back how many."""
    moved = 0
    for at in range(old.shape[0]):
        if old[at, STATE] != EMPTY and old[at, TIME] >= dead_before:
            new[_place(new, old[at, ID])] = old[at]
            moved += 1
    return moved


@numba.njit(cache=True, nogil=True)
def _found(table: Any, key: Any, dead_before: Any, entries: Any, number: Any) -> Any:
    """The place of a living entry, or an empty one to put it."""
    at = _place(table, key)
    if table[at, STATE] != EMPTY and table[at, TIME] < dead_before:
        _remove(table, at)
        entries[number] -= 1
        at = _place(table, key)
    return at


@numba.njit(cache=True, nogil=True)
def _enter(table: Any, at: Any, key: Any, slot: Any, time: Any, state: Any) -> Any:
    table[at, ID] = key
    table[at, SLOT] = slot
    table[at, TIME] = time
    table[at, STATE] = state


@numba.njit(cache=True, nogil=True)
def _place(table: Any, key: Any) -> Any:
    """Where an id stands, or the empty place where it would: linear probing; ids are hashes."""
    mask = table.shape[0] - 1
    at = key & mask
    while table[at, STATE] != EMPTY and table[at, ID] != key:
        at = (at + 1) & mask
    return at


@numba.njit(cache=True, nogil=True)
def _remove(table: Any, hole: Any) -> Any:
    """Empty a place and move up those that had to pass it (linear probing without tombstones)."""
    mask = table.shape[0] - 1
    at = hole
    while True:
        at = (at + 1) & mask
        if table[at, STATE] == EMPTY:
            break
        if ((at - (table[at, ID] & mask)) & mask) >= ((at - hole) & mask):
            table[hole] = table[at]
            hole = at
    table[hole, STATE] = EMPTY
