"""Scoring in the loop: envelopes of vectors in, predictions and scores out, in one transaction.

All envelopes of a batch are one run of the model; the model is looked up once a batch, so an
envelope is answered by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope
from driftloop.contracts.feature_pb2 import Features
from driftloop.contracts.retrain_pb2 import ServingAcknowledged
from driftloop.kit.broker import Partition, Record
from driftloop.kit.errors import Unavailable
from driftloop.kit.events import event
from driftloop.kit.message import parse
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment
from driftloop.kit.topic import Emit, emit, emit_raw
from driftloop.kit.trace import HEADER, NoTracer, Span, Tracer, step_span
from driftloop.kit.trace.marks import nothing, traceparents
from driftloop.kit.trace.rows import Gathered, Way
from services.serving import codec
from services.serving.domain import Answer, Answering, Plan, Release
from services.serving.meter import Meter
from services.serving.models import Standing

SOURCE = "serving"
NO_DELAYS = np.empty(0, np.int64)
NO_MARKS = nothing()
LATENCIES_MAX = 8  # of a batch: enough for a sketch of the tail, 1 µs each


class ScoringTask:
    """One pipeline's loop; see `driftloop.kit.task.Task` for who calls what."""

    def __init__(
        self,
        standing: Standing,
        replica: str,
        now_ms: Callable[[], int],
        meter: Meter,
        *,
        start_seconds_max: float,
        tracer: Tracer | None = None,
    ) -> None:
        self._standing, self._meter = standing, meter
        self._replica = replica
        self._now_ms = now_ms
        self._start_seconds_max = start_seconds_max
        self._partitions: list[int] = []
        self._acknowledged: tuple[int, str] | None = None  # version, digest
        self._heads: dict[int, Envelope] = {}  # the newest of each partition
        plan = standing.plan
        group = f"serving-scores-{plan.pipeline}.g{plan.generation}"
        self._way = Way(tracer or NoTracer(), "score", group, plan.pipeline)
        self._since_ms = 0  # the assignment's begin
        self._predictions = topics.PREDICTIONS.topic(plan.pipeline, plan.generation)
        self._scores = topics.SCORES.topic(plan.pipeline)

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        """Waits until it is known what is live: a row must not say NO_MODEL because we looked too
        early.
        """
        self._partitions = sorted(number for _, number in assigned.partitions)
        self._since_ms = self._now_ms()
        if not self._standing.settled.wait(self._start_seconds_max):
            trouble = self._standing.trouble or "model.released is not read to its end yet"
            raise Unavailable(f"no row before the live model is known: {trouble}")
        self._standing.held = True
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        answering, plan = self._standing.current, self._standing.plan
        parts, traced = _by_partition(records, plan, self._way)
        answers = _answers(parts, answering, plan, self._meter)
        now_ms = self._now_ms()
        emits, swaps = self._acknowledgement(answering, now_ms)
        for rows, answer in zip(parts, answers, strict=True):
            emits += self._outputs(rows, answering, answer, now_ms)
            self._heads[rows.partition] = rows.head
        total, delays_ms = sum(map(len, parts)), _delays_ms(parts, now_ms)
        if total:
            self._meter.scored(answering, plan, delays_ms)
        return Decision(
            emits=emits,
            rows_in=total,
            rows_out=total,
            counts=self._counts(answering, total),
            latency_ms=_some(delays_ms),
            watermark_us=min(head.watermark_us for head in self._heads.values()),
            spans=[*swaps, *self._spans(traced, total, answering)],
        )

    def tick(self, now: Moment) -> Decision:
        emits, swaps = self._acknowledgement(self._standing.current, now.ms)
        counts = self._counts(self._standing.current, 0)
        return Decision(emits=emits, counts=counts, spans=swaps) if emits or counts else NOTHING

    def committed(self, now: Moment) -> None:
        """Nothing waits for it: what was decided is in the log, or this task is gone."""

    def close(self) -> None:
        self._standing.held = False

    def _outputs(
        self, rows: codec.Rows, answering: Answering | None, answer: Answer | None, now_ms: int
    ) -> list[Emit]:
        before = self._heads.get(
            rows.partition, Envelope(pipeline=rows.head.pipeline, generation=rows.head.generation)
        )
        messages = [
            codec.predictions(
                piece, answering, part, origin=codec.STREAM, scored_at_us=now_ms * 1000
            )
            for piece, part in codec.pieces(rows, answer, before)
        ]
        lines = codec.scores(rows, answering, answer, self._standing.plan)
        headers = {n: [(HEADER, text)] for n, text in traceparents(rows.marks).items()}
        return [
            *(emit(self._predictions, message, partition=rows.partition) for message in messages),
            *(
                emit_raw(
                    self._scores,
                    line,
                    key=key,
                    partition=rows.partition,
                    headers=headers.get(number, ()),
                )
                for number, (key, line) in enumerate(lines)
            ),
        ]

    def _spans(
        self, traced: Sequence[Gathered], rows: int, answering: Answering | None
    ) -> list[Span]:
        if not traced or not self._way.on:
            return []
        plan = self._standing.plan
        model = f"{plan.pipeline}@{answering.release.version}" if answering else codec.NO_MODEL
        return [span for each in traced for span in each.spans(self._way, rows, model=model)]

    def _acknowledgement(
        self, answering: Answering | None, now_ms: int
    ) -> tuple[list[Emit], list[Span]]:
        """Said once for each model and assignment, in the transaction of the first batch that it
        answers.
        """
        if answering is None:
            return [], []
        release = answering.release
        if self._acknowledged == (release.version, release.digest):
            return [], []
        self._acknowledged = release.version, release.digest
        message = acknowledged(answering, self._replica, self._partitions, now_ms)
        emits = [acknowledgement(message, now_ms, release.traceparent)]
        return emits, swap_span(message, release, self._since_ms) if self._way.on else []

    def _counts(self, answering: Answering | None, rows: int) -> dict[str, int]:
        counts = self._standing.counts.take()
        if rows and answering is None:
            counts["no_model"] = rows
        return counts


