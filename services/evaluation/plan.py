"""What a judgement's child is told, in plain values; the parent needs none of its libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from driftloop.kit.config import Tls


@dataclass(frozen=True, slots=True)
class Champion:
    """What was live when the judgement began; version 0: nothing."""

    version: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run to be judged. `trained` is its model.trained, in bytes."""

    trained: bytes
    champion: Champion
    metric: str
    confidence: float
    threshold: float
    traceparent: str = ""  # what its steps are under
    classes: int = 2  # 0: the target is a number


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """A model to be scored on a window, in bytes."""

    window: bytes
    digest: str
    threshold: float
    classes: int = 2  # 0: the target is a number


@dataclass(frozen=True, slots=True)
class Places:
    """Where the child finds the log and the registry."""

    kafka: Mapping[str, str]
    namespace: str
    registry: str
    tls: Tls | None = None
