"""The one loop of ingestion: it holds the lease, and with it every source partition of a pipeline.

    lease (nothing in it) + the sources  ->  records, labels, dead, quality

A batch goes through in a straight line: read → check → merge by event time → order (late? seen?) →
envelopes. What waits for an older row is not committed, so it comes again after a crash; the rest
of the state is read back from `records`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Records
from driftloop.kit.broker import Partition, Record
from driftloop.kit.events import event
from driftloop.kit.message import parse
from driftloop.kit.state import batches, note, noted
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment, Sizes
from driftloop.kit.topic import Emit, emit
from driftloop.kit.trace import NoTracer, Tracer
from driftloop.kit.trace.marks import within
from driftloop.spec import Pipeline
from services.ingestion.codec.dead import dead_letter
from services.ingestion.codec.envelopes import ROWS_MAX, EnvelopeCodec, LabelRow
from services.ingestion.codec.source import Bad, SourceReader, end_mark, fields_in_order
from services.ingestion.domain.checks import Checks, Label
from services.ingestion.domain.merge import Merge
from services.ingestion.domain.order import Order, Outcome
from services.ingestion.domain.row import Ordered, Place, Row
from services.ingestion.sampling import Sampling, Traced

HEARTBEAT_MS = 900  # with ticks every 20 ms, at least one a second
QUALITY_MS = 1_000
SAMPLE_MS = 5_000  # how often the end of `records` is asked for, while event time moves
ID_BYTES = 200  # of a remembered id: its text, its time and its place in a dictionary


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings in the units of the loop."""

    idle_ms: int
    stall_ms: int
    ahead_us: int
    record_bytes_max: int


