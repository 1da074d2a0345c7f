"""Which row comes first: source partitions are merged by event time as far as can be known now.

A partition with unread records holds the others back, for its next one may be older; one that is
read to its end holds them until `ready_ms` of each row (its append time + idle); one whose stream
has ended holds none. Ties are broken by topic, partition, offset. So rows that are there when they
are read come in one order, however they are cut into batches.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from services.ingestion.domain.row import Place, Row

NOTHING_BEFORE = (-(2**63), -1, -1, -1)  # an empty partition that is waited for: no row may pass
EVERYTHING = (2**63, 0, 0, 0)
HELD_MAX = 200_000  # rows, some 200 MB: then they go in order of arrival
# after a start a partition may not have been asked yet; until then its end at the start counts
START_MS = 1_000


class Merge:
    """Rows that wait, in order, and what each partition is known to hold."""

    def __init__(
        self, ends: dict[Place, int], positions: dict[Place, int], *, stall_ms: int
    ) -> None:
        """`ends` and `positions`: by partition, the end of its log at the start and where reading
        begins.
        """
        self.positions = positions
        self.marks: dict[
            Place, tuple[int, int]
        ] = {}  # of ended partitions: offset of the mark, its watermark
        self._ends, self._stall_ms = ends, stall_ms
        self._held: list[Row] = []
        self._waiting: dict[Place, list[Row]] = {
            place: [] for place in positions
        }  # in offset order
        self._silent_ms: dict[
            Place, int
        ] = {}  # since when a partition with unread records has given none
        self._until_ms: int | None = None

    def last_key(self, place: Place) -> int:
        """The key of the newest row that waits in a partition; no row behind it may have a smaller
        one.
        """
        waiting = self._waiting[place]
        return waiting[-1].key_us if waiting else NOTHING_BEFORE[0]

    def add(self, place: Place, rows: Sequence[Row]) -> None:
        """Rows of one partition, in its order. A mark of its end that lies before them is void."""
        self._waiting[place] += rows
        self._held += rows
        self.marks.pop(place, None)
        self._silent_ms.pop(place, None)
        self.positions[place] = rows[-1].offset + 1

    def mark(self, place: Place, offset: int, watermark_us: int) -> None:
        """The stream says that this partition has ended."""
        self.marks[place] = (offset, watermark_us)
        self.positions[place] = offset + 1

    def __len__(self) -> int:
        return len(self._held)

    def release(self, now_ms: int, unread: Callable[[Place], int]) -> list[Row]:
        """The rows whose place in the order is certain, or waited for long enough."""
        if not self._held:
            return []
        self._held.sort()
        held = self._held
        strict, soft = self._limits(now_ms, unread)
        end = bisect_right(held, strict)
        count = min(end, bisect_right(held, soft))
        while count < end and held[count].ready_ms <= now_ms:
            count += 1
        released, self._held = held[:count], held[count:]
        self._forget(released)
        return released

    def ended(self, unread: Callable[[Place], int]) -> int | None:
        """The stream's last watermark, once all is read to the marks and nothing waits."""
        if (
            self._held
            or len(self.marks) < len(self.positions)
            or any(unread(place) for place in self.positions)
        ):
            return None
        last_us = min((watermark_us for _, watermark_us in self.marks.values()), default=None)
        self.marks = {}
        return last_us

    def next_offset(self, place: Place) -> int:
        """The first offset of a partition whose record has not had its effect yet."""
        waiting = self._waiting[place]
        if waiting:
            return waiting[0].offset
        return self.marks[place][0] if place in self.marks else self.positions[place]

    def _limits(
        self, now_ms: int, unread: Callable[[Place], int]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The last row that may pass while there is more to read, and while a partition at its end
        may still speak.
        """
        strict: tuple[int, ...] = EVERYTHING
        soft: tuple[int, ...] = EVERYTHING
        more = {
            place
            for place in self._waiting
            if place not in self.marks and self._has_more(place, now_ms, unread)
        }
        if any(self._waiting[place] for place in more):
            self._silent_ms.clear()  # others are being read meanwhile: their turn may come yet
        for place, waiting in self._waiting.items():
            if place in self.marks:
                continue
            last: tuple[int, ...] = waiting[-1][:4] if waiting else NOTHING_BEFORE
            if place in more and (waiting or not self._stalled(place, now_ms)):
                strict = min(strict, last)
            else:
                soft = min(soft, last)
        # A limit is a prefix of its row's tuple, so smaller than it: one more offset lets the row
        # itself pass.
        return (*strict[:3], strict[3] + 1), (*soft[:3], soft[3] + 1)

    def _has_more(self, place: Place, now_ms: int, unread: Callable[[Place], int]) -> bool:
        if self._until_ms is None:
            self._until_ms = now_ms + START_MS
        unasked = now_ms < self._until_ms and self.positions[place] < self._ends.get(place, 0)
        if unasked or unread(place):
            return True
        self._silent_ms.pop(place, None)
        return False

    def _stalled(self, place: Place, now_ms: int) -> bool:
        """It has records and gives none, though nothing else is being read; or too much waits for
        it.
        """
        silent_ms = now_ms - self._silent_ms.setdefault(place, now_ms)
        return len(self._held) >= HELD_MAX or silent_ms >= self._stall_ms

    def _forget(self, released: Sequence[Row]) -> None:
        counts: dict[Place, int] = {}
        for row in released:
            place = row[1:3]
            counts[place] = counts.get(place, 0) + 1
        for place, count in counts.items():
            del self._waiting[place][:count]
