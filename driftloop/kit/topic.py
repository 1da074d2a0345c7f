"""Topics as values: a topic knows its message, so that a wrong message for a topic is a type error.

The instances are generated from topics/*.yaml into `driftloop.contracts.topics`; nothing here reads
a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)
PARTITIONS_OF_PIPELINE = 0  # `partitions: N` in the YAML: the pipeline's own number
UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Declaration:
    """What topics/*.yaml says of a topic: everything the broker must know of it."""

    partitions: int  # PARTITIONS_OF_PIPELINE for N
    retention_ms: int  # UNLIMITED for ever
    cleanup: Literal["delete", "compact"]
    message_bytes_max: int
    format: Literal["proto", "json", "raw"]
    owner: str
    # name -> Arrow type, for envelopes with fixed columns
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topic(Generic[M]):
    """One topic with its name whole. `message` is None for raw and empty topics."""

    name: str
    message: type[M] | None
    declaration: Declaration


@dataclass(frozen=True, slots=True)
class ControlTopic(Generic[M]):
    """`driftloop.<suffix>`: one for all pipelines."""

    suffix: str
    message: type[M] | None
    declaration: Declaration

    def topic(self) -> Topic[M]:
        return Topic(f"driftloop.{self.suffix}", self.message, self.declaration)


@dataclass(frozen=True, slots=True)
class PipelineTopic(Generic[M]):
    """`<pipeline>.<suffix>`: outlives generations."""

    suffix: str
    message: type[M] | None
    declaration: Declaration

    def topic(self, pipeline: str) -> Topic[M]:
        return Topic(f"{pipeline}.{self.suffix}", self.message, self.declaration)


@dataclass(frozen=True, slots=True)
class GenerationTopic(Generic[M]):
    """`<pipeline>.g<generation>.<suffix>`: belongs to one generation."""

    suffix: str
    message: type[M] | None
    declaration: Declaration

    def topic(self, pipeline: str, generation: int) -> Topic[M]:
        return Topic(f"{pipeline}.g{generation}.{self.suffix}", self.message, self.declaration)


Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Emit:
    """One message that is wanted sent. `partition` None: by Kafka's murmur2 of the key."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Headers = ()


def emit(
    topic: Topic[M],
    message: M,
    *,
    key: bytes | None = None,
    partition: int | None = None,
    headers: Headers = (),
) -> Emit:
    """A protobuf message for a data-plane topic, as bytes. Control topics: `kit.events.event`."""
    return Emit(topic.name, message.SerializeToString(deterministic=True), key, partition, headers)


def emit_raw(
    topic: Topic[M],
    value: bytes | None,
    *,
    key: bytes | None = None,
    partition: int | None = None,
    headers: Headers = (),
) -> Emit:
    """Bytes as they are: dead letters, scores, tombstones."""
    return Emit(topic.name, value, key, partition, headers)
