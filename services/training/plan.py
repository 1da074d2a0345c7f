"""What a child is told: all of a run in plain values, so that the parent needs none of the child's
libraries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from driftloop.dataset import ALL, Range, Times
from driftloop.kit.config import Tls
from services.training.domain import EVEN, Limits, Weighing
from services.training.online import LinePlan


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How a learner's parameters are searched for. `space`: name → a list of choices, or {"low",
    "high", "log", "step"}; `gap_us`: how long labels take.
    """

    space: Mapping[str, Any]
    trials: int = 20
    seconds: float = 60.0
    sampler: str = "tpe"
    pruner: str = "median"
    validation: str = "rolling"
    folds: int = 3
    gap_us: int = 0
    workers: int = 1  # processes that try at the same time, on each replica


@dataclass(frozen=True, slots=True)
class Searching:
    """Where trials are kept, and by how many they may be made. `folder`: of journals, and of rows
    that workers read; none: in memory. `url`: a database instead, that replicas share.
    """

    folder: str = ""
    url: str = ""
    replica: str = ""
    workers_max: int = 1
    memory_mb_max: int = 4_096


@dataclass(frozen=True, slots=True)
class LearnerPlan:
    """One learner of the pipeline file. `window_us` None: everything; `since_change`: what came
    since the change that was detected, where one was.
    """

    name: str
    kind: str
    params: Mapping[str, Any]
    seed: int
    window_us: int | None = None
    since_change: bool = False
    weighing: Weighing = EVEN
    search: SearchPlan | None = None  # what it finds becomes `params` before the fit


def recipe(learner: LearnerPlan) -> dict[str, str]:
    """All of `learner` that makes a model's bytes, as the model carries it; its window is carried
    as offsets.
    """
    return {
        "kind": learner.kind,
        "params": json.dumps(dict(learner.params), sort_keys=True),
        "seed": str(learner.seed),
        "weights": json.dumps(asdict(learner.weighing), sort_keys=True),
    }


def of_recipe(name: str, said: Mapping[str, str]) -> LearnerPlan:
    """What `recipe` was made of."""
    counted = json.loads(said.get("weights", "{}"))
    weighing = Weighing(**{**counted, "classes": tuple(counted.get("classes", ()))})
    params, seed = json.loads(said["params"]), int(said["seed"])
    return LearnerPlan(name, said["kind"], params, seed, weighing=weighing)


@dataclass(frozen=True, slots=True)
class GivenPlan:
    """A model that was fitted elsewhere: nothing is fitted, it is the one candidate."""

    name: str
    digest: str
    bytes: int
    note: str


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
    times: Times = ALL  # which rows of `ranges` count
    given: GivenPlan | None = None
    searching: Searching = Searching()
    lines: Sequence[LinePlan] = ()  # online learners, whose newest snapshots are candidates


@dataclass(frozen=True, slots=True)
class Places:
    """Where the child finds the log and the registry."""

    kafka: Mapping[str, str]
    namespace: str
    registry: str
    tls: Tls | None = None
