"""A search by several processes: each set of parameters is tried once, and what a killed worker was
at is tried again.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from driftloop.kit.clock import SystemClock
from driftloop.plugins import Examples
from services.training.plan import LearnerPlan, Searching, SearchPlan
from services.training.searching import Subject, searched
from services.training.tuning import Trial, Tuned
from tests.support import postgres

HOUR_US = 3_600_000_000
ROWS = 4_000
SPACE = {"num_leaves": {"low": 4, "high": 63}, "learning_rate": {"low": 0.01, "high": 0.3}}
SEARCH = SearchPlan(SPACE, trials=6, seconds=120.0, folds=2, pruner="none", workers=2)
LEARNER = LearnerPlan("gbm", "lightgbm", {"num_iterations": 300}, 1)
pytestmark = pytest.mark.timeout(120)


def subject(run_id: str = "run-1") -> Subject:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(ROWS, 5)).astype(np.float32)
    noise = random.normal(size=ROWS)
    target = (vectors[:, 0] + vectors[:, 1] + noise > 0).astype(np.float64)
    examples = Examples(np.arange(ROWS) * HOUR_US, vectors, target, tuple("abcde"))
    return Subject("sea", run_id, LEARNER, examples, "0123456789abcdef0123")


def place(folder: Path) -> Searching:
    return Searching(str(folder), replica="training-1", workers_max=2)


def workers() -> list[psutil.Process]:
    """Children of the server that workers are forked from."""
    ours = psutil.Process().children(recursive=True)
    return [each for each in ours if each.ppid() != os.getpid()]


def test_two_workers_try_each_once_and_a_killed_ones_trial_is_tried_again(tmp_path: Path) -> None:
    news: list[Trial] = []

    def tell(trial: Trial, _: int) -> None:
        news.append(trial)
        running = sum(each.state == "running" for each in news)
        if running == 3 and trial.state == "running":  # the other two have begun before
            workers()[0].kill()

    found = searched(subject(), SEARCH, place(tmp_path), SystemClock(), tell)

    assert sorted(trial.number for trial in found.trials) == list(range(6))
    assert {trial.state for trial in found.trials} == {"complete"}
    killed = [trial for trial in news if trial.state == "killed"]
    assert len(killed) == 1
    assert "SIGKILL" in killed[0].error
    [again] = [trial for trial in found.trials if trial.number == killed[0].number]
    assert (again.attempt, again.params) == (2, killed[0].params)
    assert len({trial.worker for trial in found.trials}) > 1
    assert not list(tmp_path.glob("*.rows"))
    ended = [trial.number for trial in news if trial.ended]
    assert ended == [trial.number for trial in found.trials]  # told once each, in order
    assert larger(tmp_path, found) == 2


def larger(folder: Path, found: Tuned) -> int:
    """How many more trials a larger budget makes, on the same study."""
    began = list[Trial]()

    def tell(trial: Trial, _: int) -> None:
        began.extend([trial] if trial.state == "running" else [])

    search = SearchPlan(SPACE, trials=8, seconds=120.0, folds=2, pruner="none", workers=2)
    more = searched(subject("run-2"), search, place(folder), SystemClock(), tell)
    assert more.trials[:6] == found.trials
    return len(more.trials) - len(found.trials)


@pytest.mark.soak
def test_replicas_share_a_search_in_a_real_database(tmp_path: Path) -> None:
    """Two searches of one study at the same time, each with a worker: every trial is tried once,
    and both end with the same.
    """
    with postgres.running(tmp_path) as url, ThreadPoolExecutor(2) as pool:

        def half(name: str) -> Tuned:
            folder = tmp_path / name
            folder.mkdir()
            here = Searching(str(folder), url, name, workers_max=1)
            return searched(subject(), SEARCH, here, SystemClock(), lambda _, __: None)

        one, other = pool.map(half, ("training-1", "training-2"))

    assert [trial.number for trial in sorted(one.trials, key=lambda each: each.number)] == [
        *range(6)
    ]
    assert (one.params, one.loss) == (other.params, other.loss)
    by = {trial.worker.partition("/")[0] for trial in one.trials}
    assert by == {"training-1", "training-2"}
