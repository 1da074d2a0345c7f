"""What of a pipeline file could be read for itself, so that the rest is looked at though some of it
is broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from driftloop.spec.learner import Learner
from driftloop.spec.lines import Path
from driftloop.spec.model import Evaluation, Feature, Monitor, Source, Target


@dataclass(slots=True)
class Parts:
    """What of a file could be read; None or short where it could not. `lost` names what is in it
    but is broken.
    """

    name: str | None
    sources: tuple[Source, ...]
    entities: Mapping[str, tuple[str, ...]]
    features: tuple[Feature, ...]
    target: Target | None
    learners: tuple[Learner, ...]
    evaluation: Evaluation | None = None
    monitor: Monitor | None = None
    positions: Mapping[str, list[int]] = field(
        default_factory=dict
    )  # list's name -> place in the file of each item
    lost: frozenset[str] = frozenset()

    def by_topic(self) -> dict[str, Source]:
        return {source.topic: source for source in self.sources}

    def predict(self) -> Source | None:
        return next((source for source in self.sources if "predict" in source.roles), None)

    def path(self, part: str, index: int) -> Path:
        return (part, self.positions[part][index] if part in self.positions else index)
