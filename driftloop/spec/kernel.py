"""The window arithmetic, row by row in log order, compiled once and cached: the only place where window state changes.

One call takes a batch of rows through all features of one entity kind. Nothing here knows of batches' boundaries: rows
taken 1, 7 or 1,000 at a time leave the same bits. Sums are integers (2^-20 of a unit), counted in rings of 32 tiles.
Rows of the newest instant of an entity wait beside the ring until a later instant comes, so that a row never sees
itself, nor rows of its own instant. The words of a slot are laid out by `driftloop.spec.windows`.
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
# Words of an accumulator: rings have HEAD (newest tile), NEWEST (instant of its newest row), what waits, then tiles.
HEAD, NEWEST, WAIT_COUNT, WAIT_SUM, RING = range(5)
LAST_VALUE = 0  # of LAST: in place of HEAD; its waiting value lies in WAIT_SUM
# Words of a slot before its accumulators: its newest instant, and whether anything waits.
SLOT_INSTANT, SLOT_WAITS, SLOT_WORDS = range(3)
# Columns of `feats`, one row a feature, and of `params` beside it.
AGG, ACC, OUT, AGE_MAX = range(4)
COUNT, SUM, MEAN, VALUE_LAST, AGE, OPENED, ORDINAL = range(7)
DEFAULT, SHRINK_ROWS, SHRINK_PRIOR = range(3)
# Rows of `facts`, one column a row of the batch. PLACE is the row's column in `out`, -1 if nobody asks.
TIME, OFFSET, WATERMARK, FROM, PLACE, ID, JOINS, JOINED = range(8)
# `meta`: how many slots, rows of a chunk, then the entries of each table of open rows.
SLOTS, CHUNK, ENTRIES = range(3)
# An entry of a table of open rows.
ENTRY_ID, ENTRY_SLOT, ENTRY_TIME, ENTRY_STATE = range(4)
EMPTY, IS_OPEN, IS_CLOSED = range(3)


@numba.njit(cache=True, nogil=True)
def run(
    words: Any,
    slot_keys: Any,
    table: Any,
    meta: Any,
    applied: Any,
    dirty: Any,
    opens: Any,
    accs: Any,
    feats: Any,
    params: Any,
    keys: Any,
    touches: Any,
    facts: Any,
    values: Any,
    wheres: Any,
    out: Any,
    late: Any,
) -> Any:
    """Rows of a batch, in order: each is answered from what stood before its instant, then counted.

    `out` [features, asked rows] gets the answers, `late` [asked rows] 1 where the entity was already at a later
    instant. A slot skips rows whose offset is below its `applied` (replay). The caller has made room for a new slot
    and a new entry for each row.
    """
    reals = words.view(np.float64)
    for row in range(facts.shape[1]):
        place = facts[PLACE, row]
        if touches[row] != 0:
            slot = _slot(words, slot_keys, table, meta, accs, keys[row])
            instant = facts[TIME, row]
            if facts[OFFSET, row] >= applied[slot]:
                instant = _advanced(words, slot, accs, instant)
                dirty[slot // meta[CHUNK]] = 1
                if place >= 0:
                    late[place] |= facts[TIME, row] < instant
                    _answer(words, reals, slot, accs, feats, params, instant, out, place)
            _count(words, reals, slot, meta, applied, opens, accs, row, facts, values, wheres)
        elif place >= 0:
            for f in range(feats.shape[0]):
                out[feats[f, OUT], place] = params[f, DEFAULT]
        if facts[JOINED, row] != 0:
            _close(words, meta, applied, dirty, opens, accs, row, facts)


@numba.njit(cache=True, nogil=True)
def query(
    words: Any,
    slot_keys: Any,
    table: Any,
    meta: Any,
    accs: Any,
    feats: Any,
    params: Any,
    keys: Any,
    known: Any,
    facts: Any,
    out: Any,
    ages: Any,
    late: Any,
) -> Any:
    """What `run` would answer to these rows, without counting them. `ages` gets seconds since each window's newest row."""
    reals = words.view(np.float64)
    for row in range(facts.shape[1]):
        slot = table[_place(slot_keys, table, keys[row])] - 1 if known[row] != 0 else -1
        instant = facts[TIME, row]
        if slot >= 0 and words[slot, SLOT_INSTANT] > instant:
            instant = words[slot, SLOT_INSTANT]
            late[row] = 1
        for f in range(feats.shape[0]):
            ages[feats[f, OUT], row] = np.nan
            if slot < 0:
                fresh = feats[f, AGG] == COUNT or feats[f, AGG] == SUM or feats[f, AGG] == OPENED
                shrunk = (
                    params[f, SHRINK_PRIOR] if params[f, SHRINK_ROWS] > 0 else params[f, DEFAULT]
                )
                out[feats[f, OUT], row] = (
                    params[f, DEFAULT] if known[row] == 0 else (0.0 if fresh else shrunk)
                )
            elif feats[f, AGG] == ORDINAL:
                out[feats[f, OUT], row] = slot
            else:
                out[feats[f, OUT], row] = _value(
                    words, reals, slot, accs, feats, params, f, instant
                )
                newest = _newest(words, slot, accs, feats[f, ACC], instant)
                if newest > NEVER:
                    ages[feats[f, OUT], row] = (instant - newest) / 1e6


