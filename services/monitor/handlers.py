"""The two loops of the monitor: `buckets` for each partition, `decide` for the pipeline.

buckets   predictions + examples                                      -> statistics
decide    statistics, model.released, retrain.resolved, run.finished  -> drift.detected,
retrain.requested"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field

from driftloop.contracts import topics
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.model_pb2 import ModelReleased, OffsetRange, RunFinished
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.contracts.retrain_pb2 import RetrainResolved, Statistics
from driftloop.kit.broker import Partition, Position, Record
from driftloop.kit.errors import Malformed
from driftloop.kit.events import event, read_event
from driftloop.kit.message import parse
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment, Sizes
from driftloop.kit.topic import Emit, emit
from driftloop.kit.trace import NoTracer, Span, Tracer, render
from services.monitor import codec, tracing
from services.monitor.domain.buckets import Buckets, Closed, Closing, Shape
from services.monitor.domain.policy import Policy, Rules, Wish
from services.monitor.domain.zones import Zone
from services.monitor.meter import Meter


@dataclass(slots=True)
class _Held:
    """One partition's buckets with what its two inputs have told so far."""

    buckets: Buckets
    watermark_us: dict[str, int]
    first: dict[str, int] = field(default_factory=dict)
    next: dict[str, int] = field(default_factory=dict)
    # what was read of `examples` since the last closing; None: not known, until the next one
    zone: Zone | None = None

    def both_us(self) -> int:
        return min(self.watermark_us.values())

    def range_of(self, topic: str, partition: int) -> OffsetRange:
        return OffsetRange(
            topic=topic,
            partition=partition,
            start=self.first.get(topic, 0),
            end=self.next.get(topic, 0),
        )


class BucketsTask:
    """Closes the buckets of the partitions that it holds."""

    def __init__(self, pipeline: str, generation: int, shape: Shape, outputs: int) -> None:
        self._pipeline, self._generation = pipeline, generation
        self._shape, self._outputs = shape, outputs
        self._predictions = topics.PREDICTIONS.topic(pipeline, generation).name
        self._examples = topics.EXAMPLES.topic(pipeline, generation).name
        self._held: dict[int, _Held] = {}

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        """Reread what still waits: from the oldest such offset, kept as a note, to the committed
        one.
        """
        for number in sorted({partition for _, partition in assigned.partitions}):
            self._held[number] = self._reread(assigned, number)
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        rows = sum(self._take(self._held[record.partition], record) for record in records)
        emits: list[Emit] = []
        for number in {record.partition for record in records}:
            held = self._held[number]
            closed = held.buckets.advance(held.both_us(), self._next(held))
            emits += self._statistics(number, held, closed)
            if closed:
                held.zone = Zone(held.next.get(self._examples, 0))
        watermark = min(held.both_us() for held in self._held.values())
        return Decision(
            emits, notes=self._notes(), rows_in=rows, rows_out=len(emits), watermark_us=watermark
        )

    def tick(self, now: Moment) -> Decision:
        return NOTHING

    def committed(self, now: Moment) -> None:
        return None

    def close(self) -> None:
        self._held.clear()

    def sizes(self) -> Sizes:
        """Predictions and labels that wait for each other or for their bucket's end."""
        held = [each.buckets.held() for each in self._held.values()]
        return Sizes(rows=sum(rows for rows, _ in held), bytes=sum(size for _, size in held))

    def _reread(self, assigned: Assigned, number: int) -> _Held:
        names = (self._predictions, self._examples)
        positions = {name: assigned.positions.get((name, number), Position(None)) for name in names}
        notes = {name: json.loads(position.note or "{}") for name, position in positions.items()}
        told = notes[self._predictions].get("closing")
        closing = Closing(*told) if told else None
        held = _Held(Buckets(self._shape, closing), dict.fromkeys(names, 0))
        for name in names:
            held.first[name] = assigned.bounds(name, number)[0]
            end = positions[name].offset
            if end is None:
                held.zone = Zone(held.first[self._examples]) if name == self._examples else None
                continue
            start = max(held.first[name], notes[name].get("from", end))
            held.watermark_us[name] = notes[name].get("watermark", 0)
            for record in assigned.read(name, number, start, end):
                self._take(held, record)
            held.next[name] = end
            if name == self._examples:  # its rows were told of before, in part
                noted = notes[name].get("zone")
                held.zone = Zone(*noted) if noted else None
        return held

    def _take(self, held: _Held, record: Record) -> int:
        held.next[record.topic] = record.offset + 1
        if record.topic == self._examples:
            return self._label(held, record)
        message = parse(Predictions, record)
        _raise(held.watermark_us, record.topic, message.envelope.watermark_us)
        if not message.rows or message.origin == "call":
            return 0
        names = self._shape.contest.names
        rows = codec.predicted(message, record.offset, self._outputs, names)
        held.buckets.predictions(rows)
        return int(message.rows)

    def _label(self, held: _Held, record: Record) -> int:
        message = parse(Examples, record)
        _raise(held.watermark_us, record.topic, message.envelope.watermark_us)
        if message.rows:
            rows = codec.labelled(message, record.offset, record.timestamp_ms)
            held.buckets.labels(rows)
            held.zone = held.zone and held.zone.with_rows(rows.times_us)
        return int(message.rows)

    def _statistics(self, number: int, held: _Held, closed: Sequence[Closed]) -> list[Emit]:
        parts = {
            end: sum(each.end_us == end for each in closed)
            for end in {each.end_us for each in closed}
        }
        topic = topics.STATISTICS.topic(self._pipeline)
        return [
            emit(
                topic,
                codec.statistics(
                    each,
                    self._pipeline,
                    self._generation,
                    number,
                    watermark_us=held.both_us(),
                    parts=parts[each.end_us],
                    predictions=held.range_of(self._predictions, number),
                    examples=held.range_of(self._examples, number),
                    zone=held.zone,
                    lines=self._shape.contest.names,
                ),
                partition=0,
            )
            for each in closed
        ]

    def _next(self, held: _Held) -> tuple[int, int]:
        return held.next.get(self._predictions, 0), held.next.get(self._examples, 0)

    def _notes(self) -> dict[Partition, str]:
        notes = {}
        for number, held in self._held.items():
            closing = held.buckets.closing
            for name, oldest in zip(
                (self._predictions, self._examples), held.buckets.oldest(), strict=True
            ):
                start = held.next.get(name, 0) if oldest is None else oldest
                notes[name, number] = json.dumps(
                    {
                        "from": start,
                        "watermark": held.watermark_us[name],
                        "closing": closing and [closing.last, closing.predictions, closing.labels],
                        "zone": astuple(held.zone)
                        if held.zone and name == self._examples
                        else None,
                    }
                )
        return notes


