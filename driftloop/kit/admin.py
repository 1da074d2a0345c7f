"""What a cluster says of itself, for those who look after it: brokers, topics, groups, open
transactions. Questions only; nothing is altered here.

`driftloop.kit.kafka.admin.KafkaAdmin` is the real one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from driftloop.kit.broker import Partition


@dataclass(frozen=True, slots=True)
class BrokerState:
    """One node and its settings, by Kafka's names; `config` is empty where we may not see it."""

    number: int
    address: str
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClusterState:
    """`release`: of Kafka, as far as it says; empty where it can't be asked without TLS."""

    name: str
    release: str
    brokers: Sequence[BrokerState]
    allowed: frozenset[str] | None = None  # what we may do with the cluster; None: not said
    denied: Sequence[str] = ()  # questions that were refused us, in words


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it stands. `replicas` and `in_sync`: of the partition that has the fewest."""

    name: str
    partitions: int
    replicas: int
    in_sync: int
    leaderless: Sequence[int]
    config: Mapping[str, str]
    allowed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """Of a partition: first kept, end for readers of committed records, end."""

    first: int
    stable: int
    end: int


class Admin(Protocol):
    """The questions. Unavailable: the cluster doesn't answer; Refused: we may not ask."""

    def cluster(self) -> ClusterState: ...

    def topics(self, names: Sequence[str]) -> Mapping[str, TopicState | None]:
        """Those that exist. None: whether it does is not for us to see."""

    def groups(self) -> Sequence[str]:
        """Names of the groups of our namespace."""

    def committed(self, group: str) -> Mapping[Partition, int]:
        """Where a group stands."""

    def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, Ends]: ...

    def appended_ms(
        self, partition: Partition, offset: int, *, committed: bool = False
    ) -> int | None:
        """When the record at `offset`, or the first after it, was written; of open and aborted
        transactions too, unless it must be `committed`. None: there is none."""

    def close(self) -> None: ...
