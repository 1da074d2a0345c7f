"""The workers of one search: processes that take trials of a study until it is closed. One that
dies is replaced, and what it worked on is tried again.

Rows go to workers as arrays in files, which they map into their memory: they are there once.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from driftloop.kit.child import Child, Children, told
from driftloop.kit.clock import Clock, SystemClock
from driftloop.plugins import Examples
from services.training.kinds import PLAIN, kind_of
from services.training.plan import Searching
from services.training.studies import Study, storage_of
from services.training.tuning import Bench, Trial

WORK = "services.training.crew"
SECONDS_MAX = 86_400.0  # they end with whoever started them, which has a deadline
STARTS_MAX = 3  # in a row of a worker that dies before it has taken anything
BEAT_S = 5.0
LOST_S = 30.0  # six signs of life
IDLE_S = 0.2
ARRAYS = ("times", "vectors", "target", "weights")


class Crew:
    """Workers here. Close it: they and their rows must be gone in the end."""

    def __init__(
        self, place: Searching, count: int, argument: Mapping[str, Any], examples: Examples
    ) -> None:
        """`argument`: for `work`, less who it is and where the rows are."""
        self._name, self._count, self._memory = place.replica, count, place.memory_mb_max
        self._rows = Path(place.folder) / f"{argument['study']}.{place.replica}.rows"
        _sweep(Path(place.folder))
        self._argument = {**argument, "rows": str(self._rows)}
        self._children = Children([WORK])
        self._working: dict[str, Child] = {}
        self._dead: dict[str, str] = {}  # why, by name, until its trial has been put back
        self._started = 0
        self._idle_deaths, self._why = 0, ""
        self._beats: dict[int, tuple[tuple[str, int, int], float]] = {}
        written(examples, self._rows)

    def close(self) -> None:
        self._children.close()
        shutil.rmtree(self._rows, ignore_errors=True)

    def keep_up(self) -> None:
        """As many as there should be. ValueError: they die before they do anything."""
        while len(self._working) < self._count:
            if self._idle_deaths >= STARTS_MAX:
                raise ValueError(f"workers end at once: {self._why}")
            self._started += 1
            name = f"{self._name}/{self._started}".lstrip("/")
            self._working[name] = self._children.start(
                name,
                f"{WORK}:work",
                {**self._argument, "name": name},
                seconds_max=SECONDS_MAX,
                memory_mb_max=self._memory,
            )

    def lost(self, study: Study, now_s: float) -> Iterator[tuple[Trial, str]]:
        """Trials whose worker is gone, and how: ours by their end, others by their silence."""
        for name, child in list(self._working.items()):
            ended = child.poll()
            if ended is not None:
                del self._working[name]
                self._dead[name] = self._why = ended.error or "it left"
        beats = study.beats()
        found = [one for one in study.trials() if one.state == "running"]
        taken = {one.worker for one in found}
        for name in [name for name in self._dead if name not in taken]:
            self._idle_deaths += 1
            del self._dead[name]
        for trial in found:
            if trial.worker in self._dead:
                self._idle_deaths = 0
                yield trial, f"its worker {trial.worker} was lost: {self._dead.pop(trial.worker)}"
            elif trial.worker not in self._working and self._silent(trial.number, beats, now_s):
                yield trial, f"its worker {trial.worker} gave no sign of life for {LOST_S:g} s"

    def _silent(self, number: int, beats: Mapping[int, tuple[str, int, int]], now_s: float) -> bool:
        """By our own clock: others' may go wrong."""
        if number not in beats:
            return False
        known, since_s = self._beats.get(number, (None, now_s))
        if known != beats[number]:
            since_s = now_s
        self._beats[number] = (beats[number], since_s)
        return now_s - since_s > LOST_S


def work(argument: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The child's function: trials, until the study is closed."""
    params, seed, search = argument["params"], argument["seed"], argument["search"]
    clock, name = SystemClock(), argument["name"]
    storage = storage_of(argument["place"], argument["study"])
    study = Study(storage, argument["study"], search, params, seed, argument["run_id"])
    bench = Bench(kind_of(argument["kind"])(), read(Path(argument["rows"])), params, seed, search)
    done = 0
    while study.open:
        trial = study.take(name)
        if trial is None:
            clock.sleep(IDLE_S)
            continue
        with alive(study, trial.number):
            attempt(study, bench, trial, clock)
        done += 1
    return {"trials": done}


def attempt(study: Study, bench: Bench, trial: optuna.Trial, clock: Clock) -> None:
    """Try, and keep what came of it: a learner is others' code and may raise anything."""
    began_s, losses = clock.seconds(), list[float]()
    pruned: list[bool] = []

    def work() -> None:
        try:
            losses.append(bench.loss(trial))
        except optuna.TrialPruned:
            pruned.append(True)

    error = told(work, PLAIN)
    state = "pruned" if pruned else "complete" if losses else "failed"
    seconds = clock.seconds() - began_s
    study.end(trial.number, state, losses[0] if losses else None, seconds, error)


@contextmanager
def alive(study: Study, number: int) -> Iterator[None]:
    """Signs of life from a thread, while the trial is worked on."""
    stop = threading.Event()

    def beat() -> None:
        count = 0
        while not stop.wait(BEAT_S):
            count += 1
            study.beat(number, count)

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def written(examples: Examples, folder: Path) -> None:
    """The arrays as files, and what is beside them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ARRAYS:
        value = getattr(examples, name)
        if value is not None:
            np.save(folder / f"{name}.npy", value)
    names = np.array(examples.names)
    np.savez(folder / "beside.npz", names=names, classes=np.array(examples.classes))


def read(folder: Path) -> Examples:
    """What `written` wrote, as maps of the files."""
    beside = np.load(folder / "beside.npz")
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ARRAYS
        if (folder / f"{name}.npy").exists()
    }
    names, classes = tuple(beside["names"].tolist()), int(beside["classes"])
    return Examples(**arrays, names=names, classes=classes)


def _sweep(folder: Path) -> None:
    """Rows that a search has left which was killed and came again elsewhere."""
    old_s = SystemClock().ms() / 1_000 - SECONDS_MAX
    for left in folder.glob("*.rows"):
        if left.stat().st_mtime < old_s:
            shutil.rmtree(left, ignore_errors=True)
