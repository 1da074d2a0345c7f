"""The gate: sure gains win, in the order declared; chance does not."""

from __future__ import annotations

import numpy as np
import pytest

from services.evaluation.domain import Rule, judge
from services.evaluation.domain.gate import seed_of
from services.evaluation.domain.metrics import Floats

ROWS = 5_000


def gain(mean: float, noise: float = 0.1, rows: int = ROWS, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(mean, noise, rows)


@pytest.mark.parametrize(
    ("gains", "winner"),
    [
        ({"a": gain(0.01)}, "a"),
        ({"a": gain(-0.01)}, ""),
        ({"a": np.zeros(ROWS)}, ""),  # the very same answers
        ({"a": gain(0.0001)}, ""),  # a gain within the noise
        ({"a": gain(0.01), "b": gain(0.02, seed=1)}, "b"),
        ({"a": gain(0.02), "b": gain(-0.01, seed=1)}, "a"),
        (
            {"a": gain(0.005, noise=0.02), "b": gain(0.006, noise=0.5, seed=2)},
            "a",
        ),  # larger, not surer
        # larger by chance: the first declared stays
        ({"a": gain(0.01), "b": gain(0.012, seed=1)}, "a"),
        ({"b": gain(0.012, seed=1), "a": gain(0.01)}, "b"),
        ({}, ""),
    ],
)
def test_a_sure_gain_wins_and_a_later_one_only_where_it_is_surely_larger(
    gains: dict[str, Floats], winner: str
) -> None:
    ruling = judge(gains, Rule(), seed=1)
    assert ruling.winner == winner
    assert [one.name for one in ruling.judgements] == list(gains)
    assert ruling.reason


def test_rows_that_err_together_do_not_count_as_many() -> None:
    together = np.repeat(gain(0.02, 0.3, 20, seed=3), ROWS // 20)  # twenty storms
    ruling = judge({"a": together}, Rule(), seed=1)
    alone = judge({"a": np.random.default_rng(5).permutation(together)}, Rule(), seed=1)
    assert ruling.judgements[0].low < alone.judgements[0].low


def test_holm_asks_more_of_the_best_of_several() -> None:
    one = gain(0.0013, 0.1, seed=4)
    alone = judge({"a": one}, Rule(), seed=1).judgements[0]
    among = judge(
        {"a": one, "b": gain(0, seed=5), "c": gain(0, seed=6)}, Rule(), seed=1
    ).judgements[0]
    assert alone.low > among.low
    assert alone.gain == among.gain
    assert alone.eligible and not among.eligible


def test_a_lower_end_that_is_right_on_average() -> None:
    """Without a true gain about one in twenty passes: the interval's promise."""
    passed = sum(
        judge({"a": gain(0, rows=1_000, seed=seed)}, Rule(resamples=500), seed).winner != ""
        for seed in range(200)
    )
    assert passed <= 20


def test_too_few_rows_decide_nothing() -> None:
    ruling = judge({"a": gain(1.0, rows=99)}, Rule(), seed=1)
    assert (ruling.winner, ruling.reason) == (
        "",
        "99 held-out rows are too few, wanted at least 100",
    )


def test_the_same_run_is_judged_by_the_same_draws() -> None:
    first, again = (judge({"a": gain(0.001)}, Rule(), seed_of("run-1")) for _ in range(2))
    other = judge({"a": gain(0.001)}, Rule(), seed_of("run-2"))
    assert first == again
    assert first.judgements[0].low != other.judgements[0].low


def test_the_rule_says_what_it_does() -> None:
    assert Rule().text("version 3") == (
        "the first candidate whose gain in log_loss over version 3 has a one-sided 95% lower end "
        "above 0, unless a later such one has that over it "
        "(paired bootstrap of 50 blocks in time, 2,000 draws, Holm over candidates)"
    )
