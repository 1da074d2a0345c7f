"""What was said of one pipeline on the control topics and in the log of record, kept by id.

Facts only; `turns` and `models` make of them what the page shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from driftloop import spec
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import (
    ModelEvaluated,
    ModelReleased,
    ModelTrained,
    ModelVersion,
    PipelineDeclared,
    RegistryEvent,
    RunFinished,
    RunOpened,
)
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    RetrainRequested,
    RetrainResolved,
    ServingAcknowledged,
)
from driftloop.kit.events import Event

RELEASED = topics.MODEL_RELEASED.topic().name


@dataclass(slots=True)
class Control:
    """Times are append times of the control topics; where one of those is gone, of the registry's
    own note of the same thing."""

    declared: PipelineDeclared | None = None
    pipeline: spec.Pipeline | None = None
    drifts: dict[str, Event[DriftDetected]] = field(default_factory=dict)
    requests: dict[str, Event[RetrainRequested]] = field(default_factory=dict)
    resolved: dict[str, Event[RetrainResolved]] = field(default_factory=dict)  # by request
    opened: dict[str, RunOpened] = field(default_factory=dict)  # by run, as all below
    trained: dict[str, Event[ModelTrained]] = field(default_factory=dict)
    evaluated: dict[str, Event[ModelEvaluated]] = field(default_factory=dict)
    finished: dict[str, Event[RunFinished]] = field(default_factory=dict)
    releases: list[Event[ModelReleased]] = field(default_factory=list)  # oldest first
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    acknowledged: list[Event[ServingAcknowledged]] = field(default_factory=list)
    _appended_ms: dict[tuple[int, int], int] = field(default_factory=dict)

    def on_event(self, event: Event[Any]) -> None:
        """Of a control topic."""
        message = event.message
        match message:
            case DriftDetected():
                self.drifts[event.id] = event
            case RetrainRequested():
                self.requests[event.id] = event
            case RetrainResolved():
                self.resolved.setdefault(message.request_id, event)
            case ModelTrained():
                self.trained[message.run_id] = event
            case ModelEvaluated():
                self.evaluated[message.run_id] = event
            case ModelReleased():
                self._release(event)
            case ServingAcknowledged():
                self.acknowledged.append(event)

    def on_fact(self, event: Event[RegistryEvent]) -> None:
        """Of the registry's log of record."""
        said = event.message
        match said.WhichOneof("kind"):
            case "declared":
                self.declared, self.pipeline = said.declared, _parsed(said.declared)
            case "opened":
                self.opened[said.opened.run_id] = said.opened
            case "trained":
                self.trained.setdefault(said.trained.run_id, _as(event, said.trained))
            case "evaluated":
                self.evaluated.setdefault(said.evaluated.run_id, _as(event, said.evaluated))
            case "versioned":
                self.versions[said.versioned.version] = said.versioned
            case "released":
                self._release(_as(event, said.released))
            case "finished":
                self.finished.setdefault(said.finished.run_id, _as(event, said.finished))

    @property
    def live_version(self) -> int:
        """0: none was released."""
        return self.releases[-1].message.version if self.releases else 0

    @property
    def generation(self) -> int:
        """The one that is served; before the first release, the declared one."""
        if self.releases:
            return self.releases[-1].message.generation or 1
        return self.declared.generation if self.declared else 1

    def events(self) -> Sequence[Event[Any]]:
        """All that a timeline is made of."""
        return [
            *self.drifts.values(),
            *self.requests.values(),
            *self.resolved.values(),
            *self.trained.values(),
            *self.evaluated.values(),
            *self.releases,
            *self.finished.values(),
        ]

    def _release(self, event: Event[ModelReleased]) -> None:
        """From either topic, whichever is read first. `model.released` is compacted, so it holds
        the newest releases only; its append times are those that stages are counted from."""
        said = (event.message.version, event.message.at_ms)
        if event.record.topic == RELEASED:
            self._appended_ms[said] = event.time_ms
            self.releases = [self._timed(known) for known in self.releases]
        else:
            self.releases.append(self._timed(event))

    def _timed(self, event: Event[ModelReleased]) -> Event[ModelReleased]:
        said = (event.message.version, event.message.at_ms)
        return replace(event, time_ms=self._appended_ms.get(said, event.time_ms))


def _as(event: Event[RegistryEvent], message: Any) -> Event[Any]:
    """The fact as the control event that it notes, with the note's append time."""
    return Event(event.id, event.time_ms, message, event.record, event.traceparent)


def _parsed(declared: PipelineDeclared) -> spec.Pipeline | None:
    """None where a newer Driftloop has declared what this one can't read."""
    try:
        return spec.parse(declared.yaml, declared.name)
    except spec.Mistakes:
        return None
