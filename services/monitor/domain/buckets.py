"""What came of the predictions: event-time buckets of one partition, closed by the watermark.

A pair of prediction and label belongs to the bucket of its row's time, unless its label is of a
time after that bucket's end + slack: then to the bucket that was open at that time, as late; and to
the first open one where even that is over. Rows wait here until their label comes or their horizon
ends. Nothing here knows of Kafka or protobuf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftloop.statistics import FEATURE_BINS
from services.monitor.domain.histograms import (
    answers,
    feature_bins,
    losses,
    score_bins,
    sparse,
)
from services.monitor.domain.ids import by_time_and_id, pairs
from services.monitor.domain.shadows import Contest, Line

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

NEVER = 2**62
PIECE_ROWS_MAX = 15_000  # 24 bytes a row, 1 for each line: a message of `statistics` takes 1 MB


@dataclass(frozen=True, slots=True)
class Shape:
    """How the buckets of a pipeline are cut. Times in microseconds of event time."""

    bucket_us: int
    slack_us: int
    horizon_us: int
    kind: str  # binary, multiclass, regression
    contest: Contest = field(default_factory=Contest)


@dataclass(frozen=True, slots=True)
class Predicted:
    """Rows that were answered: n rows, w outputs."""

    ids: pa.StringArray
    times_us: Ints
    offsets: Ints
    versions: Ints
    outputs: Matrix  # [n, w]
    baseline: Matrix  # [n, w], NaN where there was none
    shadows: Matrix  # [n, lines x w], NaN where a line gave no answer


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows whose truth is known: n rows, k features."""

    ids: pa.StringArray
    times_us: Ints
    label_times_us: Ints
    offsets: Ints
    targets: Floats
    vectors: Matrix  # [n, k]
    appended_ms: Ints


R = TypeVar("R", Predicted, Labelled)


@dataclass(frozen=True, slots=True)
class Closed:
    """One bucket of one version, or a piece of it; `losses` in the order of (time, event id)."""

    start_us: int
    end_us: int
    version: int
    predicted: int = 0
    late: int = 0
    unlabelled: int = 0
    losses: Floats = field(default_factory=lambda: np.empty(0))
    baseline_losses: Floats = field(default_factory=lambda: np.empty(0))
    times_us: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    scores: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))  # sparse
    baseline_scores: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    features: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    newest_row_ms: int = 0
    # in the order of `losses`, the label in the sign; binary only
    answers: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    baseline_answers: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    lines: Sequence[Line] = ()


@dataclass(frozen=True, slots=True)
class Closing:
    """The last buckets that were closed: up to number `last`, with what was read by then."""

    last: int
    predictions: int  # offset: one past the last
    labels: int


@dataclass(slots=True)
class _Waiting:
    """Predictions without a label yet; `counted`: already in a bucket's `predicted`."""

    rows: list[Predicted] = field(default_factory=list)
    counted: list[NDArray[np.bool_]] = field(default_factory=list)

    def append(self, rows: Predicted, counted: NDArray[np.bool_]) -> None:
        self.rows.append(rows)
        self.counted.append(counted)
        while _wants_merge(self.rows):
            self.rows[-2:] = [_joined(self.rows[-2:])]
            self.counted[-2:] = [np.concatenate(self.counted[-2:])]


