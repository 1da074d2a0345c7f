"""What is particular to one learner: its parameters, its thresholds, its edges. The laws of all are
in test_laws."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import numpy as np
import onnx
import pytest
import xgboost
from lightgbm.basic import _ConfigAliases

from driftloop.plugins import LEARNERS, Examples, Learnt, Unknown, find
from driftloop.spec.learners import LIGHTGBM, SKLEARN, XGBOOST
from services.training.learners import SHIPPED
from services.training.learners.forest import down
from services.training.learners.parity import PARITY_MAX, largest_difference
from services.training.learners.sklearn import MODULES
from tests.unit.training.examples import NAMES, WIDTH, made

TREES = {"num_iterations": 30, "num_leaves": 15, "min_data_in_leaf": 20, "max_bin": 63}


def examples(rows: int = 2_000, *, missing: float = 0.1) -> Examples:
    return Examples(np.arange(rows), *made(rows, missing=missing), NAMES)


def test_a_files_check_knows_the_names_that_lightgbm_knows() -> None:
    aliases = _ConfigAliases._get_all_param_aliases()
    assert (
        frozenset({*aliases, *(name for known in aliases.values() for name in known)}) == LIGHTGBM
    )


def test_a_files_check_knows_the_names_that_xgboost_trains_trees_by() -> None:
    rows = examples(100)
    said = xgboost.train({"nthread": 1}, xgboost.DMatrix(rows.vectors, rows.target), 1)
    own = json.loads(said.save_config())["learner"]["gradient_booster"]["tree_train_param"]
    internal = {"refresh_leaf", "sparse_threshold", "max_cat_threshold", "max_cat_to_onehot"}
    assert set(own) - internal <= XGBOOST


@pytest.mark.parametrize("name", SKLEARN)
def test_a_files_check_knows_the_names_that_scikit_learn_knows_but_those_set_here(
    name: str,
) -> None:
    own = set(getattr(import_module(MODULES[name]), name)().get_params())
    assert own >= SKLEARN[name].params
    assert own - SKLEARN[name].params <= {
        *("random_state", "n_jobs", "verbose", "warm_start", "class_weight", "copy_X", "priors"),
        *("categorical_features", "monotonic_cst", "oob_score", "penalty", "loss"),
    }


def learnt(kind: str, params: dict[str, Any], rows: Examples) -> Learnt:
    model: Learnt = find(LEARNERS, kind, SHIPPED)().fit(rows, params, 1)
    return model


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


def test_an_infinite_threshold_stays_infinite() -> None:
    assert down([np.inf, -np.inf]).tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("value", [0.1, -0.1, 1e-35, 3.0, 1e300, -1e300, 16777217.0])
def test_a_threshold_is_rounded_down(value: float) -> None:
    low = float(down(value))
    with np.errstate(over="ignore"):
        above = float(np.nextafter(np.float32(low), np.float32(np.inf)))
    largest = float(np.finfo(np.float32).max)
    assert low == float(np.float32(low))
    assert low <= value < above or abs(low) == largest < abs(value)


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
        ("xgboost", {"max_dept": 3}, "'max_depth'"),
        ("xgboost", {"n_estimators": 0}, "num_boost_round"),
        ("xgboost", {"max_depth": "deep"}, "XGBoost: .*max_depth"),
        ("sklearn", {"estimator": "Forest"}, "wanted one of"),
        ("sklearn", {}, "estimator: found None"),
        ("sklearn", {"estimator": "Ridge"}, "not for a binary target"),
        ("sklearn", {"estimator": "GaussianNB", "n_jobs": 2}, "no such parameter"),
        ("sklearn", {"estimator": "MLPClassifier", "hidden_layer_sizes": "4;4"}, "as in 64,32"),
        ("sklearn", {"estimator": "RandomForestClassifier", "max_depth": -1}, "max_depth"),
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
    with pytest.raises(Unknown, match="lightgbm, river, sklearn, torch, xgboost"):
        find(LEARNERS, "oracle", SHIPPED)
