"""The client: one object over the log and the services. What it answers is plain values or
DataFrames, never messages.

Reading the log needs no service; questions about models, promotions and predictions ask the service
that knows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import polars as pl

from driftloop.client import (
    checks,
    dead,
    decoding,
    frames,
    problems,
    producing,
    reading,
    sampling,
    status,
)
from driftloop.client.addresses import Place, here, reachable
from driftloop.client.asking import check
from driftloop.client.calls import QUESTIONS, Calls
from driftloop.client.examining import Examining
from driftloop.client.looking import Looking
from driftloop.client.plain import Plain, plain
from driftloop.client.reading import Bound, Span
from driftloop.client.recorded import Recorded
from driftloop.client.watching import Watch
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.kit import rpc
from driftloop.kit.broker import Broker, Record
from driftloop.kit.clock import Clock, SystemClock
from driftloop.kit.errors import Refused, Unavailable
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.kafka.admin import KafkaAdmin

What = Literal["scores", "examples", "predictions", "features", "corrections", "drift", "runs"]
SAMPLE_ROWS = 500  # of a topic, the newest: enough for types and guesses
QUIET = {"log_level": "0"}  # our errors say what librdkafka would print beside them
FOLLOW_S = 0.2  # between two looks at a topic that is followed


def connect(address: str | None = None) -> Client:
    """`address`: host:port of a broker; None: the environment, else the newest running stack here,
    else the fixed ports.
    """
    return at(here(address))


def at(place: Place) -> Client:
    """The client of a place that was found."""
    common = place.common

    def broker() -> Broker:
        reachable(common.kafka_bootstrap)
        return KafkaBroker({**QUIET, **common.kafka}, common.driftloop_namespace)

    calls = Calls(common, rpc.channel, partial(rpc.channel, questions=QUESTIONS))
    return Client(place, broker, calls, SystemClock())


def read(
    pipeline: str,
    what: What,
    *,
    start: Bound = None,
    end: Bound = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """`connect().read(…)`, for one question."""
    with connect() as client:
        return client.read(pipeline, what, start=start, end=end, columns=columns)


class Client(Recorded):
    """Also a context, that closes its connections."""

    def __init__(
        self, place: Place, broker: Callable[[], Broker], calls: Calls, clock: Clock
    ) -> None:
        self.place = place
        super().__init__(calls)
        self._open, self._clock = broker, clock
        self._opened: Broker | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._calls.close()
        if self._opened is not None:
            self._opened.close()

    @property
    def _broker(self) -> Broker:
        """The log, connected to when first asked for: some questions need only a service, or
        nothing.
        """
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    # -- what was written
    # ---------------------------------------------------------------------------------------------

    def read(
        self,
        pipeline: str,
        what: What,
        *,
        start: Bound = None,
        end: Bound = None,
        columns: Sequence[str] | None = None,
        generation: int | None = None,
    ) -> pl.DataFrame:
        """A topic's rows in the order of event time, committed ones only; `.to_pandas()` makes it
        one of pandas, where that is installed (`pip install 'driftloop[pandas]'`).

        `start` and `end` bound [start, end): instants (datetime, date or ISO 8601; UTC without a
        zone), or offsets (a
        number for all partitions, a mapping by partition). `drift` and `runs` take instants alone;
        a run's is the wall
        time at which it opened. Refused: no such pipeline, topic, time or column.
        """
        span = Span(start, end)
        frame = self._frame(pipeline, what, span, generation)
        frame = span.within(frame)
        unknown = sorted(set(columns or ()) - set(frame.columns))
        if unknown:
            raise Refused(
                f"no column {', '.join(unknown)}; {pipeline} {what} has {', '.join(frame.columns)}"
            )
        return frame.select(columns) if columns else frame

    def _frame(self, pipeline: str, what: str, span: Span, generation: int | None) -> pl.DataFrame:
        if what == "runs":
            return status.runs_frame(self.runs(pipeline))
        if what == "drift":
            return status.drift_frame(
                reading.events(self._broker, topics.DRIFT_DETECTED.topic(), pipeline),
                self.explain(pipeline),
            )
        if what == "scores":
            return frames.scores(
                reading.records(self._broker, topics.SCORES.topic(pipeline).name, span)
            )
        declared = self._declared(pipeline)
        number = generation or declared.generation
        names = self._names(declared)
        known: Mapping[str, Callable[[], pl.DataFrame]] = {
            "examples": lambda: frames.examples(
                self._generation(topics.EXAMPLES, pipeline, number, span), names
            ),
            "features": lambda: frames.features(
                self._generation(topics.FEATURES, pipeline, number, span), names
            ),
            "predictions": lambda: frames.predictions(
                self._generation(topics.PREDICTIONS, pipeline, number, span)
            ),
            "corrections": lambda: frames.corrections(
                self._generation(topics.CORRECTIONS, pipeline, number, span)
            ),
        }
        if what not in known:
            raise Refused(f"read {what!r}: wanted one of scores, {', '.join(known)}, drift, runs")
        return known[what]()

    def _generation(
        self, topic: Any, pipeline: str, generation: int, span: Span
    ) -> Sequence[Record]:
        return reading.records(self._broker, topic.topic(pipeline, generation).name, span)

    def tail(self, topic: str, newest: int, stop: threading.Event | None = None) -> Iterator[Plain]:
        """The newest messages of any topic as rows; with `stop`, what comes after them too, until
        it is set.
        """
        count = self._broker.partitions(topic)
        if count is None:
            raise Refused(f"no topic {topic} on the broker")
        decode = self._decoder(topic)
        ends = {partition: self._broker.bounds(topic, partition)[1] for partition in range(count)}
        found = [
            record
            for partition, end in ends.items()
            for record in self._newest(topic, partition, end, newest)
        ]
        for record in sorted(found, key=lambda record: record.timestamp_ms)[-newest:]:
            yield from decode(record)
        while stop is not None and not stop.is_set():
            for partition in range(count):
                start, ends[partition] = ends[partition], self._broker.bounds(topic, partition)[1]
                for record in self._broker.read(topic, partition, start, ends[partition]):
                    yield from decode(record)
            self._clock.sleep(FOLLOW_S, stop)

    def dead_letters(self, pipeline: str) -> list[dead.DeadLetter]:
        """All that are kept, the oldest first."""
        return [
            dead.letter(record)
            for record in reading.records(self._broker, topics.DEAD.topic(pipeline).name)
        ]

    def redrive(self, pipeline: str, numbers: Iterable[int]) -> list[dead.DeadLetter]:
        """Send dead letters back to their source topics, as they were. Refused before any is sent:
        an unknown number.
        """
        letters = {letter.number: letter for letter in self.dead_letters(pipeline)}
        wanted = list(numbers)
        unknown = [number for number in wanted if number not in letters]
        if unknown:
            raise Refused(
                f"{pipeline} has no dead letter {', '.join(map(str, unknown))}; `driftloop dead "
                f"list {pipeline}` lists them"
            )
        self._broker.append([dead.back(letters[number]) for number in wanted])
        return [letters[number] for number in wanted]

    def produce(
        self, path: Path, topic: str, key: str, on_bytes: Callable[[int, int], None]
    ) -> int:
        """JSON lines or CSV to a topic. `on_bytes(bytes of the file, rows)` after each acknowledged
        batch. Rows sent.
        """
        if self._broker.partitions(topic) is None:
            raise Refused(
                f"no topic {topic} on the broker; `driftloop apply` makes a pipeline's, other "
                "tools your own"
            )
        sent = 0
        for batch in producing.batches(producing.emits(path, topic, key)):
            self._broker.append([emit for emit, _ in batch])
            sent += len(batch)
            on_bytes(sum(size for _, size in batch), len(batch))
        return sent

    def draft(self, topic: str) -> str:
        """A pipeline file begun from the newest messages of `topic`."""
        count = self._broker.partitions(topic)
        if count is None:
            raise Refused(
                f"no topic {topic} on the broker; it has "
                f"{', '.join(sorted(self._broker.topics())) or 'none'}"
            )
        found = [
            record
            for partition in range(count)
            for record in self._newest(
                topic, partition, self._broker.bounds(topic, partition)[1], SAMPLE_ROWS
            )
        ]
        rows = [row for record in found if isinstance(row := decoding.value(record.value), dict)]
        if not rows:
            raise Refused(
                f"topic {topic} holds no JSON objects to look at; produce a few, then ask again"
            )
        return sampling.draft(topic, rows)

    def watch(self, pipeline: str) -> Watch:
        """The live view's feed, a context."""
        self._declared(pipeline)
        return Watch(self._broker, pipeline)

    def status(self, pipeline: str = "") -> Plain:
        """Whether the loop is whole: services and their replicas, pipelines, and what is wrong in
        plain words. Within 2 s. Unavailable: the broker is away, so nothing can be told. Of one
        pipeline and all services where it is named; Refused: there is none of that name.
        """
        looking = Looking(lambda: self._broker, self._calls, self._clock)
        try:
            facts = looking.facts()
        except Unavailable:
            self._opened = None  # threads still wait in it; to close it would be to wait with them
            raise
        return problems.status(facts, pipeline)

    def examine(self) -> Plain:
        """What the loop stands on, checked: `{"findings": [{"severity", "subject", "says",
        "mend"}]}`, the worst first. Unavailable: the broker is away.
        """
        common = self.place.common
        admin = KafkaAdmin({**QUIET, **common.kafka}, common.driftloop_namespace)
        broker = self._broker
        try:
            looking = Examining(self.place, broker, admin, self._calls, self._clock)
            return {"findings": [asdict(one) for one in checks.examine(looking.ground())]}
        finally:
            admin.close()

    def pipelines(self) -> list[Plain]:
        """The newest declaration of each pipeline."""
        return [plain(message) for message in self._declarations().values()]

    def _declarations(self) -> dict[str, PipelineDeclared]:
        found = {
            event.message.name: event.message
            for event in reading.events(self._broker, topics.PIPELINES.topic())
        }
        return dict(sorted(found.items()))

    def _declared(self, pipeline: str) -> PipelineDeclared:
        known = self._declarations()
        if pipeline not in known:
            raise Refused(
                f"no pipeline {pipeline}; there are "
                f"{', '.join(known) or 'none, see `driftloop apply`'}"
            )
        return known[pipeline]

    def _names(self, declared: PipelineDeclared) -> Sequence[str]:
        return [
            feature.name
            for feature in check(declared.yaml, declared.name).features
            if not feature.hidden
        ]

    def _decoder(self, topic: str) -> Callable[[Record], list[Plain]]:
        ours = decoding.ours(topic)
        if ours is None or ours.declaration.format != "proto":
            return lambda record: decoding.rows(record, ours, (), {})
        declared = self._declared(topic.partition(".")[0])
        names, columns = self._names(declared), check(declared.yaml, declared.name).record_columns()
        return lambda record: decoding.rows(record, ours, names, columns)

    def _newest(self, topic: str, partition: int, end: int, count: int) -> list[Record]:
        """The newest `count` of a partition; markers and aborted records make holes, so look back
        twice as far.
        """
        first = self._broker.bounds(topic, partition)[0]
        start = max(first, end - 2 * count)
        return list(self._broker.read(topic, partition, start, end))[-count:] if start < end else []
