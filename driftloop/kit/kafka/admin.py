"""KafkaAdmin: what a cluster says of itself, over confluent-kafka's admin client."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from driftloop.kit.admin import BrokerState, ClusterState, Ends, TopicState
from driftloop.kit.broker import Partition
from driftloop.kit.errors import Refused
from driftloop.kit.kafka.client import CONSUMER, Names, ours, settings, take, translated

ASK_S = 3.0  # a person waits
HEADER_S = 1.0
_SPEC: Any = OffsetSpec  # its makers have no types
READ_S = 1.0  # for one record that is known to be there
DENIED = frozenset({
    KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
})  # fmt: skip
# The first metadata.version of each release: https://kafka.apache.org/documentation/#upgrade
RELEASES = (
    (30, "4.3"), (28, "4.2"), (26, "4.1"), (22, "4.0"), (21, "3.9"), (20, "3.8"), (15, "3.7"),
    (12, "3.6"), (9, "3.5"), (8, "3.4"), (4, "3.3"), (3, "3.2"), (2, "3.1"), (1, "3.0"),
)  # fmt: skip


class KafkaAdmin:
    """Connects when first asked."""

    def __init__(self, properties: Mapping[str, str], namespace: str = "") -> None:
        self._names = Names(f"{namespace}." if namespace else "")
        self._properties = dict(properties)
        self._made: AdminClient | None = None

    def cluster(self) -> ClusterState:
        with _asking("DESCRIBE", "the cluster"):
            asked = self._client.describe_cluster(
                include_authorized_operations=True, request_timeout=ASK_S
            )
            found = asked.result()
        nodes = [(node.id, f"{node.host}:{node.port}") for node in found.nodes]
        configs, denied = self._broker_configs([number for number, _ in nodes])
        brokers = [BrokerState(n, address, configs.get(n, {})) for n, address in nodes]
        plain = self._properties.get("security.protocol", "plaintext").lower()
        release = _release(nodes[0][1]) if nodes and "ssl" not in plain[-4:] else ""
        allowed = _allowed(found.authorized_operations)
        return ClusterState(found.cluster_id or "", release, brokers, allowed, denied)

    def topics(self, names: Sequence[str]) -> Mapping[str, TopicState | None]:
        if not names:
            return {}
        outer = [self._names.outer(name) for name in names]
        with _asking("DESCRIBE", "topics"):
            asked = self._client.describe_topics(
                TopicCollection(outer), include_authorized_operations=True, request_timeout=ASK_S
            )
            found = {name: _or_none(answer) for name, answer in asked.items()}
            hidden = [self._names.inner(name) for name, answer in asked.items() if _hidden(answer)]
        there = [name for name, one in found.items() if one is not None]
        configs = self._topic_configs(there)
        seen = [
            _topic(self._names.inner(name), found[name], configs.get(name, {})) for name in there
        ]
        return {**dict.fromkeys(hidden), **{one.name: one for one in seen}}

    def groups(self) -> Sequence[str]:
        with _asking("DESCRIBE", "groups"):
            found = self._client.list_consumer_groups(request_timeout=ASK_S).result().valid
        prefix = self._names.prefix
        names = [one.group_id for one in found if one.group_id.startswith(prefix)]
        return sorted(self._names.inner(name) for name in names)

    def committed(self, group: str) -> Mapping[Partition, int]:
        outer = self._names.outer(group)
        with _asking("DESCRIBE", f"group {group}"):
            asked = self._client.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(outer)], request_timeout=ASK_S
            )
            found = asked[outer].result().topic_partitions
        return {
            (self._names.inner(one.topic), one.partition): one.offset
            for one in found
            if one.offset >= 0 and one.topic.startswith(self._names.prefix)
        }

    def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, Ends]:
        committed, uncommitted = IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED
        first = self._offsets(partitions, _SPEC.earliest(), uncommitted)
        stable = self._offsets(partitions, _SPEC.latest(), committed)
        end = self._offsets(partitions, _SPEC.latest(), uncommitted)
        known = [p for p in partitions if p in first and p in stable and p in end]
        return {p: Ends(first[p], stable[p], end[p]) for p in known}

    def appended_ms(
        self, partition: Partition, offset: int, *, committed: bool = False
    ) -> int | None:
        group = self._names.outer("driftloop-reader")  # never joined; librdkafka wants one
        kind = {
            "group.id": group,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,  # where a marker alone is left, its end is told at once
        }
        consumer = Consumer(settings(self._properties, CONSUMER, kind))
        try:
            with translated(f"read {partition[0]}[{partition[1]}]"):
                outer = TopicPartition(self._names.outer(partition[0]), partition[1], offset)
                consumer.assign([outer])
                messages = [one for one in take(consumer, 1, READ_S) if one.error() is None]
        finally:
            consumer.close()
        return int(messages[0].timestamp()[1]) if messages else None

    def close(self) -> None:
        """The client ends with its last reference."""
        self._made = None

    @property
    def _client(self) -> AdminClient:
        if self._made is None:
            self._made = AdminClient(settings(self._properties))
        return self._made

    def _broker_configs(
        self, numbers: Sequence[int]
    ) -> tuple[dict[int, Mapping[str, str]], list[str]]:
        asked = {n: ConfigResource(ResourceType.BROKER, str(n)) for n in numbers}
        try:
            found = self._configs(list(asked.values()), "the broker's settings")
        except Refused as error:
            return {}, [str(error)]
        return {n: found[str(n)] for n in asked if str(n) in found}, []

    def _topic_configs(self, outer: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Without those that are not for us to see: `allowed` lacks DESCRIBE_CONFIGS there."""
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in outer]
        return self._configs(asked, "the topics' settings")

    def _configs(self, asked: Sequence[Any], what: str) -> dict[str, Mapping[str, str]]:
        if not asked:
            return {}
        with _asking("DESCRIBE_CONFIGS", what):
            answers = self._client.describe_configs(list(asked), request_timeout=ASK_S)
            found = {res.name: _or_none(answer) for res, answer in answers.items()}
        return {
            name: {key: entry.value for key, entry in config.items() if entry.value is not None}
            for name, config in found.items()
            if config is not None
        }

    def _offsets(
        self, partitions: Sequence[Partition], spec: Any, isolation: Any
    ) -> Mapping[Partition, int]:
        if not partitions:
            return {}
        asked = {TopicPartition(self._names.outer(t), p): spec for t, p in partitions}
        with _asking("DESCRIBE", "offsets"):
            answers = self._client.list_offsets(
                asked, isolation_level=isolation, request_timeout=ASK_S
            )
            found = {part: _or_none(answer) for part, answer in answers.items()}
        return {
            (self._names.inner(part.topic), part.partition): answer.offset
            for part, answer in found.items()
            if answer is not None
        }


