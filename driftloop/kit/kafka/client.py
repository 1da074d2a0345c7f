"""librdkafka as we use it: settings that held under kills, namespaced names, errors as ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from driftloop.kit.broker import Partition, Position, Record
from driftloop.kit.clock import SystemClock
from driftloop.kit.errors import DriftloopError, Fenced, Malformed, Unavailable
from driftloop.kit.log import redacted
from driftloop.kit.topic import Emit

log = logging.getLogger("driftloop.kafka")

ASK_S = 5.0  # a question to the broker: longer than any pause seen on a busy two-core machine

CLIENT: Mapping[str, Any] = {
    "client.id": "driftloop",
    "enable.metrics.push": False,
    "socket.nagle.disable": True,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1000,
    # Only what stops it: its errors come by error_cb too, and a broker that is away would fill the
    # log with a line for each client and try.
    "log_level": 2,
}
CONSUMER: Mapping[str, Any] = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "allow.auto.create.topics": False,
    "partition.assignment.strategy": "range",
    "session.timeout.ms": 6000,
    "heartbeat.interval.ms": 1000,
    # Data ends the wait at once: p50 and p99 are as with 20 ms, idle cost is a tenth.
    "fetch.wait.max.ms": 500,
    # Its default of 1 s would stall a reader that has enough in its queue.
    "fetch.queue.backoff.ms": 20,
    "queued.max.messages.kbytes": 16384,  # of memory a consumer; 64 MB by default
    "topic.metadata.refresh.interval.ms": 10000,
    # The only sign that markers and aborted records were passed.
    "enable.partition.eof": True,
}
PRODUCER: Mapping[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    # As Java clients and kit.hash do; librdkafka's own default is crc32.
    "partitioner": "murmur2_random",
    # A dead letter is at most 10 MB; the topic's own limit decides.
    "message.max.bytes": 10_500_000,
    "delivery.timeout.ms": 4000,
}
READER: Mapping[str, Any] = {
    # What retention took is skipped: the first that is kept comes first.
    "auto.offset.reset": "earliest",
    # The next read waits for the fetch that the last one left behind.
    "fetch.wait.max.ms": 20,
}
TRANSACTIONS: Mapping[str, Any] = {
    "transaction.timeout.ms": 5000,
    "linger.ms": 0,
    # CONCURRENT_TRANSACTIONS is the rule, not the exception, while the last one's markers are
    # being written. With the default of 100 ms a tenth of all transactions took 104 ms; so 8.
    "retry.backoff.ms": 10,
    "retry.backoff.max.ms": 100,
}
LEADERLESS = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})
AWAY = frozenset({
    KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
})  # fmt: skip
FENCED = frozenset({
    KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID, KafkaError.FENCED_INSTANCE_ID, KafkaError.PRODUCER_FENCED,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """Names with the namespace outside, without it inside."""

    prefix: str

    def outer(self, name: str) -> str:
        return self.prefix + name

    def inner(self, name: str) -> str:
        return name[len(self.prefix) :]


def settings(properties: Mapping[str, str], *kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Of one client: ours, then those of its kind, then the user's."""
    merged: dict[str, Any] = {**CLIENT, "error_cb": _on_error, "logger": log}
    if "debug" in properties:  # who asks for that wants to see it (DRIFTLOOP_LOG_LEVEL=debug)
        del merged["log_level"]
    for kind in kinds:
        merged |= kind
    return merged | dict(properties)


def watermarks(consumer: Consumer, asked: TopicPartition, what: str) -> tuple[int, int]:
    """First kept and end by the consumer's isolation; waits for a leader of what was just made."""
    clock = SystemClock()
    deadline = clock.seconds() + ASK_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(asked, timeout=ASK_S)
            return low, high
        except KafkaException as error:
            if error.args[0].code() not in LEADERLESS or clock.seconds() > deadline:
                raise ours(error.args[0], what) from error
        clock.sleep(0.02)