@numba.njit(cache=True, nogil=True)
def rebuild(old: Any, new: Any, dead_before: Any, window: Any) -> Any:
    """Move the living entries of one table of open rows to an empty one."""
    for at in range(old.shape[0]):
        if old[at, ENTRY_STATE] != EMPTY and old[at, ENTRY_TIME] + window >= dead_before:
            new[_entry(new, old[at, ENTRY_ID])] = old[at]


@numba.njit(cache=True, nogil=True)
def _place(slot_keys: Any, table: Any, key: Any) -> Any:
    """Where `key` stands in the table, or the empty place where it would."""
    mask = np.int64(len(table) - 1)
    at = np.int64(key) & mask
    while table[at] != 0 and slot_keys[table[at] - 1] != key:
        at = (at + 1) & mask
    return at


@numba.njit(cache=True, nogil=True)
def _slot(words: Any, slot_keys: Any, table: Any, meta: Any, accs: Any, key: Any) -> Any:
    """The key's slot; a new key gets the next one."""
    at = _place(slot_keys, table, key)
    if table[at] == 0:
        slot = meta[SLOTS]
        meta[SLOTS] = slot + 1
        slot_keys[slot] = key
        table[at] = slot + 1
        words[slot, SLOT_INSTANT] = NEVER
        for a in range(accs.shape[0]):
            if accs[a, FORM] != LAST:
                words[slot, accs[a, BASE] + HEAD] = NEVER
            words[slot, accs[a, BASE] + NEWEST] = NEVER
    return table[at] - 1


@numba.njit(cache=True, nogil=True)
def _advanced(words: Any, slot: Any, accs: Any, time: Any) -> Any:
    """The instant at which a row of `time` counts in this slot; a later one than before lets in what waited."""
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
def _answer(
    words: Any,
    reals: Any,
    slot: Any,
    accs: Any,
    feats: Any,
    params: Any,
    instant: Any,
    out: Any,
    place: Any,
) -> Any:
    for f in range(feats.shape[0]):
        if feats[f, AGG] == ORDINAL:
            out[feats[f, OUT], place] = slot
        else:
            out[feats[f, OUT], place] = _value(words, reals, slot, accs, feats, params, f, instant)


@numba.njit(cache=True, nogil=True)
def _value(
    words: Any, reals: Any, slot: Any, accs: Any, feats: Any, params: Any, f: Any, instant: Any
) -> Any:
    """One feature as at `instant`; what waits is in it if the slot's newest instant is earlier."""
    a = feats[f, ACC]
    agg = feats[f, AGG]
    if accs[a, FORM] == LAST:
        newest = _newest(words, slot, accs, a, instant)
        if newest == NEVER or (feats[f, AGE_MAX] > 0 and instant - newest > feats[f, AGE_MAX]):
            return params[f, DEFAULT]
        if agg == AGE:
            return (instant - newest) / 1e6
        waits = words[slot, accs[a, BASE] + WAIT_COUNT] != 0 and words[slot, SLOT_INSTANT] < instant
        return reals[slot, accs[a, BASE] + (WAIT_SUM if waits else LAST_VALUE)]
    count, total = _within(words, slot, accs, a, instant)
    if agg == COUNT or agg == OPENED:
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


