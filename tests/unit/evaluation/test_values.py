"""The figures of numbers are scikit-learn's, to 1e-9."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from services.evaluation.domain.values import Fitted, fit_of

NUMBER = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)
PAIRS = st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=60)


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0.1, 0.5, 0.9]))
def test_each_figure_is_scikit_learns(pairs: list[tuple[float, float]], quantile: float) -> None:
    target, value = np.array(pairs).T
    ours = fit_of(target, value, quantile=quantile)
    assert ours.mae == pytest.approx(sklearn.mean_absolute_error(target, value), rel=1e-9, abs=1e-9)
    assert ours.rmse == pytest.approx(
        sklearn.root_mean_squared_error(target, value), rel=1e-9, abs=1e-9
    )
    assert ours.r2 == pytest.approx(sklearn.r2_score(target, value), rel=1e-9, abs=1e-9)
    mape = sklearn.mean_absolute_percentage_error(target, value)
    assert ours.mape == pytest.approx(mape, rel=1e-9, abs=1e-9)
    loss = sklearn.mean_pinball_loss(target, value, alpha=quantile)
    assert ours.pinball == pytest.approx(loss, rel=1e-9, abs=1e-9)


def test_no_rows_have_no_figures_and_one_row_has_no_r2() -> None:
    assert fit_of(np.zeros(0), np.zeros(0)) == Fitted(0)
    assert fit_of(np.array([3.0]), np.array([2.0])).r2 is None


def test_a_constant_target_is_hit_or_not() -> None:
    same = np.full(5, 2.0)
    assert fit_of(same, same).r2 == 1.0
    assert fit_of(same, same + 1).r2 == 0.0
