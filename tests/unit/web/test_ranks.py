"""The AUC that grows is scikit-learn's over all rows, however they came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

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


def arrays(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([value / 12 for value, _ in rows], np.float32)
    return values, np.array([positive for _, positive in rows], bool)
