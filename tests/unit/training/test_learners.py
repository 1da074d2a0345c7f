"""Each learner's export answers as the learner does, in the same bytes each time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from lightgbm.basic import _ConfigAliases

from driftloop.plugins import LEARNERS, Examples, Learnt, Unknown, find
from driftloop.spec.learners import LIGHTGBM
from services.training.learners import SHIPPED
from services.training.learners.gbm import _down
from services.training.learners.parity import PARITY_MAX, largest_difference
from tests.unit.training.examples import NAMES, WIDTH, made

TREES = {"num_iterations": 30, "num_leaves": 15, "min_data_in_leaf": 20, "max_bin": 63}
CASES: list[tuple[str, dict[str, Any]]] = [("lightgbm", TREES), ("river", {"learning_rate": 0.05})]


def examples(rows: int = 2_000, *, missing: float = 0.1, classes: int = 2) -> Examples:
    vectors, target = made(rows, missing=missing)
    if classes > 2:
        target = (np.arange(rows) % classes).astype(np.float64)
        vectors[:, 1] = np.round(target + vectors[:, 2] / 4)
    return Examples(np.arange(rows), vectors, target, NAMES, classes)


def test_a_files_check_knows_the_names_that_lightgbm_knows() -> None:
    aliases = _ConfigAliases._get_all_param_aliases()
    assert (
        frozenset({*aliases, *(name for known in aliases.values() for name in known)}) == LIGHTGBM
    )


def learnt(kind: str, params: dict[str, Any], rows: Examples) -> Learnt:
    model: Learnt = find(LEARNERS, kind, SHIPPED)().fit(rows, params, 1)
    return model


@pytest.mark.parametrize(("kind", "params"), CASES)
@pytest.mark.parametrize("missing", [0.0, 0.1, 0.9])
def test_an_export_answers_as_its_learner_also_where_values_are_missing(
    kind: str, params: dict[str, Any], missing: float
) -> None:
    rows = examples(missing=missing)
    model = learnt(kind, params, rows)
    asked = rows.vectors.copy()
    asked[::3, 0] = np.nan  # missing in prediction, whether it was in training or not
    asked[::7] = np.nan
    assert largest_difference(model, model.onnx({}), asked) < PARITY_MAX


def test_a_row_on_the_edge_of_a_threshold_takes_the_same_branch() -> None:
    rows = examples(missing=0.0)
    model = learnt("lightgbm", TREES, rows)
    trees = onnx.load_from_string(model.onnx({})).graph.node[0]
    values = next(a.floats for a in trees.attribute if a.name == "nodes_values")
    edges = np.unique(np.asarray(values, np.float32))
    asked = np.zeros((3 * len(edges), WIDTH), np.float32)
    near = [edges, np.nextafter(edges, np.float32(9)), np.nextafter(edges, np.float32(-9))]
    asked[:] = np.concatenate(near)[:, None]
    assert len(edges) > 50
    assert largest_difference(model, model.onnx({}), asked) < PARITY_MAX


@pytest.mark.parametrize("value", [0.1, -0.1, 1e-35, 3.0, 1e300, -1e300, 16777217.0])
def test_a_threshold_is_rounded_down(value: float) -> None:
    low = _down(value)
    with np.errstate(over="ignore"):
        above = float(np.nextafter(np.float32(low), np.float32(np.inf)))
    largest = float(np.finfo(np.float32).max)
    assert low == float(np.float32(low))
    assert low <= value < above or abs(low) == largest < abs(value)


@pytest.mark.parametrize(("kind", "params"), CASES)
def test_the_graph_has_the_one_form_of_all_models(kind: str, params: dict[str, Any]) -> None:
    data = learnt(kind, params, examples()).onnx({"b": "2", "a": "1"})
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    shapes = {one.name: (one.type, one.shape[1:]) for one in session.get_outputs()}
    assert (given.name, given.type, given.shape[1]) == ("features", "tensor(float)", WIDTH)
    assert shapes == {"probability": ("tensor(float)", [2]), "label": ("tensor(int64)", [])}
    assert [prop.key for prop in onnx.load_from_string(data).metadata_props] == ["a", "b"]
    probability, label = session.run(["probability", "label"], {"features": made(5)[0]})
    assert (probability.shape, label.shape) == ((5, 2), (5,))
    assert label.tolist() == (probability[:, 1] > 0.5).astype(int).tolist()


def test_another_process_makes_the_same_bytes() -> None:
    program = "from tests.unit.training.test_learners import digests; print(*digests())"
    other = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert other.stdout.split() == digests()


def digests() -> list[str]:
    quantized = ("lightgbm", {**TREES, "use_quantized_grad": True})
    models = [learnt(kind, params, examples()).onnx({}) for kind, params in [*CASES, quantized]]
    return [hashlib.sha256(model).hexdigest() for model in models]


def test_more_than_two_classes_are_learnt_by_trees() -> None:
    rows = examples(classes=3)
    model = learnt("lightgbm", TREES, rows)
    assert model.answers(rows.vectors).shape == (2_000, 3)
    assert largest_difference(model, model.onnx({}), rows.vectors) < PARITY_MAX


def test_a_target_that_no_column_explains_is_still_a_model() -> None:
    rows = examples(100)
    model = learnt("lightgbm", {"min_data_in_leaf": 90}, rows)
    np.testing.assert_allclose(model.answers(rows.vectors)[:, 1], rows.target.mean(), atol=1e-6)
    assert largest_difference(model, model.onnx({}), rows.vectors) < PARITY_MAX


def test_a_column_that_never_moves_breaks_nothing() -> None:
    rows = examples(640, missing=0.0)
    rows.vectors[:, 1], rows.vectors[:, 2], rows.vectors[:, 3] = 0.1, np.nan, 1e7
    model = learnt("river", {}, rows)
    assert largest_difference(model, model.onnx({}), rows.vectors) < PARITY_MAX


def test_rows_beyond_the_last_block_of_64_are_not_learnt() -> None:
    rows = examples(200)
    cut = Examples(rows.times[:192], rows.vectors[:192], rows.target[:192], NAMES)
    assert learnt("river", {}, rows).onnx({}) == learnt("river", {}, cut).onnx({})


def test_an_export_that_differs_is_seen() -> None:
    rows = examples()
    model, other = learnt("river", {}, rows), learnt("river", {"learning_rate": 0.5}, rows)
    assert largest_difference(model, other.onnx({}), rows.vectors) > PARITY_MAX
    with pytest.raises(ValueError, match="doesn't run"):
        largest_difference(model, b"no model", rows.vectors)


@pytest.mark.parametrize(
    ("kind", "params", "text"),
    [
        ("lightgbm", {"num_leafs": 3}, "no such parameter"),
        ("lightgbm", {"n_jobs": 4}, "num_threads: found 4, wanted 1"),
        ("lightgbm", {"objective": "binary"}, "can't be chosen"),
        ("lightgbm", {"boosting": "rf"}, "boosting"),
        ("lightgbm", {"n_estimators": 0}, "num_iterations"),
        ("river", {"momentum": 1.0}, "no such parameter"),
        ("river", {"learning_rate": -1.0}, "at least 0"),
        ("river", {"estimator": "Perceptron"}, "LogisticRegression"),
        ("river", {"l2": 1e15}, "ran away"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_params_that_make_no_sense_are_named(kind: str, params: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        learnt(kind, params, examples())


def test_a_learner_that_no_package_brings_is_unknown() -> None:
    with pytest.raises(Unknown, match="lightgbm, river"):
        find(LEARNERS, "oracle", SHIPPED)