def acknowledged(
    answering: Answering, replica: str, partitions: Sequence[int], now_ms: int
) -> ServingAcknowledged:
    """What a replica now answers with; without partitions it answers calls."""
    release = answering.release
    return ServingAcknowledged(
        pipeline=release.pipeline,
        generation=release.generation,
        version=release.version,
        digest=release.digest,
        replica=replica,
        partitions=partitions,
        calls=not partitions,
        at_ms=now_ms,
        run_id=release.run_id,
    )


def swap_span(
    message: ServingAcknowledged, release: Release, since_ms: int, end_ns: int = 0
) -> list[Span]:
    """From the release, or from the assignment that came after it, to the acknowledgement."""
    return step_span(
        release.traceparent,
        "swap",
        _acknowledged(message),
        start_ns=max(release.released_ms, since_ms) * 1_000_000,
        end_ns=end_ns,
        attributes={
            "driftloop.pipeline": message.pipeline,
            "driftloop.version": message.version,
            "driftloop.replica": message.replica,
            "driftloop.partitions": ", ".join(map(str, message.partitions)) or "calls alone",
        },
    )


def acknowledgement(message: ServingAcknowledged, now_ms: int, traceparent: str = "") -> Emit:
    return event(
        topics.SERVING_ACKNOWLEDGED.topic(),
        message,
        id=_acknowledged(message),
        source=SOURCE,
        time_ms=now_ms,
        key=message.pipeline,
        traceparent=traceparent,
    )


def _acknowledged(message: ServingAcknowledged) -> str:
    held = "-".join(map(str, message.partitions)) or "calls"
    model = f"{message.pipeline}.g{message.generation}-{message.version}"
    return f"acknowledged-{model}-{message.replica}-{held}"


def _by_partition(
    records: Sequence[Record], plan: Plan, way: Way
) -> tuple[list[codec.Rows], list[Gathered]]:
    """The rows of each partition, and where there are some what is traced of them."""
    messages: dict[int, list[Features]] = {}
    counts: dict[int, int] = {}
    traced: dict[int, Gathered] = {}
    for record in records:
        message, at = parse(Features, record), record.partition
        messages.setdefault(at, []).append(message)
        first = counts.get(at, 0)
        counts[at] = first + message.rows
        if message.envelope.traces:
            gathered = traced.setdefault(at, Gathered())
            gathered.take(message.envelope.traces, record, first, message.rows)
    marks = {partition: way.after(each.marks()) for partition, each in traced.items()}
    parts = [
        codec.rows(partition, found, plan, marks.get(partition, NO_MARKS))
        for partition, found in messages.items()
    ]
    return parts, list(traced.values())


def _answers(
    parts: Sequence[codec.Rows], answering: Answering | None, plan: Plan, meter: Meter
) -> list[Answer | None]:
    """The answer to each part, by one run over all of them; None without a model or rows."""
    full = [part.vectors for part in parts if len(part)]
    if answering is None or not full:
        return [None] * len(parts)
    vectors = full[0] if len(full) == 1 else np.concatenate(full)
    whole = meter.answer(answering, vectors, plan)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    return [
        codec.part(whole, end - len(part), end) if len(part) else None
        for part, end in zip(parts, ends, strict=True)
    ]


def _delays_ms(parts: Sequence[codec.Rows], now_ms: int) -> npt.NDArray[np.int64]:
    """Source append → now, of each row."""
    stamps = [
        part.columns.column(2).to_numpy(zero_copy_only=False)
        for part in parts
        if part.columns is not None
    ]
    delays_ms: npt.NDArray[np.int64] = now_ms - np.concatenate([NO_DELAYS, *stamps])
    return delays_ms


def _some(delays_ms: npt.NDArray[np.int64]) -> list[float]:
    """Of some rows spread over the batch."""
    chosen = delays_ms[:: max(1, len(delays_ms) // LATENCIES_MAX)][:LATENCIES_MAX]
    return chosen.astype(float).tolist()  # type: ignore[no-any-return]
