"""Which topics there must be, from their declarations: the control plane's, and a pipeline's.

Nothing is made here; the broker makes what is missing and names what differs, and never alters.
"""

from __future__ import annotations

from typing import Any

from driftloop.contracts import topics
from driftloop.kit.broker import TopicSpec
from driftloop.kit.topic import PARTITIONS_OF_PIPELINE, Declaration, Topic


def control() -> list[TopicSpec]:
    """`driftloop.*`."""
    return [_spec(topic.topic().name, topic.declaration, 1) for topic in topics.CONTROL]


def pipeline(name: str, generation: int, partitions: int) -> list[TopicSpec]:
    """`<name>.*` and `<name>.g<generation>.*`."""
    whole: list[Topic[Any]] = [topic.topic(name) for topic in topics.PIPELINE]
    whole += [topic.topic(name, generation) for topic in topics.GENERATION]
    return [_spec(topic.name, topic.declaration, partitions) for topic in whole]


def _spec(name: str, declaration: Declaration, partitions: int) -> TopicSpec:
    declared = declaration.partitions
    return TopicSpec(
        name,
        partitions if declared == PARTITIONS_OF_PIPELINE else declared,
        {
            "cleanup.policy": declaration.cleanup,
            "retention.ms": str(declaration.retention_ms),
            "max.message.bytes": str(declaration.message_bytes_max),
            # retention is by wall time, whatever the event's own
            "message.timestamp.type": "LogAppendTime",
        },
    )
