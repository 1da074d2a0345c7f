"""The arrays in which the kernel keeps one entity kind: they grow before a batch, are frozen for a checkpoint, come back.

Slots are numbered by first appearance and written in chunks of neighbours, each with the offset that it reflects. The
tables of open rows are one piece: they are frozen whole, so that a replay from the round's start finds in them what
stood there, whatever newer chunks say of the slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from driftloop.spec import kernel
from driftloop.spec.kernel_keys import index

A = TypeVar("A", bound=np.generic)
CHUNK_BYTES = 65_536  # a quarter of the bytes that one transaction may carry for checkpoints
SLOTS_FIRST, ENTRIES_FIRST = 1_024, 1_024  # powers of two; doubled when half full
OPEN_ENTRY_BYTES = 40  # table's number and the four words of an entry


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring slots of an entity kind, or (`number` below 0) a piece of its open rows, as bytes."""

    kind: str
    number: int
    data: bytes


class KindState:
    """State of one entity kind. Only `kernel` writes to the arrays."""

    def __init__(self, name: str, words: int, tables: int) -> None:
        self.name = name
        self.words: NDArray[np.int64] = np.zeros((SLOTS_FIRST, words), np.int64)
        self.slot_keys: NDArray[np.uint64] = np.zeros(SLOTS_FIRST, np.uint64)
        self.table: NDArray[np.int64] = np.zeros(2 * SLOTS_FIRST, np.int64)
        self.applied: NDArray[np.int64] = np.zeros(SLOTS_FIRST, np.int64)
        self.opens: NDArray[np.int64] = np.zeros(
            (tables, ENTRIES_FIRST if tables else 1, 4), np.int64
        )
        self.meta: NDArray[np.int64] = np.zeros(kernel.ENTRIES + tables, np.int64)
        self.meta[kernel.CHUNK] = max(1, CHUNK_BYTES // ((words + 1) * 8))
        self.dirty: NDArray[np.uint8] = np.zeros(SLOTS_FIRST, np.uint8)

    @property
    def slots(self) -> int:
        return int(self.meta[kernel.SLOTS])

    @property
    def bytes_held(self) -> int:
        return int(self.slots * (self.words.shape[1] + 4) * 8 + self.opens.nbytes)

    def slot_of(self, key: np.uint64) -> int:
        """The slot of a key, -1 if it was never seen."""
        mask = len(self.table) - 1
        at = int(key) & mask
        while self.table[at] and self.slot_keys[self.table[at] - 1] != key:
            at = (at + 1) & mask
        return int(self.table[at]) - 1

    def make_room(self, facts: NDArray[np.int64], accs: NDArray[np.int64]) -> None:
        """Room for a new slot and a new open row for each of these rows."""
        rows = facts.shape[1]
        if self.slots + rows > len(self.slot_keys):
            self._grow(self.slots + rows)
        entries = int(self.meta[kernel.ENTRIES :].max(initial=0)) + rows
        if self.opens.shape[0] and 2 * entries > self.opens.shape[1]:
            self._sweep(facts, accs, rows)

    def freeze(self) -> list[Chunk]:
        """Copies of the chunks touched since the last time and of all open rows, as of now."""
        rows = int(self.meta[kernel.CHUNK])
        touched = [int(n) for n in np.flatnonzero(self.dirty) if n * rows < self.slots]
        self.dirty[:] = 0
        return [
            Chunk(self.name, n, self._packed(n * rows, min(self.slots, (n + 1) * rows)))
            for n in touched
        ] + self._open_pieces()

    def load(self, chunk: Chunk, offset: int) -> None:
        """Put a frozen chunk back; its slots hold what stood before `offset` in the input."""
        if chunk.number < 0:
            self._load_open(chunk.data)
            return
        width = self.words.shape[1] + 1
        packed = np.frombuffer(chunk.data, np.int64).reshape(-1, width)
        first = chunk.number * int(self.meta[kernel.CHUNK])
        end = first + len(packed)
        if end > len(self.slot_keys):
            self._grow(end)
        self.slot_keys[first:end] = packed[:, 0].view(np.uint64)
        self.words[first:end] = packed[:, 1:]
        self.applied[first:end] = offset
        self.meta[kernel.SLOTS] = max(self.slots, end)

    def loaded(self) -> None:
        """All chunks are back: make the index of keys."""
        self.table[:] = 0
        index(self.slot_keys, self.table, self.slots)

    def _packed(self, first: int, end: int) -> bytes:
        keys = self.slot_keys[first:end].view(np.int64)[:, None]
        return np.hstack([keys, self.words[first:end]]).tobytes()

    def _open_pieces(self) -> list[Chunk]:
        pieces: list[Chunk] = []
        rows = CHUNK_BYTES // OPEN_ENTRY_BYTES
        for number in range(self.opens.shape[0]):
            entries = self.opens[number][self.opens[number][:, kernel.ENTRY_STATE] != kernel.EMPTY]
            for start in range(0, len(entries), rows):
                piece = entries[start : start + rows]
                packed = np.hstack([np.full((len(piece), 1), number, np.int64), piece])
                pieces.append(Chunk(self.name, -1 - len(pieces), packed.tobytes()))
        return pieces

    def _load_open(self, data: bytes) -> None:
        packed = np.frombuffer(data, np.int64).reshape(-1, 5)
        most = int(self.meta[kernel.ENTRIES :].max(initial=0)) + len(packed)
        if 2 * most > self.opens.shape[1]:
            self._resize_opens(
                most,
                np.full(self.opens.shape[0], -(2**62)),
                np.zeros(self.opens.shape[0], np.int64),
            )
        for number in np.unique(packed[:, 0]):
            entries = np.ascontiguousarray(packed[packed[:, 0] == number][:, 1:])
            kernel.rebuild(entries, self.opens[number], -(2**62), 0)
            self.meta[kernel.ENTRIES + number] += len(entries)

    def _grow(self, slots: int) -> None:
        size = 1 << (slots - 1).bit_length()
        self.words, self.slot_keys = _grown(self.words, size), _grown(self.slot_keys, size)
        self.applied, self.dirty = _grown(self.applied, size), _grown(self.dirty, size)
        self.table = np.zeros(2 * size, np.int64)
        index(self.slot_keys, self.table, self.slots)

    def _sweep(self, facts: NDArray[np.int64], accs: NDArray[np.int64], rows: int) -> None:
        """Drop entries that no row from here on can meet alive, by the watermark; what is left decides the size."""
        windows = accs[accs[:, kernel.FORM] == kernel.OPEN][:, kernel.WINDOW]
        watermark = np.full(len(windows), facts[kernel.WATERMARK, 0])
        alive = [
            int(
                np.sum(
                    (t[:, kernel.ENTRY_STATE] != kernel.EMPTY) & (t[:, kernel.ENTRY_TIME] + w >= m)
                )
            )
            for t, w, m in zip(self.opens, windows, watermark, strict=True)
        ]
        self._resize_opens(max(alive) + rows, watermark, windows)

    def _resize_opens(
        self, entries: int, dead_before: NDArray[np.int64], windows: NDArray[np.int64]
    ) -> None:
        size = max(ENTRIES_FIRST, 1 << (4 * entries - 1).bit_length())
        fresh = np.zeros((self.opens.shape[0], size, 4), np.int64)
        for number in range(self.opens.shape[0]):
            kernel.rebuild(self.opens[number], fresh[number], dead_before[number], windows[number])
            self.meta[kernel.ENTRIES + number] = np.sum(
                fresh[number][:, kernel.ENTRY_STATE] != kernel.EMPTY
            )
        self.opens = fresh


def _grown(array: NDArray[A], size: int) -> NDArray[A]:
    bigger = np.zeros((size, *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    return bigger
