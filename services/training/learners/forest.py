"""Trees of any library as one ONNX node.

A row goes left where its float32 value is at most the threshold; thresholds that are doubles are
rounded down to float32, which sends every float32 the same way (architecture, Models). Where a
value is missing, each node says itself which way it goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from services.training.learners.graph import INPUT, Graph, Link

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """m nodes, the first of which is the root.

    `left` and `right` [m] are numbers of nodes, -1 in a leaf; `feature` and `threshold` [m] say
    where a row goes, `missing_left` [m] where one without a value goes; `values` [m, columns] are
    what the leaves add to the outputs from `output` on.
    """

    left: Ints
    right: Ints
    feature: Ints
    threshold: npt.NDArray[np.float32]
    missing_left: npt.NDArray[np.bool_]
    values: Floats
    output: int = 0
    below: bool = False  # left is below the threshold, not at it


@dataclass(frozen=True, slots=True)
class Forest:
    """The sum of its trees and of `base` [outputs], and what makes answers of it. `present`: as
    Graph.answer has it.
    """

    trees: Sequence[Tree]
    base: Floats
    link: Link
    classes: int
    present: Sequence[int] = ()

    def onnx(self, width: int, metadata: Mapping[str, str]) -> bytes:
        graph = Graph()
        graph.nodes.append(
            helper.make_node(
                "TreeEnsembleRegressor",
                [INPUT],
                ["sum"],
                name="trees",
                domain="ai.onnx.ml",
                n_targets=len(self.base),
                post_transform="NONE",
                base_values=self.base.tolist(),
                **_nodes(self.trees),
                **_leaves(self.trees),
            )
        )
        raw = graph.add("Cast", ["sum"], "raw", to=TensorProto.DOUBLE)
        graph.answer(raw, self.link, self.classes, self.present)
        return graph.model(width=width, classes=self.classes, metadata=metadata)


def down(thresholds: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The largest float32 that is not above each; the largest finite one for a finite one that lies
    beyond.
    """
    given = np.asarray(thresholds, np.float64)
    limit = float(np.finfo(np.float32).max)
    near = np.where(np.isfinite(given), np.clip(given, -limit, limit), given).astype(np.float32)
    with np.errstate(over="ignore"):  # below the smallest: it is -inf that is meant
        lower = np.where(near > given, np.nextafter(near, np.float32(-np.inf)), near)
    return np.asarray(np.where(given < -limit, np.float32(-np.inf), lower), np.float32)


def _nodes(trees: Sequence[Tree]) -> dict[str, Any]:
    leaf = np.concatenate([tree.left < 0 for tree in trees])
    below = np.repeat([tree.below for tree in trees], [len(tree.left) for tree in trees])
    modes = np.where(leaf, "LEAF", np.where(below, "BRANCH_LT", "BRANCH_LEQ"))
    together: dict[str, list[npt.NDArray[Any]]] = {
        "nodes_featureids": [tree.feature for tree in trees],
        "nodes_truenodeids": [tree.left for tree in trees],
        "nodes_falsenodeids": [tree.right for tree in trees],
        "nodes_missing_value_tracks_true": [tree.missing_left.astype(np.int64) for tree in trees],
        "nodes_values": [tree.threshold for tree in trees],
    }
    flat: dict[str, Any] = {
        name: np.where(leaf, 0, np.concatenate(parts)).tolist() for name, parts in together.items()
    }
    return {
        **flat,
        "nodes_modes": modes.tolist(),
        "nodes_treeids": _numbers([len(tree.left) for tree in trees]),
        "nodes_nodeids": np.concatenate([np.arange(len(tree.left)) for tree in trees]).tolist(),
    }


def _leaves(trees: Sequence[Tree]) -> dict[str, Any]:
    leaves = [np.flatnonzero(tree.left < 0) for tree in trees]
    columns = [tree.values.shape[1] for tree in trees]
    values = [tree.values[mine].ravel() for tree, mine in zip(trees, leaves, strict=True)]
    ids = [np.repeat(mine, count) for mine, count in zip(leaves, columns, strict=True)]
    outputs = [
        np.tile(np.arange(tree.output, tree.output + count), len(mine))
        for tree, mine, count in zip(trees, leaves, columns, strict=True)
    ]
    return {
        "target_treeids": _numbers([len(each) for each in ids]),
        "target_nodeids": np.concatenate(ids).tolist(),
        "target_ids": np.concatenate(outputs).tolist(),
        "target_weights": np.concatenate(values).tolist(),
    }


def _numbers(counts: Sequence[int]) -> list[int]:
    """Each tree's number, as often as it is counted."""
    return list(np.repeat(np.arange(len(counts)), counts).tolist())
