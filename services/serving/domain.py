"""What a pipeline answers: which model, which outputs, which label.

Arrays in, arrays out. Nothing here knows of Kafka, protobuf, onnxruntime, files or clocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Kind = Literal["binary", "multiclass", "regression"]


class Network(Protocol):
    """A loaded model."""

    @property
    def provider(self) -> str: ...

    @property
    def recipe(self) -> str:
        """Of a line's snapshot, which line it is; else empty."""

    def run(self, vectors: Floats) -> Floats:
        """[rows, features] → [rows, outputs]: probabilities by class, or one value."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the pipeline file asks of serving."""

    pipeline: str
    generation: int
    partitions: int
    features: Sequence[str]  # the vector's columns in order
    kind: Kind
    threshold: float  # binary: the positive class from here on
    baseline: bool  # release.baseline is `first`
    outputs: int = 2  # of a row: a probability for each class, or one value
    lines: Sequence[str] = ()  # online learners, whose newest snapshots answer too


@dataclass(frozen=True, slots=True)
class Release:
    """A version that was made live."""

    pipeline: str
    generation: int
    version: int
    digest: str
    run_id: str
    baseline_version: int  # 0: this is the first release, or none is wanted
    baseline_digest: str
    inputs: Sequence[str]
    classes: Sequence[str]  # empty: regression
    released_ms: int = 0  # wall time
    traceparent: str = field(default="", compare=False)  # of what brought it about
    line: str = ""  # an online learner: its newest snapshot answers

    @property
    def width(self) -> int:
        """Outputs of a row."""
        return len(self.classes) or 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A line's state as a model."""

    digest: str
    network: Network
    rows: int  # learnt


@dataclass(frozen=True, slots=True)
class Answering:
    """What a pipeline answers with, whole; replaced by reference between two batches, never
    changed.
    """

    release: Release
    network: Network
    baseline_version: int  # 0: none
    baseline: Network | None  # the very `network` where the live model is the first
    lines: Mapping[str, Snapshot] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of what answers now: the release's, or its line's newest snapshot's."""
        newest = self._newest
        return newest.digest if newest else self.release.digest

    @property
    def _newest(self) -> Snapshot | None:
        """The live line's newest snapshot. A line of the same name with other parameters is another
        one, and was never judged.
        """
        newest = self.lines.get(self.release.line)
        return newest if newest and newest.network.recipe == self.network.recipe else None

    def answer(self, vectors: Floats, plan: Plan, shadows: bool = False) -> Answer:
        """Outputs of the live model and of the baseline on the same rows, and with `shadows` those
        of the lines that are not live. A row's answer does not depend on the others.
        """
        newest = self._newest
        outputs = (newest.network if newest else self.network).run(vectors)
        baseline = None
        if self.baseline is not None:
            same = self.baseline is self.network and newest is None
            baseline = outputs if same else self.baseline.run(vectors)
        others = {
            name: (snapshot.digest, snapshot.network.run(vectors))
            for name, snapshot in self.lines.items()
            if shadows and snapshot is not newest
        }
        return Answer(outputs, labels(outputs, plan), baseline, others)


@dataclass(frozen=True, slots=True)
class Answer:
    outputs: Floats  # [rows, outputs]
    labels: npt.NDArray[np.int64] | None  # None: regression
    baseline: Floats | None
    shadows: Mapping[str, tuple[str, Floats]] = field(default_factory=dict)  # line: digest, outputs


def labels(outputs: Floats, plan: Plan) -> npt.NDArray[np.int64] | None:
    """Index of each row's class: by the threshold where there are two, else the likeliest; None for
    regression.
    """
    if plan.kind == "regression":
        return None
    if plan.kind == "binary":
        positive: npt.NDArray[np.int64] = (outputs[:, 1] >= np.float32(plan.threshold)).astype(
            np.int64
        )
        return positive
    likeliest: npt.NDArray[np.int64] = np.argmax(outputs, axis=1).astype(np.int64)
    return likeliest


def why_refused(release: Release, plan: Plan) -> str | None:
    """Why a release can't answer this pipeline's rows; None: it can."""
    if release.digest == "":
        return "it names no artifact"
    if list(release.inputs) != list(plan.features):
        difference = _first_difference(release.inputs, plan.features)
        return f"it wants {len(release.inputs)} features ({difference})"
    if (plan.kind == "regression") != (not release.classes):
        return f"it has {len(release.classes)} classes, the target is {plan.kind}"
    if release.width != plan.outputs:
        return f"it has {release.width} classes, the target has {plan.outputs}"
    return None


def _first_difference(found: Sequence[str], wanted: Sequence[str]) -> str:
    for number, (one, other) in enumerate(zip(found, wanted, strict=False)):
        if one != other:
            return f"number {number} is {one}, the pipeline's is {other}"
    return f"the pipeline has {len(wanted)}"
