"""Many voters: adaptive random forest, leveraging bagging and plain bagging."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from river import ensemble, tree
from river import forest as forests

from driftloop.river_onnx import trees
from driftloop.river_onnx.answers import Votes, added, normalised
from driftloop.river_onnx.graph import Columns, Graph
from driftloop.river_onnx.trees import Grown


def adaptive_random_forest(graph: Graph, model: forests.ARFClassifier, columns: Columns) -> Votes:
    """Each tree counts by its metric so far, if that is above 0; background trees say nothing."""
    if not len(model):
        return Votes("", ())
    grown = [
        Grown(each._root, each, _weight(model, index)) for index, each in enumerate(model.models)
    ]
    classes = tuple(dict.fromkeys(c for each in model.models for c in trees.classes_of(each)))
    votes = trees.forest(graph, grown, classes, columns)
    return normalised(graph, votes) if votes.classes else votes


def bagging(graph: Graph, model: ensemble.BaggingClassifier, columns: Columns) -> Votes:
    """The mean of what the voters say, whatever they are; bare trees share one TreeEnsemble."""
    from driftloop.river_onnx.export import votes_of  # voters may be of any kind, this one too

    if all(type(each) is tree.HoeffdingTreeClassifier for each in model):
        classes = tuple(dict.fromkeys(c for each in model for c in trees.classes_of(each)))
        votes = trees.forest(graph, [Grown(each._root, each) for each in model], classes, columns)
    else:
        votes = added(graph, [votes_of(graph, each, columns) for each in model])
    return normalised(graph, votes) if votes.classes else votes


def _weight(model: forests.ARFClassifier, index: int) -> float:
    metric = float(model._metrics[index].get())
    return metric if metric > 0.0 and not model.disable_weighted_vote else 1.0


CLASSIFIERS: Mapping[type, Any] = {
    forests.ARFClassifier: adaptive_random_forest,
    ensemble.LeveragingBaggingClassifier: bagging,
    ensemble.BaggingClassifier: bagging,
}
