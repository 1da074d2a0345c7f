"""A torch fit by several workers is the fit by one; it outlives a worker, and no worker outlives
it.
"""

from __future__ import annotations

import logging
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from driftloop.kit.child import Children
from driftloop.plugins import Examples
from driftloop.spec.learners import TORCH
from tests.support.eventually import eventually

pytest.importorskip("torch", reason="an extra: make setup EXTRAS=torch")

from services.training.learners.network import DEFAULTS, TorchMLP
from tests.unit.training.test_laws import examples

PARITY_MAX = 1e-5
RANK = "services.training.learners.ddp_rank"
# 600 rows in batches of 23: the last one has 2, so that of four workers two have none
PARAMS: dict[str, Any] = {
    "hidden_layer_sizes": "16,8",
    "epochs": 12,
    "learning_rate": 0.02,
    "batch_size": 23,
}
WITHIN_S = 90.0  # each worker imports PyTorch, 8 s of a core

pytestmark = pytest.mark.timeout(300)


def rows_of(classes: int) -> Examples:
    """Weighted, so that a mean over a share is not the mean over a batch."""
    rows = examples(classes)
    weights = np.linspace(0.2, 1.8, len(rows.target))
    return Examples(rows.times, rows.vectors, rows.target, rows.names, classes, weights)


def answers(rows: Examples, workers: int, **params: Any) -> Any:
    learner = TorchMLP(checkpoint_s=0.0)
    return learner.fit(rows, {**PARAMS, **params, "workers": workers}, 1).answers(rows.vectors)


@pytest.mark.parametrize(
    "classes", [2, pytest.param(3, marks=pytest.mark.soak), pytest.param(0, marks=pytest.mark.soak)]
)
def test_four_workers_learn_what_one_learns(classes: int) -> None:
    rows = rows_of(classes)
    alone, four = answers(rows, 1), answers(rows, 4)
    assert float(np.ptp(alone[:, 0])) > 0.2
    assert np.abs(four - alone).max() <= PARITY_MAX


def test_where_a_worker_is_killed_all_go_on_from_the_last_checkpoint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows, killed = rows_of(2), list[int]()
    killer = threading.Thread(target=lambda: killed.append(kill_one_at_work()))
    killer.start()
    with caplog.at_level(logging.WARNING):
        disturbed = answers(rows, 2, epochs=60)
    killer.join()
    assert killed
    resumed = re.search(r"a worker died; all go on from epoch (\d+), batch (\d+)", caplog.text)
    assert resumed is not None
    assert (int(resumed[1]), int(resumed[2])) > (0, 0)
    assert np.abs(disturbed - answers(rows, 1, epochs=60)).max() <= PARITY_MAX


def kill_one_at_work() -> int:
    """The pid of a worker that was killed once there was a checkpoint."""
    found = eventually(lambda: workers(2), WITHIN_S)
    folder = Path(found[0].cmdline()[-1])
    eventually((folder / "kept.pt").exists, WITHIN_S)
    victim = found[-1]
    victim.send_signal(signal.SIGKILL)
    return int(victim.pid)


def workers(count: int) -> list[psutil.Process]:
    """Those of this process, once there are so many; else none."""
    found = [one for one in psutil.Process().children(recursive=True) if RANK in words_of(one)]
    return found if len(found) == count else []


def words_of(process: psutil.Process) -> list[str]:
    try:
        return [str(word) for word in process.cmdline()]
    except psutil.Error:  # it has gone
        return []


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children(["services.training.learners.parity"])
    yield children
    children.close()


def learn_for_ever(argument: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> Any:
    answers(rows_of(2), 2, epochs=1_000_000)


def test_no_worker_and_no_file_outlives_the_fit(children: Children) -> None:
    child = children.start(
        "fit",
        "tests.integration.test_torch_workers:learn_for_ever",
        {},
        seconds_max=600.0,
        memory_mb_max=4_000,
    )
    fit = psutil.Process(child.pid)
    eventually(lambda: at_work(fit), WITHIN_S)
    offspring = fit.children(recursive=True)
    folder = Path(words_of(offspring[-1])[-1])
    assert len(offspring) >= 3
    assert folder.is_dir()
    child.cancel()
    eventually(lambda: not any(one.is_running() for one in offspring))
    eventually(lambda: not folder.exists())


def at_work(fit: psutil.Process) -> bool:
    """Both workers are there, and have written a checkpoint."""
    ranks = [words for one in fit.children(recursive=True) if RANK in (words := words_of(one))]
    return len(ranks) == 2 and (Path(ranks[0][-1]) / "kept.pt").exists()


def test_a_loss_that_runs_away_is_said_in_the_same_words_and_not_tried_again() -> None:
    with pytest.raises(ValueError, match="ran away to infinity"):
        answers(rows_of(0), 2, learning_rate=1e300)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"workers": 0}, "workers: found 0, wanted a whole number above 0"),
        ({"workers": True}, "workers: found True, wanted a whole number above 0"),
        ({"workers": 65, "batch_size": 256}, "workers: found 65, wanted at most 64"),
        ({"workers": 24}, "at most one for each of the 23 rows of a batch"),
        ({"device": "tpu"}, "device: found 'tpu', wanted one of cpu, cuda"),
        ({"device": "cuda", "workers": 23}, "wanted a GPU for each; here are"),
        ({"worker": 4}, "wanted .*workers"),
    ],
)
def test_what_there_can_not_be_is_named(params: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        TorchMLP().fit(rows_of(2), {**PARAMS, **params}, 1)


def test_a_files_check_knows_all_parameters() -> None:
    assert TORCH["MLP"].params == set(DEFAULTS)