def take(consumer: Consumer, records_max: int, timeout_s: float) -> list[Message]:
    """One that is waited for, then all that is there: `consume(n, t)` waits all of t for n."""
    first = consumer.poll(timeout_s)
    if first is None:
        return []
    rest: list[Message] = consumer.consume(records_max - 1, 0) if records_max > 1 else []
    return [first, *rest]


def parted(messages: Iterable[Message], names: Names) -> tuple[list[Record], dict[Partition, int]]:
    """Records, and the ends that were reached. Raises Unavailable for an error of the consumer."""
    records: list[Record] = []
    ends: dict[Partition, int] = {}
    cut = len(names.prefix)
    for m in messages:
        topic, number, offset, error = (
            str(m.topic())[cut:],
            m.partition() or 0,
            m.offset() or 0,
            m.error(),
        )
        if error is None:
            records.append(_record(topic, number, offset, m))
        elif error.code() == KafkaError._PARTITION_EOF:
            ends[topic, number] = offset
        else:
            raise ours(error, f"{topic}[{number}]")
    return records, ends


def _record(topic: str, number: int, offset: int, m: Any) -> Record:
    headers = m.headers()
    known = [(name, value or b"") for name, value in headers] if headers else ()
    return Record(topic, number, offset, m.key(), m.value(), known, m.timestamp()[1])


def send(
    producer: Producer, names: Names, emit: Emit, on_delivery: Callable[..., None] | None = None
) -> None:
    """Hand one message to librdkafka; waits for a full queue. Malformed if too large."""
    partition = -1 if emit.partition is None else emit.partition
    extra: dict[str, Any] = {"headers": list(emit.headers)} if emit.headers else {}
    if on_delivery is not None:
        extra["on_delivery"] = on_delivery
    for _ in range(200):
        try:
            producer.produce(names.prefix + emit.topic, emit.value, emit.key, partition, **extra)
            return
        except BufferError:
            producer.poll(0.05)
        except KafkaException as error:
            raise ours(error.args[0], f"{len(emit.value or b'')} bytes to {emit.topic}") from error
    raise Unavailable(f"the queue to {emit.topic} was full for 10 s")


def insisting(call: Callable[..., None], *arguments: Any, within_s: float) -> None:
    """Call it again while the error is one that leaves the transaction open and there is time."""
    clock = SystemClock()
    deadline = clock.seconds() + within_s
    while True:
        try:
            return call(*arguments, max(0.1, deadline - clock.seconds()))
        except KafkaException as error:
            if not error.args[0].retriable() or clock.seconds() > deadline:
                raise


def offer(names: Names, partition: Partition, at: Position) -> TopicPartition:
    """A position to be committed; its note is the commit's metadata."""
    assert at.offset is not None, partition
    return TopicPartition(names.outer(partition[0]), partition[1], at.offset, at.note)


def position(answer: TopicPartition) -> Position:
    offset = None if answer.offset == OFFSET_INVALID else answer.offset
    return Position(offset, answer.metadata or "")


@contextmanager
def translated(what: str) -> Iterator[None]:
    """confluent_kafka's exceptions as ours."""
    try:
        yield
    except KafkaException as error:
        raise ours(error.args[0], what) from error


def ours(error: KafkaError, what: str) -> DriftloopError:
    """Retriable or abortable: Unavailable; a newer owner: Fenced; too large: Malformed."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return Malformed(f"{what}: {error.str()}", rule="too_large")
    kind = Fenced if error.code() in FENCED or error.fatal() else Unavailable
    return kind(f"{what}: {redacted(error.str())} ({error.name()})")


def _on_error(error: KafkaError) -> None:
    """That the broker is away is said once for the process, by kit.run; here it is a detail."""
    level = logging.DEBUG if error.code() in AWAY else logging.WARNING
    log.log(level, "kafka client: %s (%s)", error.str(), error.name())
