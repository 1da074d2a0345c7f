"""The AUC that grows is scikit-learn's over all rows, however they came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import driftloop.web.ranks as module
from driftloop.web.ranks import Ranks

ROWS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=8), st.booleans())
def test_it_is_the_same_in_whatever_parts_the_rows_come(
    parts: list[list[tuple[int, bool]]], asks_between: bool
) -> None:
    ranks = Ranks()
    for part in parts:
        ranks.add(*arrays(part))
        if asks_between:
            assert ranks.auc == ranks.auc

    rows = [row for part in parts for row in part]
    values, positive = arrays(rows)
    if len(set(positive.tolist())) < 2:
        assert ranks.auc is None
    else:
        assert ranks.auc == pytest.approx(roc_auc_score(positive, values), abs=1e-12)


def test_rows_merge_into_few_runs() -> None:
    rng, ranks = np.random.default_rng(1), Ranks()
    for _ in range(200):
        ranks.add(rng.random(50).astype(np.float32), rng.random(50) < 0.3)
        assert ranks.auc is not None

    assert len(ranks._negatives) <= 12


def test_too_many_rows_are_counted_in_steps_and_the_auc_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "EXACT_ROWS_MAX", 5_000)
    rng, ranks, exact = np.random.default_rng(2), Ranks(), Ranks()
    values, positive = rng.random(20_000).astype(np.float32), rng.random(20_000) < 0.3
    for at in range(0, len(values), 1_000):
        ranks.add(values[at : at + 1_000], positive[at : at + 1_000])
        assert ranks.auc is not None
    monkeypatch.undo()
    exact.add(values, positive)
    assert ranks._bins is not None and not ranks._negatives and not ranks._positives
    assert ranks.auc == pytest.approx(exact.auc, abs=1e-5)


def test_rows_that_nobody_asks_for_are_not_kept_one_by_one() -> None:
    ranks = Ranks()
    for _ in range(3_000):
        ranks.add(*arrays([(1, False), (2, True)]))
    assert len(ranks._waiting) <= module.WAITING_MAX
    assert ranks.auc == 1.0


def test_once_closed_it_keeps_its_figure_and_no_row() -> None:
    ranks = Ranks()
    ranks.add(*arrays([(1, False), (3, True), (2, True), (2, False)]))
    before = ranks.auc
    ranks.close()
    ranks.add(*arrays([(0, True)]))
    assert ranks.auc == before
    assert not (ranks._negatives or ranks._positives or ranks._waiting)


def arrays(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([value / 12 for value, _ in rows], np.float32)
    return values, np.array([positive for _, positive in rows], bool)
