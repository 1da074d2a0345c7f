"""A learner that raises, hangs, eats memory or dies: its candidate or its run says why, and the
next run is as good as any.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from driftloop.contracts.model_pb2 import ModelTrained
from driftloop.kit.child import Child, Children
from services.training.domain import Limits, Run
from services.training.domain.runs import run_id_of
from services.training.jobs import Dataset
from services.training.plan import LearnerPlan, Plan
from tests.support.eventually import eventually
from tests.unit.training.examples import NAMES
from tests.unit.training.stories import TREES, House, finished, request

FIT = "tests.integration.stories_learners"
MEMORY_MB = 300  # a fit of these rows takes a few


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    children = Children([FIT])
    yield children
    children.close()


class WithChildren(House):
    """Its fits are real children: the learner at fault first, then LightGBM."""

    def __init__(self, children: Children, does: str) -> None:
        super().__init__()
        self.does, self.children = does, children
        self.foundry.start = self.begin  # type: ignore[method-assign,assignment]

    def begin(self, run: Run, window: Dataset, change_us: int | None, seconds_max: float) -> Child:
        wrong = LearnerPlan("wrong", "at-fault", {"does": self.does}, 1)
        learners = [wrong, TREES] if self.does else [TREES]
        of = (run.run_id, run.pipeline, 1, 4, window.ranges)
        plan = Plan(*of, learners, NAMES, 2, Limits(500, 0.1))
        return self.children.start(
            "fit",
            f"{FIT}:fit",
            {"plan": plan},
            seconds_max=2.0 if self.does == "hang" else 60.0,
            memory_mb_max=MEMORY_MB,
        )

    def ended(self, name: str) -> ModelTrained:
        self.run(request(name))
        eventually(lambda: self.looked(name), within_s=30)
        return self.trained()[-1]

    def looked(self, name: str) -> bool:
        self.run()
        return any(one.run_id == run_id_of(name) for one in self.trained())


@pytest.mark.parametrize(
    ("does", "error"), [("raise", "KeyError: 'colour'"), ("eat", "out of memory")]
)
def test_what_it_raises_fails_its_candidate_alone(
    children: Children, does: str, error: str
) -> None:
    trained = WithChildren(children, does).ended("r1")
    wrong, trees = trained.candidates
    assert (trained.outcome, wrong.digest, trees.error) == ("trained", "", "")
    assert wrong.error.startswith(error)
    assert trees.digest


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("hang", "took longer than 2 s"),
        ("exit", "ended with status 3 and no result"),
        ("crash", "killed by SIGSEGV"),
    ],
)
def test_one_that_does_not_come_back_fails_its_run_and_the_next_goes_well(
    children: Children, does: str, reason: str
) -> None:
    house = WithChildren(children, does)
    trained = house.ended("r1")
    assert (trained.outcome, trained.reason) == ("failed", reason)
    house.does = ""
    house.run(finished(run_id_of("r1")))
    assert house.ended("r2").outcome == "trained"
