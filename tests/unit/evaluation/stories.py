"""Givens of evaluation's tests: trained runs over a log in memory, and a shelf that is a
dictionary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from driftloop.contracts.model_pb2 import ModelTrained
from driftloop.kit.broker import Broker
from driftloop.kit.clock import FakeClock
from driftloop.kit.errors import Malformed
from services.training.domain import Limits
from services.training.fit import Workshop
from services.training.plan import LearnerPlan
from services.training.plan import Plan as FitPlan
from tests.unit.training.examples import NAMES, whole

GOOD = LearnerPlan("good", "lightgbm", {"num_iterations": 30, "min_data_in_leaf": 20}, 1)
POOR = LearnerPlan("poor", "lightgbm", {"num_iterations": 1, "learning_rate": 0.001}, 1)


class Shelf:
    """Artifacts by digest."""

    def __init__(self) -> None:
        self.models: dict[str, bytes] = {}

    def put(self, model: bytes) -> str:
        digest = hashlib.sha256(model).hexdigest()
        self.models[digest] = model
        return digest

    def fetch(self, digest: str) -> bytes:
        if digest not in self.models:
            raise Malformed(f"artifact {digest[:12]} is lost")
        return self.models[digest]


def trained(
    broker: Broker, shelf: Shelf, learners: Sequence[LearnerPlan], run_id: str = "run-1"
) -> ModelTrained:
    """A run of real fits."""
    plan = FitPlan(run_id, "sea", 1, 3, whole(broker), learners, NAMES, 2, Limits(500, 0.1))
    return Workshop(plan, shelf.put, lambda _: None, FakeClock()).run(broker)
