"""The two loops of features: `windows` makes vectors of records, `join` makes examples of vectors
and labels."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope, Records
from driftloop.contracts.feature_pb2 import Features, FeatureState
from driftloop.kit.broker import Partition, Record
from driftloop.kit.envelope import partition_rows
from driftloop.kit.errors import Malformed
from driftloop.kit.message import parse
from driftloop.kit.state import latest, reread
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment, Sizes
from driftloop.kit.topic import Emit, emit
from driftloop.kit.trace import NoTracer, Tracer
from driftloop.kit.trace.marks import Marks, moved
from driftloop.kit.trace.rows import Gathered, Way
from driftloop.spec import kernel
from driftloop.spec.kernel_state import KindState
from driftloop.spec.model import Pipeline
from driftloop.spec.windows import Answers, Program, Windows
from services.features.codec import (
    FEATURE_SCHEMA,
    ROUND_KEY,
    Batch,
    RecordsCodec,
    chunk_of,
    envelope,
    record_batch,
    slices,
    state_message,
)
from services.features.domain import Rounds, Told

LATENCIES = 8  # rows of a batch whose delay is told: enough for a sketch


@dataclass(frozen=True, slots=True)
class Generation:
    """Which pipeline's generation a task serves, with its program."""

    name: str
    number: int
    pipeline: Pipeline
    program: Program


@dataclass(slots=True)
class Held:
    """The windows of a pipeline whose task is here. Loop and calls take `lock`: nobody sees half a
    batch."""

    generation: Generation
    windows: Windows
    lock: threading.Lock
    sequence: int = 0


