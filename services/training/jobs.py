"""What training's loop works with: accepted runs, their children, what people want, and the port to
whoever knows the pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from driftloop.contracts.model_pb2 import Given
from driftloop.contracts.retrain_pb2 import RetrainRequested
from driftloop.dataset import ALL, Range, Times
from driftloop.kit.task import Work
from services.training.domain import Known, Run


class Fit(Work, Protocol):
    """A child that says how far it is."""

    def progress(self) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a run is to be fitted on, as it was asked for; or the model that is `given` and only
    judged.
    """

    ranges: Sequence[Range]
    times: Times = ALL
    given: Given | None = None
    line: str = ""  # of a challenger: it alone is judged


@dataclass(frozen=True, slots=True)
class Order:
    """A pipeline as training needs it; `partitions` of its examples."""

    known: Known
    declaration: int
    partitions: int


class Foundry(Protocol):
    """Knows the pipelines and starts fits; app.py makes it."""

    def ready(self) -> bool:
        """All that is declared has been heard of."""

    def order(self, pipeline: str) -> Order | None: ...

    def start(
        self, run: Run, window: Dataset, change_us: int | None, seconds_max: float
    ) -> Fit | None:
        """None: the pipeline is no longer declared."""


@dataclass(frozen=True, slots=True)
class Train:
    """A person wants a retrain."""

    request_id: str
    message: RetrainRequested
    traceparent: str = ""  # of the call


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person wants a run ended."""

    run_id: str
    by: str


@dataclass(slots=True)
class Job:
    """An accepted run that still owes its model.trained."""

    run: Run
    window: Dataset
    change_us: int | None
    noted: bool  # its window stands in the note, not in its request
    turn: str = ""  # traceparent
    requested_ms: int = 0
    work: Fit | None = None
    cancelled_by: str = ""


Command = Train | Cancel
