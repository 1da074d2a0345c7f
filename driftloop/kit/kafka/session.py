"""One member of a group with its transactional producer: what a loop holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from driftloop.kit.broker import Partition, Position, Record, Subscription, writer
from driftloop.kit.clock import SystemClock
from driftloop.kit.errors import DriftloopError, Fenced, Unavailable
from driftloop.kit.kafka.aside import Aside, Hung
from driftloop.kit.kafka.client import (
    ASK_S,
    CONSUMER,
    PRODUCER,
    TRANSACTIONS,
    Names,
    insisting,
    log,
    offer,
    ours,
    parted,
    position,
    send,
    settings,
    take,
    translated,
    watermarks,
)
from driftloop.kit.topic import Emit

COMMIT_S = 8.0  # transaction.timeout.ms and the broker's clean-up interval, and two seconds
# Both steps of a commit, each of which may insist: a call that takes longer will never return.
HUNG_S = 2 * COMMIT_S + 2.0
UNDECIDED_S = 30.0  # an open transaction of a former owner is ended by the broker after 5 to 6 s
GROWTH_S = 5.0  # how soon a new partition of an attached topic is seen
RECOMMIT_S = (
    3600.0  # offsets of partitions that no one subscribes to expire, after a week by default
)


class KafkaSession:
    """One member of a group and its transactional producer. Broken by any error: close it and make
    another."""

    def __init__(
        self,
        properties: Mapping[str, str],
        names: Names,
        subscription: Subscription,
        partitions: Callable[[str], int | None],
        on_assigned: Callable[[Sequence[Partition]], None],
        on_revoked: Callable[[Sequence[Partition]], None],
    ) -> None:
        self._names, self._sub, self._partitions = names, subscription, partitions
        self._properties = properties
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        self._held: dict[Partition, Position] = {}  # committed
        self._next: dict[Partition, int] = {}  # one past the last record given out
        self._paused: set[Partition] = set()
        self._moved = self._closed = False
        self._turn = 0  # of the assignment
        self._clock = SystemClock()
        self._grown_at = self._recommitted_at = self._clock.seconds()
        self._aside = Aside()
        self._producer: Producer | None = None  # none while nothing is assigned
        self._writer: str | None = None  # its transactional id
        self._consumer = Consumer(
            settings(properties, CONSUMER, {"group.id": self._names.outer(subscription.group)})
        )
        self._consumer.subscribe(
            [self._names.outer(t) for t in subscription.topics],
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )

    def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        if self._moved:
            self._assign()
        turn = self._turn
        with translated("poll"):
            messages = take(self._consumer, records_max, timeout_s)
        # some of these are of before: all come again, from where we now stand
        if turn != self._turn:
            self._moved = True
            return []
        records, ends = parted(messages, self._names)
        for record in records:
            self._next[record.topic, record.partition] = record.offset + 1
        for partition, end in ends.items():
            if partition in self._next:
                self._next[partition] = max(self._next[partition], end)
        if self._sub.attached and self._clock.seconds() - self._grown_at > GROWTH_S:
            self._grow()
        return records

    def positions(self) -> Mapping[Partition, Position]:
        return dict(self._held)

    def commit(self, emits: Sequence[Emit], offsets: Mapping[Partition, Position]) -> None:
        whole = self._with_anchor(offsets)
        producer, names = self._producer, self._names
        assert producer is not None, "what is assigned has a producer"
        sent = [offer(names, partition, at) for partition, at in whole.items()]
        producer.poll(0)  # hands over what librdkafka wants logged
        try:
            producer.begin_transaction()
            for emit in emits:
                send(producer, names, emit)
            member = self._consumer.consumer_group_metadata()
            self._aside.call(partial(_commit, producer, sent, member), HUNG_S, "commit")
        except Hung:  # an abort would only wait behind it
            raise
        except KafkaException as error:
            self._abort(producer)
            raise ours(error.args[0], "commit") from error
        except DriftloopError:  # a message that could not be handed over
            self._abort(producer)
            raise
        self._held.update(whole)

    def seek(self, partition: Partition, offset: int) -> None:
        assert partition in self._next, partition
        self._next[partition] = offset
        self._moved = True

    def pause(self, partitions: Sequence[Partition]) -> None:
        self._paused.update(partitions)
        with translated("pause"):
            self._consumer.pause([TopicPartition(self._names.outer(t), p) for t, p in partitions])

    def resume(self, partitions: Sequence[Partition]) -> None:
        self._paused.difference_update(partitions)
        with translated("resume"):
            self._consumer.resume([TopicPartition(self._names.outer(t), p) for t, p in partitions])

    def lag(self) -> int:
        return sum(self.unread(topic, partition) for topic, partition in self._next)

    def unread(self, topic: str, partition: int) -> int:
        asked = TopicPartition(self._names.outer(topic), partition)
        with translated(f"end of {topic}[{partition}]"):
            _, high = self._consumer.get_watermark_offsets(asked, cached=True)
        return max(0, high - self._next.get((topic, partition), high))

    def standing(self, partition: Partition) -> int:
        offset = self._held[partition].offset
        return self._start(partition) if offset is None else offset

    def close(self) -> None:
        self._closed = True
        self._aside.close()
        try:
            self._consumer.close()
        except (KafkaException, RuntimeError) as error:
            log.warning("closing a consumer: %s", error)

    def _assigned(self, _consumer: Consumer, given: list[TopicPartition]) -> None:
        if self._closed:
            return
        held = [(self._names.inner(p.topic), p.partition) for p in given]
        if (self._sub.topics[0], 0) in held:
            held += self._attached()
        self._take(held)
        self._on_assigned(held)

    def _revoked(self, consumer: Consumer, _given: list[TopicPartition]) -> None:
        lost = list(self._next)
        self._turn += 1
        self._held, self._next, self._moved = {}, {}, False
        self._paused.clear()
        consumer.unassign()
        if not self._closed:
            self._on_revoked(lost)

    def _lost(self, consumer: Consumer, given: list[TopicPartition]) -> None:
        """Another member may have held them since, and its producer fenced ours."""
        self._producer, self._writer = None, None
        self._revoked(consumer, given)

    def _take(self, held: Sequence[Partition]) -> None:
        """Read from where the group stands; a partition that it never committed begins where
        `start` says."""
        self._turn += 1
        self._write_as(writer(self._sub, held))
        self._held = self._committed(held)
        self._next = {
            p: self._start(p) if at.offset is None else at.offset for p, at in self._held.items()
        }
        self._assign()

    def _write_as(self, name: str | None) -> None:
        """With a producer of that transactional id; making it ends what the id's last owner left
        open."""
        if name == self._writer:
            return
        self._producer, self._writer = None, None
        if name is None:
            return
        named = {"transactional.id": self._names.outer(name)}
        producer = Producer(settings(self._properties, PRODUCER, TRANSACTIONS, named))
        with translated("init transactions"):
            producer.init_transactions(2 * ASK_S)
        self._producer, self._writer = producer, name

    def _assign(self) -> None:
        """`seek` right after an assignment is refused by librdkafka; assigning anew at other
        offsets never is."""
        self._moved = False
        with translated("assign"):
            self._consumer.assign(
                [TopicPartition(self._names.outer(t), p, at) for (t, p), at in self._next.items()]
            )
        if self._paused:
            self.pause(sorted(self._paused))

    def _committed(self, held: Sequence[Partition]) -> dict[Partition, Position]:
        if not held:
            return {}
        deadline = self._clock.seconds() + UNDECIDED_S
        while True:
            answers, problem = self._ask_committed(held)
            if problem is None:
                return {(self._names.inner(a.topic), a.partition): position(a) for a in answers}
            if self._clock.seconds() > deadline:
                raise Unavailable(f"committed offsets of {self._sub.group}: {problem}")
            self._clock.sleep(0.05)

    def _ask_committed(
        self, held: Sequence[Partition]
    ) -> tuple[list[TopicPartition], KafkaError | None]:
        """The broker answers UNSTABLE_OFFSET_COMMIT while a transaction of a former owner is
        undecided."""
        asked = [TopicPartition(self._names.outer(t), p) for t, p in held]
        try:
            answers = self._consumer.committed(asked, timeout=ASK_S)
        except KafkaException as error:
            return [], error.args[0]
        return answers, next((a.error for a in answers if a.error), None)

    def _start(self, partition: Partition) -> int:
        topic, number = partition
        asked = TopicPartition(self._names.outer(topic), number)
        low, high = watermarks(self._consumer, asked, f"start of {topic}[{number}]")
        return high if self._sub.start.get(topic, "earliest") == "latest" else low

    def _attached(self) -> list[Partition]:
        counts = [(topic, self._partitions(topic) or 0) for topic in self._sub.attached]
        return [(topic, number) for topic, count in counts for number in range(count)]

    def _grow(self) -> None:
        """New partitions of attached topics are a new assignment of everything: the task is
        restored with them."""
        self._grown_at = self._clock.seconds()
        if (self._sub.topics[0], 0) not in self._next:
            return
        new = [partition for partition in self._attached() if partition not in self._next]
        if new:
            held = [*self._next, *new]
            self._on_revoked(list(self._next))
            self._take(held)
            self._on_assigned(held)

    def _with_anchor(self, offsets: Mapping[Partition, Position]) -> Mapping[Partition, Position]:
        """Never without an offset of the group: only so is a former owner refused. Attached ones
        are renewed hourly."""
        if not self._held:
            raise Fenced(f"{self._sub.group}: nothing is assigned to us")
        anchor = next(iter(self._held))
        whole = (
            {anchor: Position(self.standing(anchor), self._held[anchor].note), **offsets}
            if self._sub.attached or not offsets
            else offsets
        )
        if self._sub.attached and self._clock.seconds() - self._recommitted_at > RECOMMIT_S:
            self._recommitted_at = self._clock.seconds()
            whole = {**{p: at for p, at in self._held.items() if at.offset is not None}, **whole}
        return whole

    def _abort(self, producer: Producer) -> None:
        try:
            self._aside.call(partial(producer.abort_transaction, COMMIT_S), HUNG_S, "abort")
        except (KafkaException, Unavailable) as error:
            # fatal or out of time: the next session's init_transactions ends it
            log.warning("abort: %s", error)


def _commit(producer: Producer, sent: list[TopicPartition], member: object) -> None:
    insisting(producer.send_offsets_to_transaction, sent, member, within_s=COMMIT_S)
    insisting(producer.commit_transaction, within_s=COMMIT_S)
