"""Hashes of strings by the column, over Arrow's offsets and bytes, compiled once and cached.

`murmur2_rows` is Kafka's partitioner hash (org.apache.kafka.common.utils.Utils.murmur2), so that a
stock Java client and we send a key to the same partition. `hash64_rows` is XXH64 with seed 0, for
ids held in arrays.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_P1, _P2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
_P3, _P4, _P5 = (
    np.uint64(0x165667B19E3779F9),
    np.uint64(0x85EBCA77C2B2AE63),
    np.uint64(0x27D4EB2F165667C5),
)


@numba.njit(cache=True, nogil=True)
def murmur2_rows(offsets: Any, data: Any) -> Any:
    """`offsets` int32 [n + 1], `data` uint8 → int32 [n], as Java's signed ints."""
    hashes = np.empty(len(offsets) - 1, np.int32)
    for row in range(len(hashes)):
        hashes[row] = _murmur2(data, offsets[row], offsets[row + 1])
    return hashes


@numba.njit(cache=True, nogil=True)
def hash64_rows(offsets: Any, data: Any) -> Any:
    """`offsets` int32 [n + 1], `data` uint8 → uint64 [n]."""
    hashes = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(hashes)):
        hashes[row] = _xxh64(data, offsets[row], offsets[row + 1])
    return hashes


@numba.njit(cache=True, nogil=True)
def _murmur2(data: Any, start: Any, end: Any) -> Any:
    m = np.uint32(0x5BD1E995)
    length = end - start
    h = np.uint32(np.uint32(0x9747B28C) ^ np.uint32(length))
    at = start
    while at + 4 <= end:
        k = np.uint32(_little32(data, at))
        k = np.uint32(k * m)
        k = np.uint32(k ^ (k >> np.uint32(24)))
        h = np.uint32(np.uint32(h * m) ^ np.uint32(k * m))
        at += 4
    left = end - at
    if left > 2:
        h = np.uint32(h ^ (np.uint32(data[at + 2]) << np.uint32(16)))
    if left > 1:
        h = np.uint32(h ^ (np.uint32(data[at + 1]) << np.uint32(8)))
    if left > 0:
        h = np.uint32(np.uint32(h ^ np.uint32(data[at])) * m)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * m)
    h = np.uint32(h ^ (h >> np.uint32(15)))
    return np.int32(h)


@numba.njit(cache=True, nogil=True)
def _xxh64(data: Any, start: Any, end: Any) -> Any:
    at = start
    if end - start >= 32:
        a, b, c, d = _P1 + _P2, _P2, np.uint64(0), np.uint64(0) - _P1
        while at + 32 <= end:
            a = _round(a, _little64(data, at))
            b = _round(b, _little64(data, at + 8))
            c = _round(c, _little64(data, at + 16))
            d = _round(d, _little64(data, at + 24))
            at += 32
        h = _rotated(a, 1) + _rotated(b, 7) + _rotated(c, 12) + _rotated(d, 18)
        h = _merged(_merged(_merged(_merged(h, a), b), c), d)
    else:
        h = _P5
    return _finished(h + np.uint64(end - start), data, at, end)


@numba.njit(cache=True, nogil=True)
def _finished(h: Any, data: Any, at: Any, end: Any) -> Any:
    while at + 8 <= end:
        h = _rotated(h ^ _round(np.uint64(0), _little64(data, at)), 27) * _P1 + _P4
        at += 8
    if at + 4 <= end:
        h = _rotated(h ^ (np.uint64(_little32(data, at)) * _P1), 23) * _P2 + _P3
        at += 4
    while at < end:
        h = _rotated(h ^ (np.uint64(data[at]) * _P5), 11) * _P1
        at += 1
    h = (h ^ (h >> np.uint64(33))) * _P2
    h = (h ^ (h >> np.uint64(29))) * _P3
    return h ^ (h >> np.uint64(32))


@numba.njit(cache=True, nogil=True)
def _round(lane: Any, word: Any) -> Any:
    return _rotated(lane + word * _P2, 31) * _P1


@numba.njit(cache=True, nogil=True)
def _merged(h: Any, lane: Any) -> Any:
    return (h ^ _round(np.uint64(0), lane)) * _P1 + _P4


@numba.njit(cache=True, nogil=True)
def _rotated(word: Any, bits: Any) -> Any:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@numba.njit(cache=True, nogil=True)
def _little32(data: Any, at: Any) -> Any:
    return (
        np.uint32(data[at])
        | (np.uint32(data[at + 1]) << np.uint32(8))
        | (np.uint32(data[at + 2]) << np.uint32(16))
        | (np.uint32(data[at + 3]) << np.uint32(24))
    )


@numba.njit(cache=True, nogil=True)
def _little64(data: Any, at: Any) -> Any:
    return np.uint64(_little32(data, at)) | (np.uint64(_little32(data, at + 4)) << np.uint64(32))
