"""What a service gives to the loop: a task that decides. Nothing here does I/O by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from driftloop.kit.broker import Partition, Position, Record
from driftloop.kit.topic import Emit
from driftloop.kit.trace import Span


@dataclass(frozen=True, slots=True)
class Moment:
    """Wall time as the loop saw it before the batch."""

    ms: int


@dataclass(frozen=True, slots=True)
class Decision:
    """All that a batch, or a tick, wants to happen: it happens whole or not at all.

    `offsets` overrides, by partition, the next offset to commit (default: one past the last record
    handled), for a task that holds records back. `notes` is committed beside the offsets (at most
    4,000 bytes a partition). `spans` speak of it, and are sent once it is committed.
    """

    emits: Sequence[Emit] = ()
    offsets: Mapping[Partition, int] = field(default_factory=dict)
    notes: Mapping[Partition, str] = field(default_factory=dict)
    rows_in: int = 0
    rows_out: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    latency_ms: Sequence[float] = ()  # source append -> now, of a few rows of the batch
    watermark_us: int = 0
    spans: Sequence[Span] = ()


NOTHING = Decision()


def nothing_unread(_topic: str, _partition: int) -> int:
    """As if all were read; a session knows better, and answers without asking the broker."""
    return 0


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a task holds from now on, and a way to read it back up to what is committed."""

    partitions: Sequence[Partition]
    positions: Mapping[Partition, Position]
    read: Callable[
        [str, int, int, int], Iterator[Record]
    ]  # topic, partition, start, end: committed records
    bounds: Callable[[str, int], tuple[int, int]]  # topic, partition -> first kept, end
    unread: Callable[[str, int], int] = (
        nothing_unread  # topic, partition -> records behind the end, if known
    )


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a task holds: what waits inside it by queue, and what it remembers. None: it has no such
    thing."""

    queues: Mapping[str, int] = field(default_factory=dict)
    rows: int | None = None
    bytes: int | None = None

    def emptied(self) -> Sizes:
        """The same, when all of it has gone."""
        return Sizes(dict.fromkeys(self.queues, 0), self.rows and 0, self.bytes and 0)


NO_SIZES = Sizes()


@runtime_checkable
class Sized(Protocol):
    """A task that can tell how much it holds; asked about twice a second, so it must be cheap."""

    def sizes(self) -> Sizes: ...


class Task(Protocol):
    """One loop's decisions. A new one is made for each assignment and after each abort, and
    restored before it handles."""

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        """Bring state to what the committed offsets say. Gives back partitions to be read from
        elsewhere than there."""

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        """A batch in log order by partition. Malformed stops the loop (ingestion never lets it
        out)."""

    def tick(self, now: Moment) -> Decision:
        """Called at least every `tick_s` when idle and about as often under load: heartbeats,
        finished children."""

    def committed(self, now: Moment) -> None:
        """The last decision is now a fact: start children, swap models."""

    def close(self) -> None:
        """The partitions are gone: end children, drop sessions."""


class Ended(Protocol):
    """What came of long work: see kit.child.Finished."""

    @property
    def result(self) -> dict[str, Any] | None: ...
    @property
    def error(self) -> str: ...


class Work(Protocol):
    """Long work that a task looks after: see kit.child.Child."""

    def poll(self) -> Ended | None:
        """None: it goes on."""

    def cancel(self) -> None: ...
