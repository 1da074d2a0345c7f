"""The arrays in which the kernels keep one entity kind: they grow, are frozen, and come back.

Slots are numbered by first appearance and written in chunks of neighbours, each with the offset
that it reflects. The tables of open rows are one piece: they are frozen whole, so that a replay
from the round's start finds in them what stood there, whatever newer chunks say of the slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from driftloop.spec import kernel_keys, kernel_open

A = TypeVar("A", bound=np.generic)
Ints = NDArray[np.int64]
CHUNK_BYTES = 65_536  # a quarter of the bytes that one transaction may carry for checkpoints
SLOTS_FIRST, ENTRIES_FIRST = 1_024, 1_024  # powers of two; doubled when half full
OPEN_ENTRY_BYTES = 40  # table's number and the four words of an entry
EVER = -(2**62)  # before all watermarks


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring slots of an entity kind, or (`number` below 0) a piece of its open rows, as
    bytes: int64, slots as key and words, open rows as table and entry."""

    kind: str
    number: int
    data: bytes


class KindState:
    """State of one entity kind. `blank` are the words of a new slot, `pairs` its tables of open
    rows as in `kernel_open`."""

    def __init__(self, name: str, blank: Ints, pairs: Ints) -> None:
        self.name = name
        self.slots = 0
        self.chunk_slots = max(1, CHUNK_BYTES // ((len(blank) + 1) * 8))
        self.words: Ints = np.zeros((SLOTS_FIRST, len(blank)), np.int64)
        self.applied: Ints = np.zeros(SLOTS_FIRST, np.int64)
        self.dirty: NDArray[np.uint8] = np.zeros(SLOTS_FIRST, np.uint8)
        self.opens: Ints = np.zeros((len(pairs), ENTRIES_FIRST, 4), np.int64)
        self.entries: Ints = np.zeros(len(pairs), np.int64)
        self._blank, self._windows = blank, pairs[:, kernel_open.WINDOW]
        self._keys: NDArray[np.uint64] = np.zeros(SLOTS_FIRST, np.uint64)
        self._table: Ints = np.zeros(2 * SLOTS_FIRST, np.int64)

    @property
    def bytes_held(self) -> int:
        return int(self.slots * (self.words.shape[1] + 4) * 8 + self.opens.nbytes)

    def take(self, keys: NDArray[np.uint64], touches: NDArray[np.uint8]) -> Ints:
        """The slot of each row that touches, new ones included; below 0 for the others."""
        if self.slots + len(keys) > len(self._keys):
            self._grow(self.slots + len(keys))
        slots, known = np.empty(len(keys), np.int64), self.slots
        self.slots = kernel_keys.take(self._keys, self._table, known, keys, touches, slots)
        if self.slots > known:
            self.words[known : self.slots] = self._blank
        return slots

    def find(self, keys: NDArray[np.uint64], known: NDArray[np.uint8]) -> Ints:
        """The slot of each key, `kernel.UNSEEN` or `kernel.NO_KEY`."""
        slots = np.empty(len(keys), np.int64)
        kernel_keys.find(self._keys, self._table, keys, known, slots)
        return slots

    def make_room_for_open(self, rows: int, watermark_us: Ints) -> None:
        """Room for an entry a row. Where it is short, entries go that no row from `watermark_us` on
        can meet alive; what is left decides the size."""
        most = int(self.entries.max()) + rows
        if 2 * most > self.opens.shape[1]:
            dead_before = watermark_us - self._windows
            alive = (self.opens[:, :, kernel_open.STATE] != kernel_open.EMPTY) & (
                self.opens[:, :, kernel_open.TIME] >= dead_before[:, None]
            )
            self._resize_opens(int(alive.sum(axis=1).max()) + rows, dead_before)

    def freeze(self) -> list[Chunk]:
        """Copies of the chunks touched since the last time and of all open rows, as of now."""
        rows = self.chunk_slots
        touched = [int(n) for n in np.flatnonzero(self.dirty) if n * rows < self.slots]
        self.dirty[:] = 0
        chunks = [
            Chunk(self.name, n, self._packed(n * rows, min(self.slots, (n + 1) * rows)))
            for n in touched
        ]
        return chunks + self._open_pieces()

    def load(self, chunk: Chunk, offset: int) -> None:
        """Put a frozen chunk back; its slots hold what stood before `offset` in the input. Call
        `loaded` after the last."""
        if chunk.number < 0:
            self._load_open(chunk.data)
            return
        packed = np.frombuffer(chunk.data, np.int64).reshape(-1, self.words.shape[1] + 1)
        first = chunk.number * self.chunk_slots
        end = first + len(packed)
        if end > len(self._keys):
            self._grow(end)
        self._keys[first:end] = packed[:, 0].view(np.uint64)
        self.words[first:end] = packed[:, 1:]
        self.applied[first:end] = offset
        self.slots = max(self.slots, end)

    def loaded(self) -> None:
        """All chunks are back: make the index of keys."""
        self._table[:] = 0
        kernel_keys.index(self._keys, self._table, self.slots)

    def _packed(self, first: int, end: int) -> bytes:
        keys = self._keys[first:end].view(np.int64)[:, None]
        return np.hstack([keys, self.words[first:end]]).tobytes()

    def _open_pieces(self) -> list[Chunk]:
        pieces: list[Chunk] = []
        rows = CHUNK_BYTES // OPEN_ENTRY_BYTES
        for number, table in enumerate(self.opens):
            entries = table[table[:, kernel_open.STATE] != kernel_open.EMPTY]
            for start in range(0, len(entries), rows):
                piece = entries[start : start + rows]
                packed = np.hstack([np.full((len(piece), 1), number, np.int64), piece])
                pieces.append(Chunk(self.name, -1 - len(pieces), packed.tobytes()))
        return pieces

    def _load_open(self, data: bytes) -> None:
        packed = np.frombuffer(data, np.int64).reshape(-1, 5)
        most = int(self.entries.max()) + len(packed)
        if 2 * most > self.opens.shape[1]:
            self._resize_opens(most, np.full(len(self.opens), EVER))
        for number in np.unique(packed[:, 0]):
            entries = np.ascontiguousarray(packed[packed[:, 0] == number][:, 1:])
            self.entries[number] += kernel_open.rebuild(entries, self.opens[number], EVER)

    def _grow(self, slots: int) -> None:
        size = 1 << (slots - 1).bit_length()
        self.words, self._keys = _grown(self.words, size), _grown(self._keys, size)
        self.applied, self.dirty = _grown(self.applied, size), _grown(self.dirty, size)
        self._table = np.zeros(2 * size, np.int64)
        kernel_keys.index(self._keys, self._table, self.slots)

    def _resize_opens(self, entries: int, dead_before: Ints) -> None:
        size = max(ENTRIES_FIRST, 1 << (4 * entries - 1).bit_length())
        fresh = np.zeros((len(self.opens), size, 4), np.int64)
        for number, table in enumerate(self.opens):
            self.entries[number] = kernel_open.rebuild(table, fresh[number], dead_before[number])
        self.opens = fresh


def _grown(array: NDArray[A], size: int) -> NDArray[A]:
    bigger = np.zeros((size, *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    return bigger
