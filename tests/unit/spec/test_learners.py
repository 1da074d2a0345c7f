"""Learners of a pipeline file: their kinds, estimators, parameters, weights and windows."""

from __future__ import annotations

import pytest

from driftloop import spec
from driftloop.spec.learners import SHIPPED
from tests.unit.spec.test_parse import GOOD, mistakes_of

CLASSES = GOOD.replace(
    'positive: "late_days > 3"', "kind: multiclass, value: customer, classes: [ann, bob, eve]"
)
NUMBER = GOOD.replace('positive: "late_days > 3"', "kind: regression, value: late_days")


def with_learner(text: str, base: str = GOOD) -> str:
    return base.replace("kind: lightgbm", text)


@pytest.mark.parametrize(
    ("text", "field", "found", "wanted"),
    [
        ("kind: ligthgbm", "kind", "'ligthgbm'", "'lightgbm' (did you mean that?)"),
        ("kind: sklearn", "kind", "without an estimator", "ExtraTreesClassifier"),
        (
            "kind: sklearn, estimator: RandomForest",
            "estimator",
            "'RandomForest'",
            "'RandomForestClassifier' (did you mean that?)",
        ),
        (
            "kind: sklearn, estimator: MLPRegressor",
            "estimator",
            "not for kind: binary",
            "'MLPClassifier' (did you mean that?)",
        ),
        (
            "kind: sklearn, estimator: GaussianNB, params: {var_smooth: 1}",
            "params.var_smooth",
            "'var_smooth', which GaussianNB has not",
            "'var_smoothing' (did you mean that?)",
        ),
        ("kind: lightgbm, estimator: GOSS", "estimator", "GOSS", "none"),
        ("kind: river, params: {l3: 1}", "params.l3", "which LogisticRegression", "l2,"),
        ("kind: lightgbm, weights: {half_life: 3}", "weights.half_life", "3", "a duration"),
        ("kind: lightgbm, weights: {classes: even}", "weights.classes", "'even'", "balanced"),
        ("kind: lightgbm, weights: {classes: {1: 0}}", "weights.classes", "0", "above 0"),
        ("kind: lightgbm, weights: {classes: {late: 2}}", "weights.classes", "'late'", "0, 1"),
        ("kind: lightgbm, window: since drift", "window", "'since drift'", "`since change`"),
    ],
)
def test_what_a_learner_has_not_is_named_with_what_it_has(
    text: str, field: str, found: str, wanted: str
) -> None:
    (mistake,) = mistakes_of(with_learner(text))
    assert mistake.field == f"learners[0].{field}"
    assert found in mistake.found
    assert wanted in mistake.wanted


def test_weights_of_classes_are_by_their_names_and_a_number_has_none() -> None:
    text = "kind: lightgbm, weights: {half_life: 30d, classes: {ann: 3, eve: 0.5}}"
    weights = spec.parse(with_learner(text, CLASSES)).learners[0].weights
    assert weights.half_life == spec.duration_us("30d")
    assert weights.classes == {"ann": 3.0, "eve": 0.5}
    (mistake,) = mistakes_of(with_learner("kind: lightgbm, weights: {classes: balanced}", NUMBER))
    assert "kind: regression" in mistake.found


def test_a_default_that_is_not_for_the_target_is_refused_with_those_that_are() -> None:
    (mistake,) = mistakes_of(with_learner("kind: river", NUMBER))
    assert mistake.found == "'LogisticRegression', which is not for kind: regression"
    assert "LinearRegression" in mistake.wanted


def with_line(text: str) -> str:
    """Beside a learner that is fitted."""
    return with_learner("kind: lightgbm}\n  - {name: online, " + text)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("kind: lightgbm, snapshot: {rows: 50}", "window"),
        ("kind: lightgbm, window: newest 8w, snapshot: {rows: 50}", "window"),
        ("kind: lightgbm, window: newest 2000 rows", "window"),
        ("kind: lightgbm, window: newest rows, snapshot: {}", "window"),
        ("kind: river, snapshot: {}, window: newest 8w", "window"),
        ("kind: river, snapshot: {}, weights: {half_life: 8w}", "weights"),
        ("kind: river, snapshot: {rows: 0}", "snapshot.rows"),
    ],
)
def test_a_line_has_no_window_and_is_of_a_kind_that_learns_on(said: str, field: str) -> None:
    (mistake,) = mistakes_of(with_line(said))
    assert mistake.field.endswith(field)


def test_the_first_model_is_fitted_so_lines_alone_are_refused() -> None:
    (mistake,) = mistakes_of(with_learner("kind: river, snapshot: {}"))
    assert (mistake.field, mistake.found) == ("learners", "snapshots alone")


def test_a_pace_is_every_50_rows_or_each_second() -> None:
    (learner,) = spec.parse(with_line("kind: river, snapshot: {}")).lines
    assert learner.snapshot is not None
    assert (learner.snapshot.rows, learner.snapshot.seconds) == (50, 1.0)
    assert learner.newest_rows is None


def test_a_learner_that_can_t_learn_on_is_a_line_by_its_newest_rows() -> None:
    text = "kind: lightgbm, window: newest 2000 rows, snapshot: {rows: 500}"
    (learner,) = spec.parse(with_line(text)).lines
    assert (learner.newest_rows, learner.newest_us) == (2_000, None)


def test_a_packages_own_kind_is_taken_where_it_is_installed_or_not_known_to_be_missing() -> None:
    text = with_learner("kind: oracle, estimator: any, params: {depth: 3}")
    assert spec.parse(text).learners[0].kind == "oracle"
    assert spec.parse(text, kinds=SHIPPED | {"oracle"}).learners[0].params == {"depth": 3}


def test_a_window_since_the_change_is_neither_all_nor_the_newest() -> None:
    learner = spec.parse(with_learner("kind: lightgbm, window: since change")).learners[0]
    assert (learner.newest_us, learner.since_change) == (None, True)
