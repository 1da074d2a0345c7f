"""What a judgement's child is told, in plain values; the parent needs none of its libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from driftloop.kit.config import Tls
from services.evaluation.domain import Limits


@dataclass(frozen=True, slots=True)
class Champion:
    """What was live when the judgement began; version 0: nothing."""

    version: int = 0
    digest: str = ""
    line: str = ""  # an online learner: its record answers for it


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
    limits: Limits = field(default_factory=Limits)
    slices: Mapping[str, int] = field(default_factory=dict)  # feature → its column
    lines: tuple[str, ...] = ()  # all online learners of the pipeline


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """A model to be scored on a window, in bytes."""

    window: bytes
    digest: str
    threshold: float
    classes: int = 2  # 0: the target is a number


@dataclass(frozen=True, slots=True)
class Rival:
    """One that is scored in a backtest: `model` are its bytes, else those of `digest` are fetched;
    `live`: what was answered at the time. `window`, in bytes: what it was fitted on.
    """

    name: str
    digest: str = ""
    model: bytes = b""
    live: bool = False
    window: bytes = b""


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """A backtest: the rows of [from_us, to_us) of event time, or those of `window`, in bytes, from
    the log or the archive. `names`: the features, in the order of the columns.
    """

    pipeline: str
    generation: int
    partitions: int
    names: tuple[str, ...]
    classes: int
    metric: str
    threshold: float
    rivals: tuple[Rival, ...]
    slices: tuple[str, ...] = ()
    from_us: int = 0
    to_us: int = 0
    window: bytes = b""
    archive: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the child finds the log and the registry."""

    kafka: Mapping[str, str]
    namespace: str
    registry: str
    tls: Tls | None = None
