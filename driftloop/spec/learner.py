"""A learner of a pipeline file: what it is, what it looks at, and how much each row counts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from driftloop.spec.scalars import ClassWeights, Duration, LearnerWindow, Scalar, duration_us
from driftloop.spec.strict import Name, Strict


class Weights(Strict):
    """How much each row counts in a fit: half as much for each `half_life` that it is older than
    the newest, and by its class, `balanced` or a number for each (1 where none is said).
    """

    half_life: Duration | None = None
    classes: ClassWeights | None = None


class Learner(Strict):
    """A candidate of every retrain."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,40}$")]
    kind: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,60}$")]  # or a package's own
    estimator: Name | None = None
    params: dict[str, Scalar] = Field(default_factory=dict)
    weights: Weights = Field(default_factory=Weights)
    window: LearnerWindow = "all"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1

    @property
    def newest_us(self) -> int | None:
        """How far back it looks; None: another window."""
        newest = self.window.startswith("newest ")
        return duration_us(self.window.removeprefix("newest ")) if newest else None

    @property
    def since_change(self) -> bool:
        """It looks at what came since the change that was detected; at everything where none
        was.
        """
        return self.window == "since change"