@numba.njit(cache=True, nogil=True)
def _count(
    words: Any,
    reals: Any,
    slot: Any,
    meta: Any,
    applied: Any,
    opens: Any,
    accs: Any,
    row: Any,
    facts: Any,
    values: Any,
    wheres: Any,
) -> Any:
    """Put the row beside the rings in which it counts. A row whose value or condition is missing is no row."""
    fresh = facts[OFFSET, row] >= applied[slot]
    for a in range(accs.shape[0]):
        if accs[a, SOURCE] != facts[FROM, row]:
            continue
        where = np.uint8(1) if accs[a, WHERE] < 0 else wheres[accs[a, WHERE], row]
        share = (
            accs[a, FORM] == SUMS and accs[a, VALUE] < 0
        )  # of rows whose condition is known, those where it holds
        if where == 2 or (where == 0 and not share):
            continue
        value = np.float64(where) if accs[a, VALUE] < 0 else values[accs[a, VALUE], row]
        if np.isnan(value):
            continue
        if accs[a, FORM] == OPEN:
            if _opened(meta, opens, accs, a, slot, row, facts) and fresh:
                _wait_open(words, slot, accs, a, facts[TIME, row], 1)
        elif fresh:
            words[slot, SLOT_WAITS] = 1
            words[slot, accs[a, BASE] + WAIT_COUNT] += 1
            if accs[a, FORM] == SUMS:
                clipped = min(max(value, -CLIP), CLIP)
                words[slot, accs[a, BASE] + WAIT_SUM] += np.int64(np.floor(clipped * SCALE + 0.5))
            elif accs[a, FORM] == LAST:
                reals[slot, accs[a, BASE] + WAIT_SUM] = value


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
def _opened(meta: Any, opens: Any, accs: Any, a: Any, slot: Any, row: Any, facts: Any) -> Any:
    """Note an opening row; False if it is open already, or if its closing row came first (of the same instant)."""
    table = opens[accs[a, TABLE]]
    at = _entry(table, facts[ID, row])
    known = table[at, ENTRY_STATE]
    if known != EMPTY and table[at, ENTRY_TIME] + accs[a, WINDOW] < facts[WATERMARK, row]:
        known = EMPTY
        meta[ENTRIES + accs[a, TABLE]] -= 1
    if known == IS_CLOSED:
        _remove(table, at)
        meta[ENTRIES + accs[a, TABLE]] -= 1
    if known != EMPTY:
        return False
    _enter(meta, table, accs[a, TABLE], at, facts[ID, row], slot, facts[TIME, row], IS_OPEN)
    return True


@numba.njit(cache=True, nogil=True)
def _close(
    words: Any, meta: Any, applied: Any, dirty: Any, opens: Any, accs: Any, row: Any, facts: Any
) -> Any:
    """A row that joins an open one takes it off the tile in which that one counts, from its own instant on."""
    for a in range(accs.shape[0]):
        if accs[a, FORM] != OPEN or accs[a, CLOSER] != facts[FROM, row]:
            continue
        table = opens[accs[a, TABLE]]
        at = _entry(table, facts[JOINS, row])
        known = table[at, ENTRY_STATE]
        if known != EMPTY and table[at, ENTRY_TIME] + accs[a, WINDOW] < facts[WATERMARK, row]:
            known = EMPTY
            meta[ENTRIES + accs[a, TABLE]] -= 1
        if known == EMPTY:  # it may come yet, in the same instant
            _enter(
                meta, table, accs[a, TABLE], at, facts[JOINS, row], -1, facts[TIME, row], IS_CLOSED
            )
        elif known == IS_OPEN:
            slot = table[at, ENTRY_SLOT]
            opened = table[at, ENTRY_TIME]
            _remove(table, at)
            meta[ENTRIES + accs[a, TABLE]] -= 1
            if facts[OFFSET, row] >= applied[slot]:
                _advanced(words, slot, accs, facts[TIME, row])
                dirty[slot // meta[CHUNK]] = 1
                _wait_open(words, slot, accs, a, opened, -1)


@numba.njit(cache=True, nogil=True)
def _enter(
    meta: Any, table: Any, number: Any, at: Any, key: Any, slot: Any, time: Any, state: Any
) -> Any:
    table[at, ENTRY_ID] = key
    table[at, ENTRY_SLOT] = slot
    table[at, ENTRY_TIME] = time
    table[at, ENTRY_STATE] = state
    meta[ENTRIES + number] += 1


@numba.njit(cache=True, nogil=True)
def _entry(table: Any, key: Any) -> Any:
    """Where an id stands in a table of open rows, or the empty place where it would."""
    mask = table.shape[0] - 1
    at = key & mask  # the key is a hash already
    while table[at, ENTRY_STATE] != EMPTY and table[at, ENTRY_ID] != key:
        at = (at + 1) & mask
    return at


@numba.njit(cache=True, nogil=True)
def _remove(table: Any, hole: Any) -> Any:
    """Empty a place and move up those that had to pass it (linear probing without tombstones)."""
    mask = table.shape[0] - 1
    at = hole
    while True:
        at = (at + 1) & mask
        if table[at, ENTRY_STATE] == EMPTY:
            break
        if ((at - (table[at, ENTRY_ID] & mask)) & mask) >= ((at - hole) & mask):
            table[hole] = table[at]
            hole = at
    table[hole, ENTRY_STATE] = EMPTY
