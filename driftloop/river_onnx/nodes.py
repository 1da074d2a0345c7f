"""River's trees as one TreeEnsemble that answers which leaf a row falls into, in each tree.

ai.onnx.ml 5, in doubles. A feature that the row lacks goes the way that River calls the most common
one; ONNX has a flag for just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import numpy_helper
from river.tree.nodes import branch as branches

from driftloop.river_onnx.answers import Unsupported
from driftloop.river_onnx.graph import Columns, Graph

LEQ, EQ = 0, 4  # nodes_modes of ai.onnx.ml 5


@dataclass(frozen=True, slots=True)
class Test:
    """One question of a tree: `feature` ≤ or = `value`; `missing` is the answer where there is no
    value."""

    feature: Any
    mode: int
    value: float
    missing: bool
    yes: Any  # a Test, or a leaf
    no: Any


@dataclass(slots=True)
class Forest:
    """Trees under construction. Leaves are numbered over all trees; a leaf that two paths reach
    has one number."""

    columns: Columns
    roots: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    ways: list[tuple[int, int, int, int]] = field(default_factory=list)  # yes, leaf?, no, leaf?
    targets: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    leaves: list[Any] = field(default_factory=list)

    def add(self, root: Any) -> None:
        """One more tree: a Test or a lone leaf."""
        top = root if isinstance(root, Test) else Test(None, LEQ, 0.0, True, root, root)
        self.roots.append(self._node(top, len(self.roots)))

    def _node(self, test: Test, tree: int) -> int:
        here = len(self.features)
        column = 0 if test.feature is None else self.columns.of(test.feature)
        self.features.append(0 if column is None else column)
        self.modes.append(test.mode)
        # a feature that no row can have: the missing way, whatever the first column says
        never = test.feature is not None and column is None
        self.splits.append((np.inf if test.missing else -np.inf) if never else test.value)
        self.missing.append(int(test.missing))
        self.ways.append((0, 0, 0, 0))
        yes, yes_leaf = self._way(test.yes, tree)
        no, no_leaf = self._way(test.no, tree)
        self.ways[here] = (yes, yes_leaf, no, no_leaf)
        return here

    def _way(self, to: Any, tree: int) -> tuple[int, int]:
        if isinstance(to, Test):
            return self._node(to, tree), 0
        self.targets.append(tree)
        self.weights.append(float(len(self.leaves)))
        self.leaves.append(to)
        return len(self.targets) - 1, 1

    def which(self, graph: Graph) -> str:
        """int64 [n, trees]: the number of the leaf."""
        yes, yes_leaf, no, no_leaf = zip(*self.ways, strict=True)
        found = graph.node(
            "TreeEnsemble",
            self.columns.tensor,
            domain="ai.onnx.ml",
            aggregate_function=1,  # SUM, over one leaf a tree
            post_transform=0,
            n_targets=len(self.roots),
            tree_roots=self.roots,
            nodes_featureids=self.features,
            nodes_modes=numpy_helper.from_array(np.array(self.modes, np.uint8)),
            nodes_splits=numpy_helper.from_array(np.array(self.splits, "<f8")),
            nodes_truenodeids=yes,
            nodes_trueleafs=yes_leaf,
            nodes_falsenodeids=no,
            nodes_falseleafs=no_leaf,
            nodes_missing_value_tracks_true=self.missing,
            leaf_targetids=self.targets,
            leaf_weights=numpy_helper.from_array(np.array(self.weights, "<f8")),
        )
        return graph.node("Cast", found, to=7)  # INT64; below 2**53 a double counts exactly


def tests(node: Any, nominal: Sequence[Any] = ()) -> Any:
    """A node of River's as Test, or the leaf that it is."""
    if not isinstance(node, branches.DTBranch):
        return node
    if isinstance(node, branches.NumericBinaryBranch | branches.NominalBinaryBranch):
        return _binary(node)
    if isinstance(node, branches.NominalMultiwayBranch):
        return _multiway(node)
    raise Unsupported(f"{type(node).__name__}: no branch that can be exported")


def _binary(node: Any) -> Test:
    numeric = isinstance(node, branches.NumericBinaryBranch)
    value = _number(node.threshold if numeric else node.value, node.feature)
    left, right = node.children
    first = node.most_common_path()[0] == 0
    return Test(node.feature, LEQ if numeric else EQ, value, first, tests(left), tests(right))


def _multiway(node: Any) -> Any:
    """A chain of questions; who answers none of them goes the most common way."""
    rest = tests(node.children[node.most_common_path()[0]])
    for value, child in reversed(node._mapping.items()):
        rest = Test(
            node.feature, EQ, _number(value, node.feature), False, tests(node.children[child]), rest
        )
    return rest


def _number(value: Any, feature: Any) -> float:
    if isinstance(value, str):
        raise Unsupported(f"{feature}: a branch asks for {value!r}, and vectors hold numbers")
    return float(value)