class Buckets:
    """The open buckets of one partition."""

    def __init__(self, shape: Shape, closing: Closing | None = None) -> None:
        self._shape = shape
        self._closing = closing
        self._predicted = _Waiting()
        self._labelled: list[Labelled] = []
        # offsets (prediction, label) of pairs that `oldest` still spans
        self._used = np.empty((2, 0), np.int64)

    @property
    def closing(self) -> Closing | None:
        return self._closing

    def held(self) -> tuple[int, int]:
        """Rows that wait here, and their bytes."""
        parts: list[Predicted | Labelled] = [*self._predicted.rows, *self._labelled]
        columns = [getattr(part, name) for part in parts for name in _names(type(part))]
        return sum(len(part.offsets) for part in parts), sum(each.nbytes for each in columns)

    def predictions(self, rows: Predicted) -> None:
        """Take rows in log order; those that a closing before a restart has counted are known."""
        bucket = rows.times_us // self._shape.bucket_us
        self._predicted.append(rows, self._known(bucket, rows.offsets))

    def labels(self, rows: Labelled) -> None:
        self._labelled.append(rows)
        while _wants_merge(self._labelled):
            self._labelled[-2:] = [_joined(self._labelled[-2:])]

    def advance(self, watermark_us: int, next_offsets: tuple[int, int]) -> list[Closed]:
        """Close what nothing can reach any more; gives back those with rows and the last one.

        `next_offsets`: of predictions and labels, one past the last that was taken.
        """
        until = (watermark_us - self._shape.slack_us) // self._shape.bucket_us
        if not self._predicted.rows or until - 1 <= self._last(until - 2):
            return []
        predicted, counted, labelled = self._gathered()
        if (
            self._closing is None
            and not (predicted.times_us // self._shape.bucket_us < until).any()
        ):
            return []
        closed = self._close(predicted, counted, labelled, until)
        self._closing = Closing(until - 1, *next_offsets)
        return closed

    def oldest(self) -> tuple[int | None, int | None]:
        """The offsets from which predictions and labels must be read again; None: from the next
        ones.

        That is the oldest prediction that waits, and the oldest label that waits or belongs to a
        prediction from there on: without it that prediction would seem to have none."""
        predicted, labelled = _oldest(self._predicted.rows), _oldest(self._labelled)
        spanned = self._used[1].min(initial=NEVER) if predicted is not None else NEVER
        oldest = min(spanned, NEVER if labelled is None else labelled)
        return predicted, None if oldest == NEVER else int(oldest)

    def _close(
        self, predicted: Predicted, counted: NDArray[np.bool_], labelled: Labelled, until: int
    ) -> list[Closed]:
        at, of = pairs(predicted.ids, labelled.ids)
        bucket = self._bucket(predicted.times_us[at], labelled.label_times_us[of])
        over = bucket < until
        told = self._known(bucket, predicted.offsets[at], labelled.offsets[of])
        new = over & ~told  # after a restart: what a closing has told before is only dropped
        expiry = self._expiry(predicted.times_us)
        matched = np.zeros(len(counted), bool)
        matched[at[over]] = True
        gone = ~matched & (expiry < until)
        asked = predicted.times_us // self._shape.bucket_us
        count_now = ~counted & (asked < until)
        first = self._last(-NEVER) + 1
        closed = _summed(
            self._shape,
            predicted,
            labelled,
            (at[new], of[new], np.maximum(bucket[new], first)),
            (np.maximum(asked, first), count_now),
            (np.maximum(expiry, first), gone & ~self._known(expiry, predicted.offsets)),
            until,
        )
        self._keep(
            predicted,
            counted | count_now,
            ~(matched | gone),
            labelled,
            of[over],
            np.stack([predicted.offsets[at[over]], labelled.offsets[of[over]]]),
            until,
        )
        return closed

    def _keep(
        self,
        predicted: Predicted,
        counted: NDArray[np.bool_],
        stays: NDArray[np.bool_],
        labelled: Labelled,
        used: Ints,
        pairs: Ints,
        until: int,
    ) -> None:
        waits = self._expiry(labelled.times_us) >= until
        waits[used] = False
        self._predicted = _Waiting([_taken(predicted, stays)], [counted[stays]])
        kept = _taken(labelled, waits)
        self._labelled = [kept] if len(kept.offsets) else []
        used = np.concatenate([self._used, pairs], axis=1)
        oldest = _oldest(self._predicted.rows)
        self._used = used[:, used[0] >= (NEVER if oldest is None else oldest)]

    def _gathered(self) -> tuple[Predicted, NDArray[np.bool_], Labelled]:
        labelled = self._labelled or [_no_labels()]
        return (
            _joined(self._predicted.rows),
            np.concatenate(self._predicted.counted),
            _joined(labelled),
        )

    def _bucket(self, times_us: Ints, label_times_us: Ints) -> Ints:
        shape = self._shape
        open_then = (label_times_us - shape.slack_us) // shape.bucket_us
        return np.maximum(times_us // shape.bucket_us, open_then)

    def _known(
        self, bucket: Ints, predicted: Ints, labelled: Ints | None = None
    ) -> NDArray[np.bool_]:
        """What the last closing has told of: in its buckets, and of offsets that were read by
        then.
        """
        closing = self._closing
        if closing is None:
            return np.zeros(len(bucket), bool)
        known = (bucket <= closing.last) & (predicted < closing.predictions)
        return known if labelled is None else known & (labelled < closing.labels)

    def _expiry(self, times_us: Ints) -> Ints:
        return (times_us + self._shape.horizon_us) // self._shape.bucket_us + 1

    def _last(self, otherwise: int) -> int:
        return otherwise if self._closing is None else self._closing.last


def _summed(
    shape: Shape,
    predicted: Predicted,
    labelled: Labelled,
    pairs: tuple[Ints, Ints, Ints],
    asked: tuple[Ints, NDArray[np.bool_]],
    gone: tuple[Ints, NDArray[np.bool_]],
    until: int,
) -> list[Closed]:
    at, of, bucket = pairs
    keys = {(int(b), int(v)) for b, v in _distinct(bucket, predicted.versions[at])}
    keys |= {
        (int(b), int(v)) for b, v in _distinct(asked[0][asked[1]], predicted.versions[asked[1]])
    }
    keys |= {(int(b), int(v)) for b, v in _distinct(gone[0][gone[1]], predicted.versions[gone[1]])}
    if not any(b == until - 1 for b, _ in keys):
        keys.add((until - 1, 0))
    closed = []
    for number, version in sorted(keys):
        mine = (bucket == number) & (predicted.versions[at] == version)
        said = Closed(
            number * shape.bucket_us,
            (number + 1) * shape.bucket_us,
            version,
            predicted=_count(asked, number, predicted.versions, version),
            unlabelled=_count(gone, number, predicted.versions, version),
        )
        rows, truths = at[mine], of[mine]
        order = by_time_and_id(predicted.times_us[rows], predicted.ids.take(pa.array(rows)))
        for piece in np.split(order, list(range(PIECE_ROWS_MAX, len(order), PIECE_ROWS_MAX))):
            args = (shape, predicted, labelled, rows[piece], truths[piece])
            closed.append(_with_losses(said, *args))
            said = replace(said, predicted=0, unlabelled=0)
    return closed


def _with_losses(
    said: Closed, shape: Shape, predicted: Predicted, labelled: Labelled, at: Ints, of: Ints
) -> Closed:
    if not len(at):
        return said
    outputs, baseline, targets = predicted.outputs[at], predicted.baseline[at], labelled.targets[of]
    bins = feature_bins(labelled.vectors[of])
    wide = bins + FEATURE_BINS * np.arange(bins.shape[1], dtype=np.int32)
    known = replace(
        said,
        late=int((predicted.times_us[at] < said.start_us).sum()),
        times_us=predicted.times_us[at],
        features=sparse(wide.reshape(-1)),
        newest_row_ms=int(labelled.appended_ms[of].max()),
    )
    if not said.version:
        return known
    return replace(
        known,
        losses=losses(outputs, targets, shape.kind),
        baseline_losses=losses(baseline, targets, shape.kind),
        scores=score_bins(outputs, targets, shape.kind),
        baseline_scores=score_bins(baseline, targets, shape.kind),
        lines=shape.contest.lines(outputs, predicted.shadows[at], targets),
        answers=answers(outputs, targets, shape.kind),
        baseline_answers=answers(baseline, targets, shape.kind),
    )


def _distinct(buckets: Ints, versions: Ints) -> NDArray[np.int64]:
    return np.unique(np.stack([buckets, versions], axis=1), axis=0)


def _count(rows: tuple[Ints, NDArray[np.bool_]], bucket: int, versions: Ints, version: int) -> int:
    return int(((rows[0] == bucket) & rows[1] & (versions == version)).sum())


def _joined(parts: Sequence[R]) -> R:
    kind = type(parts[0])
    if len(parts) == 1:
        return parts[0]
    columns = {name: [getattr(part, name) for part in parts] for name in _names(kind)}
    return kind(
        **{
            name: pa.concat_arrays(column) if name == "ids" else np.concatenate(column)
            for name, column in columns.items()
        }
    )


def _taken(rows: R, mask: NDArray[np.bool_]) -> R:
    kind = type(rows)
    return kind(
        **{
            name: rows.ids.filter(pa.array(mask)) if name == "ids" else getattr(rows, name)[mask]
            for name in _names(kind)
        }
    )


def _wants_merge(parts: Sequence[Predicted] | Sequence[Labelled]) -> bool:
    """Like a binary counter: a row is copied log(n) times, and never more than log(n) parts
    stand.
    """
    return len(parts) > 1 and len(parts[-2].offsets) <= 2 * len(parts[-1].offsets)


def _names(kind: type) -> list[str]:
    return [each.name for each in fields(kind)]


def _oldest(parts: Sequence[Predicted] | Sequence[Labelled]) -> int | None:
    return next(
        (int(part.offsets[0]) for part in parts if len(part.offsets)), None
    )  # kept in log order


def _no_labels() -> Labelled:
    none = np.empty(0, np.int64)
    return Labelled(
        pa.array([], pa.string()), none, none, none, np.empty(0), np.empty((0, 0), np.float32), none
    )