class DecideTask:
    """Hears all that happens to one pipeline generation, and asks for retrains."""

    def __init__(
        self,
        pipeline: str,
        generation: int,
        policy: Callable[[], Policy],
        rules: Rules,
        meter: Meter,
        tracer: Tracer | None = None,
    ) -> None:
        self._pipeline, self._generation, self._rules = pipeline, generation, rules
        self._tracer = tracer or NoTracer()
        self._policy = policy()
        self._statistics = topics.STATISTICS.topic(pipeline).name
        self._meter = meter

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        """Hear everything again, in the order in which it was appended; what was asked then is not
        asked again.
        """
        past: list[Record] = []
        for topic, partition in assigned.partitions:
            end = assigned.positions.get((topic, partition), Position(None)).offset
            if end is not None:
                past += assigned.read(topic, partition, assigned.bounds(topic, partition)[0], end)
        for record in _in_order(past):
            self._hear(record)
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        wishes = [(wish, at) for at in _in_order(records) for wish in self._hear(at)]
        emits: list[Emit] = []
        spans: list[Span] = []
        counts: dict[str, int] = {}
        for wish, cause in wishes:
            name = self._request_id(wish)
            turn = tracing.turn(self._tracer, name, cause)
            emits += self._said(wish, name, render(turn), now)
            spans += tracing.spans(turn, wish, name, self._pipeline, cause, now)
            if wish.drift:
                self._meter.drifted()
            outcome = "suppressed" if wish.suppressed else "requested"
            counts[f"{wish.trigger}_{outcome}"] = counts.get(f"{wish.trigger}_{outcome}", 0) + 1
        return Decision(
            emits, rows_in=len(records), rows_out=len(emits), counts=counts, spans=spans
        )

    def tick(self, now: Moment) -> Decision:
        return NOTHING

    def committed(self, now: Moment) -> None:
        return None

    def close(self) -> None:
        self._meter.close()

    def sizes(self) -> Sizes:
        """Parts of buckets that wait for the other partitions."""
        return Sizes({"buckets": self._policy.waiting()})

    def _hear(self, record: Record) -> Sequence[Wish]:
        if record.topic == self._statistics:
            return self._on_statistics(parse(Statistics, record))
        try:
            self._on_control(record)
        except Malformed:
            return ()  # anyone may write there; training and the registry answer and count it
        return ()

    def _on_statistics(self, message: Statistics) -> Sequence[Wish]:
        if message.generation != self._generation:
            return ()
        wishes = self._policy.part(codec.part(message, self._rules.lines))
        self._meter.heard(message, self._policy)
        return wishes

    def _on_control(self, record: Record) -> None:
        message: ModelReleased | RetrainResolved | RunFinished
        if record.topic == topics.MODEL_RELEASED.topic().name:
            message = read_event(record, ModelReleased).message
            if self._mine(message):
                self._policy.released(message.version)
        elif record.topic == topics.RETRAIN_RESOLVED.topic().name:
            message = read_event(record, RetrainResolved).message
            if self._mine(message):
                self._policy.resolved(message.outcome, message.run_id)
        else:
            message = read_event(record, RunFinished).message
            if self._mine(message):
                self._policy.finished(message.run_id)

    def _mine(self, message: ModelReleased | RetrainResolved | RunFinished) -> bool:
        return message.pipeline == self._pipeline and message.generation in (0, self._generation)

    def _request_id(self, wish: Wish) -> str:
        return f"request-{self._pipeline}-g{self._generation}-{wish.trigger}-{wish.at_us}"

    def _said(self, wish: Wish, request_id: str, traceparent: str, now: Moment) -> list[Emit]:
        said, drift_id = [], ""
        of = f"{self._pipeline}-g{self._generation}"
        if wish.drift and wish.raised:
            drift_id = f"drift-{of}-{wish.at_us}"
            detected = codec.drift_detected(
                wish, wish.raised, self._rules, self._pipeline, self._generation
            )
            said.append(
                event(
                    topics.DRIFT_DETECTED.topic(),
                    detected,
                    id=drift_id,
                    source="monitor",
                    time_ms=now.ms,
                    key=self._pipeline,
                    traceparent=traceparent,
                )
            )
        asked = codec.retrain_requested(
            wish, self._rules, self._pipeline, self._generation, drift_id
        )
        said.append(
            event(
                topics.RETRAIN_REQUESTED.topic(),
                asked,
                id=request_id,
                source="monitor",
                time_ms=now.ms,
                key=self._pipeline,
                traceparent=traceparent,
            )
        )
        return said


def _raise(watermarks: dict[str, int], topic: str, watermark_us: int) -> None:
    watermarks[topic] = max(watermarks[topic], watermark_us)


def _in_order(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (record.timestamp_ms, record.topic, record.offset))
