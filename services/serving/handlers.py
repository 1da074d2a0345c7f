"""Scoring in the loop: envelopes of vectors in, predictions and scores out, in one transaction.

All envelopes of a batch are one run of the model; the model is looked up once a batch, so an
envelope is answered by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

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
from services.serving import codec
from services.serving.domain import Answer, Answering, Plan
from services.serving.models import Standing

SOURCE = "serving"
LATENCIES_MAX = 8  # of a batch: enough for a sketch of the tail, 1 µs each


class ScoringTask:
    """One pipeline's loop; see `driftloop.kit.task.Task` for who calls what."""

    def __init__(
        self,
        standing: Standing,
        replica: str,
        now_ms: Callable[[], int],
        *,
        start_seconds_max: float,
    ) -> None:
        self._standing = standing
        self._replica = replica
        self._now_ms = now_ms
        self._start_seconds_max = start_seconds_max
        self._partitions: list[int] = []
        self._acknowledged: tuple[int, str] | None = None  # version, digest
        self._heads: dict[int, Envelope] = {}  # the newest of each partition
        plan = standing.plan
        self._predictions = topics.PREDICTIONS.topic(plan.pipeline, plan.generation)
        self._scores = topics.SCORES.topic(plan.pipeline)

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        """Waits until it is known what is live: a row must not say NO_MODEL because we looked too
        early.
        """
        self._partitions = sorted(number for _, number in assigned.partitions)
        if not self._standing.settled.wait(self._start_seconds_max):
            trouble = self._standing.trouble or "model.released is not read to its end yet"
            raise Unavailable(f"no row before the live model is known: {trouble}")
        self._standing.held = True
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        answering, plan = self._standing.current, self._standing.plan
        parts = _by_partition(records, plan)
        answers = _answers(parts, answering, plan)
        now_ms = self._now_ms()
        emits = self._acknowledgement(answering, now_ms)
        for rows, answer in zip(parts, answers, strict=True):
            emits += self._outputs(rows, answering, answer, now_ms)
            self._heads[rows.partition] = rows.head
        total = sum(map(len, parts))
        return Decision(
            emits=emits,
            rows_in=total,
            rows_out=total,
            counts=self._counts(answering, total),
            latency_ms=_latencies(parts, now_ms),
            watermark_us=min(head.watermark_us for head in self._heads.values()),
        )

    def tick(self, now: Moment) -> Decision:
        emits = self._acknowledgement(self._standing.current, now.ms)
        counts = self._counts(self._standing.current, 0)
        return Decision(emits=emits, counts=counts) if emits or counts else NOTHING

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
        return [
            *(emit(self._predictions, message, partition=rows.partition) for message in messages),
            *(
                emit_raw(self._scores, line, key=key, partition=rows.partition)
                for key, line in lines
            ),
        ]

    def _acknowledgement(self, answering: Answering | None, now_ms: int) -> list[Emit]:
        """Said once for each model and assignment, in the transaction of the first batch that it
        answers.
        """
        if answering is None:
            return []
        release = answering.release
        if self._acknowledged == (release.version, release.digest):
            return []
        self._acknowledged = release.version, release.digest
        message = acknowledged(answering, self._replica, self._partitions, now_ms)
        return [acknowledgement(message, now_ms)]

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


def acknowledgement(message: ServingAcknowledged, now_ms: int) -> Emit:
    held = "-".join(map(str, message.partitions)) or "calls"
    model = f"{message.pipeline}.g{message.generation}-{message.version}"
    name = f"acknowledged-{model}-{message.replica}-{held}"
    return event(
        topics.SERVING_ACKNOWLEDGED.topic(),
        message,
        id=name,
        source=SOURCE,
        time_ms=now_ms,
        key=message.pipeline,
    )


def _by_partition(records: Sequence[Record], plan: Plan) -> list[codec.Rows]:
    messages: dict[int, list[Features]] = {}
    for record in records:
        messages.setdefault(record.partition, []).append(parse(Features, record))
    return [codec.rows(partition, found, plan) for partition, found in messages.items()]


def _answers(
    parts: Sequence[codec.Rows], answering: Answering | None, plan: Plan
) -> list[Answer | None]:
    """The answer to each part, by one run over all of them; None without a model or rows."""
    full = [part.vectors for part in parts if len(part)]
    if answering is None or not full:
        return [None] * len(parts)
    whole = answering.answer(full[0] if len(full) == 1 else np.concatenate(full), plan)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    return [
        codec.part(whole, end - len(part), end) if len(part) else None
        for part, end in zip(parts, ends, strict=True)
    ]


def _latencies(parts: Sequence[codec.Rows], now_ms: int) -> list[float]:
    """Source append → now, of some rows spread over the batch."""
    stamps = [
        part.columns.column(2).to_numpy(zero_copy_only=False)
        for part in parts
        if part.columns is not None
    ]
    if not stamps:
        return []
    every = np.concatenate(stamps)
    chosen = every[:: max(1, len(every) // LATENCIES_MAX)][:LATENCIES_MAX]
    return (now_ms - chosen).astype(float).tolist()  # type: ignore[no-any-return]
