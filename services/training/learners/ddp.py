"""One fit by several workers: the fit's child lays the rows out as files, starts PyTorch's own
torchrun on them, and takes the network back as a file.

Rows are mapped into the memory of all workers, which share them. torchrun starts all workers again
where one has died; they go on from the last checkpoint. All hang on a pipe that this process holds:
its death, by whatever limit, is theirs. What a worker does is in ddp_rank, how it is started in
ddp_start.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from driftloop.kit import log
from driftloop.kit.child import memory_left
from services.training.learners.descent import Lesson, network

START = "services.training.learners.ddp_start"
RESTARTS_MAX = 3  # of all workers; then it is not chance that one dies
CHECKPOINT_S = 10.0  # a few KB to MB; what a death costs at most, beside the start of about 10 s
WORDS_MAX = 600  # characters of what the workers said last
# In the folder that they share
JOB, MADE, KEPT, REFUSED, SAID = "job.json", "made.pt", "kept.pt", "refused", "said"
RESUMED = "go on from "  # how a line of theirs begins that says so
ARRAYS = ("rows", "target", "weights")


@dataclass(frozen=True, slots=True)
class Job:
    """What the workers are told beside the rows. `memory`: bytes that all together may take beyond
    what they start with, None for no limit.
    """

    settings: Mapping[str, Any]
    seed: int
    classes: int
    memory: int | None
    checkpoint_s: float

    @property
    def workers(self) -> int:
        return int(self.settings["workers"])


def together(
    lesson: Lesson, settings: Mapping[str, Any], seed: int, checkpoint_s: float = CHECKPOINT_S
) -> nn.Sequential:
    """The fitted network. ValueError: as by one worker. RuntimeError: they died too often, with
    their last words."""
    made = network(lesson.rows.shape[1], lesson.outputs, settings, seed)
    job = Job(settings, seed, lesson.classes, memory_left(), checkpoint_s)
    with tempfile.TemporaryDirectory(prefix="driftloop-workers-") as place:
        folder = Path(place)
        for name in ARRAYS:
            np.save(folder / name, getattr(lesson, name).numpy())
        (folder / JOB).write_text(json.dumps(asdict(job)))
        status = _run(folder, job.workers)
        _raise(folder, status)
        made.load_state_dict(torch.load(folder / MADE, weights_only=True))
    return made


def job_of(folder: Path) -> Job:
    """What `together` has written."""
    return Job(**json.loads((folder / JOB).read_text()))


def lesson_of(folder: Path, classes: int) -> Lesson:
    """Mapped, and shared by all workers: it counts as no one's own memory."""
    rows, target, weights = (
        torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="r+")) for name in ARRAYS
    )
    return Lesson(rows, target, weights, classes)


def _run(folder: Path, workers: int) -> int:
    """torchrun's exit status. In a session of its own, so that Ctrl-C goes to the service alone."""
    with (folder / SAID).open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", START, str(folder), str(workers)],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    assert process.stdin is not None
    with process.stdin:  # once closed, whoever is left of them ends
        status = process.wait()
    _tell(folder)
    return status


def _tell(folder: Path) -> None:
    for line in _said(folder):
        if line.startswith(RESUMED):
            log.logger("fit").warning("a worker died; all %s", line)


def _raise(folder: Path, status: int) -> None:
    """Where there is no network, why."""
    refused = folder / REFUSED
    if refused.exists():
        kind, _, text = refused.read_text().partition(": ")
        raise MemoryError(text) if kind == "MemoryError" else ValueError(text)
    if status:
        words = " ".join(_said(folder))[-WORDS_MAX:]
        raise RuntimeError(f"torchrun ended with status {status}, its last words: {words}")


def _said(folder: Path) -> list[str]:
    return (folder / SAID).read_text(errors="replace").splitlines()
