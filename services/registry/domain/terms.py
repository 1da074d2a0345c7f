"""What a pipeline file says that the registry must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftloop import spec


@dataclass(frozen=True, slots=True)
class Terms:
    """The part of the file that decides how a model is described and released."""

    inputs: Sequence[str]  # feature names in vector order
    classes: Sequence[str]  # empty for regression
    baseline: bool  # release.baseline is `first`
    approve: bool  # release.mode is `approve`
    expiry_ms: int = 86_400_000  # how long a version may wait for it


def terms(yaml: str) -> Terms:
    """The terms of a file that was accepted; it parses, since it did."""
    return terms_of(spec.parse(yaml))


def terms_of(pipeline: spec.Pipeline) -> Terms:
    target = pipeline.target
    unnamed = ("0", "1") if target.kind == "binary" else ()
    return Terms(
        inputs=tuple(pipeline.feature_names()),
        classes=target.classes or unnamed,
        baseline=pipeline.release.baseline == "first",
        approve=pipeline.release.mode == "approve",
        expiry_ms=pipeline.release.expiry // 1_000,
    )


def changed_parts(old: spec.Pipeline, new: spec.Pipeline) -> list[str]:
    """The names of the generation's parts in which two files differ; the threshold may change
    within one.
    """
    pairs = {
        "sources": (old.sources, new.sources),
        "entities": (old.entities, new.entities),
        "features": (old.features, new.features),
        "partitions": (old.partitions, new.partitions),
        "target": (old.target, new.target.model_copy(update={"threshold": old.target.threshold})),
    }
    return [part for part, (one, other) in pairs.items() if one != other]
