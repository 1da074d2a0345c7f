"""What one worker of several does, started by torchrun: its share of each batch, and checkpoints.

The first one keeps the checkpoint and hands the network over. What no second try would change ends
all: it is written down, and whoever starts after that has nothing to do. What else goes wrong, as
when another worker has died, is raised, and torchrun starts all of them again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from driftloop.kit.child import end_with, limit_memory
from driftloop.kit.clock import SystemClock
from services.training.learners.ddp import (
    KEPT,
    MADE,
    REFUSED,
    RESUMED,
    Job,
    job_of,
    lesson_of,
)
from services.training.learners.descent import Descent, Lesson, Part, network

NO_MEMORY = "can't allocate memory"  # how torch says so, in a RuntimeError


def main(folder: Path) -> None:
    if (folder / REFUSED).exists():
        return
    job = job_of(folder)
    with _among(folder, job) as (part, device):
        lesson = lesson_of(folder, job.classes).on(device)
        if job.memory is not None:
            limit_memory(job.memory // part.workers)
        try:
            _learn(folder, job, lesson, part, device)
        except (ValueError, MemoryError, RuntimeError) as error:
            _refuse(folder, error)


@contextmanager
def _among(folder: Path, job: Job) -> Iterator[tuple[Part, Any]]:
    """The others are there too. On GPUs each has one of its own."""
    told = os.environ
    part = Part(int(told["RANK"]), int(told["WORLD_SIZE"]))
    gpus = job.settings["device"] == "cuda"
    device = torch.device("cpu")
    if gpus:
        device = torch.device("cuda", int(told["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if gpus else "gloo",
        init_method=f"file://{folder}/round-{told['TORCHELASTIC_RESTART_COUNT']}",
        rank=part.rank,
        world_size=part.workers,
    )
    yield part, device
    distributed.destroy_process_group()


def _learn(folder: Path, job: Job, lesson: Lesson, part: Part, device: Any) -> None:
    made = network(lesson.rows.shape[1], lesson.outputs, job.settings, job.seed).to(device)
    descent = Descent(made, lesson, job.settings, part, DistributedDataParallel(made))
    kept = folder / KEPT
    if kept.exists():
        descent.resume(torch.load(kept, map_location="cpu", weights_only=True))
        if part.rank == 0:
            sys.stdout.write(f"{RESUMED}epoch {descent.epoch}, batch {descent.batch}\n")
    descent.learn(_Keeper(kept, descent, job.checkpoint_s) if part.rank == 0 else None)
    if part.rank == 0:
        _save(folder / MADE, _at_home(made))


class _Keeper:
    """Writes a checkpoint once the last is older than `every_s`."""

    def __init__(self, path: Path, descent: Descent, every_s: float) -> None:
        self._path, self._descent, self._every_s = path, descent, every_s
        self._clock = SystemClock()
        self._last_s = self._clock.seconds()

    def __call__(self) -> None:
        now_s = self._clock.seconds()
        if now_s - self._last_s >= self._every_s:
            self._last_s = now_s
            _save(self._path, self._descent.state())


def _save(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: a kill in between leaves the one before."""
    half = path.with_suffix(".half")
    torch.save(state, half)
    half.replace(path)


def _at_home(made: nn.Module) -> dict[str, Any]:
    return {name: one.cpu() for name, one in made.state_dict().items()}


def _refuse(folder: Path, error: Exception) -> None:
    """Raises what another try may mend."""
    plain = not isinstance(error, RuntimeError)
    if not plain and NO_MEMORY not in str(error):
        raise error
    kind = "ValueError" if isinstance(error, ValueError) else "MemoryError"
    half = folder / f"{REFUSED}.half"
    half.write_text(f"{kind}: {error}")
    half.replace(folder / REFUSED)


if __name__ == "__main__":
    end_with(Connection(0))
    main(Path(sys.argv[1]))
