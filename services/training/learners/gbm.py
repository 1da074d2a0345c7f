"""LightGBM: gradient-boosted trees on one thread, and their export.

Two things make the export answer as the learner does. Thresholds are doubles and inputs float32, so
each threshold is rounded down to a float32 (x <= t holds for the same float32 x on both sides). And
where LightGBM saw nothing missing in a column while fitting, it reads a missing value as 0; the
tree says so explicitly afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
from lightgbm.basic import _ConfigAliases  # the only list of the names that LightGBM knows
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from driftloop.plugins import Examples, Learnt
from services.training.learners import graph

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
}


class LightGBM:
    """`params` are LightGBM's own; those in SAME and FIXED are set here."""

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        trees, own = _checked(params)
        kind: dict[str, Any] = {"objective": "binary"}
        if examples.classes > 2:
            kind = {"objective": "multiclass", "num_class": examples.classes}
        settings = {**own, **kind, **SAME, "seed": seed}
        try:
            rows = lightgbm.Dataset(
                examples.vectors, examples.target, params=settings, free_raw_data=True
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
        return given if given.ndim == 2 else np.column_stack([1.0 - given, given])

    def onnx(self, metadata: Mapping[str, str]) -> bytes:
        model = convert_lightgbm(
            _Mended(self._booster, self._classes),
            name="driftloop",
            zipmap=False,
            target_opset=graph.OPSET,
            initial_types=[(graph.INPUT, FloatTensorType([None, self._width]))],
        )
        trees = next(node for node in model.graph.node if node.op_type == "TreeEnsembleClassifier")
        trees.input[:], trees.output[:], trees.name = (
            [graph.INPUT],
            [graph.LABEL, graph.PROBABILITY],
            "trees",
        )
        return graph.model_bytes(
            [trees], [], width=self._width, classes=self._classes, metadata=metadata
        )


class _Mended(lightgbm.Booster):
    """The booster as the converter shall see it: its dump, with thresholds and missing values made
    explicit.
    """

    is_mock = True  # onnxmltools then asks dump_model() instead of reading the C library's memory

    def __init__(
        self, booster: lightgbm.Booster, classes: int
    ) -> None:  # no super: only the dump is asked for
        self._dump = booster.dump_model()
        self.params = {
            "objective": self._dump["objective"].split()[0],
            "num_class": 1 if classes == 2 else classes,
        }
        for tree in self._dump["tree_info"]:
            for node in _splits(tree["tree_structure"]):
                _mend(node)

    def dump_model(self, *_: Any, **__: Any) -> dict[str, Any]:
        return self._dump

    def attr(self, key: str) -> Any:
        return self.params.get(key)

    def feature_name(self) -> list[str]:
        return list(self._dump["feature_names"])

    def __del__(self) -> None:
        """Nothing is held: the base class would free a handle that it never had."""


def _splits(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "left_child" in node:
        yield node
        yield from _splits(node["left_child"])
        yield from _splits(node["right_child"])


def _mend(node: dict[str, Any]) -> None:
    if node["decision_type"] != "<=":
        raise ValueError(f"a split by {node['decision_type']!r} can't be exported, only by <=")
    threshold = _down(float(node["threshold"]))
    if node["missing_type"] == "None":  # no NaN was seen here: LightGBM reads one as 0
        node["default_left"] = float(node["threshold"]) >= 0.0
    node["threshold"], node["missing_type"] = threshold, "NaN"


def _down(threshold: float) -> float:
    """The largest float32 that is not above `threshold`; the largest finite one for what lies
    beyond.
    """
    limit = float(np.finfo(np.float32).max)
    if threshold < -limit:
        return float("-inf")  # no float32 but itself is as small
    near = np.float32(min(threshold, limit))
    return float(np.nextafter(near, np.float32(-np.inf)) if float(near) > threshold else near)


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
