"""The third of the client that tells what has been: why, of what, by whom; from the log."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import polars as pl

from driftloop.client import origins, reading, story
from driftloop.client.asking import Asking, check
from driftloop.client.confirming import answered_after
from driftloop.client.plain import Plain
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared, Snapshot
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.broker import Broker
from driftloop.kit.clock import Clock
from driftloop.kit.events import Event
from driftloop.kit.message import parse
from driftloop.kit.topic import M


class Recorded(Asking):
    """What the log has on record."""

    _clock: Clock

    @property
    @abstractmethod
    def _broker(self) -> Broker: ...

    @abstractmethod
    def _declared(self, pipeline: str) -> PipelineDeclared: ...

    @abstractmethod
    def read(self, pipeline: str, what: Any) -> pl.DataFrame:
        """A topic's rows (see driftloop.client.Client)."""

    def explain(self, pipeline: str) -> list[story.Step]:
        """Why it did or did not retrain: what was seen, asked, decided, judged and released, in
        order.
        """
        found: list[Event[Any]] = [
            event
            for topic in story.TOLD
            for event in reading.events(self._broker, topic.topic(), pipeline)
        ]
        found += reading.releases(self._broker, pipeline)
        if not found:
            self._declared(pipeline)  # nothing to tell of what there is not
        return story.timeline(found)

    def answered(self, pipeline: str, event_id: str) -> Plain:
        """What was answered to one event, when, and by which version. Refused: it was not answered,
        or the topic no longer holds it.
        """
        return origins.answered(self.read(pipeline, "predictions"), pipeline, event_id)

    def lineage(self, pipeline: str, version: int) -> Plain:
        """What a version was made of, and what it has answered: window, run, request, pipeline file
        and code; rows answered and in which span of event time.
        """
        statistics = self._messages(topics.STATISTICS.topic(pipeline).name, Statistics)
        return origins.lineage(self.model(pipeline, version), self.runs(pipeline), statistics)

    def answering(self, released: Plain, seconds: float = 10.0) -> float | None:
        """Seconds until serving answered every partition with what was released, promoted or
        rolled back to; None: it has not said so within `seconds`.
        """
        pipeline, since_ms = released["pipeline"], released["at_ms"]
        declared = self._declared(pipeline)
        partitions = check(declared.yaml, pipeline).partitions
        of = pipeline, released["version"], partitions, since_ms, seconds
        return answered_after(self._broker, self._clock, *of)

    def lines(self, pipeline: str) -> list[Plain]:
        """The online learners: each one's newest snapshot, and its record beside what is live."""
        declared = self._declared(pipeline)
        topic = topics.SNAPSHOTS.topic(pipeline, declared.generation)
        told = {one.line: one for one in self._messages(topic.name, Snapshot)}
        statistics = self._messages(topics.STATISTICS.topic(pipeline).name, Statistics)
        return origins.lines(told.values(), statistics)

    def trials(self, pipeline: str, run_id: str = "") -> list[Plain]:
        """Sets of parameters that searches have tried, as training told them, the oldest first; of
        one run where it is named.
        """
        told = reading.events(self._broker, topics.TRAINING_PROGRESS.topic(), pipeline)
        return origins.trials((each.message for each in told), run_id)

    def _messages(self, topic: str, kind: type[M]) -> Iterator[M]:
        return (parse(kind, record) for record in reading.records(self._broker, topic))
