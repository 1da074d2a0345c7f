"""The loop `join`: vectors and labels of the same partitions in, examples and corrections out.

Its state is reread from the log: the notes beside the offsets say from where, and which watermark
stood there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope, Labels
from driftloop.contracts.feature_pb2 import Corrections, Examples, Features
from driftloop.kit.broker import Partition, Record
from driftloop.kit.message import parse
from driftloop.kit.state import note, noted, reread
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment, Sizes
from driftloop.kit.topic import Emit, Topic, emit
from driftloop.kit.trace import NoTracer, Span, Tracer
from driftloop.kit.trace.rows import Gathered
from driftloop.spec import kernel_join as kernel
from services.features.codec import (
    CORRECTION_SCHEMA,
    EXAMPLE_ROWS_MAX,
    EXAMPLE_SCHEMA,
    Arrivals,
    envelope,
    labels_of,
    record_batch,
    rows_of,
    slices,
)
from services.features.domain import Found, Ints, LabelJoin, Told
from services.features.following import Following
from services.features.handlers import Generation

FEATURES, LABELS = 0, 1  # the two inputs


@dataclass(slots=True)
class Outcome:
    """What one batch brings about: lines to be written with their ids, partitions that had a
    heartbeat."""

    found: list[Found] = field(default_factory=list)
    event_ids: list[pa.StringArray] = field(default_factory=list)
    heartbeats: set[int] = field(default_factory=set)
    spans: list[Span] = field(default_factory=list)
    rows: int = 0

    def of(self, outcome: int) -> tuple[Found, pa.StringArray]:
        """The examples, or the corrections, of both inputs."""
        chosen = [found.lines[:, kernel.F_OUTCOME] == outcome for found in self.found]
        lines = [f.lines[c] for f, c in zip(self.found, chosen, strict=True)]
        ids = [
            i.take(pa.array(p[:, kernel.F_PLACE]))
            for i, p in zip(self.event_ids, lines, strict=True)
        ]
        vectors = [f.vectors[c] for f, c in zip(self.found, chosen, strict=True)]
        return Found(np.concatenate(lines), np.concatenate(vectors)), pa.concat_arrays(ids)

    def holds(self, outcome: int) -> bool:
        """Cheaper than `of` where there is none, as of corrections nearly always."""
        return any((found.lines[:, kernel.F_OUTCOME] == outcome).any() for found in self.found)


class JoinTask:
    """Rows are remembered until both of their partition's logs have passed their time + horizon."""

    def __init__(
        self, generation: Generation, *, heartbeat_ms: int, tracer: Tracer | None = None
    ) -> None:
        name, number = generation.name, generation.number
        partitions = generation.pipeline.partitions
        self._of = generation
        self._width = len(generation.program.names)
        self._inputs = (
            topics.FEATURES.topic(name, number).name,
            topics.LABELS.topic(name, number).name,
        )
        self._examples = topics.EXAMPLES.topic(name, number)
        self._corrections = topics.CORRECTIONS.topic(name, number)
        self._join = LabelJoin(partitions, self._width, generation.pipeline.target.horizon)
        horizon_us, group = generation.pipeline.target.horizon, f"features-join-{name}.g{number}"
        self._following = Following(tracer or NoTracer(), group, name, horizon_us)
        self._watermark_us = np.zeros((2, partitions), np.int64)
        self._next: dict[Partition, int] = {}
        self._sequence = [0] * partitions
        self._held: list[int] = []
        self._examples_told = Told(partitions, heartbeat_ms)
        self._corrections_told = Told(partitions, heartbeat_ms)

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        """Read what is remembered again, without outputs."""
        held = [sorted(p for t, p in assigned.partitions if t == topic) for topic in self._inputs]
        assert held[FEATURES] == held[LABELS], f"inputs that are joined are assigned apart: {held}"
        self._held = held[FEATURES]
        for kind, topic in enumerate(self._inputs):
            for partition in self._held:
                self._reread(assigned, kind, (topic, partition))
        self._join.expire(self._passed(), now=True)
        self._join.counts()
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        """Rows first, then labels; the order between the logs does not matter (kernel_join)."""
        before = self._passed()
        outcome = self._take(records)
        passed = self._passed()
        silent = outcome.heartbeats & set(np.flatnonzero(passed > before).tolist())
        self._join.expire(passed, now=bool(silent))
        emits = [*self._outputs(outcome, now), *self._heartbeats(now, silent)]
        return Decision(
            emits,
            notes={p: self._note(p) for p in {(r.topic, r.partition) for r in records}},
            rows_in=outcome.rows,
            rows_out=sum(len(found.lines) for found in outcome.found),
            counts=self._join.counts(),
            watermark_us=int(passed.max(initial=0)),
            spans=outcome.spans,
        )

    def tick(self, now: Moment) -> Decision:
        """Expiry and heartbeats that no record brings about."""
        passed = self._passed()
        self._join.expire(passed, now=True)
        self._following.expire(passed)
        emits, counts = self._heartbeats(now, set()), self._join.counts()
        if not emits and not counts:
            return NOTHING
        return Decision(emits, counts=counts, watermark_us=int(passed.max(initial=0)))

    def committed(self, now: Moment) -> None:
        """Nothing waits for the commit."""

    def close(self) -> None:
        """Nothing is held but memory."""

    def sizes(self) -> Sizes:
        """Labels that wait for their row; rows and labels that are remembered."""
        join = self._join
        return Sizes({"labels": join.waiting}, join.remembered, join.bytes_held)

    def _reread(self, assigned: Assigned, kind: int, partition: Partition) -> None:
        noted_values = noted(assigned, partition)
        committed = assigned.positions[partition].offset or 0
        self._watermark_us[kind, partition[1]] = noted_values.get("watermark", 0)
        self._next[partition] = committed
        for records in reread(assigned, partition, noted_values.get("from", committed)):
            self._take(records)

    def _take(self, records: Sequence[Record]) -> Outcome:
        """Into what is remembered; nothing expires here."""
        outcome = Outcome()
        traced = Gathered()
        rows = self._arrived(FEATURES, records, outcome, traced)
        if rows is not None:
            self._following.rows(traced, rows.batch)
            self._found(self._join.rows(rows.batch, rows.vectors), rows, outcome)
        traced = Gathered()
        labels = self._arrived(LABELS, records, outcome, traced)
        if labels is not None:
            self._following.labels(traced, labels.batch)
            self._found(self._join.labels(labels.batch), labels, outcome)
        return outcome

    def _found(self, found: Found, arrived: Arrivals, outcome: Outcome) -> None:
        outcome.found.append(found)
        outcome.event_ids.append(arrived.event_ids)
        outcome.spans += self._following.spans(found, arrived.batch)

    def _arrived(
        self, kind: int, records: Sequence[Record], outcome: Outcome, traced: Gathered
    ) -> Arrivals | None:
        """Rows of one input, each with the watermark that stood before its envelope."""
        arrived: list[tuple[Features | Labels, int, int, int]] = []
        count = 0
        for record in records:
            if record.topic != self._inputs[kind]:
                continue
            at = record.partition
            message = parse(Features, record) if kind == FEATURES else parse(Labels, record)
            floor = int(self._watermark_us[kind, at])
            self._next[record.topic, at] = record.offset + 1
            self._watermark_us[kind, at] = max(floor, message.envelope.watermark_us)
            if kind == FEATURES:
                self._sequence[at] = max(self._sequence[at], message.envelope.sequence)
            if message.rows:
                arrived.append((message, at, record.offset, floor))
                traced.take(message.envelope.traces, record, count, message.rows)
                count += message.rows
            else:
                outcome.heartbeats.add(at)
        if not arrived:
            return None
        found = rows_of(arrived, self._width) if kind == FEATURES else labels_of(arrived)
        outcome.rows += len(found.batch)
        return found

    def _passed(self) -> Ints:
        passed: Ints = self._watermark_us.min(axis=0)
        return passed

    def _note(self, partition: Partition) -> str:
        """From where to reread, and the watermark that stood before it."""
        topic, at = partition
        kind = self._inputs.index(topic)
        start, floor = self._join.least[at, 2 * kind : 2 * kind + 2].tolist()
        if start == kernel.NONE:
            start, floor = self._next[partition], int(self._watermark_us[kind, at])
        return note(**{"from": start, "watermark": floor})

    def _outputs(self, outcome: Outcome, now: Moment) -> list[Emit]:
        return [
            *(self._example_emits(outcome, now) if outcome.holds(kernel.EXAMPLE) else ()),
            *(self._correction_emits(outcome, now) if outcome.holds(kernel.CORRECTION) else ()),
        ]

    def _example_emits(self, outcome: Outcome, now: Moment) -> list[Emit]:
        found, ids = outcome.of(kernel.EXAMPLE)
        lines = found.lines
        columns = [
            lines[:, kernel.F_TIME],
            lines[:, kernel.F_LABEL_TIME],
            lines[:, kernel.F_VALUE].view(np.float64),
            lines[:, kernel.F_SOURCE_MS],
        ]
        table = record_batch([ids, *map(np.ascontiguousarray, columns)], EXAMPLE_SCHEMA)
        emits = []
        by_partition = lines[:, kernel.F_PART]
        for part in slices(table, found.vectors, by_partition, EXAMPLE_ROWS_MAX):
            head = self._head(part.partition, part.last, self._examples_told, now)
            message = Examples(
                envelope=head,
                rows=part.rows,
                columns=part.columns,
                width=self._width,
                vectors=part.vectors,
            )
            emits.append(emit(self._examples, message, partition=part.partition))
        return emits

    def _correction_emits(self, outcome: Outcome, now: Moment) -> list[Emit]:
        found, ids = outcome.of(kernel.CORRECTION)
        lines = found.lines
        columns = [
            lines[:, kernel.F_TIME],
            lines[:, kernel.F_LABEL_TIME],
            lines[:, kernel.F_OLD].view(np.float64),
            lines[:, kernel.F_VALUE].view(np.float64),
        ]
        table = record_batch([ids, *map(np.ascontiguousarray, columns)], CORRECTION_SCHEMA)
        emits = []
        for part in slices(table, found.vectors[:, :0], lines[:, kernel.F_PART]):
            head = self._head(part.partition, part.last, self._corrections_told, now)
            message = Corrections(envelope=head, rows=part.rows, columns=part.columns)
            emits.append(emit(self._corrections, message, partition=part.partition))
        return emits

    def _head(self, partition: int, last: bool, told: Told, now: Moment) -> Envelope:
        """A watermark speaks of all that comes later, so it goes with the last envelope."""
        watermark_us = int(self._passed()[partition]) if last else told.watermark_us(partition)
        if last:
            told.told(partition, self._sequence[partition], watermark_us, now.ms)
        return envelope(self._of.name, self._of.number, self._sequence[partition], watermark_us)

    def _heartbeats(self, now: Moment, silent: set[int]) -> list[Emit]:
        return [
            *self._heartbeats_on(self._examples, Examples, self._examples_told, now, silent),
            *self._heartbeats_on(
                self._corrections, Corrections, self._corrections_told, now, set()
            ),
        ]

    def _heartbeats_on(
        self,
        topic: Topic[Examples] | Topic[Corrections],
        kind: type[Examples] | type[Corrections],
        told: Told,
        now: Moment,
        silent: set[int],
    ) -> list[Emit]:
        passed, emits = self._passed(), []
        for partition in self._held:
            sequence, watermark_us = self._sequence[partition], int(passed[partition])
            if told.due(partition, sequence, watermark_us, now.ms, moved=partition in silent):
                value = kind(envelope=self._head(partition, True, told, now)).SerializeToString(
                    deterministic=True
                )
                emits.append(Emit(topic.name, value, partition=partition))
        return emits
