"""What `driftloop status` is told from: pulses, control topics, each source's newest record, and
whether services can be called; all at once, and what is not there in time is told as unknown.

Works while the registry, or any service, is down: it asks the log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from driftloop import spec
from driftloop.client import pulses, reading
from driftloop.client.calls import Calls
from driftloop.client.overview import Asked, Facts, SourceFacts
from driftloop.client.pulses import TAIL_RECORDS
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.broker import Broker, Record
from driftloop.kit.clock import Clock
from driftloop.kit.errors import DriftloopError, Unavailable
from driftloop.kit.topic import ControlTopic

WITHIN_S = 1.7  # of the 2 s in which a person is answered; the rest is Python's start
CALL_S = 0.8
WORKERS = 6  # each opens a consumer, some 50 ms; more would only share the cores
NEWEST = 1_000  # control events of a kind; a run has a handful
STATISTICS = 32  # messages of the newest buckets, some kilobytes each
PARTITIONS_MAX = 8  # of a source topic that are looked at
LATE = "was not read in time"

Job = Callable[[], Any]
BROKER = Asked("broker", "the broker")
PULSES = Asked("pulses", topics.PULSE.topic().name)
PIPELINES = Asked("pipelines", topics.PIPELINES.topic().name)
SILENT = Asked("silent", topics.PULSE.topic().name)
CLOCK = Asked("clock", topics.PULSE.topic().name)
EVENTS: Mapping[str, ControlTopic[Any]] = {
    "requested": topics.RETRAIN_REQUESTED,
    "resolved": topics.RETRAIN_RESOLVED,
    "finished": topics.RUN_FINISHED,
    "progress": topics.TRAINING_PROGRESS,
}


class Looking:
    """One look; its threads are left behind if the broker hangs, and die with the process."""

    def __init__(
        self, broker: Callable[[], Broker], calls: Calls, clock: Clock, within_s: float = WITHIN_S
    ) -> None:
        self._open, self._calls, self._clock = broker, calls, clock
        self._until_s = clock.seconds() + within_s
        self._unread: dict[Asked, str] = {}

    def facts(self) -> Facts:
        """Unavailable where the broker is away, or told us nothing in time."""
        trouble = self._calls.trouble
        asking = {Asked("call", n): partial(trouble, n, CALL_S) for n in self._calls.services}
        called = self._start(asking)
        opened = self._all({BROKER: self._open})
        if BROKER not in opened:
            raise Unavailable("the broker does not answer in time")
        broker: Broker = opened[BROKER]
        found = self._all(self._first(broker))
        for asked in (PULSES, PIPELINES):
            if asked not in found:
                raise Unavailable(f"{asked.topic} {self._unread[asked]}")
        found |= self._all(self._second(broker, found))
        answers = self._collect(called, min(self._until_s, self._clock.seconds() + CALL_S))
        return self._told(found, {asked.topic: answer for asked, answer in answers.items()})

    def _told(self, found: Mapping[Asked, Any], calls: Mapping[str, str]) -> Facts:
        skew_ms = found.get(CLOCK, 0)
        by_kind = {asked.what: events for asked, events in found.items() if not asked.pipeline}
        declared: Sequence[PipelineDeclared] = found[PIPELINES]
        return Facts(
            self._clock.ms() - skew_ms,
            [*found.get(SILENT, ()), *found[PULSES]],
            declared,
            released=by_kind.get("released", ()),
            **{kind: by_kind.get(kind, ()) for kind in EVENTS},
            statistics={a.pipeline: found[a] for a in found if a.what == "statistics"},
            sources={d.name: _sources_of(d.name, found) for d in declared},
            calls=calls,
            unread=self._unread,
            skew_ms=skew_ms,
        )

    def _first(self, broker: Broker) -> Mapping[Asked, Job]:
        released = topics.MODEL_RELEASED.topic()
        jobs: dict[Asked, Job] = {
            PULSES: partial(pulses.lately, broker),
            PIPELINES: partial(_declared, broker),
            Asked("released", released.name): partial(reading.events, broker, released),
        }
        for kind, topic in EVENTS.items():
            asked = Asked(kind, topic.topic().name)
            jobs[asked] = partial(reading.newest, broker, topic.topic(), NEWEST)
        return jobs

    def _second(self, broker: Broker, found: Mapping[Asked, Any]) -> Mapping[Asked, Job]:
        """Which the first say where to look for."""
        events = [event for asked in found if asked != PIPELINES for event in found[asked]]
        newest_ms = max((event.time_ms for event in events), default=0)
        jobs: dict[Asked, Job] = {
            CLOCK: partial(pulses.skew_ms, broker, self._clock, newest_ms),
            SILENT: partial(_silent, broker, found[PULSES]),
        }
        for one in found[PIPELINES]:
            asked = Asked("statistics", topics.STATISTICS.topic(one.name).name, one.name)
            jobs[asked] = partial(_statistics, broker, asked.topic)
            for topic in _source_topics(one):
                jobs[Asked("source", topic, one.name)] = partial(_source, broker, topic)
        return jobs

    def _all(self, jobs: Mapping[Asked, Job]) -> dict[Asked, Any]:
        """What of it is there in time. Raises why the broker can't be opened."""
        found = self._collect(self._start(jobs), self._until_s)
        late = [asked for asked in jobs if asked not in found and asked not in self._unread]
        self._unread |= dict.fromkeys(late, LATE)
        return found

    def _start(self, jobs: Mapping[Asked, Job]) -> tuple[SimpleQueue[Any], int]:
        todo: SimpleQueue[tuple[Asked, Job]] = SimpleQueue()
        done: SimpleQueue[Any] = SimpleQueue()
        for job in jobs.items():
            todo.put(job)
        for _ in range(min(WORKERS, len(jobs))):
            threading.Thread(target=_work, args=(todo, done), daemon=True).start()
        return done, len(jobs)

    def _collect(self, started: tuple[SimpleQueue[Any], int], until_s: float) -> dict[Asked, Any]:
        done, left = started
        found: dict[Asked, Any] = {}
        while left:
            try:
                asked, answer, error = done.get(timeout=max(0.0, until_s - self._clock.seconds()))
            except Empty:
                break
            left -= 1
            if error is not None and asked == BROKER:
                raise error
            if error is None:
                found[asked] = answer
            else:
                self._unread[asked] = f"can't be read: {error}"
        return found


def _work(todo: SimpleQueue[tuple[Asked, Job]], done: SimpleQueue[Any]) -> None:
    while True:
        try:
            asked, job = todo.get_nowait()
        except Empty:
            return
        try:
            done.put((asked, job(), None))
        except DriftloopError as error:
            done.put((asked, None, error))


def _declared(broker: Broker) -> list[PipelineDeclared]:
    found = {e.message.name: e.message for e in reading.events(broker, topics.PIPELINES.topic())}
    return [found[name] for name in sorted(found)]


def _silent(broker: Broker, recent: pulses.Pulses) -> pulses.Pulses:
    before = pulses.earlier(broker, recent)
    return sorted(
        [*before, *pulses.last_words(broker, before, recent)], key=lambda event: event.time_ms
    )


def _statistics(broker: Broker, topic: str) -> list[Statistics]:
    if broker.partitions(topic) is None:
        return []
    return [Statistics.FromString(r.value or b"") for r in _tail(broker, topic, 0, STATISTICS)]


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


def _sources_of(pipeline: str, found: Mapping[Asked, Any]) -> list[SourceFacts]:
    return [found[a] for a in found if (a.what, a.pipeline) == ("source", pipeline)]
