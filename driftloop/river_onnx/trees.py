"""Hoeffding trees: the leaf's number from the ensemble, then the leaf's parameters by Gather."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from river import linear_model, tree
from river.tree.nodes import branch as branches
from river.tree.nodes import hatc_nodes, htc_nodes, htr_nodes
from river.tree.splitter import GaussianSplitter

from driftloop.river_onnx.answers import Unsupported, Votes, normalised
from driftloop.river_onnx.graph import Columns, Floats, Graph
from driftloop.river_onnx.nodes import Forest, Test, tests

HALF_LOG_TAU = 0.5 * math.log(math.tau)


@dataclass(frozen=True, slots=True)
class Grown:
    """A tree of a classifier and what it counts for: the leaves' answers times `weight`."""

    root: Any
    tree: Any
    weight: float = 1.0


def classifier(graph: Graph, model: tree.HoeffdingTreeClassifier, columns: Columns) -> Votes:
    """The classes sorted, as River's dict has them."""
    return forest(graph, [Grown(model._root, model)], classes_of(model), columns)


def adaptive(graph: Graph, model: tree.HoeffdingAdaptiveTreeClassifier, columns: Columns) -> Votes:
    """The main tree, and beside it each alternate one for the rows that reach it."""
    grown = [Grown(root, model) for root in _with_alternates(model._root)]
    votes = forest(graph, grown, tuple(model.classes), columns)
    return normalised(graph, votes) if votes.classes else votes


def regressor(graph: Graph, model: tree.HoeffdingTreeRegressor, columns: Columns) -> str:
    """[n]; 0 before the first row."""
    made = Forest(columns)
    made.add(tests(model._root))
    lines = [_line(leaf, columns) for leaf in made.leaves]
    leaf = graph.node("Reshape", made.which(graph), graph.integers([-1]))
    weights = graph.node("Gather", graph.doubles([weight for weight, _ in lines]), leaf, axis=0)
    offsets = graph.node("Gather", graph.doubles([offset for _, offset in lines]), leaf, axis=0)
    product = graph.node("Mul", graph.filled(columns.tensor, 0.0), weights)
    return graph.node("Add", graph.sum(product, 1), offsets)


def classes_of(model: Any) -> tuple[Any, ...]:
    return tuple(sorted(model.classes))


def forest(
    graph: Graph, grown: Sequence[Grown], classes: tuple[Any, ...], columns: Columns
) -> Votes:
    """The sum of what the trees say, each times its weight."""
    if not classes:
        return Votes("", ())
    made, owners = Forest(columns), list[Grown]()
    for each in grown:
        made.add(_rooted(each.root))
        owners += [each] * (len(made.leaves) - len(owners))
    table = _Leaves(made.leaves, owners, classes, columns)
    which = made.which(graph)
    plain = graph.node("Gather", graph.doubles(table.plain), which, axis=0)  # [n, trees, classes]
    said = plain if not table.bayes.any() else _bayes(graph, table, which, plain, columns)
    return Votes(graph.sum(said, 1), classes)


def _rooted(root: Any) -> Any:
    return root if root is None or isinstance(root, Test) else tests(root)


class _Leaves:
    """The parameters of all leaves, as arrays with a row a leaf.

    `plain` [leaves, classes]: what a leaf says without looking at the row. `bayes` [leaves]: it
    does look. Then log-prior (−inf for a class it hasn't seen) and, by feature, the mean, −1/(2
    variance) and the constant of each density; all 0 where River passes the feature over.
    """

    def __init__(
        self,
        leaves: Sequence[Any],
        owners: Sequence[Grown],
        classes: tuple[Any, ...],
        columns: Columns,
    ) -> None:
        size, k = (len(leaves), len(classes)), len(columns.names)
        self.plain, self.bayes = np.zeros(size), np.zeros(size[0], np.bool_)
        self.prior, self.factor = np.full(size, -np.inf), np.ones(size[0])
        self.mean, self.curve, self.constant = (np.zeros((*size, k)) for _ in range(3))
        for row, (leaf, owner) in enumerate(zip(leaves, owners, strict=True)):
            if leaf is None or not leaf.stats:
                continue
            factor = owner.weight * _error_weight(leaf)
            if _looks(leaf, owner.tree):
                self.bayes[row], self.factor[row] = True, factor
                self._densities(row, leaf, classes, columns)
            else:
                total = sum(leaf.stats.values())
                share = [leaf.stats.get(each, 0.0) for each in classes]
                self.plain[row] = np.array(share) * (factor / total if total else factor)

    def _densities(self, row: int, leaf: Any, classes: tuple[Any, ...], columns: Columns) -> None:
        total = sum(leaf.stats.values())
        for place, known in enumerate(classes):
            weight = leaf.stats.get(known)
            if weight is None:
                continue
            self.prior[row, place] = math.log(weight / total) if weight > 0 else 0.0
            for name, splitter in leaf.splitters.items() if weight > 0 else ():
                column = columns.of(name)
                if column is not None:
                    at = (row, place, column)
                    self.mean[at], self.curve[at], self.constant[at] = _density(splitter, known)


def _density(splitter: Any, known: Any) -> tuple[float, float, float]:
    """Of one class and feature: log density = constant + curve · (x − mean)²."""
    if not isinstance(splitter, GaussianSplitter):
        raise Unsupported(
            f"{type(splitter).__name__}: only GaussianSplitter has densities that can be exported"
        )
    density = splitter._att_dist_per_class.get(known)
    variance = _variance(density)
    if density is None or variance <= 0.0:
        return 0.0, 0.0, 0.0
    return density.mu, -0.5 / variance, -HALF_LOG_TAU - 0.5 * math.log(variance)


