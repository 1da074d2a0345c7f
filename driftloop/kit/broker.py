"""What a broker is to us: the few verbs that the loop, the registry and readers need, for the fake
and the real alike.

`MemoryBroker` (kit.memory) and `KafkaBroker` (kit.kafka) obey one suite of laws,
tests/contract/test_broker_laws.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from driftloop.kit.topic import Emit

Partition = tuple[str, int]  # topic, partition


@dataclass(frozen=True, slots=True)
class Record:
    """Bytes as a broker gave them. `timestamp_ms` is append time on our topics."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Position:
    """A committed offset (None: never committed) and the note that was committed with it."""

    offset: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to be made. `config` holds Kafka's own property names."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who reads what, as whom; see `writer` for `transactional_id`.

    `topics` are shared out by the group (range, so equal partition counts go together). `attached`
    are topics whose partitions, all of them, are held by whoever owns partition 0 of the first
    topic: the lease of ingestion. `start` says where a partition without a commit begins:
    "earliest" or "latest", by topic.
    """

    group: str
    topics: Sequence[str]
    transactional_id: str
    attached: Sequence[str] = ()
    start: Mapping[str, str] = field(default_factory=dict)


def writer(subscription: Subscription, held: Sequence[Partition]) -> str | None:
    """The transactional id of who holds these partitions; None: whoever holds none writes nothing.

    It names the first of them, which the group gives to one member at a time, whatever members
    call themselves. So who takes a partition over makes a producer of the id that its last owner
    wrote by: that ends the open transaction of the one, and fences it where it hasn't heard yet.
    """
    first = [(subscription.topics.index(t), n) for t, n in held if t in subscription.topics]
    if not first:
        return None
    topic, number = min(first)
    kind = f"{subscription.topics[topic]}-" if topic else ""
    return f"{subscription.transactional_id}-{kind}{number}"


class Session(Protocol):
    """One member of one group with its own transactional producer. Reads are read_committed."""

    def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        """Wait for one record at most `timeout_s`, then drain what is there. Calls the rebalance
        hooks; a poll that does so brings no records."""

    def positions(self) -> Mapping[Partition, Position]:
        """Committed offsets of all assigned partitions; waits until every open transaction of a
        former owner is decided."""

    def commit(self, emits: Sequence[Emit], offsets: Mapping[Partition, Position]) -> None:
        """Outputs and offsets in one transaction. Unavailable: aborted, nothing happened. Fenced:
        give up."""

    def seek(self, partition: Partition, offset: int) -> None: ...
    def pause(self, partitions: Sequence[Partition]) -> None: ...
    def resume(self, partitions: Sequence[Partition]) -> None: ...
    def lag(self) -> int:
        """Records behind the end, over the assigned partitions, from what librdkafka already
        knows."""

    def unread(self, topic: str, partition: int) -> int:
        """The same of one assigned partition: 0 if it is read to its end, as far as is known
        without asking."""

    def standing(self, partition: Partition) -> int:
        """The committed offset of an assigned partition, or where it starts if it never was
        committed."""

    def close(self) -> None: ...


class Broker(Protocol):
    """The door to the log."""

    def session(
        self,
        subscription: Subscription,
        *,
        on_assigned: Callable[[Sequence[Partition]], None],
        on_revoked: Callable[[Sequence[Partition]], None],
    ) -> Session: ...

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """Committed records of [start, end), in order; ends when `end` is reached, gaps (markers,
        aborted) and all."""

    def tail(
        self, topic: str, partition: int, start: int, wait_s: float
    ) -> Iterator[Sequence[Record]]:
        """Committed records from `start` on, without end; an empty batch when none came within
        `wait_s`."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """(first offset that is kept, end: one past the last, open transactions included)."""

    def offset_at(self, topic: str, partition: int, at_ms: int) -> int:
        """The first offset appended at `at_ms` or later; the end where there is none."""

    def partitions(self, topic: str) -> int | None:
        """How many; None: no such topic."""

    def topics(self) -> Sequence[str]: ...

    def create(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        """Make those that are missing; gives back their names. A topic that differs is left as it
        is (see `differences`)."""

    def differences(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        """A sentence for each property in which a topic on the broker differs from its spec."""

    def append(self, emits: Sequence[Emit]) -> None:
        """Send without a transaction and wait for the acknowledgement: pulses, clients, tests."""

    def close(self) -> None: ...


def differing(spec: TopicSpec, partitions: int | None, config: Mapping[str, str]) -> list[str]:
    """A sentence for each property that is not as declared; one if the topic is missing."""
    if partitions is None:
        return [f"{spec.name}: missing"]
    counted = [f"{spec.name}: partitions is {partitions}, declared {spec.partitions}"]
    return (counted if partitions != spec.partitions else []) + [
        f"{spec.name}: {key} is {config.get(key, 'unset')}, declared {value}"
        for key, value in spec.config.items()
        if config.get(key) != value
    ]
