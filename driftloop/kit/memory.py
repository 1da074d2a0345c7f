"""MemoryBroker: the same broker in a dictionary, in the open, for tests and for reading.

It obeys the laws of tests/contract/test_broker_laws.py as KafkaBroker does. Transactions leave
their markers and aborted records in the log, so that offsets have the same holes. One lock guards
all; nothing is on disk. What it does not do: retention, compaction, and transactions that stay
open.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from driftloop.kit.broker import (
    Partition,
    Position,
    Record,
    Subscription,
    TopicSpec,
    differing,
    writer,
)
from driftloop.kit.clock import Clock, SystemClock
from driftloop.kit.errors import Fenced, Malformed, Unavailable
from driftloop.kit.topic import Emit

MESSAGE_BYTES_MAX = 1_048_588  # Kafka's default of max.message.bytes


@dataclass(slots=True)
class Group:
    """Who is in, in order of joining, and what they committed together."""

    generation: int = 0
    members: list[MemorySession] = field(default_factory=list)
    committed: dict[Partition, Position] = field(default_factory=dict)


class MemoryBroker:
    """`log[partition]` is a list whose index is the offset; None stands for a marker or an aborted
    record."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.log: dict[Partition, list[Record | None]] = {}
        self.specs: dict[str, TopicSpec] = {}
        self.groups: dict[str, Group] = {}
        self.owners: dict[
            str, MemorySession
        ] = {}  # transactional id -> the newest session that has it
        self.changed = threading.Condition(threading.RLock())
        self._failures = 0

    def session(
        self,
        subscription: Subscription,
        *,
        on_assigned: Callable[[Sequence[Partition]], None],
        on_revoked: Callable[[Sequence[Partition]], None],
    ) -> MemorySession:
        missing = [topic for topic in subscription.topics if topic not in self.specs]
        if missing:
            raise Unavailable(f"no topic {', '.join(missing)} yet")
        with self.changed:
            session = MemorySession(self, subscription, on_assigned, on_revoked)
            self._regroup(session.group, [*session.group.members, session])
        return session

    def leave(self, session: MemorySession) -> None:
        with self.changed:
            if session in session.group.members:
                self._regroup(session.group, [m for m in session.group.members if m is not session])

    def _regroup(self, group: Group, members: list[MemorySession]) -> None:
        group.members = members
        group.generation += 1
        self.changed.notify_all()

    def fail_commits(self, count: int) -> None:
        """The next `count` transactions are aborted: their records stay in the log, unseen."""
        self._failures = count

    def transact(self, emits: Sequence[Emit], commit: Callable[[], None] | None) -> None:
        """`emits` and a marker for each partition touched; aborted if there is no `commit`."""
        with self.changed:
            self._refuse(emits)
            touched = {self._add(emit, seen=commit is not None) for emit in emits}
            for partition in touched:
                self.log[partition].append(None)
            if commit is not None:
                commit()
            self.changed.notify_all()

    def commit(self, emits: Sequence[Emit], commit: Callable[[], None]) -> None:
        """A session's transaction: it happens whole, or is aborted and Unavailable."""
        if self._failures:
            self._failures -= 1
            self.transact(emits, None)
            raise Unavailable("commit: aborted as asked")
        self.transact(emits, commit)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        if start < end and end > len(self._entries(topic, partition)):
            raise Unavailable(f"{topic}[{partition}] ends before {end}")
        yield from [r for r in self._entries(topic, partition)[start:end] if r is not None]

    def tail(
        self, topic: str, partition: int, start: int, wait_s: float
    ) -> Iterator[Sequence[Record]]:
        while True:
            with self.changed:
                entries = self._entries(topic, partition)
                if len(entries) <= start:
                    self.changed.wait(wait_s)
                found = [r for r in entries[start:] if r is not None]
                start = max(start, len(entries))
            yield found

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self._entries(topic, partition))

    def offset_at(self, topic: str, partition: int, at_ms: int) -> int:
        entries = self._entries(topic, partition)
        found = (r.offset for r in entries if r is not None and r.timestamp_ms >= at_ms)
        return next(found, len(entries))

    def partitions(self, topic: str) -> int | None:
        spec = self.specs.get(topic)
        return spec.partitions if spec else None

    def topics(self) -> Sequence[str]:
        return sorted(self.specs)

    def create(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        with self.changed:
            made = [spec for spec in specs if spec.name not in self.specs]
            for spec in made:
                self.specs[spec.name] = spec
                self.log |= {(spec.name, number): [] for number in range(spec.partitions)}
        return [spec.name for spec in made]

    def differences(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        return [
            line
            for spec in specs
            for line in differing(spec, self.partitions(spec.name), self._config(spec.name))
        ]

    def append(self, emits: Sequence[Emit]) -> None:
        with self.changed:
            self._refuse(emits)
            for emit in emits:
                self._add(emit, seen=True)
            self.changed.notify_all()

    def close(self) -> None:
        """Nothing to give back."""

    def _config(self, topic: str) -> Mapping[str, str]:
        return self.specs[topic].config if topic in self.specs else {}

    def _entries(self, topic: str, partition: int) -> list[Record | None]:
        if (topic, partition) not in self.log:
            raise Unavailable(f"no {topic}[{partition}]")
        return self.log[topic, partition]

    def _refuse(self, emits: Sequence[Emit]) -> None:
        for emit in emits:
            self._entries(emit.topic, emit.partition or 0)
            most = int(self.specs[emit.topic].config.get("max.message.bytes", MESSAGE_BYTES_MAX))
            if len(emit.value or b"") > most:
                raise Malformed(
                    f"a message of {len(emit.value or b'')} bytes to {emit.topic}", rule="too_large"
                )

    def _add(self, emit: Emit, *, seen: bool) -> Partition:
        number = self._partition_of(emit)
        entries = self.log[emit.topic, number]
        record = Record(
            emit.topic,
            number,
            len(entries),
            emit.key,
            emit.value,
            list(emit.headers),
            self.clock.ms(),
        )
        entries.append(record if seen else None)
        return emit.topic, number

    def _partition_of(self, emit: Emit) -> int:
        if emit.partition is not None:
            return emit.partition
        count = self.specs[emit.topic].partitions
        return (
            random.randrange(count)
            if emit.key is None
            else (murmur2(emit.key) & 0x7FFFFFFF) % count
        )


class MemorySession:
    """A member of a group; assignments are taken up at its next poll, as with Kafka."""

    def __init__(
        self,
        broker: MemoryBroker,
        subscription: Subscription,
        on_assigned: Callable[[Sequence[Partition]], None],
        on_revoked: Callable[[Sequence[Partition]], None],
    ) -> None:
        self._broker, self._sub = broker, subscription
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        self.group = broker.groups.setdefault(subscription.group, Group())
        self._generation = -1
        self._next: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._writer: str | None = None

    def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        with self._broker.changed:
            if self._rebalance():
                return []
            records = self._taken(records_max)
            if not records and timeout_s > 0:
                self._broker.changed.wait(timeout_s)
                records = [] if self._rebalance() else self._taken(records_max)
        return records

    def positions(self) -> Mapping[Partition, Position]:
        return {
            partition: self.group.committed.get(partition, Position(None))
            for partition in self._next
        }

    def commit(self, emits: Sequence[Emit], offsets: Mapping[Partition, Position]) -> None:
        with self._broker.changed:
            if self._generation != self.group.generation or not self._next:
                raise Fenced(f"{self._sub.group}: assigned anew")
            if self._broker.owners.get(self._writer or "") is not self:
                raise Fenced(f"{self._writer} has a newer owner")
            whole = dict(offsets) or self._anchor()
            self._broker.commit(emits, lambda: self.group.committed.update(whole))

    def seek(self, partition: Partition, offset: int) -> None:
        assert partition in self._next, partition
        self._next[partition] = offset

    def pause(self, partitions: Sequence[Partition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        self._paused.difference_update(partitions)

    def lag(self) -> int:
        return sum(self.unread(topic, partition) for topic, partition in self._next)

    def unread(self, topic: str, partition: int) -> int:
        entries = self._broker.log[topic, partition]
        return sum(
            1
            for record in entries[self._next.get((topic, partition), len(entries)) :]
            if record is not None
        )

    def standing(self, partition: Partition) -> int:
        held = self.group.committed.get(partition, Position(None)).offset
        return self._begin(partition) if held is None else held

    def close(self) -> None:
        self._next = {}
        self._broker.leave(self)

    def _anchor(self) -> dict[Partition, Position]:
        partition, at = next(iter(self._next.items()))
        held = self.group.committed.get(partition)
        return {partition: held or Position(at)}

    def _rebalance(self) -> bool:
        """Give up and take up, if the group or its topics have changed since the last poll."""
        member = self in self.group.members
        held = self._share() if member else []
        if self._generation == self.group.generation and held == list(self._next):
            return False
        if self._generation >= 0 and self._next:
            lost, self._next, self._paused = list(self._next), {}, set()
            self._on_revoked(lost)
        if member:
            self._generation = self.group.generation
            self._next = {partition: self._begin(partition) for partition in held}
            self._writer = writer(self._sub, held)
            if self._writer is not None:
                self._broker.owners[self._writer] = self
            self._on_assigned(held)
        return True

    def _share(self) -> list[Partition]:
        """Range, topic by topic; then all of the attached topics for who has partition 0 of the
        first."""
        held = [(topic, number) for topic in self._sub.topics for number in self._range(topic)]
        if (self._sub.topics[0], 0) in held:
            held += [
                (t, n) for t in self._sub.attached for n in range(self._broker.partitions(t) or 0)
            ]
        return held

    def _range(self, topic: str) -> range:
        members = [m for m in self.group.members if topic in m._sub.topics]
        each, more = divmod(self._broker.partitions(topic) or 0, len(members))
        mine = members.index(self)
        start = mine * each + min(mine, more)
        return range(start, start + each + (mine < more))

    def _begin(self, partition: Partition) -> int:
        committed = self.group.committed.get(partition, Position(None)).offset
        latest = self._sub.start.get(partition[0], "earliest") == "latest"
        return (
            committed
            if committed is not None
            else len(self._broker.log[partition])
            if latest
            else 0
        )

    def _taken(self, records_max: int) -> list[Record]:
        taken: list[Record] = []
        for partition, at in self._next.items():
            if partition in self._paused:
                continue
            entries = self._broker.log[partition]
            while at < len(entries) and len(taken) < records_max:
                record = entries[at]
                at += 1
                taken += [record] if record is not None else []
            self._next[partition] = at
        return taken


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 of a key, unsigned. Source: org.apache.kafka.common.utils.Utils.murmur2."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    if data[whole:]:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
