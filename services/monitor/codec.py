"""Envelopes of predictions and examples to rows, buckets to `statistics` and back, wishes to
control events.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from driftloop.contracts import topics
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.model_pb2 import OffsetRange, Window
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    Evidence,
    Line,
    RetrainRequested,
    Statistics,
)
from driftloop.kit.envelope import batch_schema, decode, matrix
from driftloop.kit.errors import Malformed
from services.monitor.domain.buckets import Closed, Labelled, Predicted
from services.monitor.domain.drift import Raised
from services.monitor.domain.policy import Part, Rules, Wish
from services.monitor.domain.zones import Zone

PREDICTIONS = batch_schema(topics.PREDICTIONS.declaration.columns)
EXAMPLES = batch_schema(topics.EXAMPLES.declaration.columns)


def predicted(
    message: Predictions, offset: int, outputs: int, lines: Sequence[str] = ()
) -> Predicted:
    """Rows of one envelope; `outputs`: how many a model of this pipeline has; `lines`: whose
    answers are wanted beside the live ones. NO_MODEL: NaN.
    """
    batch, rows = decode(message.columns, PREDICTIONS), message.rows
    if batch.num_rows != rows:
        raise Malformed(f"Predictions.rows is {rows}, its columns have {batch.num_rows}")
    nothing = np.full((rows, outputs), np.nan, np.float32)
    answered = matrix(message.outputs, rows, outputs) if message.version else nothing
    return Predicted(
        batch.column("event_id"),
        _ints(batch, "time_us"),
        np.full(rows, offset, np.int64),
        np.full(rows, message.version, np.int64),
        answered,
        matrix(message.baseline, rows, outputs)
        if message.baseline
        else _own_baseline(message, answered, nothing),
        _shadows(message, lines, nothing),
    )


def labelled(message: Examples, offset: int, appended_ms: int) -> Labelled:
    """Rows of one envelope of examples."""
    batch, rows = decode(message.columns, EXAMPLES), message.rows
    if batch.num_rows != rows:
        raise Malformed(f"Examples.rows is {rows}, its columns have {batch.num_rows}")
    return Labelled(
        batch.column("event_id"),
        _ints(batch, "time_us"),
        _ints(batch, "label_time_us"),
        np.full(rows, offset, np.int64),
        batch.column("target").to_numpy(zero_copy_only=False),
        matrix(message.vectors, rows, message.width),
        np.full(rows, appended_ms, np.int64),
    )


def statistics(
    closed: Closed,
    pipeline: str,
    generation: int,
    partition: int,
    *,
    watermark_us: int,
    parts: int,
    predictions: OffsetRange,
    examples: OffsetRange,
    zone: Zone | None = None,
    lines: Sequence[str] = (),
) -> Statistics:
    """One closed bucket as a message. `lines`: the names of the bucket's, in order."""
    return Statistics(
        pipeline=pipeline,
        generation=generation,
        partition=partition,
        start_us=closed.start_us,
        end_us=closed.end_us,
        version=closed.version,
        predicted=closed.predicted,
        scored=len(closed.losses),
        late=closed.late,
        loss_sum=_sum(closed.losses),
        baseline_loss_sum=_sum(closed.baseline_losses),
        score_histogram=closed.scores.astype("<i4").tobytes(),
        watermark_us=watermark_us,
        baseline_histogram=closed.baseline_scores.astype("<i4").tobytes(),
        feature_histogram=closed.features.astype("<i4").tobytes(),
        predictions=predictions,
        examples=examples,
        examples_since=zone.since if zone else 0,
        examples_oldest_us=zone.oldest_us if zone else None,
        examples_newest_us=zone.newest_us if zone else None,
        losses=closed.losses.astype("<f8").tobytes(),
        times_us=closed.times_us.astype("<i8").tobytes(),
        newest_row_ms=closed.newest_row_ms,
        parts=parts,
        unlabelled=closed.unlabelled,
        scores=closed.answers.astype("<f4").tobytes(),
        baseline_scores=closed.baseline_answers.astype("<f4").tobytes(),
        lines=_lines(closed, lines),
    )


