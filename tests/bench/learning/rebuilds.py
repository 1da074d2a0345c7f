"""Models made in one process and made again, from their record, in another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

from driftloop.archive import Archive
from driftloop.contracts.model_pb2 import ModelVersion
from driftloop.kit.clock import FakeClock
from driftloop.kit.objects import Objects
from services.training import rebuild
from services.training.plan import LearnerPlan
from tests.unit.training.examples import a_log
from tests.unit.training.test_rebuild import a_version

ROWS = 3_000
KINDS: Sequence[tuple[str, dict[str, Any]]] = (
    ("lightgbm", {"num_iterations": 20, "bagging_fraction": 0.7, "bagging_freq": 1}),
    ("xgboost", {"num_boost_round": 20, "subsample": 0.7}),
    ("sklearn", {"estimator": "RandomForestClassifier", "n_estimators": 10}),
    ("river", {}),
)
Made = tuple[bytes, bytes]
A = TypeVar("A")
B = TypeVar("B")


def rebuilt(count: int = 20) -> dict[str, int]:
    """How many of `count` models were met to the byte; each step in a process of its own."""
    equal = 0
    for number in range(count):
        model, kept = _apart(_made, number)
        equal += _apart(_again, (model, kept))
    return {"tried": count, "equal": equal}


def _made(number: int) -> Made:
    kind, params = KINDS[number % len(KINDS)]
    model, kept = a_version(a_log(ROWS, seed=number), LearnerPlan("one", kind, params, number))
    model.created_ms = number
    return model.SerializeToString(), kept


def _again(made: Made) -> bool:
    model = ModelVersion.FromString(made[0])
    with tempfile.TemporaryDirectory() as folder:
        broker, shelf = a_log(ROWS, seed=model.created_ms), Archive(Objects(folder))
        return rebuild.Rebuild(model, made[1], broker, shelf, FakeClock()).reply().equal


def _apart(work: Callable[[A], B], argument: A) -> B:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, argument).result()
