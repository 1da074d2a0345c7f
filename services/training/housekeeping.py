"""Which windows the registry's models name, where their rows are, and that those worth keeping are
archived before retention takes them.

It stands beside the control loop, in a thread: nobody waits for it, it writes no topic, and what it
writes has its digest as its name; so two replicas do no harm, and a try that failed is made again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import grpc

from driftloop.archive import Archive, Reach, in_log, name
from driftloop.contracts.model_pb2 import ModelVersion, Window
from driftloop.contracts.registry_pb2 import ListModelsRequest, ModelRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.contracts.training_pb2 import ModelWindow
from driftloop.dataset import ranges_of
from driftloop.kit.admin import Admin
from driftloop.kit.broker import Broker
from driftloop.kit.clock import Clock
from driftloop.kit.errors import DriftloopError, Unavailable
from driftloop.kit.log import bound, logger
from driftloop.kit.task import Work
from services.training.domain import Retention, Stretch, endangered

ASK_SECONDS_MAX = 10.0
POLL_S = 0.1
# Of the models whose windows are kept: what is served, what it can be rolled back to, what it is
# compared with, and what a person holds on to.
KEPT = frozenset({"champion", "previous", "baseline", "pinned"})
log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Models:
    """What the registry says of a pipeline's models."""

    registry: RegistryStub

    def all(self, pipeline: str) -> list[ModelVersion]:
        """The oldest first."""
        request, found = ListModelsRequest(parent=f"pipelines/{pipeline}"), list[ModelVersion]()
        while True:
            reply = self.registry.ListModels(request, timeout=ASK_SECONDS_MAX)
            found += reply.models
            request.page_token = reply.next_page_token
            if not request.page_token:
                return found

    def one(self, pipeline: str, version: int) -> ModelVersion:
        """Version 0: the champion."""
        asked = ModelRequest(pipeline=pipeline, version=version)
        return self.registry.Model(asked, timeout=ASK_SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """`start` begins a child that archives a window."""

    models: Models
    pipelines: Callable[[], Sequence[str]]
    broker: Broker
    admin: Admin
    archive: Archive
    start: Callable[[Window], Work]
    clock: Clock
    share: float
    every_s: float

    def work(self, stop: threading.Event) -> None:
        """For ever."""
        while not stop.is_set():
            for pipeline in self.pipelines():
                with bound(pipeline=pipeline):
                    self._looked_after(pipeline, stop)
            self.clock.sleep(self.every_s, stop)

    def windows(self, pipeline: str) -> Iterator[ModelWindow]:
        """Where the rows of each version's window are."""
        models, reach = self.models.all(pipeline), Reach(self.broker)
        archived = self.archive.among(model.candidate.window for model in models)
        for model in models:
            window = model.candidate.window
            here, kept = reach.over(window), bool(window.rows) and name(window) in archived
            state = "live" if here else "archived" if kept else "expired"
            yield ModelWindow(
                version=model.version,
                aliases=model.aliases,
                window=window,
                state=state if window.rows else "none",
                in_log=here,
                in_archive=kept,
                place=self.archive.place(window) if kept else "",
            )

    def due(self, pipeline: str) -> list[tuple[ModelVersion, str]]:
        """Models whose windows must be archived now, and why."""
        found = []
        for model in self.models.all(pipeline):
            window = model.candidate.window
            if not KEPT & {*model.aliases} or self.archive.has(window):
                continue
            why = self._endangered(window) if in_log(self.broker, window) else ""
            if why:
                found.append((model, why))
        return found

    def _looked_after(self, pipeline: str, stop: threading.Event) -> None:
        try:
            for model, why in self.due(pipeline):
                self._archived(model, why, stop)
        except (grpc.RpcError, DriftloopError) as error:
            told = error.details() if isinstance(error, grpc.Call) else error
            log.warning("windows can't be looked after; next try in %g s: %s", self.every_s, told)

    def _archived(self, model: ModelVersion, why: str, stop: threading.Event) -> None:
        child = self.start(model.candidate.window)
        while (ended := child.poll()) is None:
            if stop.is_set():
                child.cancel()
            self.clock.sleep(POLL_S, stop)
        if ended.result is None:
            raise Unavailable(f"the window of version {model.version}: {ended.error}")
        fields = {"version": model.version, "rows": model.candidate.window.rows, **ended.result}
        log.info(
            "the window of version %d is archived: %s",
            model.version,
            why,
            extra={"fields": fields},
        )

    def _endangered(self, window: Window) -> str:
        ranges = [one for one in ranges_of(window) if one.end > one.start]
        topic = self.admin.topics([ranges[0].topic]).get(ranges[0].topic)
        if topic is None:
            return ""
        of = topic.config
        retention = Retention(int(of["retention.ms"]), int(of.get("retention.bytes", "-1")))
        return endangered(
            (self._stretch(one.topic, one.partition, one.start) for one in ranges),
            retention,
            self.clock.ms(),
            self.share,
        )

    def _stretch(self, topic: str, partition: int, start: int) -> Stretch:
        first, end = self.broker.bounds(topic, partition)
        oldest_ms = self.admin.appended_ms((topic, partition), start)
        return Stretch(start, first, end, oldest_ms)