def _lines(closed: Closed, names: Sequence[str]) -> list[Line]:
    return [
        Line(
            name=name,
            gains=one.gains.tobytes(),
            rows=one.rows,
            loss_sum=one.loss,
            live_loss_sum=one.live_loss,
        )
        for name, one in zip(names, closed.lines, strict=False)
    ]


def part(message: Statistics, lines: Sequence[str] = ()) -> Part:
    """A bucket as the policy takes it."""
    losses, times = np.frombuffer(message.losses, "<f8"), np.frombuffer(message.times_us, "<i8")
    if len(losses) != message.scored or (len(losses) and len(times) != len(losses)):
        raise Malformed(
            f"Statistics.scored is {message.scored}, but {len(losses)} losses at {len(times)} times"
        )
    return Part(
        message.partition,
        message.start_us,
        message.end_us,
        message.version,
        len(losses),
        len(times),
        times[: len(losses)],
        losses,
        message.newest_row_ms,
        message.parts,
        (message.examples.start, message.examples.end),
        gains_of(message, lines),
    )


def gains_of(message: Statistics, lines: Sequence[str]) -> np.ndarray:
    """[n, lines] int8, in the order of the losses; 0 of a line that the bucket does not name."""
    nothing = np.zeros(message.scored, np.int8)
    there = {one.name: np.frombuffer(one.gains, np.int8) for one in message.lines}
    found = [there.get(name, nothing) for name in lines]
    if any(len(each) != message.scored for each in found):
        raise Malformed(f"Statistics.lines hold other rows than the {message.scored} scored")
    return np.stack(found, axis=1) if found else np.empty((message.scored, 0), np.int8)


def drift_detected(
    wish: Wish, raised: Raised, rules: Rules, pipeline: str, generation: int
) -> DriftDetected:
    return DriftDetected(
        pipeline=pipeline, generation=generation, evidence=_evidence(wish, raised, rules)
    )


def retrain_requested(
    wish: Wish, rules: Rules, pipeline: str, generation: int, drift_id: str
) -> RetrainRequested:
    topic = topics.EXAMPLES.topic(pipeline, generation).name
    ranges = [
        OffsetRange(topic=topic, partition=partition, start=start, end=end)
        for partition, (start, end) in sorted((wish.examples or {}).items())
    ]
    return RetrainRequested(
        pipeline=pipeline,
        generation=generation,
        trigger=wish.trigger,
        reason=wish.reason,
        suppressed=wish.suppressed,
        by="monitor",
        drift_id=drift_id,
        line=wish.line,
        window=Window(ranges=ranges, end_us=wish.at_us),
        evidence=_evidence(wish, wish.raised, rules) if wish.raised else None,
    )


def _evidence(wish: Wish, raised: Raised, rules: Rules) -> Evidence:
    return Evidence(
        lane="realised",
        detector=rules.detector,
        statistic=rules.statistic,
        value=raised.value,
        reference=raised.reference,
        threshold=float(str(rules.params.get("threshold", 0))),
        from_us=raised.from_us,
        to_us=raised.to_us,
        rows=raised.rows,
        model_version=wish.version,
        newest_row_ms=raised.newest_row_ms,
    )


def _shadows(message: Predictions, lines: Sequence[str], nothing: np.ndarray) -> np.ndarray:
    """[rows, lines x outputs]; NaN of a line that did not answer."""
    if not lines:
        return nothing[:, :0]
    given = {one.line: one.outputs for one in message.shadows}
    rows, outputs = nothing.shape
    return np.concatenate(
        [matrix(given[n], rows, outputs) if n in given else nothing for n in lines], axis=1
    )


def _own_baseline(message: Predictions, answered: np.ndarray, nothing: np.ndarray) -> np.ndarray:
    """The first release is its own baseline; serving does not send the same numbers twice."""
    return answered if message.version and message.baseline_version == message.version else nothing


def _ints(batch: pa.RecordBatch, name: str) -> np.ndarray:
    values: np.ndarray = batch.column(name).to_numpy(zero_copy_only=False)
    return values


def _sum(values: np.ndarray) -> float:
    return float(np.cumsum(values)[-1]) if len(values) else 0.0  # strictly in order, as promised
