"""What the loop stands on, as `driftloop doctor` found it: plain facts and findings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from driftloop import spec
from driftloop.kit.admin import ClusterState, Ends, TopicState
from driftloop.kit.broker import Partition, TopicSpec

Severity = Literal["ok", "warn", "fail"]
US_PER_MS = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `mend` is empty where it is in order."""

    severity: Severity
    subject: str
    says: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Needs:
    """Of a declared pipeline: how far back its topics must reach, in milliseconds by the name of
    the topic, and where it reads from."""

    name: str
    generation: int
    partitions: int
    held_ms: Mapping[str, int]
    sources: Sequence[str]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a group stands in a partition. `appended_ms`: of the next record it will read; None:
    there is none, or it was not asked for."""

    group: str
    partition: Partition
    offset: int
    appended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """A replica's newest pulse: by its own clock, and by the broker's."""

    service: str
    replica: str
    version: str
    at_ms: int
    appended_ms: int


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder that something grows in."""

    path: str
    of: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Ground:
    """All that was gathered; what could not be asked is in `denied` and `unread`."""

    now_ms: int  # by the broker's clock, as far as it is known
    bootstrap: str
    version: str  # this client's
    cluster: ClusterState
    wanted: Sequence[TopicSpec] = ()  # as declared
    topics: Mapping[str, TopicState] = field(default_factory=dict)  # as they are, sources included
    pipelines: Sequence[Needs] = ()
    standings: Sequence[Standing] = ()
    ends: Mapping[Partition, Ends] = field(default_factory=dict)
    # when the oldest record of an open transaction was written, where one is open
    open_ms: Mapping[Partition, int] = field(default_factory=dict)
    beats: Sequence[Beat] = ()
    disks: Sequence[Disk] = ()
    calls: Mapping[str, str] = field(default_factory=dict)  # service → "" or what is wrong
    denied: Sequence[str] = ()
    unread: Sequence[str] = ()
    hidden: Sequence[str] = ()  # topics of which we may not even see whether they exist
    skew_ms: int = 0  # this machine's clock is so far ahead of the broker's; 0: it is right


def needs(pipeline: spec.Pipeline, generation: int) -> Needs:
    """What a pipeline file asks of its topics' retention."""
    lateness = max(source.lateness for source in pipeline.sources)
    dedup = max(source.dedup_window for source in pipeline.sources)
    windows = [getattr(feature, "window", None) or 0 for feature in pipeline.features]
    horizon = pipeline.target.horizon
    newest = [learner.newest_us or 0 for learner in pipeline.learners]
    held_us = {
        "records": max(dedup, *windows, 0) + lateness,
        "labels": horizon,
        "features": horizon + lateness,
        "predictions": horizon + lateness,
        "examples": max(newest, default=0),
    }
    return Needs(
        pipeline.name,
        generation,
        pipeline.partitions,
        {name: us // US_PER_MS for name, us in held_us.items()},
        [source.topic for source in pipeline.sources],
    )
