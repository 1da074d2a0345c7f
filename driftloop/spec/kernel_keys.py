"""Keys of entities from the bits of their components, and the index that finds a key's slot.

Apart from `kernel`, and calling nothing there: numba's cache sees a change of a function's own file alone.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def combine(
    bits: Any, known: Any, parts: Any, uses: Any, sources: Any, places: Any, keys: Any, touches: Any
) -> Any:
    """Keys [kinds, rows] of entities from their components' `bits` [components, rows]; and who touches what.

    A row touches an entity if all components are known and its source counts there (`uses`), or if it is asked about
    (its place is not negative). Two keys are taken for one if 64 bits collide: 3 in 10^8 for a million keys.
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
def index(slot_keys: Any, table: Any, slots: Any) -> Any:
    """Fill an empty `table` with the first `slots` keys: linear probing, slot + 1, as `kernel` looks them up."""
    mask = np.int64(len(table) - 1)
    for slot in range(slots):
        at = np.int64(slot_keys[slot]) & mask
        while table[at] != 0:
            at = (at + 1) & mask
        table[at] = slot + 1


@numba.njit(cache=True, nogil=True)
def _mixed(word: Any) -> Any:
    """Murmur3's finalizer: every bit of a key bears on every other."""
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return word ^ (word >> np.uint64(33))
