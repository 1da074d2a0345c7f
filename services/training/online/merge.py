"""The rows of N partitions in the one order that every replay sees: by (sequence, partition,
offset).

Sequences never fall within a partition, so what comes next in one stands behind what was seen of
it: a row may go once it stands before all that can still come. Nothing here knows of Kafka.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class At:
    """Where one partition stands: the first offset that was not given yet, and the highest sequence
    that was seen before it.
    """

    next: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[B]):
    sequence: int
    batch: B | None  # None: a heartbeat, which only brings the sequence on


class Merge(Generic[B]):
    """Takes envelopes by partition and gives them back in order."""

    def __init__(self, partitions: int, begin: Mapping[int, At] | None = None) -> None:
        begin = begin or {}
        self._seen = {number: begin.get(number, At()).sequence for number in range(partitions)}
        self._waiting: dict[int, deque[_Waiting[B]]] = {n: deque() for n in range(partitions)}

    def add(self, partition: int, sequence: int, batch: B | None) -> None:
        """An envelope in the order of its partition."""
        highest = max(sequence, self._seen[partition])
        self._seen[partition] = highest
        self._waiting[partition].append(_Waiting(highest, batch))

    def ready(self) -> Iterator[tuple[int, B]]:
        """(sequence, batch) of all that nothing can come before any more, in order."""
        while True:
            first = min(self._heads(), default=None)
            if first is None or first[2] is None:
                return
            waiting = self._waiting[first[1]].popleft()
            if waiting.batch is not None:
                yield waiting.sequence, waiting.batch

    def waiting(self) -> int:
        """Envelopes that wait for other partitions."""
        return sum(map(len, self._waiting.values()))

    def _heads(self) -> Iterator[tuple[int, int, bool | None]]:
        """(sequence, partition, is it there): of each partition what is next, or the least that can
        still come.
        """
        for partition, waiting in self._waiting.items():
            if waiting:
                yield waiting[0].sequence, partition, True
            else:
                yield self._seen[partition], partition, None