class Shelf:
    """What this replica holds, by pipeline; for questions."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def put(self, held: Held) -> None:
        self._held[held.generation.name] = held

    def take_away(self, held: Held) -> None:
        if self._held.get(held.generation.name) is held:
            del self._held[held.generation.name]

    def of(self, pipeline: str) -> Held | None:
        return self._held.get(pipeline)


class WindowsTask:
    """Records in, vectors out; state by rounds of checkpoints and replay."""

    def __init__(
        self,
        generation: Generation,
        rounds: Rounds,
        shelf: Shelf,
        *,
        heartbeat_ms: int,
        state_bytes_max: int,
        tracer: Tracer | None = None,
    ) -> None:
        self._of = generation
        self._records = topics.RECORDS.topic(generation.name, generation.number)
        self._features = topics.FEATURES.topic(generation.name, generation.number)
        self._state = topics.STATE_FEATURES.topic(generation.name, generation.number)
        self._codec = RecordsCodec(generation.pipeline, generation.program)
        self._rounds, self._shelf = rounds, shelf
        self._held = Held(generation, Windows(generation.program), threading.Lock())
        self._told = Told(generation.pipeline.partitions, heartbeat_ms)
        self._bytes_max = state_bytes_max
        self._next = 0  # `records` is applied up to here
        self._watermark_us = 0
        group = f"features-windows-{generation.name}.g{generation.number}"
        self._way = Way(tracer or NoTracer(), "windows", group, generation.name)

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        """The newest complete round, then `records` again from where it began, without outputs."""
        partition = (self._records.name, 0)
        start = self._load(assigned)
        first, _ = assigned.bounds(*partition)
        end = assigned.positions[partition].offset
        if end is not None and first > start:
            raise Malformed(
                f"{self._records.name} begins at {first}, but its state only reaches to {start}: "
                "the rows between are deleted",
                rule="state_lost",
            )
        self._next = start
        for records in reread(assigned, partition, start):
            self._apply(records)
        if end is not None:
            assert self._next <= end, (self._next, end)
            self._next = end
        self._shelf.put(self._held)
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        """Vectors of the rows to be scored, heartbeats, and pieces of a checkpoint if one is under
        way."""
        batch, answers, news, traced = self._apply(records)
        rows = 0 if batch is None else batch.rows.facts.shape[1]
        emits = []
        if batch is not None and answers is not None:
            emits = self._vectors(batch, answers, self._way.after(traced.marks()), now)
        emits += self._heartbeats(now, news)
        emits += self._checkpoint(rows, now)
        late = 0 if answers is None else int(np.count_nonzero(answers.late))
        return Decision(
            emits,
            rows_in=rows,
            rows_out=0 if answers is None else len(answers.vectors),
            counts={"late_rows": late} if late else {},
            watermark_us=self._watermark_us,
            latency_ms=()
            if batch is None
            else [now.ms - ms for ms in batch.columns["source_ms"][:LATENCIES].tolist()],
            spans=traced.spans(self._way, rows),
        )

    def tick(self, now: Moment) -> Decision:
        """What a silent input leaves to be said."""
        emits = [*self._heartbeats(now, False), *self._checkpoint(0, now)]
        return Decision(emits, watermark_us=self._watermark_us) if emits else NOTHING

    def committed(self, now: Moment) -> None:
        """Nothing waits for the commit."""

    def close(self) -> None:
        self._shelf.take_away(self._held)

    def sizes(self) -> Sizes:
        """Keys of all entities, and their windows."""
        return Sizes(rows=sum(state.slots for state in self._kinds()), bytes=self._bytes())

    def _load(self, assigned: Assigned) -> int:
        """State of the newest complete round of our layout. Gives back the offset from which
        `records` are replayed."""
        messages = {
            key: parse(FeatureState, record)
            for key, record in latest(assigned, self._state.name, 0).items()
        }
        end = messages.pop(ROUND_KEY, None)
        self._rounds.newest = max((m.window.round for m in messages.values()), default=0)
        if end is None or end.round.layout != self._of.program.layout:
            return 0
        self._rounds.complete = end.round.round
        self._rounds.newest = max(self._rounds.newest, end.round.round)
        kinds = {state.name: state for state in self._held.windows.kinds}
        for window in sorted((m.window for m in messages.values()), key=lambda w: w.round):
            chunk = chunk_of(window)
            if chunk.number >= 0 or window.round == end.round.round:
                kinds[window.entity].load(chunk, window.input_offset)
        for state in kinds.values():
            state.loaded()
        return end.round.start_offset

    def _apply(
        self, records: Sequence[Record]
    ) -> tuple[Batch | None, Answers | None, bool, Gathered]:
        """Count all rows of these records; was there a heartbeat that moved the watermark, and
        which rows are traced?"""
        tables, offsets, watermarks, news, rows = [], [], [], False, 0
        traced = Gathered()
        for record in records:
            message = parse(Records, record)
            head = message.envelope
            news |= message.rows == 0 and head.watermark_us > self._watermark_us
            if message.rows:
                traced.take(head.traces, record, rows, message.rows)
                rows += message.rows
                tables.append(self._codec.table(message.columns, message.rows))
                offsets.append(record.offset)
                watermarks.append(self._watermark_us)
            self._watermark_us = max(self._watermark_us, head.watermark_us)
            self._held.sequence = max(self._held.sequence, head.sequence)
            self._next = record.offset + 1
        if not tables:
            return None, None, news, traced
        batch = self._codec.batch(tables, offsets, watermarks)
        with self._held.lock:
            answers = self._held.windows.apply(batch.rows)
        self._limit()
        return batch, answers, news, traced

    def _limit(self) -> None:
        held = self._bytes()
        if held > self._bytes_max:
            raise Malformed(
                f"the windows hold {held >> 20} MB, more than FEATURES_STATE_MB_MAX = "
                f"{self._bytes_max >> 20}",
                rule="state_too_large",
            )

    def _kinds(self) -> Sequence[KindState]:
        return self._held.windows.kinds

    def _bytes(self) -> int:
        return sum(state.bytes_held for state in self._kinds())

    def _vectors(self, batch: Batch, answers: Answers, marks: Marks, now: Moment) -> list[Emit]:
        if not len(answers.vectors):
            return []
        columns = batch.columns
        table = record_batch(
            [
                batch.event_ids,
                columns["time_us"],
                columns["source_ms"],
                columns["sequence"],
                columns["late"].astype(np.bool_) | answers.late,
            ],
            FEATURE_SCHEMA,
        )
        partitions = partition_rows(batch.event_ids, self._of.pipeline.partitions)
        if len(marks):  # of the asked rows
            marks = moved(marks, batch.rows.facts[kernel.PLACE])
        emits = []
        for part in slices(table, answers.vectors, partitions, marks=marks):
            # A watermark speaks of all that comes later, so it goes with the last envelope.
            watermark = self._watermark_us if part.last else self._told.watermark_us(part.partition)
            emits.append(
                emit(
                    self._features,
                    Features(
                        envelope=self._head(watermark, part.traces),
                        rows=part.rows,
                        columns=part.columns,
                        width=answers.vectors.shape[1],
                        vectors=part.vectors,
                    ),
                    partition=part.partition,
                )
            )
            if part.last:
                self._told.told(part.partition, self._held.sequence, watermark, now.ms)
        return emits

    def _heartbeats(self, now: Moment, moved: bool) -> list[Emit]:
        emits, sequence = [], self._held.sequence
        for partition in range(self._of.pipeline.partitions):
            if self._told.due(partition, sequence, self._watermark_us, now.ms, moved=moved):
                self._told.told(partition, sequence, self._watermark_us, now.ms)
                emits.append(
                    emit(
                        self._features,
                        Features(envelope=self._head(self._watermark_us)),
                        partition=partition,
                    )
                )
        return emits

    def _checkpoint(self, rows: int, now: Moment) -> list[Emit]:
        emits = []
        for item in self._rounds.after(self._held.windows, rows, self._next, now.ms):
            key, message = state_message(item, self._of.program.layout)
            emits.append(emit(self._state, message, key=key, partition=0))
        return emits

    def _head(self, watermark_us: int, traces: bytes = b"") -> Envelope:
        return envelope(self._of.name, self._of.number, self._held.sequence, watermark_us, traces)
