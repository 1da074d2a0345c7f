"""Folds of a stream: nothing leaks across the delay of the labels, and every row that may be tried
is.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.folds import blocked, k_folds, rolling_origin, stratified

TIMES = st.lists(st.integers(0, 10_000), min_size=20, max_size=200).map(
    lambda each: np.sort(np.array(each, np.int64))
)


@given(TIMES, st.integers(2, 6), st.integers(0, 3_000))
def test_no_label_that_had_not_come_is_learnt_from(
    times: np.ndarray, folds: int, delay_us: int
) -> None:
    for train, test in rolling_origin(times, folds, delay_us):
        # a row's label comes `delay_us` after it: all that is learnt from had come by then
        assert times[train].max() + delay_us <= times[test].min()
        assert times[train].max() < times[test].min()
        assert not set(train.tolist()) & set(test.tolist())


@given(TIMES, st.integers(2, 6), st.integers(0, 3_000))
def test_blocks_are_as_far_from_what_is_learnt_on_both_sides(
    times: np.ndarray, folds: int, gap_us: int
) -> None:
    tried: list[int] = []
    for train, test in blocked(times, folds, gap_us):
        first, last = times[test].min(), times[test].max()
        near = times[train][(times[train] > first - gap_us) & (times[train] < last + gap_us)]
        assert not len(near)
        tried += test.tolist()
    assert len(tried) == len(set(tried))


@given(st.integers(20, 200), st.integers(2, 6), st.integers(0, 5))
def test_each_row_is_tried_once_in_k_folds(rows: int, folds: int, seed: int) -> None:
    parts = list(k_folds(rows, folds, seed))

    assert sorted(row for _, test in parts for row in test.tolist()) == list(range(rows))
    for train, test in parts:
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(rows))
    sizes = [len(test) for _, test in parts]
    assert max(sizes) - min(sizes) <= 1


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=20, max_size=200),
    st.integers(2, 6),
    st.integers(0, 5),
)
def test_each_class_is_shared_out_evenly(target: list[float], folds: int, seed: int) -> None:
    truth = np.array(target)
    parts = list(stratified(truth, folds, seed))

    assert sorted(row for _, test in parts for row in test.tolist()) == list(range(len(truth)))
    for one in np.unique(truth):
        counts = [int((truth[test] == one).sum()) for _, test in parts]
        assert max(counts) - min(counts) <= 1


def test_the_newer_half_is_tried_from_rolling_origins() -> None:
    times = np.arange(100, dtype=np.int64)
    parts = list(rolling_origin(times, 5, 3))

    assert [test.tolist() for _, test in parts] == [
        list(range(start, start + 10)) for start in range(50, 100, 10)
    ]
    assert [int(train[-1]) for train, _ in parts] == [47, 57, 67, 77, 87]


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="3 rows in 2 folds"):
        list(k_folds(3, 2, 0))
