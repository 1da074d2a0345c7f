"""A small world for the loops of features: a broker in memory, one pipeline, envelopes in and rows
out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope, Labels, Records
from driftloop.contracts.feature_pb2 import Corrections, Examples, Features
from driftloop.kit.broker import Subscription, TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.envelope import batch_schema, decode, encode, matrix, partition_rows
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.task import Task
from driftloop.kit.topic import emit
from driftloop.kit.trace import NoTracer, Tracer
from driftloop.kit.trace.marks import Marks, apart
from driftloop.spec.windows import program
from services.features.domain import Rounds
from services.features.handlers import Generation, Shelf, WindowsTask
from services.features.joining import JoinTask
from tests.unit.spec.windows_reference import Event, a_pipeline

M = TypeVar("M", Features, Examples, Corrections)
PIPELINE = a_pipeline().model_copy(update={"partitions": 2})
GENERATION = Generation("reference", 1, PIPELINE, program(PIPELINE))
RECORDS = topics.RECORDS.topic("reference", 1)
LABELS = topics.LABELS.topic("reference", 1)
FEATURES = topics.FEATURES.topic("reference", 1)
EXAMPLES = topics.EXAMPLES.topic("reference", 1)
CORRECTIONS = topics.CORRECTIONS.topic("reference", 1)
STATE = topics.STATE_FEATURES.topic("reference", 1)
HORIZON_US = PIPELINE.target.horizon


@dataclass
class World:
    """Loops can be ended and begun anew; the broker stays."""

    clock: FakeClock = field(default_factory=FakeClock)
    shelf: Shelf = field(default_factory=Shelf)
    sequence: int = 0
    loops: dict[str, Loop] = field(default_factory=dict)  # the open one of each name
    tracer: Tracer = field(default_factory=NoTracer)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(self.clock)
        ones, twos = (RECORDS, STATE), (FEATURES, LABELS, EXAMPLES, CORRECTIONS)
        self.broker.create([TopicSpec(t.name, 1) for t in ones])
        self.broker.create([TopicSpec(t.name, 2) for t in twos])

    def records(self, events: Sequence[Event], watermark_us: int = 0, traces: bytes = b"") -> None:
        """One envelope; without events a heartbeat."""
        self.sequence += len(events)
        head = Envelope(
            pipeline="reference",
            generation=1,
            sequence=self.sequence,
            watermark_us=watermark_us,
            traces=traces,
        )
        message = Records(envelope=head, rows=len(events))
        if events:
            message.columns = encode(record_columns(events))
        self.broker.append([emit(RECORDS, message, partition=0)])

    def labels(
        self,
        lines: Sequence[tuple[str, int, float]],
        watermark_us: int = 0,
        partition: int = -1,
        marks: Marks | None = None,
    ) -> None:
        """(id, time, value); a heartbeat without lines goes to `partition`; `marks` are of the
        lines."""
        ids = pa.array([i for i, _, _ in lines], pa.string())
        of_row = partition_rows(ids, 2) if lines else np.zeros(0, np.int32)
        traces = {} if marks is None else apart(marks, of_row)
        for at in [partition] if not lines else range(2):
            chosen = [line for line, p in zip(lines, of_row, strict=True) if p == at]
            if chosen or not lines:
                head = Envelope(watermark_us=watermark_us, traces=traces.get(at, b""))
                message = Labels(envelope=head, rows=len(chosen))
                if chosen:
                    message.columns = encode(label_columns(chosen))
                self.broker.append([emit(LABELS, message, partition=at)])

    def windows(
        self, *, rows_max: int = 10**6, bytes_max: int = 10**6, records_max: int = 1
    ) -> Loop:
        """Open and ready; `rows_max` to a checkpoint, `bytes_max` of it in a transaction."""
        rounds = (30_000, rows_max, bytes_max)

        def task() -> WindowsTask:
            return WindowsTask(
                GENERATION,
                Rounds(*rounds),
                self.shelf,
                heartbeat_ms=1_000,
                state_bytes_max=2**30,
                tracer=self.tracer,
            )

        return self._opened("windows", [RECORDS.name], task, records_max)

    def join(self, *, records_max: int = 1) -> Loop:
        def task() -> JoinTask:
            return JoinTask(GENERATION, heartbeat_ms=1_000, tracer=self.tracer)

        return self._opened("join", [FEATURES.name, LABELS.name], task, records_max)

    def _opened(
        self, name: str, inputs: list[str], task: Callable[[], Task], records_max: int
    ) -> Loop:
        subscription = Subscription(
            name, inputs, f"features-{name}", start=dict.fromkeys(inputs, "earliest")
        )
        spec = LoopSpec(name, "reference", subscription, task, records_max, tick_s=0.0)
        if name in self.loops:
            self.loops[name].close()
        loop = self.loops[name] = Loop(spec, self.broker, self.clock, tracer=self.tracer)
        loop.open()
        return loop

    def features(self) -> dict[str, tuple[bytes, bool]]:
        """event id -> (vector, late) of all rows written; an id twice is an error."""
        found: dict[str, tuple[bytes, bool]] = {}
        for message in self.messages(FEATURES.name, Features):
            if message.rows:
                table = decode(message.columns, batch_schema(FEATURES.declaration.columns))
                vectors = matrix(message.vectors, message.rows, message.width)
                for line, vector in zip(table.to_pylist(), vectors, strict=True):
                    assert line["event_id"] not in found, line
                    found[line["event_id"]] = (vector.tobytes(), line["late"])
        return found

    def examples(self) -> list[tuple[str, int, float, bytes]]:
        """(event id, label time, target, vector), in order by partition."""
        found = []
        for message in self.messages(EXAMPLES.name, Examples):
            if message.rows:
                table = decode(message.columns, batch_schema(EXAMPLES.declaration.columns))
                vectors = matrix(message.vectors, message.rows, message.width)
                for line, vector in zip(table.to_pylist(), vectors, strict=True):
                    found.append(
                        (line["event_id"], line["label_time_us"], line["target"], vector.tobytes())
                    )
        return found

    def corrections(self) -> list[tuple[str, float, float]]:
        found = []
        for message in self.messages(CORRECTIONS.name, Corrections):
            if message.rows:
                table = decode(message.columns, batch_schema(CORRECTIONS.declaration.columns))
                found += [
                    (line["event_id"], line["old"], line["new"]) for line in table.to_pylist()
                ]
        return found

    def messages(self, topic: str, kind: type[M]) -> list[M]:
        return [
            kind.FromString(record.value or b"")
            for partition in range(2)
            for record in self.broker.read(topic, partition, *self.broker.bounds(topic, partition))
        ]


def record_columns(events: Sequence[Event]) -> pa.RecordBatch:
    def optional(values: list[float]) -> list[float | None]:
        return [None if np.isnan(v) else v for v in values]

    ask = [e.source == 0 for e in events]
    columns = {
        "_source": [e.source for e in events],
        "_roles": [1 if a else 6 for a in ask],
        "_id": [ident(e) for e in events],
        "_joins": [None if a else ident(e) for e, a in zip(events, ask, strict=True)],
        "_time": [e.time for e in events],
        "_source_ms": [0] * len(events),
        "_sequence": [0] * len(events),
        "_late": [False] * len(events),
        "id": [ident(e) for e in events],
        "t": [e.time for e in events],
        "shop": [e.shop for e in events],
        "kind": [e.kind for e in events],
        "x": optional([e.number if a else np.nan for e, a in zip(events, ask, strict=True)]),
        "y": optional([np.nan if a else e.number for e, a in zip(events, ask, strict=True)]),
    }
    return pa.RecordBatch.from_pydict(columns, schema=batch_schema(PIPELINE.record_columns()))


def label_columns(lines: Sequence[tuple[str, int, float]]) -> pa.RecordBatch:
    columns = {
        "event_id": [i for i, _, _ in lines],
        "time_us": [t for _, t, _ in lines],
        "value": [v for _, _, v in lines],
        "source_ms": [0] * len(lines),
    }
    return pa.RecordBatch.from_pydict(columns, schema=batch_schema(LABELS.declaration.columns))


def ident(event: Event) -> str:
    return f"row-{event.ident}"
