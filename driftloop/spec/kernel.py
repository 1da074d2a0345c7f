"""The window arithmetic, row by row in log order, compiled once and cached: where windows change.

One call takes a batch of rows through all features of one entity kind. Nothing here knows of
batches' boundaries: rows taken 1, 7 or 1,000 at a time leave the same bits. Sums are integers
(2^-20 of a unit), counted in rings of 32 tiles. Rows of the newest instant of an entity wait beside
the ring until a later instant comes, so that a row never sees itself, nor rows of its own instant.

`kernel_keys` says which slot a row is for, `kernel_open` which rows open and close, before. The
three call nothing of each other: numba's cache sees a change of a function's own file alone.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

TILES = 32  # a ring; a window has at most 24 whole tiles and two cut ones
NEVER = -(2**61)  # an instant before all others
SCALE = 2.0**20  # a sum's unit is 2^-20: exact for |value| < 2^42 at a resolution of 1e-6
CLIP = 2.0**42  # a greater value counts as this: 2^62 in sums, so that no single row overflows

# Columns of `accs`, one row an accumulator. FORM says how its words are used.
FORM, BASE, WINDOW, TILE, SOURCE, VALUE, WHERE, CLOSER, TABLE = range(9)
COUNTS, SUMS, LAST, OPEN = range(4)
FORM_WORDS = (4 + TILES, 4 + 2 * TILES, 4, 4 + 2 * TILES)
# Words of an accumulator. Rings: newest tile, instant of the newest row, what waits, then tiles.
HEAD, NEWEST, WAIT_COUNT, WAIT_SUM, RING = range(5)
LAST_VALUE = 0  # of LAST: in place of HEAD; its waiting value lies in WAIT_SUM
# Words of a slot before its accumulators: its newest instant, and whether anything waits.
SLOT_INSTANT, SLOT_WAITS, SLOT_WORDS = range(3)
# Columns of `feats`, one row a feature, and of `params` beside it.
AGG, ACC, OUT, AGE_MAX = range(4)
COUNT, SUM, MEAN, VALUE_LAST, AGE, OPENED, ORDINAL = range(7)
DEFAULT, SHRINK_ROWS, SHRINK_PRIOR = range(3)
# Rows of `facts`, one column a row of the batch. PLACE: its column in `out`, -1 if nobody asks.
TIME, OFFSET, WATERMARK, FROM, PLACE, ID, JOINS, JOINED = range(8)
UNSEEN, NO_KEY = -1, -2  # in place of a slot: the key was never seen; a component is missing


@numba.njit(cache=True, nogil=True)
def run(
    words: Any, applied: Any, dirty: Any, chunk: Any, accs: Any, feats: Any, params: Any,
    slots: Any, opened: Any, closed: Any, facts: Any, values: Any, wheres: Any, out: Any, late: Any,
) -> Any:  # fmt: skip
    """Rows of a batch, in order: each is answered from what stood before its instant, then counted.

    `out` [features, asked rows] gets the answers, `late` [asked rows] 1 where the entity was
    already at a later instant. A slot skips rows whose offset is below its `applied` (replay).
    `opened` [tables, rows]: whether the row opens; `closed` [tables, 2, rows]: slot (-1: none) and
    time of the row that it closes.
    """
    reals = words.view(np.float64)
    for row in range(facts.shape[1]):
        place, slot, offset = facts[PLACE, row], slots[row], facts[OFFSET, row]
        if slot >= 0 and offset >= applied[slot]:
            instant = _advanced(words, slot, accs, facts[TIME, row])
            dirty[slot // chunk] = 1
            if place >= 0:
                late[place] |= facts[TIME, row] < instant
                for f in range(feats.shape[0]):
                    out[feats[f, OUT], place] = _answered(
                        words, reals, slot, accs, feats, params, f, instant
                    )
            _count(words, reals, slot, accs, row, facts, values, wheres, opened)
        elif place >= 0 and slot < 0:
            for f in range(feats.shape[0]):
                out[feats[f, OUT], place] = params[f, DEFAULT]
        for a in range(accs.shape[0]):
            if accs[a, FORM] == OPEN and closed[accs[a, TABLE], 0, row] >= 0:
                other = closed[accs[a, TABLE], 0, row]
                if offset >= applied[other]:
                    _advanced(words, other, accs, facts[TIME, row])
                    dirty[other // chunk] = 1
                    _wait_open(words, other, accs, a, closed[accs[a, TABLE], 1, row], -1)


@numba.njit(cache=True, nogil=True)
def query(
    words: Any, accs: Any, feats: Any, params: Any, slots: Any, times: Any, out: Any, ages: Any,
    late: Any,
) -> Any:  # fmt: skip
    """What `run` would answer to rows of these slots (or UNSEEN, NO_KEY) and times, without
    counting them. `ages` gets seconds since each window's newest row."""
    reals = words.view(np.float64)
    for row in range(len(times)):
        slot, instant = slots[row], times[row]
        if slot >= 0 and words[slot, SLOT_INSTANT] > instant:
            instant = words[slot, SLOT_INSTANT]
            late[row] = 1
        for f in range(feats.shape[0]):
            at, agg = feats[f, OUT], feats[f, AGG]
            out[at, row] = params[f, DEFAULT]
            if slot == UNSEEN and agg in (COUNT, SUM, OPENED):
                out[at, row] = 0.0
            elif slot == UNSEEN and params[f, SHRINK_ROWS] > 0:
                out[at, row] = params[f, SHRINK_PRIOR]
            elif slot >= 0:
                out[at, row] = _answered(words, reals, slot, accs, feats, params, f, instant)
                if agg != ORDINAL:
                    newest = _newest(words, slot, accs, feats[f, ACC], instant)
                    if newest > NEVER:
                        ages[at, row] = (instant - newest) / 1e6


