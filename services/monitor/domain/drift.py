"""Has the loss of the live model risen? River's detectors over closed buckets, and the size of the
change.

A detector sees one version from its first bucket on, a loss at a time in the order of (time, event
id). Once it has spoken it is silent until it is armed again. Outside library: river, which the
detectors are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from river import drift

V = TypeVar("V", bound=np.generic)
RECENT_ROWS_MIN = 500  # a mean of fewer losses moves by more than what a detector looks for


class RiverDetector(Protocol):
    """What we use of a detector: river.base.DriftDetector, or an own one of the same shape."""

    drift_detected: bool

    def update(self, x: float) -> object: ...


KINDS: Mapping[str, type] = {"PageHinkley": drift.PageHinkley, "ADWIN": drift.ADWIN}


@dataclass(frozen=True, slots=True)
class Losses:
    """One merged bucket of one version, sorted; times in microseconds."""

    start_us: int
    end_us: int
    losses: NDArray[np.float64]
    newest_row_ms: int


@dataclass(frozen=True, slots=True)
class Raised:
    """A loss that is higher than it was: the figures of Evidence."""

    value: float  # mean of the newest rows
    reference: float  # mean before the change
    from_us: int  # event time at which the change began, by CUSUM over the buckets
    to_us: int
    rows: int
    newest_row_ms: int


class LossDetector:
    """One detector over one version's losses."""

    def __init__(self, kind: str, params: Mapping[str, object], delta: float = 0.0) -> None:
        self._detector: RiverDetector = KINDS[kind](**params)
        self._delta = float(str(params.get("delta", delta))) if kind == "PageHinkley" else delta
        self._buckets: list[tuple[int, int, int, float]] = []  # start, end, rows, sum
        self._reference: float | None = None  # set once it has spoken
        self._spoke = 0  # how many buckets it had seen then

    @property
    def spoken(self) -> bool:
        return self._reference is not None

    def reference_loss(self) -> float | None:
        """Before the change once it has spoken, else of all that was seen; None: nothing yet."""
        if self._reference is not None or not self._buckets:
            return self._reference
        rows, sums = self._columns()
        return float(sums.sum() / rows.sum())

    def observe(self, bucket: Losses) -> Raised | None:
        """Take a bucket; gives back the change if the detector speaks at it."""
        if not len(bucket.losses):
            return None
        self._buckets.append(
            (bucket.start_us, bucket.end_us, len(bucket.losses), float(np.sum(bucket.losses)))
        )
        if self.spoken or not self._speaks(bucket.losses):
            return None
        raised = self._change(bucket)
        if raised.value <= raised.reference:  # an improvement is no reason to retrain
            self._buckets = self._buckets[-1:]
            return None
        self._reference, self._spoke = raised.reference, len(self._buckets)
        return raised

    def still_raised(self, bucket: Losses) -> Raised | None:
        """After it has spoken: is the newest loss still above what it was before the change?"""
        assert self._reference is not None
        rows, sums = self._columns()
        newest = max(self._spoke, _newest(rows))
        mean = float(sums[newest:].sum() / rows[newest:].sum())
        raised = Raised(
            mean,
            self._reference,
            self._buckets[newest][0],
            bucket.end_us,
            int(rows[newest:].sum()),
            bucket.newest_row_ms,
        )
        return raised if raised.value > self._reference + self._delta else None

    def _speaks(self, losses: NDArray[np.float64]) -> bool:
        for loss in losses.tolist():
            self._detector.update(loss)
            if self._detector.drift_detected:
                return True
        return False

    def _change(self, bucket: Losses) -> Raised:
        rows, sums = self._columns()
        change = _change(rows, sums)
        before = change or len(rows)  # a single bucket has no before: no rise can be told
        return Raised(
            value=float(sums[change:].sum() / rows[change:].sum()),
            reference=float(sums[:before].sum() / rows[:before].sum()),
            from_us=self._buckets[change][0],
            to_us=bucket.end_us,
            rows=int(rows[change:].sum()),
            newest_row_ms=bucket.newest_row_ms,
        )

    def _columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array([each[2] for each in self._buckets], float), np.array(
            [each[3] for each in self._buckets]
        )


def _change(rows: NDArray[np.float64], sums: NDArray[np.float64]) -> int:
    """The bucket at which the mean rose: the lowest point of the cumulated deviation from the mean
    (CUSUM).
    """
    deviation = np.cumsum(sums - rows * (sums.sum() / rows.sum()))
    return min(int(np.argmin(deviation)) + 1, len(rows) - 1)


def _newest(rows: NDArray[np.float64]) -> int:
    """The first bucket of the newest RECENT_ROWS_MIN rows."""
    enough = np.flatnonzero(np.cumsum(rows[::-1]) >= RECENT_ROWS_MIN)
    return len(rows) - 1 - int(enough[0]) if len(enough) else 0


def merged(parts: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Losses of all partitions in the order of (time, partition, place in the partition)."""
    return in_order(parts) if parts else np.empty(0)


def in_order(parts: Sequence[tuple[NDArray[np.int64], NDArray[V]]]) -> NDArray[V]:
    """The same of any values, [n] or [n, ...]."""
    times = np.concatenate([times for times, _ in parts])
    values = np.concatenate([values for _, values in parts])
    return values[np.argsort(times, kind="stable")]
