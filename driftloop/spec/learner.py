"""A learner of a pipeline file: what it is, what it looks at, and how much each row counts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from driftloop.spec.scalars import (
    ClassWeights,
    Duration,
    LearnerWindow,
    Scalar,
    duration_us,
    wrong,
)
from driftloop.spec.strict import Name, Strict


class Weights(Strict):
    """How much each row counts in a fit: half as much for each `half_life` that it is older than
    the newest, and by its class, `balanced` or a number for each (1 where none is said).
    """

    half_life: Duration | None = None
    classes: ClassWeights | None = None


class Span(Strict):
    """Numbers from `low` to `high`, both of them too; whole ones where both are. `log`: as likely
    between 1 and 10 as between 10 and 100.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise wrong(self.low, f"less than high, {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise wrong("log", "a low above 0, and no step")
        return self


Choices = Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1, max_length=100)]


class Search(Strict):
    """Parameters that are chosen by trials at each retrain. `validation`: rolling (origin) and
    blocked leave a gap as long as the target's horizon; kfold and stratified mix rows of all times.
    `workers`: processes that try at the same time on each replica; one finds the same each time.
    """

    space: Annotated[dict[str, Choices | Span], Field(min_length=1, max_length=30)]
    trials: Annotated[int, Field(ge=1, le=10_000)] = 20
    seconds: Duration = duration_us("1m")
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    pruner: Literal["median", "hyperband", "asha", "none"] = "median"
    validation: Literal["rolling", "blocked", "kfold", "stratified"] = "rolling"
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    workers: Annotated[int, Field(ge=1, le=256)] = 1

    @model_validator(mode="after")
    def _listed(self) -> Self:
        spans = [name for name, one in self.space.items() if isinstance(one, Span)]
        if self.sampler == "grid" and spans:
            raise wrong(spans[0], "a list of choices, as sampler: grid goes through all of them")
        return self


class Pace(Strict):
    """How often an online learner's state goes out to be served: once it has learnt `rows` more, or
    `seconds` after the last time if it has learnt any.
    """

    rows: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    seconds: Annotated[float, Field(gt=0, le=86_400)] = 1.0


class Learner(Strict):
    """A candidate of every retrain; with a `snapshot` a line, which is judged by what it would have
    answered: it learns each row once, when its label has come, or with a window of rows is fitted
    anew each time enough have come.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,40}$")]
    kind: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,60}$")]  # or a package's own
    estimator: Name | None = None
    params: dict[str, Scalar] = Field(default_factory=dict)
    search: Search | None = None
    weights: Weights = Field(default_factory=Weights)
    window: LearnerWindow = "all"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    snapshot: Pace | None = None

    @property
    def newest_us(self) -> int | None:
        """How far back it looks; None: another window."""
        newest = self.window.startswith("newest ") and not self.newest_rows
        return duration_us(self.window.removeprefix("newest ")) if newest else None

    @property
    def newest_rows(self) -> int | None:
        """How many rows a line is fitted on; None: another window."""
        said = self.window.removeprefix("newest ").removesuffix(" rows")
        return int(said) if self.window.endswith(" rows") else None

    @property
    def since_change(self) -> bool:
        """It looks at what came since the change that was detected; at everything where none
        was.
        """
        return self.window == "since change"