class _asking:
    """Denied: Refused, with the right that is missing and the way to get it; else as ours."""

    def __init__(self, operation: str, what: str) -> None:
        self._operation, self._what = operation, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, KafkaException):
            return
        code = error.args[0].code()
        if code in DENIED:
            raise Refused(
                f"the cluster does not let us {self._operation} {self._what}: give this user the "
                f"right by `kafka-acls --add --allow-principal User:NAME --operation "
                f"{self._operation}`",
                status="PERMISSION_DENIED",
            ) from error
        raise ours(error.args[0], self._what) from error


def _or_none(answer: Any) -> Any:
    """What exists and may be seen."""
    try:
        return answer.result()
    except KafkaException as error:
        absent = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID)
        if error.args[0].code() in (*absent, KafkaError.TOPIC_AUTHORIZATION_FAILED):
            return None
        raise


def _hidden(answer: Any) -> bool:
    """The cluster says of such a topic neither that it is there nor that it isn't."""
    error = answer.exception()
    denied = KafkaError.TOPIC_AUTHORIZATION_FAILED
    return isinstance(error, KafkaException) and error.args[0].code() == denied


def _topic(name: str, found: Any, config: Mapping[str, str]) -> TopicState:
    parts = found.partitions
    return TopicState(
        name,
        len(parts),
        min((len(part.replicas) for part in parts), default=0),
        min((len(part.isr) for part in parts), default=0),
        [part.id for part in parts if part.leader is None or part.leader.id < 0],
        config,
        _allowed(found.authorized_operations),
    )


def _allowed(operations: Iterable[Any] | None) -> frozenset[str] | None:
    return None if operations is None else frozenset(one.name for one in operations)


def _release(address: str) -> str:
    """Of Kafka, from the metadata.version that it tells anyone (ApiVersions v3, before any login);
    empty where it doesn't."""
    host, _, port = address.rpartition(":")
    body = struct.pack(">hhih", 18, 3, 1, 1) + b"?\0\x0adriftloop\x021\0"
    try:
        with socket.create_connection((host, int(port)), HEADER_S) as caller:
            caller.sendall(struct.pack(">i", len(body)) + body)
            answer = _read(caller, struct.unpack(">i", _read(caller, 4))[0])
    except (OSError, ValueError, struct.error):
        return ""
    # finalised features come last: a compact string, then the levels that hold
    at = answer.rfind(b"\x11metadata.version")
    level = struct.unpack(">h", answer[at + 17 : at + 19])[0] if at >= 0 else 0
    return next((release for first, release in RELEASES if level >= first), "")


def _read(caller: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = caller.recv(size - len(found))
        if not part:
            raise OSError("it hung up")
        found += part
    return found
