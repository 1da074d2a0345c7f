"""Messages ↔ arrays, with every check of incoming fields, once: envelopes, scores, V2 tensors.

Columns stay Arrow from the one topic to the other; JSON is written a row at a time, since people
read a row a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope
from driftloop.contracts.feature_pb2 import Features
from driftloop.contracts.model_pb2 import ModelReleased
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.kit import envelope
from driftloop.kit.errors import Malformed
from driftloop.kit.trace.marks import Marks, nothing, rebased, within
from services.serving.domain import Answer, Answering, Floats, Plan, Release

FEATURES_SCHEMA = envelope.batch_schema(topics.FEATURES.declaration.columns)
PREDICTIONS_SCHEMA = envelope.batch_schema(topics.PREDICTIONS.declaration.columns)
STREAM, CALL = "stream", "call"
PIECE_BYTES_MAX = 700_000  # of a topic's 1 MiB a message; rows differ in size
ROW_BYTES_MAX = 4_100  # of an id, in a row's columns: 250 characters, 1,000 of a call
SCORED, NO_MODEL = "SCORED", "NO_MODEL"


class ScoreLine(msgspec.Struct, omit_defaults=True):
    """driftloop.v1.Score as JSON, four times faster than protobuf's own mapping."""

    event_id: str
    time: str
    status: str
    model: str = ""
    probability: float | msgspec.UnsetType = msgspec.UNSET
    probabilities: list[float] | msgspec.UnsetType = msgspec.UNSET
    value: float | msgspec.UnsetType = msgspec.UNSET
    label: str | msgspec.UnsetType = msgspec.UNSET
    baseline: float | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one partition in log order, with the newest head of their envelopes. `columns`
    None: no rows.
    """

    partition: int
    head: Envelope
    columns: pa.RecordBatch | None
    vectors: Floats  # [rows, features]
    marks: Marks = field(default_factory=nothing)  # which of them are traced

    def __len__(self) -> int:
        return len(self.vectors)


def rows(partition: int, messages: Sequence[Features], plan: Plan, marks: Marks) -> Rows:
    """All envelopes of one partition as one; `marks` are theirs together. Malformed: another width,
    or other columns than declared.
    """
    head, width = messages[-1].envelope, len(plan.features)
    full = [message for message in messages if message.rows]
    for message in full:
        if message.width != width:
            raise Malformed(f"Features.width is {message.width}, wanted {width}")
    if not full:
        return Rows(partition, head, None, np.empty((0, width), np.float32))
    batches = [_columns(message) for message in full]
    vectors = [envelope.matrix(message.vectors, message.rows, width) for message in full]
    if len(full) == 1:
        return Rows(partition, head, batches[0], vectors[0], marks)
    return Rows(partition, head, pa.concat_batches(batches), np.concatenate(vectors), marks)


def predictions(
    rows: Rows,
    answering: Answering | None,
    answer: Answer | None,
    *,
    origin: str,
    scored_at_us: int,
) -> Predictions:
    """What was answered, an envelope for an envelope; without a model, the rows alone; without
    rows, a heartbeat.
    """
    message = Predictions(
        envelope=rows.head, rows=len(rows), origin=origin, scored_at_us=scored_at_us
    )
    message.envelope.traces = within(rows.marks, 0, len(rows))  # the head's are of what came in
    if rows.columns is not None:
        message.columns = _answered_columns(rows.columns, answer)
    if answering is None:
        return message
    release = answering.release
    message.version, message.digest, message.width = (
        release.version,
        answering.digest,
        release.width,
    )
    message.provider = answering.network.provider
    if answer is not None:
        message.outputs = answer.outputs.astype("<f4", copy=False).tobytes()
    if answer is not None and answer.baseline is not None:
        message.baseline = answer.baseline.astype("<f4", copy=False).tobytes()
    for line, (digest, outputs) in answer.shadows.items() if answer is not None else ():
        message.shadows.add(
            line=line, digest=digest, outputs=outputs.astype("<f4", copy=False).tobytes()
        )
    if answering.baseline is not None:
        message.baseline_version = answering.baseline_version
    return message


def scores(
    rows: Rows, answering: Answering | None, answer: Answer | None, plan: Plan
) -> list[tuple[bytes, bytes]]:
    """(key, JSON) of each row."""
    if rows.columns is None:
        return []
    ids = rows.columns.column(0).to_pylist()
    times = _rfc3339(rows.columns.column(1).to_numpy())
    lines = _lines(ids, times, answering, answer, plan)
    encode = msgspec.json.Encoder().encode
    return [(event_id.encode(), encode(line)) for event_id, line in zip(ids, lines, strict=True)]


def part(answer: Answer, start: int, end: int) -> Answer:
    """The rows [start, end) of an answer."""
    return chosen(answer, slice(start, end))


def pieces(rows: Rows, answer: Answer | None, before: Envelope) -> list[tuple[Rows, Answer | None]]:
    """Rows and answer cut to messages that the broker takes. All but the last carry the head from
    before: their rows'
    watermark must not pass rows that come in the next piece."""
    every = 0 if answer is None else (2 + len(answer.shadows)) * answer.outputs.shape[1]
    row_bytes = 4 * every + 8
    if rows.columns is None or len(rows) * (row_bytes + ROW_BYTES_MAX) <= PIECE_BYTES_MAX:
        return [(rows, answer)]  # whatever they hold
    step = max(1, len(rows) * PIECE_BYTES_MAX // (rows.columns.nbytes + len(rows) * row_bytes))
    cut = [(start, min(start + step, len(rows))) for start in range(0, len(rows), step)]
    return [
        (
            Rows(
                rows.partition,
                rows.head if end == len(rows) else before,
                rows.columns.slice(start, end - start),
                rows.vectors[start:end],
                rebased(rows.marks, start, end),
            ),
            None if answer is None else part(answer, start, end),
        )
        for start, end in cut
    ]


def call_rows(ids: Sequence[str], vectors: Floats, plan: Plan, at_us: int) -> Rows:
    """Rows that came by a call: their time is now, and they carry no watermark."""
    count, head = len(ids), Envelope(pipeline=plan.pipeline, generation=plan.generation)
    at = np.full(count, at_us, np.int64)
    columns = pa.record_batch(
        [
            pa.array(ids, pa.string()),
            pa.array(at),
            pa.array(at // 1000),
            pa.array(np.zeros(count, np.uint64)),
            pa.array(np.zeros(count, bool)),
        ],
        schema=FEATURES_SCHEMA,
    )
    return Rows(0, head, columns, vectors)


def take(rows: Rows, partition: int, chosen: npt.NDArray[np.intp]) -> Rows:
    """Some of the rows, for one partition."""
    assert rows.columns is not None
    return Rows(partition, rows.head, rows.columns.take(pa.array(chosen)), rows.vectors[chosen])


def chosen(answer: Answer, rows: npt.NDArray[np.intp] | slice) -> Answer:
    """Some rows of an answer."""
    return Answer(
        answer.outputs[rows],
        None if answer.labels is None else answer.labels[rows],
        None if answer.baseline is None else answer.baseline[rows],
        {name: (digest, given[rows]) for name, (digest, given) in answer.shadows.items()},
    )


def release(message: ModelReleased, traceparent: str = "") -> Release:
    """Malformed: a release that names no pipeline or version."""
    if not message.pipeline or not message.version:
        raise Malformed(
            f"ModelReleased of {message.pipeline!r}@{message.version}, wanted pipeline and version"
        )
    return Release(
        message.pipeline,
        message.generation or 1,
        message.version,
        message.digest,
        message.run_id,
        message.baseline_version,
        message.baseline_digest,
        tuple(message.inputs),
        tuple(message.classes),
        message.at_ms,
        traceparent,
        message.line,
    )


def _columns(message: Features) -> pa.RecordBatch:
    batch = envelope.decode(message.columns, FEATURES_SCHEMA)
    if batch.num_rows != message.rows:
        raise Malformed(f"Features.columns hold {batch.num_rows} rows, wanted {message.rows}")
    return batch


def _answered_columns(columns: pa.RecordBatch, answer: Answer | None) -> bytes:
    if answer is None or answer.labels is None:
        labels = pa.nulls(columns.num_rows, pa.int64())
    else:
        labels = pa.array(answer.labels)
    kept = [columns.column(number) for number in range(3)]  # event_id, time_us, source_ms
    return envelope.encode(pa.RecordBatch.from_arrays([*kept, labels], schema=PREDICTIONS_SCHEMA))


def _lines(
    ids: Sequence[str],
    times: Sequence[str],
    answering: Answering | None,
    answer: Answer | None,
    plan: Plan,
) -> list[ScoreLine]:
    if answering is None or answer is None:
        return [
            ScoreLine(event_id, time, NO_MODEL) for event_id, time in zip(ids, times, strict=True)
        ]
    model = f"{plan.pipeline}@{answering.release.version}"
    lines = [
        ScoreLine(event_id, time, SCORED, model) for event_id, time in zip(ids, times, strict=True)
    ]
    if answer.labels is not None:
        classes = answering.release.classes
        for line, label in zip(lines, answer.labels.tolist(), strict=True):
            line.label = classes[label]
    _fill(lines, answer, plan)
    return lines


def _fill(lines: Sequence[ScoreLine], answer: Answer, plan: Plan) -> None:
    column = 1 if plan.kind == "binary" else 0
    if plan.kind == "multiclass":
        for line, probabilities in zip(lines, answer.outputs.tolist(), strict=True):
            line.probabilities = probabilities
        # one figure can't say what a baseline thinks of many classes; `predictions` holds them all
        return
    name = "probability" if plan.kind == "binary" else "value"
    for line, value in zip(lines, answer.outputs[:, column].tolist(), strict=True):
        setattr(line, name, value)
    if answer.baseline is not None:
        for line, value in zip(lines, answer.baseline[:, column].tolist(), strict=True):
            line.baseline = value


def _rfc3339(times_us: npt.NDArray[np.int64]) -> list[str]:
    """UTC, to the microsecond where there is one."""
    texts: list[str] = np.datetime_as_string(times_us.astype("datetime64[us]"), unit="us").tolist()
    return [f"{text.removesuffix('.000000')}Z" for text in texts]
