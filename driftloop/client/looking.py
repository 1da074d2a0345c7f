"""What `driftloop status` is told from: pulses, control topics, each source's newest record, and
whether services can be called; all at once, and what is not there in time is left out.

Works while the registry, or any service, is down: it asks the log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from driftloop import spec
from driftloop.client import reading
from driftloop.client.calls import Calls
from driftloop.client.overview import Facts, SourceFacts
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.broker import Broker, Record
from driftloop.kit.clock import Clock
from driftloop.kit.errors import DriftloopError, Unavailable
from driftloop.kit.topic import ControlTopic

WITHIN_S = 1.7  # of the 2 s in which a person is answered; the rest is Python's start
CALL_S = 0.8
WORKERS = 6  # each opens a consumer, some 50 ms; more would only share the cores
NEWEST = 1_000  # control events of a kind; a run has a handful
PULSES_MS = 60_000
EARLIER_MS = (
    300_000,
    900_000,
    2_700_000,
)  # where silent replicas are looked for, 5 s of pulses each
EARLIER_SPAN_MS = 5_000
STATISTICS = 32  # messages of the newest buckets, some kilobytes each
PARTITIONS_MAX = 8  # of a source topic that are looked at
TAIL_RECORDS = 8  # at the end of a partition, since transactions leave markers there

Job = Callable[[], Any]


class Looking:
    """One look; its threads are left behind if the broker hangs, and die with the process."""

    def __init__(
        self, broker: Callable[[], Broker], calls: Calls, clock: Clock, within_s: float = WITHIN_S
    ) -> None:
        self._open, self._calls, self._clock = broker, calls, clock
        self._until_s = clock.seconds() + within_s
        self._found: dict[str, Any] = {}
        self._left: list[str] = []

    def facts(self) -> Facts:
        """Unavailable where the broker is away, or told us nothing in time."""
        asked = {name: partial(self._calls.trouble, name, CALL_S) for name in self._calls.services}
        called = self._start(asked)
        opened = self._all({"broker": self._open})
        if "broker" not in opened:
            raise Unavailable("the broker does not answer in time")
        broker: Broker = opened["broker"]
        found = self._all(self._first(broker))
        if "pulses" not in found or "pipelines" not in found:
            missing = [what for what in ("pulses", "pipelines") if what not in found]
            raise Unavailable(f"the broker does not give {' and '.join(missing)} in time")
        declared: Sequence[PipelineDeclared] = found["pipelines"]
        found |= self._all(self._second(broker, declared))
        calls = self._collect(called, min(self._until_s, self._clock.seconds() + CALL_S))
        return Facts(
            self._clock.ms(),
            found["pulses"],
            declared,
            released=found.get("released", ()),
            requested=found.get("requested", ()),
            resolved=found.get("resolved", ()),
            finished=found.get("finished", ()),
            progress=found.get("progress", ()),
            statistics={d.name: found.get(f"statistics of {d.name}", ()) for d in declared},
            sources={d.name: _sources_of(d.name, found) for d in declared},
            calls=calls,
            unread=sorted(self._left),
        )

    def _first(self, broker: Broker) -> Mapping[str, Job]:
        return {
            "pulses": lambda: pulses(broker, self._clock.ms()),
            "pipelines": lambda: _declared(broker),
            "released": lambda: reading.events(broker, topics.MODEL_RELEASED.topic()),
            "requested": lambda: _newest(broker, topics.RETRAIN_REQUESTED),
            "resolved": lambda: _newest(broker, topics.RETRAIN_RESOLVED),
            "finished": lambda: _newest(broker, topics.RUN_FINISHED),
            "progress": lambda: _newest(broker, topics.TRAINING_PROGRESS),
        }

    def _second(self, broker: Broker, declared: Sequence[PipelineDeclared]) -> Mapping[str, Job]:
        jobs: dict[str, Job] = {}
        for one in declared:
            jobs[f"statistics of {one.name}"] = partial(_statistics, broker, one.name)
            for topic in _source_topics(one):
                jobs[f"source {one.name} {topic}"] = partial(_source, broker, topic)
        return jobs

    def _all(self, jobs: Mapping[str, Job]) -> dict[str, Any]:
        """What of it is there in time. Raises what the broker refuses for good."""
        found = self._collect(self._start(jobs), self._until_s)
        self._left += [name for name in jobs if name not in found and name != "broker"]
        return found

    def _start(self, jobs: Mapping[str, Job]) -> tuple[SimpleQueue[Any], int]:
        todo: SimpleQueue[tuple[str, Job]] = SimpleQueue()
        done: SimpleQueue[Any] = SimpleQueue()
        for job in jobs.items():
            todo.put(job)
        for _ in range(min(WORKERS, len(jobs))):
            threading.Thread(target=_work, args=(todo, done), daemon=True).start()
        return done, len(jobs)

    def _collect(self, started: tuple[SimpleQueue[Any], int], until_s: float) -> dict[str, Any]:
        done, left = started
        found: dict[str, Any] = {}
        while left:
            try:
                name, answer, error = done.get(timeout=max(0.0, until_s - self._clock.seconds()))
            except Empty:
                break
            left -= 1
            if error is not None and name == "broker":
                raise error
            if error is None:
                found[name] = answer
        return found


def pulses(broker: Broker, now_ms: int) -> list[Pulse]:
    """Of the last minute, and of some moments before it, the oldest first."""
    topic = topics.PULSE.topic()
    if broker.partitions(topic.name) is None:
        return []
    recent = broker.offset_at(topic.name, 0, now_ms - PULSES_MS)
    end = broker.bounds(topic.name, 0)[1]
    spans = [(recent, end)]
    for back_ms in EARLIER_MS:
        start = broker.offset_at(topic.name, 0, now_ms - back_ms)
        stop = broker.offset_at(topic.name, 0, now_ms - back_ms + EARLIER_SPAN_MS)
        spans.append((start, min(stop, recent)))
    found = [
        event.message
        for start, stop in spans
        for event in reading.between(broker, topic, start, stop)
    ]
    return sorted(found, key=lambda pulse: pulse.at_ms)


def _work(todo: SimpleQueue[tuple[str, Job]], done: SimpleQueue[Any]) -> None:
    while True:
        try:
            name, job = todo.get_nowait()
        except Empty:
            return
        try:
            done.put((name, job(), None))
        except DriftloopError as error:
            done.put((name, None, error))


def _declared(broker: Broker) -> list[PipelineDeclared]:
    found = {e.message.name: e.message for e in reading.events(broker, topics.PIPELINES.topic())}
    return [found[name] for name in sorted(found)]


def _newest(broker: Broker, topic: ControlTopic[Any]) -> Sequence[Any]:
    return reading.newest(broker, topic.topic(), NEWEST)


def _statistics(broker: Broker, pipeline: str) -> list[Statistics]:
    topic = topics.STATISTICS.topic(pipeline)
    if broker.partitions(topic.name) is None:
        return []
    return [Statistics.FromString(r.value or b"") for r in _tail(broker, topic.name, 0, STATISTICS)]


def _source(broker: Broker, topic: str) -> SourceFacts:
    count = broker.partitions(topic)
    if count is None:
        return SourceFacts(topic, None, 0)
    newest = 0
    for partition in range(min(count, PARTITIONS_MAX)):
        for record in _tail(broker, topic, partition, TAIL_RECORDS):
            newest = max(newest, record.timestamp_ms)
    return SourceFacts(topic, count, newest)


def _tail(broker: Broker, topic: str, partition: int, count: int) -> Iterator[Record]:
    first, end = broker.bounds(topic, partition)
    return iter(broker.read(topic, partition, max(first, end - count), end))


def _source_topics(declared: PipelineDeclared) -> list[str]:
    try:
        return [source.topic for source in spec.parse(declared.yaml, declared.name).sources]
    except spec.Mistakes:
        return []  # declared by a newer build; the rest can still be told


def _sources_of(pipeline: str, found: Mapping[str, Any]) -> list[SourceFacts]:
    head = f"source {pipeline} "
    return [answer for name, answer in found.items() if name.startswith(head)]
