"""The laws of every shipped learner, over each estimator and each kind of target that it knows."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from driftloop.plugins import LEARNERS, Examples, Learnt, find
from driftloop.spec.learners import ESTIMATORS, SHIPPED, target_kind
from services.training.kinds import EXTRAS
from services.training.learners import SHIPPED as MADE
from services.training.learners.parity import PARITY_MAX, measured
from tests.unit.training.examples import NAMES, WIDTH, made

SMALL: Mapping[str, dict[str, Any]] = {  # what keeps a law under a tenth of a second
    "lightgbm": {"num_iterations": 12, "num_leaves": 7, "min_data_in_leaf": 10},
    "xgboost": {"num_boost_round": 12, "max_depth": 3},
    "RandomForest": {"n_estimators": 7, "min_samples_leaf": 5},
    "ExtraTrees": {"n_estimators": 7, "min_samples_leaf": 5},
    "HistGradientBoosting": {"max_iter": 12},
    "MLP": {"hidden_layer_sizes": "8,4", "max_iter": 30, "learning_rate_init": 0.02},
    "LogisticRegression": {"learning_rate": 0.5, "intercept_learning_rate": 0.5},
    "SoftmaxRegression": {"learning_rate": 0.2},
    "LinearRegression": {"learning_rate": 0.05, "intercept_learning_rate": 0.05},
    "Hoeffding": {"grace_period": 40, "delta": 0.01},
    "ARF": {"grace_period": 40, "n_models": 3},
    "torch": {"hidden_layer_sizes": "8,4", "epochs": 12, "learning_rate": 0.02, "batch_size": 64},
}
CLASSES = {"binary": 2, "multiclass": 3, "regression": 0}
ROWS = 600
# an extra is held to the laws where it is installed
HERE = {kind for kind in MADE if kind not in EXTRAS or find_spec(kind)}


def cases() -> list[tuple[str, str | None, int]]:
    """(kind, estimator, classes) of all that is shipped."""
    found: list[tuple[str, str | None, int]] = []
    for kind in sorted(HERE):
        for name, one in ESTIMATORS.get(kind, {}).items():
            found += [(kind, name, CLASSES[target]) for target in one.targets]
        if kind not in ESTIMATORS:
            found += [(kind, None, classes) for classes in CLASSES.values()]
    return found


CASES = cases()
IDS = [f"{kind}-{name}-{target_kind(classes)}" for kind, name, classes in CASES]
each = pytest.mark.parametrize(("kind", "name", "classes"), CASES, ids=IDS)


def examples(classes: int, *, missing: float = 0.1) -> Examples:
    vectors, target = made(ROWS, missing=missing)
    if classes == 0:
        target = 40.0 + 10.0 * np.nan_to_num(vectors[:, 0]).astype(np.float64) + target
    if classes > 2:
        target = (np.arange(ROWS) % classes).astype(np.float64)
        vectors[:, 1] = target + vectors[:, 2] / 2
    return Examples(np.arange(ROWS), vectors, target, NAMES, classes)


def fitted(kind: str, name: str | None, rows: Examples, seed: int = 1) -> Learnt:
    stem = (name or "") if kind in ("sklearn", "river") else kind
    params = next((params for key, params in SMALL.items() if stem.startswith(key)), {})
    if (kind, name) in (("sklearn", "LogisticRegression"), ("sklearn", "LinearRegression")):
        params = {}
    params = {**params, "estimator": name} if name else params
    learnt: Learnt = find(LEARNERS, kind, MADE)().fit(rows, params, seed)
    return learnt


def asked(rows: Examples) -> Any:
    """The rows that were learnt from, some with values missing that were never missing there."""
    vectors = rows.vectors.copy()
    vectors[::3, 0] = np.nan
    vectors[::7] = np.nan
    return vectors


@each
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_an_export_answers_as_its_learner_also_where_values_are_missing(
    kind: str, name: str | None, classes: int, missing: float
) -> None:
    rows = examples(classes, missing=missing)
    model = fitted(kind, name, rows)
    parity = measured(model, model.onnx({}), asked(rows))
    assert parity.largest <= PARITY_MAX
    assert parity.asked > ROWS / 2


@each
def test_it_learns_and_its_graph_has_the_one_form_of_all_models(
    kind: str, name: str | None, classes: int
) -> None:
    rows = examples(classes, missing=0.0)
    data = fitted(kind, name, rows).onnx({"b": "2", "a": "1"})
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    forms = {one.name: (one.type, one.shape[1:]) for one in session.get_outputs()}
    assert (given.name, given.type, given.shape[1]) == ("features", "tensor(float)", WIDTH)
    assert [prop.key for prop in onnx.load_from_string(data).metadata_props] == ["a", "b"]
    first = session.run(None, {"features": rows.vectors})[0]
    if classes == 0:
        assert forms == {"value": ("tensor(float)", [])}
        assert np.mean((first - rows.target) ** 2) < 0.7 * rows.target.var()
        return
    assert forms == {"probability": ("tensor(float)", [classes]), "label": ("tensor(int64)", [])}
    probability, label = session.run(["probability", "label"], {"features": rows.vectors})
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, atol=1e-5)
    assert (label == probability.argmax(axis=1)).all()
    assert np.mean(label == rows.target) > 0.5 / max(1, classes - 1) + 0.15


@each
def test_weights_bite(kind: str, name: str | None, classes: int) -> None:
    if name == "SoftmaxRegression":
        pytest.skip("it has no intercept, so its mean says nothing of the shares")
    rows = examples(classes)
    odd = np.arange(ROWS) % 2 == 1
    rows.target[odd & (classes == 0)] += 20.0  # nothing in the vectors tells these rows
    weights = np.where(odd if classes == 0 else rows.target == 0.0, 9.0, 0.5)
    weighted = replace(rows, weights=weights / weights.mean())
    plain = fitted(kind, name, rows).answers(rows.vectors)[:, 0].mean()
    bent = fitted(kind, name, weighted).answers(rows.vectors)[:, 0].mean()
    assert bent > plain + (4.0 if classes == 0 else 0.05)


@each
def test_infinite_values_are_learnt_from_or_refused_in_words(
    kind: str, name: str | None, classes: int
) -> None:
    rows = examples(classes)
    rows.vectors[5, 2], rows.vectors[6, 2] = np.inf, -np.inf
    try:
        model = fitted(kind, name, rows)
    except ValueError as error:
        assert "inf" in str(error).lower()
        return
    assert measured(model, model.onnx({}), rows.vectors).largest <= PARITY_MAX


@pytest.mark.parametrize(
    ("kind", "name", "classes"), [case for case in CASES if case[2] == 3], ids=str
)
def test_a_class_that_the_window_lacks_gets_no_probability(
    kind: str, name: str | None, classes: int
) -> None:
    rows = examples(classes)
    rows.target[rows.target == 1.0] = 2.0
    model = fitted(kind, name, rows)
    answers = model.answers(rows.vectors)
    assert answers.shape == (ROWS, 3)
    assert answers[:, 1].max() < 0.2
    assert measured(model, model.onnx({}), rows.vectors).largest <= PARITY_MAX


def test_another_process_makes_the_same_bytes() -> None:
    program = "from tests.unit.training.test_laws import digests; print(*digests())"
    other = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert dict(zip(IDS, other.stdout.split(), strict=True)) == dict(
        zip(IDS, digests(), strict=True)
    )


def digests() -> list[str]:
    models = [fitted(kind, name, examples(classes)).onnx({}) for kind, name, classes in CASES]
    return [hashlib.sha256(model).hexdigest() for model in models]


def test_what_a_file_may_name_is_what_is_made() -> None:
    assert frozenset(MADE) == SHIPPED
