"""One law for every estimator that can be exported: the graph answers as the learner does, at every
stage of its life.

Short form here: 2,000 rows of a stream whose rule turns over twice, three stages; `make test-soak`
has 10,000 rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from river import compose, ensemble, forest, linear_model, naive_bayes, preprocessing, tree

from driftloop.river_onnx import Unsupported, export, supported

NAMES = ("a", "b", "c", "d", "kind", "still")
CLASSES = (0, 1, 2)
SCORED_EACH = 4  # every fourth row is compared: River needs some .3 ms a row and forest
EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows whose rule changes; float32, as vectors are; NaN where the row lacks a feature."""

    vectors: npt.NDArray[np.float32]
    target: npt.NDArray[np.int64]

    def row(self, at: int) -> dict[str, float]:
        """As River takes it."""
        return {
            name: float(value)
            for name, value in zip(NAMES, self.vectors[at], strict=True)
            if not np.isnan(value)
        }


@dataclass(frozen=True, slots=True)
class Case:
    """An estimator and how the target is put to it."""

    name: str
    make: Callable[[], Any]
    classes: tuple[Any, ...] = CLASSES
    missing: bool = True  # Select and, in sums of parts, River itself fail on an absent feature


def a_stream(rows: int, *, missing: bool) -> Stream:
    random = np.random.default_rng(7)
    vectors = random.normal(size=(rows, len(NAMES))).astype(np.float32)
    vectors[:, 4] = random.integers(0, 4, rows)
    vectors[:, 5] = 1.0
    rules = np.array([[1.0, -2.0, 0.5, 0.0, 1.0, 0.0], [-1.0, 2.0, 0.5, 1.0, -1.0, 0.0]])
    rule = rules[(np.arange(rows) * 3 // rows) % 2]
    high = (vectors * rule).sum(axis=1) + random.normal(size=rows) * 0.5 > 0
    target = high.astype(np.int64) + (vectors[:, 3] > 1.0)
    if missing:
        vectors[random.random(vectors.shape) < 0.03] = np.nan
    return Stream(vectors, target)


def hoeffding(**params: Any) -> Any:
    return tree.HoeffdingTreeClassifier(grace_period=40, delta=0.05, **params)


def encoded() -> Any:
    kinds = compose.Select("kind") | preprocessing.OneHotEncoder()
    return kinds + (compose.Discard("kind") | preprocessing.StandardScaler())


def robust() -> Any:
    made: Any = preprocessing.RobustScaler  # River has types here and there
    return made()


def scaled(model: Any) -> Any:
    return preprocessing.StandardScaler() | model


def adaptive(**params: Any) -> Any:
    return tree.HoeffdingAdaptiveTreeClassifier(grace_period=40, delta=0.05, **params)


def regression(**params: Any) -> Any:
    return tree.HoeffdingTreeRegressor(grace_period=40, delta=0.05, **params)


CASES = (
    Case("logistic", lambda: scaled(linear_model.LogisticRegression()), (0, 1)),
    Case("one-hot", lambda: encoded() | linear_model.LogisticRegression(), (0, 1), missing=False),
    Case("softmax", lambda: preprocessing.MinMaxScaler() | linear_model.SoftmaxRegression()),
    Case("bayes", naive_bayes.GaussianNB),
    Case("tree of majorities", lambda: hoeffding(leaf_prediction="mc")),
    Case("tree of bayes", lambda: hoeffding(leaf_prediction="nb")),
    Case("tree of adaptive leaves", hoeffding),
    Case("tree over kinds", lambda: hoeffding(nominal_attributes=["kind"], leaf_prediction="mc")),
    Case("scaled tree", lambda: scaled(hoeffding())),
    Case("adaptive tree", lambda: adaptive(seed=1)),
    Case("adaptive tree, majorities", lambda: adaptive(seed=2, leaf_prediction="mc")),
    Case("random forest", lambda: forest.ARFClassifier(n_models=4, seed=1, grace_period=40)),
    Case(
        "unweighted forest",
        lambda: forest.ARFClassifier(
            n_models=3, seed=2, leaf_prediction="mc", disable_weighted_vote=True
        ),
    ),
    Case(
        "leveraging bagging",
        lambda: ensemble.LeveragingBaggingClassifier(hoeffding(), n_models=3, seed=1),
    ),
    Case(
        "bagged pipelines",
        lambda: ensemble.BaggingClassifier(
            scaled(linear_model.LogisticRegression()), n_models=3, seed=1
        ),
        (0, 1),
    ),
    Case("linear", lambda: scaled(linear_model.LinearRegression()), ()),
    Case("regression tree of means", lambda: regression(leaf_prediction="mean"), ()),
    Case("regression tree of models", lambda: regression(leaf_prediction="model"), ()),
    Case("regression tree", regression, ()),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_graph_answers_as_the_learner(case: Case) -> None:
    obey(case, rows=1_500)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_graph_answers_as_the_learner_over_ten_thousand_rows(case: Case) -> None:
    obey(case, rows=10_000)


def obey(case: Case, rows: int) -> None:
    """At the start, early and at the end: exact to 1e-9, the same classes, the same bytes twice."""
    stream, model, learnt = a_stream(rows, missing=case.missing), case.make(), 0
    for stage in (0, 1, rows // 10, rows):
        for at in range(learnt, stage):
            model.learn_one(stream.row(at), target_of(case, int(stream.target[at])))
        learnt = stage
        given = export(model, NAMES, case.classes, exact=True)
        assert given == export(model, NAMES, case.classes, exact=True)
        compare(case, model, given, stream)


def target_of(case: Case, target: int) -> float:
    if not case.classes:
        return float(target) * 3.0 - 1.0
    return min(target, len(case.classes) - 1)


def compare(case: Case, model: Any, given: bytes, stream: Stream) -> None:
    vectors = stream.vectors[::SCORED_EACH]
    session = onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])
    outputs = [each.name for each in session.get_outputs()]
    answers = dict(zip(outputs, session.run(None, {"features": vectors}), strict=True))
    rows = [stream.row(at) for at in range(0, len(stream.vectors), SCORED_EACH)]
    if not case.classes:
        expected = np.array([model.predict_one(row) for row in rows])
        assert np.abs(answers["exact"] - expected).max() <= EXACT * max(1, np.abs(expected).max())
        return
    votes = [model.predict_proba_one(row) for row in rows]
    table = np.array([[each.get(known, 0.0) for known in case.classes] for each in votes])
    assert np.abs(answers["exact"] - table).max() <= EXACT
    said = [max(each, key=each.get) if each else case.classes[0] for each in votes]
    assert [case.classes[label] for label in answers["label"]] == said


def test_every_estimator_that_is_listed_is_under_the_law() -> None:
    seen = {kind for case in CASES for kind in kinds_of(case.make())}
    assert {name.rsplit(".", 1)[1] for name in supported()} <= seen


def kinds_of(model: Any) -> set[str]:
    kinds = {type(model).__name__}
    parts = list(getattr(model, "steps", {}).values()) + list(
        getattr(model, "transformers", {}).values()
    )
    return kinds.union(*(kinds_of(part) for part in parts)) if parts else kinds


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (robust() | linear_model.LogisticRegression(), "RobustScaler"),
        (linear_model.Perceptron(), "Perceptron"),
        (tree.ExtremelyFastDecisionTreeClassifier(), "ExtremelyFastDecisionTreeClassifier"),
        (
            preprocessing.OneHotEncoder(drop_first=True) | linear_model.LogisticRegression(),
            "drop_f",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused_by_name(model: Any, named: str) -> None:
    with pytest.raises(Unsupported, match=named):
        export(model, NAMES, CLASSES)


def test_a_class_that_was_not_declared_is_refused() -> None:
    model: Any = naive_bayes.GaussianNB  # River has types here and there
    model = model()
    model.learn_one({"a": 1.0}, 7)
    with pytest.raises(Unsupported, match=r"\[7\]"):
        export(model, NAMES, CLASSES)


def test_a_branch_that_asks_for_a_word_is_refused() -> None:
    model = hoeffding(leaf_prediction="mc")
    for at in range(2_000):
        word = "x" if at % 2 else "y"
        model.learn_one({"a": word}, at % 2)
    assert model.n_branches
    with pytest.raises(Unsupported, match=r"a: a branch asks for '"):
        export(model, NAMES, CLASSES)
