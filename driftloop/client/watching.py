"""The live view's feed: followers of the topics that it shows, each telling one LiveState under a
lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from google.protobuf.message import Message

from driftloop.client.live import LiveState, Snapshot
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import RegistryEvent
from driftloop.kit.broker import Broker, Record
from driftloop.kit.follow import Follower
from driftloop.kit.topic import Topic

M = TypeVar("M", bound=Message)
WAIT_S = 10.0  # a year of statistics is read in 1 s; more than this is a broker that has gone


class Watch:
    """A context: `with client.watch("flights") as watch: watch.snapshot()`."""

    def __init__(self, broker: Broker, pipeline: str) -> None:
        self._broker, self._pipeline = broker, pipeline
        self._state = LiveState(pipeline)
        self._lock = threading.Lock()
        self._followers: dict[str, Follower[Any]] = {}

    def __enter__(self) -> Watch:
        state = self._state
        self._follow(topics.LIVE.topic(), lambda _, message: state.on_live(message))
        self._follow(
            topics.STATISTICS.topic(self._pipeline), lambda _, message: state.on_statistics(message)
        )
        # the log of record, since the topic of releases is compacted: old ones vanish from it
        self._follow(topics.REGISTRY_EVENTS.topic(), self._on_fact, _pipeline_of_release)
        self._follow(topics.DRIFT_DETECTED.topic(), state.on_drift)
        self._follow(topics.RETRAIN_REQUESTED.topic(), state.on_requested)
        self._follow(topics.RETRAIN_RESOLVED.topic(), lambda _, message: state.on_resolved(message))
        self._follow(topics.RUN_FINISHED.topic(), lambda _, message: state.on_finished(message))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for follower in self._followers.values():
            follower.stop()

    def wait(self) -> None:
        """Until what was there at the start has been read; topics that are not there yet have
        nothing. At most WAIT_S each.
        """
        for topic, follower in self._followers.items():
            if self._broker.partitions(topic) is not None:
                follower.caught_up.wait(WAIT_S)

    def snapshot(self) -> Snapshot:
        """What is known now."""
        with self._lock:
            return self._state.snapshot()

    def trouble(self, line: str) -> None:
        """A line of trouble that the caller knows of, as the end of a process."""
        with self._lock:
            self._state.on_trouble(line)

    def _on_fact(self, _: str, message: RegistryEvent) -> None:
        self._state.on_released(message.released)

    def _follow(
        self,
        topic: Topic[M],
        tell: Callable[[str, M], None],
        pipeline_of: Callable[[M], str] = lambda message: getattr(message, "pipeline", ""),
    ) -> None:
        def on_message(key: str | None, message: M | None, record: Record) -> None:
            if message is not None and pipeline_of(message) == self._pipeline:
                with self._lock:
                    tell(dict(record.headers).get("ce_id", b"").decode(), message)

        self._followers[topic.name] = Follower(self._broker, topic, on_message)


def _pipeline_of_release(fact: RegistryEvent) -> str:
    """Empty for every other kind of fact."""
    return fact.released.pipeline if fact.WhichOneof("kind") == "released" else ""
