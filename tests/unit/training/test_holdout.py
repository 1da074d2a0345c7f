"""What is held out: the newest rows, few enough to leave something to learn from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from services.training.domain import Limits, cut, newest

Ints = npt.NDArray[np.int64]
Parts = npt.NDArray[np.int32]


@pytest.mark.parametrize(
    ("window", "since_change", "rows"),
    [
        (100_000, None, 5_000),  # the limit
        (20_000, None, 2_000),  # a tenth of the window
        (100_000, 6_000, 3_000),  # half of what came since the change
        (100_000, 3_000, 2_000),  # but never so few that nothing can be told
        (20_000, 100_000, 2_000),
        (5, None, 0),
        (100_000, 0, 2_000),
    ],
)
def test_the_least_of_three_limits_holds_with_a_floor_under_the_change(
    window: int, since_change: int | None, rows: int
) -> None:
    assert Limits(5_000, 0.1).rows(window, since_change) == rows


def a_log(count: int, partitions: int) -> tuple[Parts, Ints, Ints, Ints]:
    """Envelopes of 10 rows, in turn to each partition."""
    number = np.arange(count)
    return (
        (number % partitions).astype(np.int32),
        number // partitions * 2,
        np.full(count, 10),
        number * 10,
    )


def test_the_newest_whole_envelopes_are_cut_off_in_each_partition() -> None:
    held = cut(*a_log(20, 2), 55)
    assert held.rows == 50
    assert held.offsets == {0: 16, 1: 14}  # envelopes 15 to 19


def test_one_large_envelope_may_be_too_much_but_never_leaves_less_than_half() -> None:
    assert cut(*a_log(20, 2), 9).rows == 10
    assert cut(*a_log(2, 1), 9).rows == 10
    assert cut(*a_log(1, 1), 9).rows == 0


def test_what_stands_behind_an_envelope_that_is_held_out_is_held_out_too() -> None:
    partitions, offsets, counts, _ = a_log(6, 1)
    same = np.full(6, 7)  # one sequence: only the offset tells them apart
    assert cut(partitions, offsets, counts, same, 20).offsets == {0: 8}


def test_the_newest_window_starts_at_the_first_envelope_with_a_row_in_it() -> None:
    partitions, offsets, _, times = a_log(20, 2)
    assert newest(partitions, offsets, times, 150) == {0: 16, 1: 14}
    assert newest(partitions, offsets, times, 1_000) == {}