def _variance(density: Any) -> float:
    if density is None or density._var.mean.n <= density._var.ddof:
        return 0.0
    return float(density._var._S / (density._var.mean.n - density._var.ddof))


def _bayes(graph: Graph, table: _Leaves, which: str, plain: str, columns: Columns) -> str:
    """[n, trees, classes]: naive Bayes where the leaf uses it, else what is there."""

    def of(values: Any) -> str:
        return graph.node("Gather", graph.doubles(values), which, axis=0)

    rows = graph.node("Unsqueeze", columns.tensor, graph.integers([1, 2]))  # [n, 1, 1, k]
    away = graph.node("Sub", rows, of(table.mean))
    term = graph.node("Mul", graph.node("Mul", away, away), of(table.curve))
    logs = graph.node("Add", term, of(table.constant))
    finite = graph.node("Where", graph.node("IsInf", logs), graph.doubles(0.0), logs)
    joint = graph.node("Add", graph.sum(graph.filled(finite, 0.0), 3), of(table.prior))
    shares = graph.node("Softmax", _safe(graph, joint, table, which), axis=2)
    factor = graph.node("Unsqueeze", of(table.factor), graph.integers([2]))
    chosen = graph.node("Gather", graph.bools(table.bayes), which, axis=0)
    asked = graph.node("Unsqueeze", chosen, graph.integers([2]))
    return graph.node("Where", asked, graph.node("Mul", shares, factor), plain)


def _safe(graph: Graph, joint: str, table: _Leaves, which: str) -> str:
    """A leaf that doesn't look has no prior at all: zeros, or its softmax would be NaN."""
    chosen = graph.node("Gather", graph.bools(table.bayes), which, axis=0)
    asked = graph.node("Unsqueeze", chosen, graph.integers([2]))
    return graph.node("Where", asked, joint, graph.doubles(0.0))


def _looks(leaf: Any, owner: Any) -> bool:
    """Does the leaf answer by naive Bayes now?"""
    if not leaf.is_active():
        return False
    if isinstance(leaf, hatc_nodes.AdaLeafClassifier):
        option = owner.leaf_prediction
        if option == owner._MAJORITY_CLASS:
            return False
        if option == owner._NAIVE_BAYES:
            return bool(leaf.total_weight >= owner.nb_threshold)
        return bool(leaf._nb_correct_weight >= leaf._mc_correct_weight)
    if isinstance(leaf, htc_nodes.LeafNaiveBayesAdaptive):
        return bool(leaf._nb_correct_weight >= leaf._mc_correct_weight)
    if isinstance(leaf, htc_nodes.LeafNaiveBayes):
        return bool(leaf.total_weight >= owner.nb_threshold)
    return False


def _error_weight(leaf: Any) -> float:
    """A leaf of the adaptive tree is divided by its squared error, unless that is 0."""
    if not isinstance(leaf, hatc_nodes.AdaLeafClassifier):
        return 1.0
    error = leaf._mean_error.get()
    return 1.0 / (error * error) if error * error else 1.0


def _with_alternates(root: Any) -> list[Any]:
    """The main tree, then each alternate at its place in a copy of the path that leads to it."""
    return [root, *(_at(path, other) for path, other in _alternates(root, ()))]


def _alternates(node: Any, path: tuple[Any, ...]) -> list[tuple[tuple[Any, ...], Any]]:
    if not isinstance(node, branches.DTBranch):
        return []
    other = getattr(node, "_alternate_tree", None)
    found = [(path, other)] if other is not None else []
    for index, child in enumerate(node.children):
        found += _alternates(child, (*path, (node, index)))
    return found


def _at(path: tuple[Any, ...], other: Any) -> Any:
    """Questions along `path`; who leaves it finds an empty leaf."""
    if not path:
        return tests(other)
    (node, index), *rest = path
    if len(node.children) != 2:
        raise Unsupported("an alternate tree under a branch of many ways")
    asked = tests(node)
    below = _at(tuple(rest), other)
    yes, no = (below, None) if index == 0 else (None, below)
    return Test(asked.feature, asked.mode, asked.value, asked.missing, yes, no)


def _line(leaf: Any, columns: Columns) -> tuple[Floats, float]:
    """What a leaf of a regressor answers: weights and an offset."""
    none = np.zeros(len(columns.names))
    if leaf is None:
        return none, 0.0
    if not isinstance(leaf, htr_nodes.LeafModel) or (
        isinstance(leaf, htr_nodes.LeafAdaptive) and leaf._fmse_mean < leaf._fmse_model
    ):
        return none, float(leaf.stats.mean.get())
    model = leaf._leaf_model
    if type(model) is not linear_model.LinearRegression:
        raise Unsupported(f"{type(model).__name__} in a leaf: only LinearRegression is known")
    weights = np.array([float(model.weights.get(name, 0.0)) for name in columns.names])
    return weights, float(model.intercept)


CLASSIFIERS: Mapping[type, Any] = {
    tree.HoeffdingTreeClassifier: classifier,
    tree.HoeffdingAdaptiveTreeClassifier: adaptive,
}
REGRESSORS: Mapping[type, Any] = {tree.HoeffdingTreeRegressor: regressor}