@numba.njit(cache=True, nogil=True)
def _count(
    words: Any, reals: Any, slot: Any, accs: Any, row: Any, facts: Any, values: Any, wheres: Any,
    opened: Any,
) -> Any:  # fmt: skip
    """Put the row beside the rings in which it counts. A row whose value or condition is missing is
    no row."""
    for a in range(accs.shape[0]):
        if accs[a, SOURCE] != facts[FROM, row]:
            continue
        form, base, number = accs[a, FORM], accs[a, BASE], accs[a, VALUE]
        if form == OPEN:
            if opened[accs[a, TABLE], row] != 0:
                _wait_open(words, slot, accs, a, facts[TIME, row], 1)
            continue
        where = np.uint8(1) if accs[a, WHERE] < 0 else wheres[accs[a, WHERE], row]
        share = form == SUMS and number < 0  # of rows whose condition is known, those it holds for
        value = np.float64(where) if number < 0 else values[number, row]
        if where == 2 or (where == 0 and not share) or np.isnan(value):
            continue
        words[slot, SLOT_WAITS] = 1
        words[slot, base + WAIT_COUNT] += 1
        if form == SUMS:
            units = np.floor(min(max(value, -CLIP), CLIP) * SCALE + 0.5)
            words[slot, base + WAIT_SUM] += np.int64(units)
        elif form == LAST:
            reals[slot, base + WAIT_SUM] = value


@numba.njit(cache=True, nogil=True)
def _wait_open(words: Any, slot: Any, accs: Any, a: Any, time: Any, change: Any) -> Any:
    """A change to the tile of an opening row's own time, if the ring can still hold that tile."""
    newest_tile = words[slot, SLOT_INSTANT] // accs[a, TILE]
    tile = time // accs[a, TILE]
    if newest_tile - TILES < tile <= newest_tile:
        words[slot, SLOT_WAITS] = 1
        words[slot, accs[a, BASE] + WAIT_COUNT] = 1
        words[slot, accs[a, BASE] + WAIT_SUM] += 1 if change > 0 else 0
        words[slot, accs[a, BASE] + RING + TILES + (tile & (TILES - 1))] += change


@numba.njit(cache=True, nogil=True)
def _advanced(words: Any, slot: Any, accs: Any, time: Any) -> Any:
    """The instant at which a row of `time` counts in this slot; a later one than before lets in
    what waited."""
    newest = words[slot, SLOT_INSTANT]
    if time <= newest:
        return newest
    if words[slot, SLOT_WAITS] != 0:
        words[slot, SLOT_WAITS] = 0
        for a in range(accs.shape[0]):
            if words[slot, accs[a, BASE] + WAIT_COUNT] != 0:
                _let_in(words, slot, accs, a, newest)
    words[slot, SLOT_INSTANT] = time
    return time