class OrderTask:
    """From source records to `records`, in one order."""

    def __init__(
        self,
        pipeline: Pipeline,
        generation: int,
        limits: Limits,
        told: Callable[[Outcome], None] = lambda _: None,
        tracer: Tracer | None = None,
    ) -> None:
        """`told`: of what became of each batch, for the figures on /metrics."""
        self._pipeline, self._limits, self._told = pipeline, limits, told
        name = pipeline.name
        self._records = topics.RECORDS.topic(name, generation)
        self._labels = topics.LABELS.topic(name, generation)
        self._dead, self._quality = topics.DEAD.topic(name), topics.QUALITY.topic(name)
        self._lease: Partition = (topics.LEASE.topic(name, generation).name, 0)
        # Ties are broken by the topic's name, so a source's rank is its place among the names.
        ranks = sorted(
            range(len(pipeline.sources)), key=lambda index: pipeline.sources[index].topic
        )
        self._topics = [pipeline.sources[index].topic for index in ranks]
        self._rank = {topic: rank for rank, topic in enumerate(self._topics)}
        self._source_ranks = {index: rank for rank, index in enumerate(ranks)}
        places = {field: place for place, field in enumerate(fields_in_order(pipeline))}
        sources = [pipeline.sources[index] for index in ranks]
        self._readers = [
            SourceReader(pipeline, source, limits.record_bytes_max) for source in sources
        ]
        self._checks = [Checks(pipeline, source, places) for source in sources]
        self._label_rank = self._rank[pipeline.target.from_]
        self._label = Label(pipeline, pipeline.source(pipeline.target.from_), places)
        self._codec = EnvelopeCodec(pipeline, generation, ranks, self._labels.declaration.columns)
        self._order = Order(pipeline, ranks, limits.ahead_us)
        self._merge = Merge({}, {}, stall_ms=limits.stall_ms)
        self._id = f"{name}-g{generation}"
        group = f"ingestion-order-{name}.g{generation}"
        self._sampling = Sampling(tracer or NoTracer(), name, group)
        self._spoke_ms = dict.fromkeys(
            range(-1, pipeline.partitions), 0
        )  # -1: `records`; else partitions of `labels`
        # without a commit yet: where they begin goes along, or `latest` would be each start anew
        self._begun: set[Place] = set()
        self._counts: Counter[str] = Counter()
        self._counted_ms = self._sampled_ms = 0
        self._samples: deque[tuple[int, int]] = deque(
            [(-1, 0)]
        )  # watermark, an offset of `records` not before it

    # The five of kit.task.Task

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        """The order goes on where `records` ends: its last `dedup_window` is read back."""
        self._assigned = assigned
        positions: dict[Place, int] = {}
        ends: dict[Place, int] = {}
        for (topic, partition), position in assigned.positions.items():
            if topic not in self._rank:
                continue
            place = self._rank[topic], partition
            first, ends[place] = assigned.bounds(topic, partition)
            latest = self._pipeline.source(topic).from_ == "latest"
            positions[place] = (
                position.offset if position.offset is not None else ends[place] if latest else first
            )
        self._merge = Merge(ends, positions, stall_ms=self._limits.stall_ms)
        self._recall(assigned)
        committed = assigned.positions
        self._begun = {p for p in positions if committed[self._partition(p)].offset is None}
        return {self._partition(place): positions[place] for place in self._begun}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        by_partition: dict[Place, list[Record]] = {}
        for record in records:
            if record.topic in self._rank:
                by_partition.setdefault((self._rank[record.topic], record.partition), []).append(
                    record
                )
        before = {place: self._merge.next_offset(place) for place in self._merge.positions}
        for place, part in by_partition.items():
            self._take(place, part, now)
        return self._decide(before, now, by_partition, rows_in=len(records))

    def tick(self, now: Moment) -> Decision:
        before = {place: self._merge.next_offset(place) for place in self._merge.positions}
        decision = self._decide(before, now, (), rows_in=0)
        emits = list(decision.emits)
        emits += self._heartbeats(now) + self._counted(now)
        self._sample(now)
        if not emits and not decision.offsets:
            return NOTHING
        return Decision(
            emits,
            decision.offsets,
            self._note(),
            decision.rows_in,
            decision.rows_out,
            decision.counts,
            decision.latency_ms,
            self._order.watermark.at_us,
            decision.spans,
        )

    def committed(self, now: Moment) -> None:
        """Nothing waits for it."""

    def close(self) -> None:
        """Nothing is open."""

    def sizes(self) -> Sizes:
        """Rows that wait for an older one, and the ids that have come."""
        remembered = self._order.remembered()
        return Sizes({"merge": len(self._merge)}, remembered, remembered * ID_BYTES)

    # Records in

    def _take(self, place: Place, records: Sequence[Record], now: Moment) -> None:
        """Records of one partition, read and checked, into the merge."""
        mark: tuple[int, int] | None = None
        rows: list[Row] = []
        key_us = self._merge.last_key(place)
        for record in records:
            ended_us = end_mark(record)
            mark = None if ended_us is None else (record.offset, ended_us)
            if mark is None:
                rows.append(self._row(place, record, key_us, now.ms))
                key_us = rows[-1].key_us
        if rows:
            self._merge.add(place, self._checked(place[0], rows))
        if mark is not None:
            self._merge.mark(place, *mark)

    def _row(self, place: Place, record: Record, key_us: int, now_ms: int) -> Row:
        at, appended_ms = (*place, record.offset), record.timestamp_ms
        stamps = appended_ms, min(appended_ms, now_ms) + self._limits.idle_ms
        try:
            values, time_us, event_id, joins = self._readers[place[0]].read(
                record.value, f"{record.topic}-{record.partition}-{record.offset}"
            )
        except Bad as bad:
            return Row(key_us, *at, 0, *stamps, "", None, (), bad.rule, str(bad), record)
        key_us = time_us if time_us > key_us else key_us
        return Row(key_us, *at, time_us, *stamps, event_id, joins, values, "", "", record)

    def _checked(self, rank: int, rows: list[Row]) -> list[Row]:
        """A rule that a row breaks becomes its verdict."""
        sound = [index for index, row in enumerate(rows) if not row.verdict]
        broken = self._checks[rank].broken(
            [rows[index].values for index in sound], [rows[index].time_us for index in sound]
        )
        for number, (rule, reason) in broken.items():
            rows[sound[number]] = rows[sound[number]]._replace(verdict=rule, reason=reason)
        return rows

    # Decisions out

    def _decide(
        self, before: Mapping[Place, int], now: Moment, read: Collection[Place], *, rows_in: int
    ) -> Decision:
        """What may go goes; offsets up to what has had its effect."""
        rows = self._merge.release(now.ms, self._unread)
        outcome = self._order.take(rows)
        traced = self._sampling.traced(outcome, now.ms)
        emits = self._emits(outcome, traced, now)
        ended_us = self._merge.ended(self._unread) if self._merge.marks else None
        if ended_us is not None:
            self._order.watermark.end(ended_us)
            self._spoke_ms = dict.fromkeys(self._spoke_ms, 0)  # the end must flow down at once
            emits += self._heartbeats(now)
        self._counts.update(outcome.counts)
        self._told(outcome)
        offsets = {
            self._partition(place): after
            for place, before_offset in before.items()
            if (after := self._merge.next_offset(place)) != before_offset
            or place in read
            or place in self._begun
        }
        self._begun.clear()
        latencies = [float(now.ms - each.row.source_ms) for each in outcome.accepted[::50]]
        return Decision(
            emits,
            offsets,
            self._note() if emits else {},
            rows_in,
            len(outcome.accepted),
            outcome.counts,
            latencies,
            self._order.watermark.at_us,
            traced.spans,
        )

    def _emits(self, outcome: Outcome, traced: Traced, now: Moment) -> list[Emit]:
        emits = [dead_letter(self._dead, row.origin, rule, why) for row, rule, why in outcome.dead]
        sequence, done = self._order.sequence - len(outcome.accepted), 0
        for message in self._codec.records(outcome.accepted, sequence):
            message.envelope.traces = within(traced.accepted, done, done + message.rows)
            done += message.rows
            emits.append(emit(self._records, message, partition=0))
            self._spoke_ms[-1] = now.ms
        labelled = [each for each in outcome.accepted if each.row.rank == self._label_rank]
        for start in range(0, len(labelled), ROWS_MAX):
            emits += self._label_emits(labelled[start : start + ROWS_MAX], traced, now)
        return emits

    def _label_emits(self, ordered: Sequence[Ordered], traced: Traced, now: Moment) -> list[Emit]:
        rows = [each.row for each in ordered]
        values = self._label.values(
            [row.values for row in rows], [row.time_us for row in rows]
        ).tolist()
        told = [
            (row, value) for row, value in zip(rows, values, strict=True) if value == value
        ]  # NaN: nothing to tell
        labels = [
            LabelRow(row.joins or row.id, row.time_us, value, row.source_ms) for row, value in told
        ]
        messages = self._codec.labels(
            labels,
            self._order.sequence - 1,
            ordered[-1].watermark_us,
            traced.of([row for row, _ in told]),
        )
        self._spoke_ms.update(dict.fromkeys(messages, now.ms))
        return [
            emit(self._labels, message, partition=partition)
            for partition, message in messages.items()
        ]

    def _heartbeats(self, now: Moment) -> list[Emit]:
        """For every output partition that has been silent: the time, and how far the sources are
        read.
        """
        sequence, watermark_us = self._order.sequence - 1, self._order.watermark.at_us
        silent = [
            partition
            for partition, at_ms in self._spoke_ms.items()
            if now.ms - at_ms >= HEARTBEAT_MS
        ]
        self._spoke_ms.update(dict.fromkeys(silent, now.ms))
        emits: list[Emit] = []
        for partition in silent:
            if partition < 0:
                offsets = [
                    (self._topics[place[0]], place[1], self._merge.next_offset(place))
                    for place in sorted(self._merge.positions)
                ]
                emits.append(
                    emit(
                        self._records,
                        self._codec.heartbeat(sequence, watermark_us, offsets),
                        partition=0,
                    )
                )
            else:
                emits.append(
                    emit(
                        self._labels,
                        self._codec.label_heartbeat(sequence, watermark_us),
                        partition=partition,
                    )
                )
        return emits

    def _counted(self, now: Moment) -> list[Emit]:
        """The counts of the last second, if there are any."""
        if now.ms - self._counted_ms < QUALITY_MS or not (
            counts := {r: n for r, n in sorted(self._counts.items()) if n}
        ):
            return []
        self._counts.clear()
        self._counted_ms = now.ms
        return [
            event(
                self._quality,
                self._codec.quality(counts, now.ms),
                id=f"quality-{self._id}-{now.ms}",
                source=f"/driftloop/ingestion/{self._id}",
                time_ms=now.ms,
                key=self._pipeline.name,
            )
        ]

    # State

    def _partition(self, place: Place) -> Partition:
        return self._topics[place[0]], place[1]

    def _unread(self, place: Place) -> int:
        return self._assigned.unread(self._topics[place[0]], place[1])

    def _note(self) -> Mapping[Partition, str]:
        """From where `records` must be read back: what is before is out of the window."""
        forgotten_us = self._order.watermark.at_us - self._order.window_us
        while len(self._samples) > 1 and self._samples[1][0] < forgotten_us:
            self._samples.popleft()
        return {self._lease: note(**{"from": self._samples[0][1]})}

    def _sample(self, now: Moment) -> None:
        """Now and then: the end of `records` beside the watermark. What is accepted later stands
        behind both.
        """
        watermark_us = self._order.watermark.at_us
        if (
            now.ms - self._sampled_ms < SAMPLE_MS
            or watermark_us - self._samples[-1][0] <= self._order.window_us // 8
        ):
            return
        self._sampled_ms = now.ms
        self._samples.append((watermark_us, self._assigned.bounds(self._records.name, 0)[1]))

    def _recall(self, assigned: Assigned) -> None:
        first, end = assigned.bounds(self._records.name, 0)
        start = max(first, int(noted(assigned, self._lease).get("from", 0)))
        self._samples = deque([(-1, start)])
        for part in batches(assigned.read(self._records.name, 0, start, end)):
            self._samples.append((self._order.watermark.at_us, part[0].offset))
            for record in part:
                self._recall_one(record)

    def _recall_one(self, record: Record) -> None:
        message = parse(Records, record)
        if message.rows:
            rows = self._codec.recalled(message)
            for source, event_id, time_us, source_ms in zip(*rows, strict=True):
                rank, written_us = self._source_ranks[source], message.envelope.watermark_us
                self._order.recall(rank, event_id, time_us, source_ms, written_us)
        self._order.watermark.end(
            message.envelope.watermark_us
        )  # of an ended stream, and of what stands before
        self._order.sequence = max(self._order.sequence, message.envelope.sequence + 1)
