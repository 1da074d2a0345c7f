"""The time axis: closed buckets of all partitions and versions merged into one row each, as
columns, and the totals over them.

What arrives for an old bucket changes that row, and `changed` says from which row on a reader is
behind. Nothing is sorted or summed again for a new bucket, and nothing is worked out before
somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.web.lanes import Lane, Lanes, lanes
from driftloop.web.ranks import Ranks

OPEN_BUCKETS = 400  # the newest, whose rows are kept: a later label than that moves no AUC
COLUMNS = (
    "start_us",
    "end_us",
    "closed_ms",
    "version",
    "rows",
    "predicted",
    "unlabelled",
    "loop_loss",
    "frozen_loss",
    "loop_auc",
    "frozen_auc",
)
Value = int | float | None
DIGITS = 6  # of what is drawn; totals keep all


@dataclass(slots=True)
class Sums:
    """One lane over some rows."""

    rows: int = 0
    loss: float = 0.0
    ranks: Ranks = field(default_factory=Ranks)

    def add(self, lane: Lane) -> None:
        self.rows += lane.rows
        self.loss += lane.loss
        self.ranks.add(*lane.scores)

    @property
    def mean(self) -> float | None:
        return self.loss / self.rows if self.rows else None

    def told(self) -> dict[str, Value]:
        return {"rows": self.rows, "auc": self.ranks.auc, "log_loss": self.mean}


@dataclass(slots=True)
class Both:
    """Loop and frozen over the same rows; the loop alone where nothing frozen ever answered."""

    alone: Sums = field(default_factory=Sums)
    loop: Sums = field(default_factory=Sums)
    frozen: Sums = field(default_factory=Sums)

    def add(self, each: Lanes) -> None:
        self.loop.add(each.loop)
        self.frozen.add(each.frozen)
        if not self.loop.rows:  # else it will never be shown again
            self.alone.add(each.alone)

    @property
    def shown(self) -> Sums:
        return self.loop if self.loop.rows else self.alone

    def close(self) -> None:
        """Forget the rows, not the figures."""
        for sums in (self.alone, self.loop, self.frozen):
            sums.ranks.close()


@dataclass(slots=True)
class Bucket:
    """One merged row. `predicted`, `unlabelled`: of rows that a model answered."""

    start_us: int
    end_us: int
    closed_ms: int = 0
    rows: int = 0
    predicted: int = 0
    unlabelled: int = 0
    both: Both = field(default_factory=Both)
    answered: dict[int, int] = field(default_factory=dict)  # version → rows that it answered

    def row(self) -> tuple[Value, ...]:
        """In the order of COLUMNS."""
        loop, frozen = self.both.shown, self.both.frozen
        return (
            self.start_us,
            self.end_us,
            self.closed_ms,
            max(self.answered, key=lambda each: self.answered[each], default=0),
            self.rows,
            self.predicted,
            self.unlabelled,
            _rounded(loop.mean),
            _rounded(frozen.mean),
            _rounded(loop.ranks.auc),
            _rounded(frozen.ranks.auc),
        )


class Buckets:
    """All of one pipeline's generation."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._buckets: list[Bucket] = []
        self._columns: list[list[Value]] = [[] for _ in COLUMNS]
        self._changed: list[int] = []  # revision of each row's newest change
        self._stale: set[int] = set()  # starts of rows that their columns don't show yet
        self._closed = 0  # so many of the oldest hold no rows any more
        self._totals = Both()
        self._predicted = self._unlabelled = self._no_model = 0

    def add(self, message: Statistics, closed_ms: int, revision: int) -> None:
        """A closed bucket of one partition and version."""
        at = self._place(message.start_us, message.end_us, revision)
        bucket, each = self._buckets[at], lanes(message)
        bucket.closed_ms = max(bucket.closed_ms, closed_ms)
        if message.version:
            self._totals.add(each)
            bucket.both.add(each)
            bucket.rows += message.scored
            bucket.unlabelled += message.unlabelled
            self._unlabelled += message.unlabelled
        else:
            self._no_model += message.predicted
        if message.predicted:
            known = bucket.answered.get(message.version, 0)
            bucket.answered[message.version] = known + message.predicted
        bucket.predicted += message.predicted
        self._predicted += message.predicted
        self._changed[at] = revision
        self._stale.add(message.start_us)

    def columns(self, start: int = 0) -> dict[str, list[Value]]:
        """Rows from number `start` on, by column."""
        self._refresh()
        return {name: column[start:] for name, column in zip(COLUMNS, self._columns, strict=True)}

    def changed(self, since: int) -> int | None:
        """The first row that changed after revision `since`; None: none did."""
        return next((at for at, each in enumerate(self._changed) if each > since), None)

    def totals(self) -> dict[str, object]:
        """Over all rows so far."""
        return {
            "loop": self._totals.shown.told(),
            "frozen": self._totals.frozen.told(),
            "predicted": self._predicted,
            "unlabelled": self._unlabelled,
            "no_model": self._no_model,
        }

    def first_answered(self, version: int, from_us: int, after_ms: int) -> int | None:
        """Start of the first bucket from `from_us` on, closed after `after_ms`, that has rows which
        `version` answered."""
        return next(
            (
                bucket.start_us
                for bucket in self._buckets[bisect_left(self._starts, from_us) :]
                if version in bucket.answered and bucket.closed_ms >= after_ms
            ),
            None,
        )

    @property
    def end_us(self) -> int:
        """Of the newest bucket; 0: there is none."""
        return self._buckets[-1].end_us if self._buckets else 0

    def __len__(self) -> int:
        return len(self._buckets)

    def _place(self, start_us: int, end_us: int, revision: int) -> int:
        at = bisect_left(self._starts, start_us)
        if at == len(self._starts) or self._starts[at] != start_us:
            self._starts.insert(at, start_us)
            self._buckets.insert(at, Bucket(start_us, end_us))
            self._changed.insert(at, revision)
            self._changed[at:] = [revision] * (len(self._changed) - at)  # those behind it moved
            for column in self._columns:
                column.insert(at, None)
            self._close(at)
        return at

    def _close(self, at: int) -> None:
        """All but the newest OPEN_BUCKETS, now that there is one more at `at`."""
        first = at if at < self._closed else self._closed
        self._closed = max(0, len(self._buckets) - OPEN_BUCKETS)
        for bucket in self._buckets[first : self._closed]:
            bucket.both.close()

    def _refresh(self) -> None:
        for start_us in self._stale:
            at = bisect_left(self._starts, start_us)
            for column, value in zip(self._columns, self._buckets[at].row(), strict=True):
                column[at] = value
        self._stale.clear()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