@numba.njit(cache=True, nogil=True)
def _let_in(words: Any, slot: Any, accs: Any, a: Any, instant: Any) -> Any:
    base = accs[a, BASE]
    waits = words[slot, base + WAIT_COUNT]
    words[slot, base + WAIT_COUNT] = 0
    if accs[a, FORM] == LAST:
        words[slot, base + LAST_VALUE] = words[slot, base + WAIT_SUM]
        words[slot, base + NEWEST] = instant
        return
    tile = instant // accs[a, TILE]
    _turn(words, slot, accs, a, tile)
    ring = base + RING
    if accs[a, FORM] == OPEN:
        for k in range(TILES):
            words[slot, ring + k] += words[slot, ring + TILES + k]
            words[slot, ring + TILES + k] = 0
        if words[slot, base + WAIT_SUM] != 0:
            words[slot, base + NEWEST] = instant
        words[slot, base + WAIT_SUM] = 0
        return
    words[slot, base + NEWEST] = instant
    words[slot, ring + (tile & (TILES - 1))] += waits
    if accs[a, FORM] == SUMS:
        words[slot, ring + TILES + (tile & (TILES - 1))] += words[slot, base + WAIT_SUM]
        words[slot, base + WAIT_SUM] = 0


@numba.njit(cache=True, nogil=True)
def _turn(words: Any, slot: Any, accs: Any, a: Any, tile: Any) -> Any:
    """Make `tile` the ring's newest, emptying the tiles that it passes."""
    head = words[slot, accs[a, BASE] + HEAD]
    ring = accs[a, BASE] + RING
    for k in range(max(head + 1, tile - TILES + 1), tile + 1):
        words[slot, ring + (k & (TILES - 1))] = 0
        if accs[a, FORM] == SUMS:
            words[slot, ring + TILES + (k & (TILES - 1))] = 0
    words[slot, accs[a, BASE] + HEAD] = tile


@numba.njit(cache=True, nogil=True)
def _answered(
    words: Any, reals: Any, slot: Any, accs: Any, feats: Any, params: Any, f: Any, instant: Any
) -> Any:  # fmt: skip
    """One feature as at `instant`; what waits is in it if the slot's newest instant is earlier."""
    agg = feats[f, AGG]
    if agg == ORDINAL:
        return np.float64(slot)
    a = feats[f, ACC]
    if accs[a, FORM] == LAST:
        newest = _newest(words, slot, accs, a, instant)
        if newest == NEVER or (feats[f, AGE_MAX] > 0 and instant - newest > feats[f, AGE_MAX]):
            return params[f, DEFAULT]
        if agg == AGE:
            return (instant - newest) / 1e6
        waits = words[slot, accs[a, BASE] + WAIT_COUNT] != 0 and words[slot, SLOT_INSTANT] < instant
        return reals[slot, accs[a, BASE] + (WAIT_SUM if waits else LAST_VALUE)]
    count, total = _within(words, slot, accs, a, instant)
    if agg in (COUNT, OPENED):
        return np.float64(count)
    if agg == SUM:
        return total / SCALE
    rows = count + params[f, SHRINK_ROWS]
    if rows == 0:
        return params[f, DEFAULT]
    return (total / SCALE + params[f, SHRINK_ROWS] * params[f, SHRINK_PRIOR]) / rows


@numba.njit(cache=True, nogil=True)
def _newest(words: Any, slot: Any, accs: Any, a: Any, instant: Any) -> Any:
    """Instant of the newest row before `instant` that counted here."""
    waits = WAIT_SUM if accs[a, FORM] == OPEN else WAIT_COUNT
    if words[slot, accs[a, BASE] + waits] != 0 and words[slot, SLOT_INSTANT] < instant:
        return words[slot, SLOT_INSTANT]
    return words[slot, accs[a, BASE] + NEWEST]


@numba.njit(cache=True, nogil=True)
def _within(words: Any, slot: Any, accs: Any, a: Any, instant: Any) -> Any:
    """Rows and sum over [instant - window, instant), the old edge rounded down to a tile."""
    base = accs[a, BASE]
    ring = base + RING
    head = words[slot, base + HEAD]
    first = (instant - accs[a, WINDOW]) // accs[a, TILE]
    count = np.int64(0)
    total = np.int64(0)
    for k in range(max(first, head - TILES + 1), head + 1):
        count += words[slot, ring + (k & (TILES - 1))]
    if accs[a, FORM] == SUMS:
        for k in range(max(first, head - TILES + 1), head + 1):
            total += words[slot, ring + TILES + (k & (TILES - 1))]
    newest = words[slot, SLOT_INSTANT]
    if words[slot, base + WAIT_COUNT] != 0 and newest < instant:
        tile = newest // accs[a, TILE]
        if accs[a, FORM] == OPEN:
            for k in range(max(first, tile - TILES + 1), tile + 1):
                count += words[slot, ring + TILES + (k & (TILES - 1))]
        elif tile >= first:
            count += words[slot, base + WAIT_COUNT]
            total += words[slot, base + WAIT_SUM]
    return count, total
