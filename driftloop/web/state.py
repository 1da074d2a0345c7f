"""All that the page shows, kept up to date message by message: sections as JSON, each made anew
only when something it rests on has changed, and sent only when it differs.

Safe to call from any thread. No I/O; the time is an argument.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from driftloop.contracts.model_pb2 import RegistryEvent
from driftloop.contracts.pulse_pb2 import Live, Pulse
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.errors import Refused
from driftloop.kit.events import Event
from driftloop.web import models, turns
from driftloop.web.pipeline import PipelineState
from driftloop.web.processes import Processes

DIGITS_MAX = 18  # of a revision; anyone may ask for more
PIPELINES_MAX = 100  # as many as metrics are kept for
encode = msgspec.json.Encoder().encode


class State:
    """Of the whole installation. A revision is a number that rises with each message; told outside
    it carries this start's own name, so that no reader takes a restarted server for the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boot = uuid.uuid4().hex[:8]
        self._revision = 0
        self._pipelines: dict[str, PipelineState] = {}
        self._processes = Processes()
        self._troubles: dict[str, str] = {}

    # -- what the topics say

    def on_fact(self, event: Event[RegistryEvent]) -> None:
        """Of the registry's log of record."""
        kind = event.message.WhichOneof("kind")
        said = getattr(event.message, kind) if kind else None
        name = getattr(said, "name", "") if kind == "declared" else getattr(said, "pipeline", "")
        if name:
            self._tell(name, lambda each: each.on_fact(event))

    def on_event(self, event: Event[Any]) -> None:
        """Of a control topic."""
        self._tell(event.message.pipeline, lambda each: each.on_event(event))

    def on_statistics(self, pipeline: str, message: Statistics, closed_ms: int) -> None:
        self._tell(pipeline, lambda each: each.on_statistics(message, closed_ms, self._revision))

    def on_live(self, message: Live) -> None:
        self._tell(message.pipeline, lambda each: each.on_live(message))

    def on_pulse(self, message: Pulse) -> None:
        with self._lock:
            self._revision += 1
            self._processes.add(message)

    def trouble(self, what: str, says: str) -> None:
        """`what` is away, in words; empty: it is back."""
        with self._lock:
            if says:
                self._troubles[what] = says
            else:
                self._troubles.pop(what, None)

    def forget(self) -> None:
        """The log is another one: begin anew, and let every reader do so."""
        with self._lock:
            self._boot = uuid.uuid4().hex[:8]
            self._pipelines.clear()
            self._processes = Processes()
            self._revision += 1

    # -- what the page asks

    def overview(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                each.head() | {"event_time_us": each.event_time_us}
                for _, each in sorted(self._pipelines.items())
                if each.control.declared
            ]

    def document(self, pipeline: str) -> tuple[str, bytes]:
        """Revision, and everything of one pipeline as JSON. Refused: no such pipeline."""
        with self._lock:
            known, revision = self._known(pipeline), self._told(self._revision)
            sections = known.sections(self._revision)
            return revision, encode({**known.head(), "revision": revision, **sections})

    def update(self, pipeline: str, since: str) -> tuple[str, bytes | None]:
        """Revision, and what has changed after `since` (of this start, else all); None: nothing."""
        with self._lock:
            known, revision = self._known(pipeline), self._told(self._revision)
            changed = known.update(self._number(since), self._revision)
            if not changed:
                return revision, None
            return revision, encode({**known.head(), "revision": revision, **changed})

    def run(self, pipeline: str, run_id: str) -> Mapping[str, Any]:
        with self._lock:
            return turns.run(self._known(pipeline).control, run_id)

    def compare(self, pipeline: str, a: int, b: int) -> Mapping[str, Any]:
        with self._lock:
            return models.compare(self._known(pipeline).control, a, b)

    def services(self, now_ms: int) -> list[dict[str, Any]]:
        with self._lock:
            return self._processes.told(now_ms)

    def troubles(self, now_ms: int) -> str:
        """In one line; empty: none."""
        with self._lock:
            silent = self._processes.silent(now_ms)
            lines = list(self._troubles.values())
        if silent and not lines:  # without a broker nobody is heard, and nobody is to blame
            lines.append(f"{', '.join(silent)}: silent, see its log")
        return "; ".join(lines)

    def _tell(self, pipeline: str, tell: Callable[[PipelineState], None]) -> None:
        with self._lock:
            if pipeline not in self._pipelines:
                if not pipeline or len(self._pipelines) >= PIPELINES_MAX:
                    return
                self._pipelines[pipeline] = PipelineState(pipeline)
            self._revision += 1
            tell(self._pipelines[pipeline])

    def _known(self, pipeline: str) -> PipelineState:
        known = self._pipelines.get(pipeline)
        if known is None or known.control.declared is None:
            names = [name for name, each in self._pipelines.items() if each.control.declared]
            raise Refused(
                f"no pipeline {pipeline}; there are {', '.join(sorted(names)) or 'none yet'}",
                status="NOT_FOUND",
            )
        return known

    def _told(self, revision: int) -> str:
        return f"{self._boot}-{revision}"

    def _number(self, told: str) -> int:
        """-1: not of this start, so everything is new."""
        boot, _, number = told.partition("-")
        mine = boot == self._boot and number.isdecimal() and len(number) <= DIGITS_MAX
        return int(number) if mine else -1
