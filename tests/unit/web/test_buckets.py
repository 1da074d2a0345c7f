"""The time axis and its totals against a reference that looks at every row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.statistics import PROBABILITY_BINS, signed
from driftloop.web.buckets import COLUMNS, OPEN_BUCKETS, Buckets

HOUR_US = 3_600_000_000
BUCKET_US = 6 * HOUR_US


@dataclass(frozen=True, slots=True)
class Rows:
    """Of one bucket, partition and version."""

    bucket: int
    partition: int
    version: int
    loop: np.ndarray
    frozen: np.ndarray  # NaN where the frozen model gave no answer
    positive: np.ndarray
    unlabelled: int


def a_year(seed: int, buckets: int = 12, frozen_share: float = 0.9) -> list[Rows]:
    rng = np.random.default_rng(seed)
    found = []
    for bucket in range(buckets):
        for partition in range(3):
            for version in {bucket // 4, (bucket + 1) // 4}:
                count = int(rng.integers(0, 9))
                frozen = rng.random(count).astype(np.float32)
                frozen[rng.random(count) > frozen_share] = np.nan
                loop, positive = rng.random(count).astype(np.float32), rng.random(count) < 0.4
                left = int(rng.integers(0, 3))
                found.append(Rows(bucket, partition, version, loop, frozen, positive, left))
    return [found[at] for at in rng.permutation(len(found))]


def a_message(rows: Rows) -> Statistics:
    truth = np.where(rows.positive, rows.loop, 1 - rows.loop).astype(np.float64)
    losses = -np.log(np.clip(truth, 1e-7, 1))
    known = rows.version > 0
    return Statistics(
        pipeline="small",
        generation=1,
        partition=rows.partition,
        start_us=rows.bucket * BUCKET_US,
        end_us=(rows.bucket + 1) * BUCKET_US,
        version=rows.version,
        predicted=len(rows.loop) + rows.unlabelled,
        scored=len(rows.loop) if known else 0,
        unlabelled=rows.unlabelled,
        loss_sum=float(losses.sum()),
        losses=losses.tobytes() if known else b"",
        scores=signed(rows.loop, rows.positive).tobytes() if known else b"",
        baseline_scores=signed(rows.frozen, rows.positive).tobytes() if known else b"",
    )


@pytest.mark.parametrize("seed", range(5))
def test_every_row_of_the_axis_is_that_of_the_rows(seed: int) -> None:
    year = a_year(seed)
    buckets = Buckets()
    for number, rows in enumerate(year):
        buckets.add(a_message(rows), 1_000 + number, number)

    columns = buckets.columns()
    starts = sorted({rows.bucket * BUCKET_US for rows in year})

    assert columns["start_us"] == starts
    for at, start_us in enumerate(starts):
        mine = [rows for rows in year if rows.bucket * BUCKET_US == start_us]
        told = {name: columns[name][at] for name in COLUMNS}
        assert told["predicted"] == sum(len(r.loop) + r.unlabelled for r in mine)
        answered = [r for r in mine if r.version]
        assert told["rows"] == sum(len(r.loop) for r in answered)
        left = sum(r.unlabelled for r in answered)
        assert told["unlabelled"] == left
        for lane in ("loop", "frozen"):
            auc, loss = per_row(answered, lane)
            assert told[f"{lane}_auc"] == (auc and pytest.approx(auc, abs=1e-6))
            assert told[f"{lane}_loss"] == (loss and pytest.approx(loss, abs=1e-6))


@pytest.mark.parametrize("seed", range(5))
def test_the_totals_are_over_the_rows_that_both_answered(seed: int) -> None:
    year = a_year(seed)
    buckets = Buckets()
    for number, rows in enumerate(year):
        buckets.add(a_message(rows), 1_000, number)
        if number % 7 == 0:
            buckets.totals()  # a look between changes nothing

    totals = buckets.totals()
    answered = [rows for rows in year if rows.version]

    assert totals["predicted"] == sum(len(r.loop) + r.unlabelled for r in year)
    assert totals["unlabelled"] == sum(r.unlabelled for r in answered)
    assert totals["no_model"] == sum(len(r.loop) + r.unlabelled for r in year if not r.version)
    for lane in ("loop", "frozen"):
        auc, loss = per_row(answered, lane)
        told = totals[lane]
        assert isinstance(told, dict)
        assert told["rows"] == sum(int((~np.isnan(r.frozen)).sum()) for r in answered)
        assert told["auc"] == pytest.approx(auc, abs=1e-12)
        assert told["log_loss"] == pytest.approx(loss, abs=1e-6)


def test_where_nothing_frozen_answered_the_loop_stands_alone() -> None:
    year = [rows for rows in a_year(3, frozen_share=0.0) if rows.version]
    buckets = Buckets()
    for rows in year:
        buckets.add(a_message(rows), 1_000, 1)

    totals = buckets.totals()

    assert totals["frozen"] == {"rows": 0, "auc": None, "log_loss": None}
    assert isinstance(totals["loop"], dict)
    assert totals["loop"]["rows"] == sum(len(rows.loop) for rows in year)


def test_a_log_without_the_rows_probabilities_is_read_off_its_histograms() -> None:
    rng = np.random.default_rng(5)
    positive = rng.random(4_000) < 0.3
    loop = np.clip(rng.normal(0.3 + 0.2 * positive, 0.1), 0, 1).astype(np.float32)
    bins = np.floor(loop * (PROBABILITY_BINS - 1)).astype(np.int32)
    index, counts = np.unique(bins + PROBABILITY_BINS * positive, return_counts=True)
    pairs = np.stack([index, counts], axis=1).astype("<i4").tobytes()
    message = Statistics(
        start_us=0,
        end_us=BUCKET_US,
        version=1,
        predicted=4_000,
        scored=4_000,
        loss_sum=2_000.0,
        baseline_loss_sum=math.nan,
        score_histogram=pairs,
    )
    buckets = Buckets()
    buckets.add(message, 1, 1)

    totals = buckets.totals()

    assert isinstance(totals["loop"], dict)
    assert totals["loop"]["auc"] == pytest.approx(roc_auc_score(positive, loop), abs=5e-4)
    assert totals["loop"]["log_loss"] == 0.5
    assert totals["frozen"] == {"rows": 0, "auc": None, "log_loss": None}


def test_a_reader_is_told_from_the_first_row_that_changed() -> None:
    buckets = Buckets()
    order = [0, 1, 2, 4, 3, 1]
    for revision, bucket in enumerate(order, 1):
        rows = Rows(bucket, 0, 1, *(np.empty(0, np.float32),) * 2, np.empty(0, bool), 1)
        buckets.add(a_message(rows), 1, revision)

    assert [buckets.changed(since) for since in range(7)] == [0, 1, 1, 1, 1, 1, None]
    assert buckets.columns(3)["start_us"] == [3 * BUCKET_US, 4 * BUCKET_US]


def test_rows_of_old_buckets_are_forgotten_in_whatever_order_buckets_come() -> None:
    buckets = Buckets()
    for number in (*range(10, OPEN_BUCKETS + 20), *range(10)):
        values = np.full(2, 0.5, np.float32)
        rows = Rows(number, 0, 1, values, values, np.array([False, True]), 0)
        buckets.add(a_message(rows), 1, 1)

    closed = [each.both.shown.ranks._closed for each in buckets._buckets]

    assert len(closed) == OPEN_BUCKETS + 20
    assert closed == [True] * 20 + [False] * OPEN_BUCKETS


def test_a_version_begins_where_it_first_answered_after_its_release() -> None:
    buckets = Buckets()
    for bucket, version in ((0, 1), (1, 1), (1, 2), (2, 2), (3, 1)):
        empty = np.empty(0, np.float32)
        rows = Rows(bucket, 0, version, empty, empty, np.empty(0, bool), 1)
        buckets.add(a_message(rows), 100 * bucket, 1)

    assert buckets.first_answered(1, 0, 0) == 0
    assert buckets.first_answered(2, 0, 50) == BUCKET_US
    assert buckets.first_answered(1, BUCKET_US, 250) == 3 * BUCKET_US
    assert buckets.first_answered(9, 0, 0) is None


def per_row(every: list[Rows], lane: str) -> tuple[float | None, float | None]:
    """AUC and log-loss by scikit-learn over the rows that both lanes answered."""
    if not every:
        return None, None
    both = [~np.isnan(rows.frozen) for rows in every]
    if lane == "loop" and not any(mask.any() for mask in both):  # the loop alone
        both = [np.ones(len(rows.loop), bool) for rows in every]
    values = [getattr(rows, lane)[mask] for rows, mask in zip(every, both, strict=True)]
    labels = [rows.positive[mask] for rows, mask in zip(every, both, strict=True)]
    shares, positive = np.concatenate(values).astype(np.float64), np.concatenate(labels)
    if not len(shares):
        return None, None
    loss = log_loss(positive, np.clip(shares, 1e-7, 1 - 1e-7), labels=[False, True])
    if len(set(positive.tolist())) < 2:
        return None, float(loss)
    return float(roc_auc_score(positive, shares)), float(loss)


def ratio(part: object, whole: object) -> object:
    assert isinstance(part, int) and isinstance(whole, int)
    return pytest.approx(part / whole, abs=1e-6) if whole else None
