"""LightGBM: gradient-boosted trees on one thread, and their export.

Where LightGBM saw nothing missing in a column while fitting, it reads a missing value as 0; the
exported trees say so explicitly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
from lightgbm.basic import _ConfigAliases  # the only list of the names that LightGBM knows

from driftloop.plugins import Examples, Learnt
from services.training.learners.forest import Forest, Tree, down
from services.training.learners.graph import Link

TREES = 100  # LightGBM's own default of num_iterations
TREES_NAMES = (
    "num_iterations",
    "n_estimators",
    "num_trees",
    "num_boost_round",
    "n_iter",
    "num_round",
    "num_rounds",
    "num_tree",
    "max_iter",
    "nrounds",
    "num_iteration",
)
SAME: Mapping[str, Any] = {  # what gives the same bytes anywhere; may be said, not changed
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
FIXED: Mapping[str, str] = {
    "objective": "it is the target's kind",
    "num_class": "it is the target's",
    "seed": "it has a field of its own, seed",
    "force_col_wise": "rows it is, always",
    "zero_as_missing": "what is missing is NaN",
    "linear_tree": "its leaves can't be exported",
    "categorical_feature": "codes are plain numbers",
    "reg_sqrt": "its squares can't be exported",
}
# Bits of `decision_type` in LightGBM's text: 1 a category, 2 missing goes left, 8 missing is NaN
CATEGORY, LEFT, NAN = 1, 2, 8


class LightGBM:
    """`params` are LightGBM's own; those in SAME and FIXED are set here."""

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        trees, own = _checked(params)
        settings = {**own, **_objective(examples.classes), **SAME, "seed": seed}
        try:
            rows = lightgbm.Dataset(
                examples.vectors,
                examples.target,
                weight=examples.weights,
                params=settings,
                free_raw_data=True,
            )
            return Trees(
                lightgbm.train(settings, rows, trees), examples.vectors.shape[1], examples.classes
            )
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(f"LightGBM: {error}") from error


class Trees:
    """A fitted booster."""

    def __init__(self, booster: lightgbm.Booster, width: int, classes: int) -> None:
        self._booster, self._width, self._classes = booster, width, classes

    def answers(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        given = np.asarray(self._booster.predict(vectors, num_threads=1), np.float64)
        if self._classes == 0:
            return given[:, None]
        return given if given.ndim == 2 else np.column_stack([1.0 - given, given])

    def onnx(self, metadata: Mapping[str, str]) -> bytes:
        text = self._booster.model_to_string().partition("\nend of trees")[0]
        head, *blocks = text.split("\nTree=")
        outputs = self._classes if self._classes > 2 else 1
        slope = _slope(head)
        trees = [_tree(block, number % outputs, slope) for number, block in enumerate(blocks)]
        link: Link = "softmax" if outputs > 1 else "logit" if self._classes else "identity"
        return Forest(trees, np.zeros(outputs), link, self._classes).onnx(self._width, metadata)


def _objective(classes: int) -> dict[str, Any]:
    if classes > 2:
        return {"objective": "multiclass", "num_class": classes}
    return {"objective": "binary" if classes else "regression"}


def _slope(head: str) -> float:
    """The parameter `sigmoid`: what log-odds are multiplied by."""
    objective = next(line for line in head.splitlines() if line.startswith("objective="))
    said = [word.partition(":")[2] for word in objective.split() if word.startswith("sigmoid:")]
    return float(said[0]) if said else 1.0


def _tree(block: str, output: int, slope: float) -> Tree:
    """One tree of LightGBM's text, which numbers splits from 0 and leaves from -1 downwards."""
    said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    leaves = _numbers(said["leaf_value"]) * slope
    splits = len(leaves) - 1
    empty = np.full(len(leaves), -1)
    if not splits:
        none = np.zeros(1, np.int64)
        return Tree(empty, empty, none, none.astype(np.float32), none > 0, leaves[:, None], output)
    types = _numbers(said["decision_type"]).astype(np.int64)
    if (types & CATEGORY).any():
        raise ValueError("a split by categories can't be exported")
    threshold = _numbers(said["threshold"])
    # no NaN was seen where it is not the kind of missing: LightGBM reads one as 0
    missing_left = np.where(types & NAN, (types & LEFT) > 0, threshold >= 0.0)
    padded = np.zeros(len(leaves))
    return Tree(
        np.concatenate([_child(said["left_child"], splits), empty]),
        np.concatenate([_child(said["right_child"], splits), empty]),
        np.concatenate([_numbers(said["split_feature"]), padded]).astype(np.int64),
        np.concatenate([down(threshold), padded]).astype(np.float32),
        np.concatenate([missing_left, padded > 0]),
        np.concatenate([np.zeros(splits), leaves])[:, None],
        output,
    )


def _child(text: str, splits: int) -> npt.NDArray[np.int64]:
    children = _numbers(text).astype(np.int64)
    return np.where(children < 0, splits + ~children, children)


def _numbers(text: str) -> npt.NDArray[np.float64]:
    return np.array(text.split(), np.float64)


def _checked(params: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """How many trees, and the rest. All mistakes in one ValueError."""
    aliases = _ConfigAliases._get_all_param_aliases()
    main = {alias: name for name, known in aliases.items() for alias in known} | {
        name: name for name in aliases
    }
    mistakes = [f"{name}: LightGBM has no such parameter" for name in params if name not in main]
    mistakes += [
        f"{name}: can't be chosen, {FIXED[main[name]]}"
        for name in params
        if main.get(name) in FIXED
    ]
    mistakes += [
        f"{main[name]}: found {value!r}, wanted {SAME[main[name]]!r}"
        for name, value in params.items()
        if main.get(name) in SAME and value != SAME[main[name]]
    ]
    if params.get("boosting", params.get("boosting_type")) == "rf":
        mistakes.append("boosting: found rf, wanted gbdt, dart or goss")
    trees = [params[name] for name in params if name in TREES_NAMES]
    if trees and not (isinstance(trees[0], int) and 1 <= trees[0] <= 100_000):
        mistakes.append(f"{TREES_NAMES[0]}: found {trees[0]!r}, wanted 1 to 100,000")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    rest = {
        name: value
        for name, value in params.items()
        if name not in TREES_NAMES and main[name] not in SAME
    }
    return trees[0] if trees else TREES, rest
