"""KafkaBroker: the log over confluent-kafka.

This package is the only one that imports confluent_kafka: its exceptions are translated here, its
names carry the namespace here, and nothing of it is seen outside. What the loop does with it is
kit.loop's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from driftloop.kit.broker import Partition, Record, Subscription, TopicSpec, differing
from driftloop.kit.clock import SystemClock
from driftloop.kit.errors import Unavailable
from driftloop.kit.kafka.client import (
    ASK_S,
    CONSUMER,
    PRODUCER,
    READER,
    Names,
    ours,
    parted,
    send,
    settings,
    take,
    translated,
    watermarks,
)
from driftloop.kit.kafka.session import KafkaSession
from driftloop.kit.topic import Emit

STALL_S = 30.0  # a bounded read that gets nothing for so long has lost its broker or its records
READ_RECORDS = 5_000  # one drain of what librdkafka has fetched
READERS_MAX = 2  # idle consumers kept for the next read: opening one costs 20 to 100 ms
UNKNOWN_TOPIC = KafkaError.UNKNOWN_TOPIC_OR_PART


class KafkaBroker:
    """The door to a cluster. `properties` are librdkafka's own and win over ours; nothing connects
    before use."""

    def __init__(self, properties: Mapping[str, str], namespace: str = "") -> None:
        self.names = Names(f"{namespace}." if namespace else "")
        self._properties = dict(properties)
        self._lock = threading.RLock()
        self._readers: list[tuple[str, Consumer]] = []  # the topic that each knows
        self._asker: Consumer | None = None
        self._appender: Producer | None = None

    def session(
        self,
        subscription: Subscription,
        *,
        on_assigned: Callable[[Sequence[Partition]], None],
        on_revoked: Callable[[Sequence[Partition]], None],
    ) -> KafkaSession:
        """Joins the group. Unavailable while one of its topics doesn't exist or the cluster is
        away."""
        missing = [topic for topic in subscription.topics if self.partitions(topic) is None]
        if missing:
            raise Unavailable(f"no topic {', '.join(missing)} yet")
        return KafkaSession(
            self._properties, self.names, subscription, self.partitions, on_assigned, on_revoked
        )

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        if start >= end:
            return
        reached, got_at = start, SystemClock().seconds()
        for records, at in self._pooled(topic, partition, start):
            for record in records:
                if record.offset >= end:
                    return
                yield record
            if at >= end:
                return
            got_at = SystemClock().seconds() if at > reached else got_at
            reached = max(reached, at)
            if SystemClock().seconds() - got_at > STALL_S:
                raise Unavailable(f"{topic}[{partition}] stands at {reached}, wanted up to {end}")

    def tail(
        self, topic: str, partition: int, start: int, wait_s: float
    ) -> Iterator[Sequence[Record]]:
        """A consumer of its own for each: it idles at two fetches a second, where a pooled one
        would do fifty."""
        consumer = self._reader({"fetch.wait.max.ms": 500})
        try:
            for records, _ in self._follow(consumer, topic, partition, start, wait_s):
                yield records
        finally:
            consumer.close()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        asked = TopicPartition(self.names.outer(topic), partition)
        return watermarks(self._ask(), asked, f"bounds of {topic}[{partition}]")

    def offset_at(self, topic: str, partition: int, at_ms: int) -> int:
        asked = TopicPartition(self.names.outer(topic), partition, at_ms)
        with translated(f"offset of a time in {topic}[{partition}]"):
            (found,) = self._ask().offsets_for_times([asked], timeout=ASK_S)
        if found.error:
            raise ours(found.error, f"offset of a time in {topic}[{partition}]")
        return self.bounds(topic, partition)[1] if found.offset < 0 else found.offset

    def partitions(self, topic: str) -> int | None:
        """Asks again before it says that there is none: on a busy broker a topic that was just made
        was seen, not seen and seen again (2 of 400)."""
        count = self._partitions(topic)
        if count is None:
            SystemClock().sleep(0.05)
            count = self._partitions(topic)
        return count

    def topics(self) -> Sequence[str]:
        with translated("metadata"):
            names = list(self._ask().list_topics(timeout=ASK_S).topics)
        prefix = self.names.prefix
        return sorted(
            self.names.inner(n) for n in names if n.startswith(prefix) and not n.startswith("__")
        )

    def create(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        here = set(self.topics())
        missing = [spec for spec in specs if spec.name not in here]
        if not missing:
            return []
        new = [
            NewTopic(self.names.outer(s.name), s.partitions, -1, config=dict(s.config))
            for s in missing
        ]
        with translated("create topics"):
            admin = self._admin()  # its answers die with it
            answers = admin.create_topics(new, operation_timeout=ASK_S, request_timeout=2 * ASK_S)
        return [
            self.names.inner(name) for name, answer in answers.items() if _was_made(name, answer)
        ]

    def differences(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        counts = {spec.name: self.partitions(spec.name) for spec in specs}
        there = [spec for spec in specs if counts[spec.name] is not None]
        asked = [ConfigResource(ResourceType.TOPIC, self.names.outer(spec.name)) for spec in there]
        found: dict[str, Mapping[str, Any]] = {}
        with translated("describe topics"):
            admin = self._admin()
            answers = admin.describe_configs(asked, request_timeout=ASK_S) if asked else {}
            found = {self.names.inner(res.name): answer.result() for res, answer in answers.items()}
        values = {
            name: {k: entry.value for k, entry in config.items()} for name, config in found.items()
        }
        return [
            line
            for spec in specs
            for line in differing(spec, counts[spec.name], values.get(spec.name, {}))
        ]

    def append(self, emits: Sequence[Emit]) -> None:
        failed: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        producer = self._append()
        with translated("append"):
            for emit in emits:
                send(producer, self.names, emit, on_delivery)
            left = producer.flush(ASK_S)
        if failed:
            raise ours(failed[0], f"append to {emits[0].topic}")
        if left:
            raise Unavailable(f"append: {left} messages were not acknowledged in {ASK_S:g} s")

    def close(self) -> None:
        with self._lock:
            readers = [consumer for _, consumer in self._readers]
            clients = [*readers, *([self._asker] if self._asker else [])]
            self._readers, self._asker, self._appender = [], None, None
        for consumer in clients:
            consumer.close()

    def _partitions(self, topic: str) -> int | None:
        name = self.names.outer(topic)
        with translated(f"metadata of {topic}"):
            found = self._ask().list_topics(name, timeout=ASK_S).topics.get(name)
        if found is None or (found.error and found.error.code() == UNKNOWN_TOPIC):
            return None
        if found.error:
            raise Unavailable(f"metadata of {topic}: {found.error}")
        return len(found.partitions)

    def _pooled(self, topic: str, partition: int, start: int) -> Iterator[tuple[list[Record], int]]:
        """A consumer that is assigned a topic it doesn't know stands still until librdkafka's next
        look at its topics, up to 1 s; a new one asks at once. So one is used again for its own
        topic alone."""
        with self._lock:
            known = next((one for one in self._readers if one[0] == topic), None)
            if known is not None:
                self._readers.remove(known)
        consumer = known[1] if known is not None else self._reader({})
        try:
            yield from self._follow(consumer, topic, partition, start, 1.0)
        finally:
            self._give_back(topic, consumer)

    def _follow(
        self, consumer: Consumer, topic: str, partition: int, start: int, wait_s: float
    ) -> Iterator[tuple[list[Record], int]]:
        """Committed records from `start` and the offset reached with them, for ever; ([], same)
        after `wait_s`."""
        what, reached = f"read {topic}[{partition}]", start
        with translated(what):
            consumer.assign([TopicPartition(self.names.outer(topic), partition, start)])
        while True:
            with translated(what):
                messages = take(consumer, READ_RECORDS, wait_s)
            records, ends = parted(messages, self.names)
            records = [record for record in records if record.offset >= start]
            reached = max([reached, *ends.values()] + [r.offset + 1 for r in records[-1:]])
            yield records, reached

    def _reader(self, kind: Mapping[str, Any]) -> Consumer:
        group = {
            "group.id": self.names.outer("driftloop-reader")
        }  # never joined; librdkafka wants one
        return Consumer(settings(self._properties, CONSUMER, READER, group, kind))

    def _give_back(self, topic: str, consumer: Consumer) -> None:
        consumer.unassign()
        with self._lock:
            self._readers.append((topic, consumer))
            oldest = self._readers.pop(0)[1] if len(self._readers) > READERS_MAX else None
        if oldest is not None:
            oldest.close()

    def _ask(self) -> Consumer:
        """For questions only; read_uncommitted, so that `bounds` sees the ends of open
        transactions too."""
        with self._lock:
            if self._asker is None:
                group = self.names.outer("driftloop-asker")
                kind = {"group.id": group, "isolation.level": "read_uncommitted"}
                self._asker = Consumer(settings(self._properties, CONSUMER, kind))
            self._asker.poll(0)  # hands over what librdkafka wants logged
            return self._asker

    def _append(self) -> Producer:
        with self._lock:
            if self._appender is None:
                self._appender = Producer(settings(self._properties, PRODUCER, {"linger.ms": 2}))
            return self._appender

    def _admin(self) -> AdminClient:
        return AdminClient(settings(self._properties))


def _was_made(name: str, answer: Any) -> bool:
    try:
        answer.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise ours(error.args[0], f"create {name}") from error
    return True
