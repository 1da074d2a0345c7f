"""How much each row counts: by its age, by its class, both."""

from __future__ import annotations

import json

import numpy as np
import pytest

from driftloop import spec
from services.training.app import _weighing
from services.training.domain import EVEN, Weighing, weights
from services.training.plan import LearnerPlan, of_recipe, recipe
from tests.unit.spec.test_learners import CLASSES, with_learner

DAY_US = 86_400_000_000
TIMES = np.arange(4) * DAY_US
TARGET = np.array([0.0, 0.0, 0.0, 1.0])


def test_a_row_counts_half_for_each_half_life_that_it_is_older() -> None:
    given = weights(TIMES, TARGET, Weighing(DAY_US))
    assert given is not None
    np.testing.assert_allclose(given / given[-1], [1 / 8, 1 / 4, 1 / 2, 1])
    assert given.mean() == pytest.approx(1.0)


def test_what_is_very_old_still_counts_above_nothing() -> None:
    given = weights(TIMES * 10**6, TARGET, Weighing(1_000))
    assert given is not None
    assert (given > 0).all()


@pytest.mark.parametrize("half_life", [None, DAY_US])
def test_balanced_classes_count_the_same_in_all(half_life: int | None) -> None:
    given = weights(TIMES, TARGET, Weighing(half_life, balanced=True))
    assert given is not None
    assert given[TARGET == 0].sum() == pytest.approx(given[TARGET == 1].sum())


def test_classes_count_as_they_are_told() -> None:
    given = weights(TIMES, TARGET, Weighing(classes=(1.0, 5.0)))
    assert given is not None
    assert given[3] / given[0] == pytest.approx(5.0)


def test_where_nothing_is_said_no_weights_are_made() -> None:
    assert weights(TIMES, TARGET, EVEN) is None


def test_a_files_classes_are_weighed_by_their_place_and_stand_in_the_recipe() -> None:
    text = "kind: lightgbm, weights: {half_life: 1d, classes: {eve: 4}}"
    pipeline = spec.parse(with_learner(text, CLASSES))
    weighing = _weighing(pipeline.learners[0].weights, pipeline.target)
    assert weighing == Weighing(DAY_US, classes=(1.0, 1.0, 4.0))
    plan = LearnerPlan("x", "lightgbm", {}, 1, weighing=weighing)
    assert of_recipe("x", recipe(plan)) == plan
    assert json.loads(recipe(plan)["weights"])["half_life_us"] == DAY_US
