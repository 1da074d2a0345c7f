"""scikit-learn's estimators by name, on one thread, and our own export of them.

Trees take missing values as scikit-learn does; the others get scaled columns with the mean where a
value is missing (dense.py). Networks of a regression learn the target scaled too.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from driftloop.plugins import Examples, Learnt
from driftloop.spec.learners import SKLEARN
from services.training.learners.dense import Layer, Scaler, bells, layers, scaler
from services.training.learners.forest import Forest, Tree, down
from services.training.learners.graph import Graph, Link
from services.training.learners.naming import checked

MODULES: Mapping[str, str] = {
    "LinearRegression": "sklearn.linear_model",
    "Ridge": "sklearn.linear_model",
    "LogisticRegression": "sklearn.linear_model",
    "RandomForestClassifier": "sklearn.ensemble",
    "RandomForestRegressor": "sklearn.ensemble",
    "ExtraTreesClassifier": "sklearn.ensemble",
    "ExtraTreesRegressor": "sklearn.ensemble",
    "HistGradientBoostingClassifier": "sklearn.ensemble",
    "HistGradientBoostingRegressor": "sklearn.ensemble",
    "MLPClassifier": "sklearn.neural_network",
    "MLPRegressor": "sklearn.neural_network",
    "GaussianNB": "sklearn.naive_bayes",
}
TREES = ("RandomForest", "ExtraTrees", "HistGradientBoosting")
LOSSES = ("squared_error", "absolute_error", "quantile")  # those whose scores are the values
Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


class ScikitLearn:
    """`params`: `estimator`, the class's name, and its own parameters; those of scikit-learn that
    are not in SKLEARN are set here.
    """

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        name, own = checked("sklearn", SKLEARN, params, examples.classes)
        made = _estimator(name, own, seed)
        scale = None if name.startswith(TREES) else scaler(examples)
        rows = examples.vectors if scale is None else scale(examples.vectors)
        middle, spread = _units(name, examples.target)
        # one thread: sums of several are taken in another order each time
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # the judgement tells what it's worth
            made.fit(rows, (examples.target - middle) / spread, sample_weight=examples.weights)
        return Estimated(name, made, scale, examples.classes, (middle, spread))


class Estimated:
    """A fitted estimator. `units`: what its values are to be multiplied by and added to."""

    def __init__(
        self,
        name: str,
        made: Any,
        scale: Scaler | None,
        classes: int,
        units: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self._name, self._made, self._scale = name, made, scale
        self._classes, self._units = classes, units
        self._present = [int(one) for one in made.classes_] if classes else []

    def answers(self, vectors: Vectors) -> Floats:
        rows = vectors if self._scale is None else self._scale(vectors)
        with threadpool_limits(1):
            if not self._classes:
                middle, spread = self._units
                return np.asarray(self._made.predict(rows), np.float64)[:, None] * spread + middle
            each = np.zeros((len(rows), self._classes))
            each[:, self._present] = self._made.predict_proba(rows)
        return each

    def onnx(self, metadata: Mapping[str, str]) -> bytes:
        width, classes = int(self._made.n_features_in_), self._classes
        if self._scale is None:
            boosted = self._name.startswith("Hist")
            grown = _boosted(self._made) if boosted else _grown(self._made, classes)
            base, trees = grown
            link = self._link(len(base), boosted)
            return Forest(trees, base, link, classes, self._present).onnx(width, metadata)
        graph = Graph()
        raw, outputs = self._dense(graph, self._scale)
        graph.answer(raw, self._link(outputs, True), classes, self._present)
        return graph.model(width=width, classes=classes, metadata=metadata)

    def _dense(self, graph: Graph, scale: Scaler) -> tuple[str, int]:
        """The raw scores, and how many there are."""
        made = self._made
        if self._name == "GaussianNB":
            raw = bells(graph, scale, made.theta_, made.var_, made.class_prior_)
            return raw, len(made.class_prior_)
        if self._name.startswith("MLP"):
            each = [Layer(*pair) for pair in zip(made.coefs_, made.intercepts_, strict=True)]
            activation = made.activation
        else:
            weights = np.atleast_2d(made.coef_).T
            intercept = np.broadcast_to(np.atleast_1d(made.intercept_), (weights.shape[1],))
            each, activation = [Layer(weights, intercept)], "identity"
        middle, spread = self._units
        each[-1] = Layer(each[-1].weights * spread, each[-1].intercept * spread + middle)
        return layers(graph, scale, each, activation), each[-1].weights.shape[1]

    def _link(self, outputs: int, scores: bool) -> Link:
        """`scores`: what comes are not probabilities yet."""
        if not self._classes:
            return "identity"
        if outputs > 1:
            return "softmax" if scores else "shares"
        return "logit" if scores else "share"


def _estimator(name: str, params: Mapping[str, Any], seed: int) -> Any:
    cls = getattr(import_module(MODULES[name]), name)
    own = dict(params)
    if own.get("loss", LOSSES[0]) not in LOSSES and name.endswith("Regressor"):
        raise ValueError(f"loss: found {own['loss']!r}, wanted one of {', '.join(LOSSES)}")
    if isinstance(sizes := own.get("hidden_layer_sizes"), str):
        own["hidden_layer_sizes"] = _sizes(sizes)
    made = cls(**own)
    if "random_state" in made.get_params():
        made.set_params(random_state=seed)
    return made


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(one) for one in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"hidden_layer_sizes: found {text!r}, wanted whole numbers, as in 64,32"
        ) from error


def _units(name: str, target: Floats) -> tuple[float, float]:
    """Middle and spread of the target of a network's regression."""
    if name != "MLPRegressor":
        return 0.0, 1.0
    return float(target.mean()), float(target.std()) or 1.0


def _grown(made: Any, classes: int) -> tuple[Floats, list[Tree]]:
    """The trees of a forest, which answers their mean; of two classes the second's share alone."""
    count = len(made.estimators_)
    trees = []
    for one in made.estimators_:
        tree = one.tree_
        values = tree.value[:, 0, :]
        values = values[:, 1:] if classes and values.shape[1] == 2 else values
        trees.append(
            Tree(
                tree.children_left,
                tree.children_right,
                tree.feature,
                down(tree.threshold),
                tree.missing_go_to_left.astype(bool),
                values / count,
            )
        )
    return np.zeros(trees[0].values.shape[1]), trees


def _boosted(made: Any) -> tuple[Floats, list[Tree]]:
    base = np.asarray(made._baseline_prediction, np.float64).ravel()
    trees = [
        _histogram(predictor.nodes, output)
        for stage in made._predictors
        for output, predictor in enumerate(stage)
    ]
    return base, trees


def _histogram(nodes: npt.NDArray[np.void], output: int) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    if (nodes["is_categorical"].astype(bool) & ~leaf).any():
        raise ValueError("a split by categories can't be exported")
    return Tree(
        np.where(leaf, -1, nodes["left"].astype(np.int64)),
        np.where(leaf, -1, nodes["right"].astype(np.int64)),
        nodes["feature_idx"],
        down(np.where(leaf, 0.0, nodes["num_threshold"])),
        nodes["missing_go_to_left"].astype(bool),
        nodes["value"][:, None],
        output,
    )
