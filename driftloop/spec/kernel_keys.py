"""Keys of entities from the bits of their components, and the slot of each key.

Slots are numbered by first appearance in the log. Apart from `kernel`, and calling nothing there.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def combine(
    bits: Any, known: Any, parts: Any, uses: Any, sources: Any, places: Any, keys: Any, touches: Any
) -> Any:  # fmt: skip
    """Keys [kinds, rows] of entities from their components' `bits` [components, rows]; and who
    touches what.

    A row touches an entity if all components are known and its source counts there (`uses`), or if
    it is asked about (its place is not negative). Two keys are taken for one if 64 bits collide: 3
    in 10^8 for a million keys.
    """
    for kind in range(parts.shape[0]):
        for row in range(len(sources)):
            key = np.uint64(0x9E3779B97F4A7C15)
            whole = uses[kind, sources[row]] != 0 or places[row] >= 0
            for at in range(parts.shape[1]):
                part = parts[kind, at]
                if part >= 0 and whole:
                    whole = known[part, row] != 0
                    key = _mixed(key ^ bits[part, row])
            keys[kind, row] = key
            touches[kind, row] = 1 if whole else 0


@numba.njit(cache=True, nogil=True)
def take(slot_keys: Any, table: Any, used: Any, keys: Any, touches: Any, slots: Any) -> Any:
    """`slots` [rows] of rows that touch (others: -2); a new key gets the next one. Gives back how
    many are used. The caller has made room for a new slot for each row."""
    for row in range(len(keys)):
        slots[row] = -2
        if touches[row] != 0:
            at = _place(slot_keys, table, keys[row])
            if table[at] == 0:
                slot_keys[used] = keys[row]
                used += 1
                table[at] = used
            slots[row] = table[at] - 1
    return used


@numba.njit(cache=True, nogil=True)
def find(slot_keys: Any, table: Any, keys: Any, known: Any, slots: Any) -> Any:
    """The same without new ones: -1 for a key that was never seen, -2 for none."""
    for row in range(len(keys)):
        slots[row] = -2
        if known[row] != 0:
            slots[row] = table[_place(slot_keys, table, keys[row])] - 1


@numba.njit(cache=True, nogil=True)
def index(slot_keys: Any, table: Any, used: Any) -> Any:
    """Fill an empty `table` with the first `used` keys."""
    for slot in range(used):
        table[_place(slot_keys, table, slot_keys[slot])] = slot + 1


@numba.njit(cache=True, nogil=True)
def _place(slot_keys: Any, table: Any, key: Any) -> Any:
    """Where `key` stands in the table (as slot + 1), or the empty place (0) where it would."""
    mask = np.int64(len(table) - 1)
    at = np.int64(key) & mask
    while table[at] != 0 and slot_keys[table[at] - 1] != key:
        at = (at + 1) & mask
    return at


@numba.njit(cache=True, nogil=True)
def _mixed(word: Any) -> Any:
    """Murmur3's finalizer: every bit of a key bears on every other."""
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return word ^ (word >> np.uint64(33))
