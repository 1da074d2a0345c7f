"""Bets against what is live: who was right, and how sure one may be at any time."""

from __future__ import annotations

import numpy as np
import pytest

from driftloop.betting import BLOCK, Bets, gains


def probabilities(*positive: float) -> np.ndarray:
    share = np.array(positive)
    return np.stack([1 - share, share], axis=1)


def test_a_gain_is_a_row_on_which_one_is_right_and_the_other_is_not() -> None:
    live, other = probabilities(0.9, 0.9, 0.1, 0.1), probabilities(0.9, 0.1, 0.9, 0.2)
    assert gains(live, other, np.array([1.0, 0.0, 0.0, 0.0]), 2, 0.5).tolist() == [0, 1, -1, 0]


def test_two_classes_are_told_apart_by_the_pipelines_threshold() -> None:
    live, other = probabilities(0.3), probabilities(0.1)
    assert gains(live, other, np.array([0.0]), 2, 0.25).tolist() == [1]
    assert gains(live, other, np.array([0.0]), 2, 0.5).tolist() == [0]


def test_of_numbers_the_nearer_one_wins_and_without_an_answer_nobody_does() -> None:
    live, other = np.array([[1.0], [5.0], [1.0]]), np.array([[2.0], [2.0], [np.nan]])
    assert gains(live, other, np.array([0.0, 0.0, 0.0]), 0, 0.5).tolist() == [-1, 1, 0]


def test_one_that_is_better_is_found_and_the_others_are_not() -> None:
    chance, bets = np.random.default_rng(1), Bets(2)
    better = chance.choice([-1, 0, 1], (2_000, 1), p=[0.1, 0.7, 0.2])
    equal = chance.choice([-1, 0, 1], (2_000, 1), p=[0.15, 0.7, 0.15])
    bets.take(np.concatenate([equal, better], axis=1).astype(np.int8))
    assert bets.winner() == 1
    assert bets.evidence[0] < bets.least < bets.evidence[1]


def test_looking_after_every_block_speaks_by_chance_as_rarely_as_it_says() -> None:
    chance, spoke = np.random.default_rng(3), 0
    for _ in range(400):
        bets, wrong = Bets(1), False
        for _ in range(2_000 // BLOCK):  # as many rows as one restart stands for
            bets.take(chance.choice([-1, 0, 1], (BLOCK, 1), p=[0.15, 0.7, 0.15]).astype(np.int8))
            wrong |= bets.winner() is not None
        spoke += wrong
    assert spoke / 400 <= 0.05


def test_what_was_lost_long_ago_does_not_hide_what_is_better_now() -> None:
    bets = Bets(1)
    bets.take(np.full((5_000, 1), -1, np.int8))
    bets.take(np.ones((3 * BLOCK, 1), np.int8))
    assert bets.winner() == 0


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_evidence_does_not_hang_on_how_the_rows_are_cut(size: int) -> None:
    rows = np.random.default_rng(2).integers(-1, 2, (1_234, 3)).astype(np.int8)
    whole, cut = Bets(3), Bets(3)
    whole.take(rows)
    for start in range(0, len(rows), size):
        cut.take(rows[start : start + size])
    assert (cut.evidence, cut.peaks, cut.rows) == (whole.evidence, whole.peaks, whole.rows)


def test_evidence_that_was_used_up_is_earned_anew() -> None:
    bets = Bets(1)
    bets.take(np.ones((500, 1), np.int8))
    assert bets.winner() == 0
    bets.begin_anew(0)
    assert bets.winner() is None


def test_without_challengers_nobody_wins() -> None:
    bets = Bets(0)
    bets.take(np.empty((500, 0), np.int8))
    assert bets.winner() is None and bets.rows == 500
