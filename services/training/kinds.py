"""A learner by the name of its kind, and what it says of itself."""

from __future__ import annotations

from typing import Any

from driftloop.kit.errors import DriftloopError
from driftloop.plugins import LEARNERS, Unknown, find
from services.training.learners import SHIPPED

PLAIN = (ValueError, Unknown, DriftloopError)  # whose texts are meant for people
EXTRAS = ("torch",)  # of the shipped ones: their libraries are no part of training's lock
EXTRA = ": `make setup EXTRAS={0}`, or the image training-{0}"


def kind_of(name: str) -> Any:
    """The learner's class. Unknown: there is none; ValueError: its library is not installed."""
    try:
        return find(LEARNERS, name, SHIPPED)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"kind: {name} needs {error.name}, which is not installed where training runs"
            + (EXTRA.format(name) if name in EXTRAS else "")
        ) from error


def chance_of(learner: Any) -> str:
    """Why its models can't be made again to the byte, where it says so by `deterministic = False`
    (driftloop.plugins.Learner); else empty."""
    if getattr(learner, "deterministic", True):
        return ""
    return getattr(learner, "chance", "") or f"{learner.__name__} says that it is not deterministic"
