"""What a child is told: all of a run in plain values, so that the parent needs none of the child's
libraries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from driftloop.dataset import Range
from driftloop.kit.config import Tls
from services.training.domain import Limits


@dataclass(frozen=True, slots=True)
class LearnerPlan:
    """One learner of the pipeline file. `window_us` None: everything."""

    name: str
    kind: str
    params: Mapping[str, Any]
    seed: int
    window_us: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run needs to know. `change_us`: event time since which drift was seen, None for
    other triggers.
    """

    run_id: str
    pipeline: str
    generation: int
    declaration: int
    ranges: Sequence[Range]
    learners: Sequence[LearnerPlan]
    names: tuple[str, ...]
    classes: int
    limits: Limits
    change_us: int | None = None
    traceparent: str = ""  # what its steps are under


@dataclass(frozen=True, slots=True)
class Places:
    """Where the child finds the log and the registry."""

    kafka: Mapping[str, str]
    namespace: str
    registry: str
    tls: Tls | None = None
