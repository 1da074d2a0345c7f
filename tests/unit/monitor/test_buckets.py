"""Buckets: what they hold is a function of the log, never of the batches that it came in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.monitor.domain.buckets import (
    Buckets,
    Closed,
    Labelled,
    Predicted,
    Shape,
)
from services.monitor.domain.histograms import MISSING_BIN, feature_bins, losses, sparse

HOUR = 3_600_000_000
SHAPE = Shape(bucket_us=6 * HOUR, slack_us=8 * HOUR, horizon_us=48 * HOUR, kind="binary")


def predicted(times: list[float], *, first: int = 0, version: int = 1) -> Predicted:
    n = len(times)
    share = np.linspace(0.1, 0.9, n).astype(np.float32) if n > 1 else np.array([0.5], np.float32)
    outputs = np.stack([1 - share, share], axis=1)
    return Predicted(
        pa.array([f"e{first + i}" for i in range(n)]),
        _hours(times),
        np.arange(first, first + n),
        np.full(n, version),
        outputs,
        outputs,
        outputs[:, :0],
    )


def labelled(ids: list[int], times: list[float], arrived: list[float]) -> Labelled:
    n = len(ids)
    return Labelled(
        pa.array([f"e{i}" for i in ids]),
        _hours(times),
        _hours(arrived),
        np.arange(n),
        np.ones(n),
        np.zeros((n, 2), np.float32),
        np.arange(n),
    )


def test_a_bucket_closes_when_the_watermark_passes_its_end_and_the_slack() -> None:
    buckets = Buckets(SHAPE)
    buckets.predictions(predicted([1, 2, 5]))
    buckets.labels(labelled([0, 1], [1, 2], [4, 5]))

    assert buckets.advance(14 * HOUR - 1, (3, 2)) == []
    [closed] = buckets.advance(14 * HOUR, (3, 2))
    assert (closed.start_us, closed.end_us) == (0, 6 * HOUR)
    assert (closed.predicted, len(closed.losses), closed.late) == (3, 2, 0)


def test_a_label_that_comes_after_its_bucket_has_closed_counts_in_the_open_one_as_late() -> None:
    buckets = Buckets(SHAPE)
    buckets.predictions(predicted([1, 7]))
    buckets.advance(15 * HOUR, (2, 0))
    buckets.labels(labelled([0], [1], [15]))

    [closed] = buckets.advance(20 * HOUR, (2, 1))
    assert (closed.start_us, closed.late, len(closed.losses)) == (6 * HOUR, 1, 1)


def test_a_burst_is_sorted_into_the_buckets_of_its_times() -> None:
    buckets = Buckets(SHAPE)
    hours = [float(hour) for hour in range(0, 60, 2)]
    buckets.predictions(predicted(hours))
    buckets.labels(labelled(list(range(30)), hours, [hour + 1 for hour in hours]))
    closed = buckets.advance(80 * HOUR, (30, 30))
    assert [each.predicted for each in closed] == [3] * 10 + [0]
    assert sum(each.late for each in closed) == 0


def test_a_label_that_comes_even_later_than_its_time_allows_counts_in_the_first_open_bucket() -> (
    None
):
    buckets = Buckets(SHAPE)
    buckets.predictions(predicted([1, 7]))
    buckets.advance(20 * HOUR, (2, 0))
    buckets.labels(labelled([0], [1], [3]))
    [closed] = buckets.advance(26 * HOUR, (2, 1))
    assert (closed.start_us, closed.late, len(closed.losses)) == (12 * HOUR, 1, 1)


def test_a_row_whose_horizon_ends_without_a_label_is_counted_once() -> None:
    buckets = Buckets(SHAPE)
    buckets.predictions(predicted([1, 7]))
    closed = [each for hours in range(10, 200, 3) for each in buckets.advance(hours * HOUR, (2, 0))]
    assert sum(each.unlabelled for each in closed) == 2
    assert sum(each.predicted for each in closed) == 2
    assert buckets.oldest() == (None, None)


def test_versions_are_kept_apart() -> None:
    buckets = Buckets(SHAPE)
    buckets.predictions(predicted([1], version=1))
    buckets.predictions(predicted([2, 3], first=1, version=2))
    assert [(each.version, each.predicted) for each in buckets.advance(14 * HOUR, (3, 0))] == [
        (1, 1),
        (2, 2),
    ]


@pytest.mark.parametrize("step", [7, 1_000])
def test_batches_of_any_size_give_the_same_bits(step: int) -> None:
    assert _figures(_run(step)) == _figures(_run(1))


def test_after_a_restart_from_the_oldest_waiting_rows_nothing_is_told_twice_or_left_out() -> None:
    whole = _figures(_run(50))
    assert _figures(_run(50, restart_at=1_000)) == whole


def test_losses_are_minus_the_log_of_the_true_class() -> None:
    outputs = np.array([[0.25, 0.75], [0.25, 0.75]], np.float32)
    assert losses(outputs, np.array([1.0, 0.0]), "binary") == pytest.approx(
        [-np.log(0.75), -np.log(0.25)]
    )


def test_feature_bins_keep_the_order_of_values_and_set_the_missing_apart() -> None:
    values = np.array(
        [[-1e30], [-2.0], [-1e-3], [0.0], [1e-3], [2.0], [1e30], [np.nan]], np.float32
    )
    bins = feature_bins(values)[:, 0].tolist()
    assert bins == sorted(bins)
    assert len(set(bins)) == len(bins)
    assert bins[-1] == MISSING_BIN
    assert min(bins) >= 0


def test_sparse_counts_each_index() -> None:
    assert sparse(np.array([5, 2, 5], np.int32)).tolist() == [2, 1, 5, 2]


def _run(step: int, restart_at: int | None = None) -> list[Closed]:
    """2,000 rows of 30 days, labels up to 20 hours late, as a log cut into batches of `step`
    rows.
    """
    random = np.random.default_rng(7)
    n = 2_000
    times = np.sort(random.integers(0, 30 * 24 * HOUR, n))
    share = random.random(n).astype(np.float32)
    outputs = np.stack([1 - share, share], axis=1)
    known = times + random.integers(0, 20 * HOUR, n)
    order = np.argsort(known, kind="stable")
    ids = pa.array([f"e{i:05d}" for i in range(n)])
    targets = (random.random(n) < share).astype(float)
    label_clock = known[order]

    def rows(lo: int, hi: int) -> Predicted:
        at = np.arange(lo, hi)
        return Predicted(
            ids[lo:hi], times[at], at, np.where(at < 700, 0, 1), outputs[at], outputs[at],
            outputs[at, :0],
        )  # fmt: skip

    def truths(lo: int, hi: int) -> Labelled:
        of = order[lo:hi]
        return Labelled(
            ids.take(pa.array(of)),
            times[of],
            label_clock[lo:hi],
            np.arange(lo, hi),
            targets[of],
            np.zeros((hi - lo, 2), np.float32),
            np.arange(lo, hi),
        )

    buckets, closed, told = Buckets(SHAPE), [], 0
    for lo in range(0, n, step):
        hi = min(n, lo + step)
        buckets.predictions(rows(lo, hi))
        until = int(np.searchsorted(label_clock, times[hi - 1], "right"))
        if until > told:
            buckets.labels(truths(told, until))
        told = until
        closed += buckets.advance(int(times[hi - 1]), (hi, told))
        if restart_at is not None and lo <= restart_at < hi:
            waiting, unused = buckets.oldest()
            buckets = Buckets(SHAPE, buckets.closing)
            buckets.predictions(rows(hi if waiting is None else waiting, hi))
            if (start := told if unused is None else unused) < told:
                buckets.labels(truths(start, told))
    return closed


def _figures(closed: list[Closed]) -> list[tuple[object, ...]]:
    kept = [each for each in closed if each.predicted or each.unlabelled or len(each.losses)]
    merged: dict[tuple[int, int], list[Closed]] = {}
    for each in kept:
        merged.setdefault((each.start_us, each.version), []).append(each)
    return [
        (
            *key,
            sum(p.predicted for p in parts),
            sum(p.late for p in parts),
            sum(p.unlabelled for p in parts),
            b"".join(p.losses.tobytes() for p in parts),
        )
        for key, parts in sorted(merged.items())
    ]


def _hours(hours: list[float]) -> np.ndarray:
    return (np.array(hours) * HOUR).astype(np.int64)


def test_a_bucket_of_many_rows_is_told_in_pieces_that_a_message_takes() -> None:
    rows = 50_000
    buckets = Buckets(SHAPE)
    buckets.predictions(predicted([1.0] * rows))
    buckets.labels(labelled(list(range(rows)), [1.0] * rows, [2.0] * rows))

    pieces = buckets.advance(14 * HOUR, (rows, rows))

    assert [len(piece.losses) for piece in pieces] == [15_000, 15_000, 15_000, 5_000]
    assert [piece.predicted for piece in pieces] == [rows, 0, 0, 0]
    assert {(piece.start_us, piece.version) for piece in pieces} == {(0, 1)}
    assert [int(piece.scores[1::2].sum()) for piece in pieces] == [15_000, 15_000, 15_000, 5_000]
