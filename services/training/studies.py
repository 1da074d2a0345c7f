"""Where the trials of a search are kept: a journal in training's folder, or a database that
replicas share. Several processes may take trials of one study; each is taken once.

A study is named by all that makes its losses. So a search that was killed, or whose budget has
grown, goes on with the trials that there are. A trial that was cut off waits again under its own
number: what it proposed and the order of all trials stay as they would have been.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError, ProgrammingError

from services.training.plan import Searching, SearchPlan
from services.training.tuning import Trial, first_of, most, pruner, sampler

ATTEMPTS_MAX = 3  # of a trial whose worker dies: then it is the trial that kills it
JOURNALS_MAX = 100  # of the newest studies; one of 1,000 trials takes about a megabyte
NAMES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
OPEN = "open"  # the study's owner wants trials to be taken
MADE_MAX = 5  # attempts to make a new database's tables, each against another that does the same
POOL = {"pool_pre_ping": True, "pool_size": 2}  # a database may have been away in between


def storage_of(place: Searching, study: str) -> BaseStorage:
    """Where that study is kept. Of journals the newest stay."""
    if place.url:
        return _database(place.url)
    if not place.folder:
        return InMemoryStorage()
    folder = Path(place.folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{study}.journal"
    lock = _Lock(path)
    with lock.held():
        _mend(path)
    _forget(folder, path)
    return JournalStorage(JournalFileBackend(str(path), lock))


def _database(url: str) -> BaseStorage:
    """Replicas that come at the same time make its tables at the same time: one of them wins."""
    for left in reversed(range(MADE_MAX)):
        try:
            return optuna.storages.get_storage(RDBStorage(url, engine_kwargs=POOL))
        except (IntegrityError, ProgrammingError):
            if not left:
                raise
    raise AssertionError("not reached")


class Study:
    """The trials of one search, in a storage."""

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        search: SearchPlan,
        params: Mapping[str, Any],
        seed: int,
        run_id: str = "",
    ) -> None:
        """`params`: of the pipeline file; `run_id`: whose trials those are that are taken here."""
        self.name, self.search = name, search
        self._params, self._seed, self._run_id = params, seed, run_id
        self._storage = storage
        self._study = optuna.create_study(
            storage=storage,
            study_name=name,
            load_if_exists=True,
            direction="minimize",
            sampler=sampler(search, seed, 0),
            pruner=pruner(search),
        )
        self._id = storage.get_study_id_from_name(name)

    @property
    def open(self) -> bool:
        return bool(self._storage.get_study_user_attrs(self._id).get(OPEN))

    def set_open(self, value: bool) -> None:
        self._storage.set_study_user_attr(self._id, OPEN, value)

    def trials(self) -> list[Trial]:
        """All that were taken, those that have ended in the order of their ends."""
        found = [one for one in self._all() if one.state != TrialState.WAITING]
        found.sort(key=lambda one: (one.datetime_complete is None, one.datetime_complete or 0))
        return [_told(one) for one in found]

    def top_up(self, waiting: int) -> int:
        """Have so many trials wait, as far as the budget goes; gives back how many do."""
        every = self._all()
        there = sum(one.state == TrialState.WAITING for one in every)
        more = min(waiting - there, most(self.search) - len(every))
        for _ in range(more):
            self._study.enqueue_trial({})
        return there + max(0, more)

    def take(self, worker: str) -> optuna.Trial | None:
        """The first that waits, now `worker`'s; None: none waits."""
        for waiting in self._all(TrialState.WAITING):
            trial_id = self._trial_id(waiting.number)
            try:
                taken = self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            except UpdateFinishedTrialError:
                continue
            if taken:
                self._storage.set_trial_user_attr(trial_id, "by", [worker, self._run_id])
                first = first_of(self.search, self._params, self._seed, waiting.number)
                self._storage.set_trial_system_attr(trial_id, "fixed_params", first)
                self._study.sampler = sampler(self.search, self._seed, waiting.number)
                return optuna.Trial(self._study, trial_id)
        return None

    def end(
        self, number: int, state: str, loss: float | None, seconds: float, error: str = ""
    ) -> None:
        """What came of a trial; nothing where another attempt was sooner."""
        trial_id = self._trial_id(number)
        if self._storage.get_trial(trial_id).state != TrialState.RUNNING:
            return
        with contextlib.suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(trial_id, "end", [seconds, error])
            ended = next(TrialState[name] for name, known in NAMES.items() if known == state)
            self._study.tell(number, loss, ended, skip_if_finished=True)

    def put_back(self, trial: Trial, error: str) -> Trial:
        """A trial whose worker is gone waits again; after too many attempts it has failed."""
        if trial.attempt >= ATTEMPTS_MAX:
            self.end(trial.number, "failed", None, 0.0, f"{error}, {trial.attempt} times")
            return next(one for one in self.trials() if one.number == trial.number)
        trial_id = self._trial_id(trial.number)
        with contextlib.suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(trial_id, "attempt", trial.attempt + 1)
            self._storage.set_trial_state_values(trial_id, TrialState.WAITING)
        return Trial(
            trial.number, "killed", None, trial.params, error, trial.losses, trial.attempt,
            trial.worker, run_id=trial.run_id,
        )  # fmt: skip

    def beat(self, number: int, count: int) -> None:
        """A sign of life from whoever works on it."""
        with contextlib.suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(self._trial_id(number), "beat", count)

    def beats(self) -> Mapping[int, tuple[str, int, int]]:
        """Of each trial that is worked on: by whom, its attempt, and the newest sign of life."""
        return {
            one.number: (
                _by(one)[0],
                int(one.user_attrs.get("attempt", 1)),
                int(one.user_attrs.get("beat", 0)),
            )
            for one in self._all(TrialState.RUNNING)
        }

    def _all(self, *states: TrialState) -> list[FrozenTrial]:
        """Within the budget: replicas that top up at the same time have one too many wait, which
        is no one's until the budget grows.
        """
        found, end = (
            self._study.get_trials(deepcopy=False, states=states or None),
            most(self.search),
        )
        return [one for one in found if one.number < end]

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


def _told(trial: FrozenTrial) -> Trial:
    steps = trial.intermediate_values
    losses = tuple(steps[step] for step in sorted(steps))
    state = NAMES[trial.state.name]
    loss = trial.value if trial.value is not None else losses[-1] if losses else None
    worker, run_id = _by(trial)
    seconds, error = trial.user_attrs.get("end", (0.0, ""))
    return Trial(
        trial.number,
        state,
        None if state == "failed" else loss,
        trial.params,
        error,
        losses,
        int(trial.user_attrs.get("attempt", 1)),
        worker,
        seconds,
        run_id,
    )


def _by(trial: FrozenTrial) -> tuple[str, str]:
    """The worker that has taken it last, and for which run."""
    worker, run_id = trial.user_attrs.get("by", ("", ""))
    return str(worker), str(run_id)


class _Lock(JournalFileOpenLock):
    """The kernel's own, which ends with its holder: Optuna's would make all others wait half a
    minute for one that was killed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path.with_suffix(".lock")
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        self._file = self._path.open("ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()


def _mend(path: Path) -> None:
    """Cut off a last line that was written in part."""
    if not path.exists():
        return
    whole = path.read_bytes().rfind(b"\n") + 1
    if whole < path.stat().st_size:
        os.truncate(path, whole)


def _forget(folder: Path, kept: Path) -> None:
    others = sorted(
        (path for path in folder.glob("*.journal") if path != kept),
        key=lambda path: path.stat().st_mtime,
    )
    for path in others[: max(0, len(others) + 1 - JOURNALS_MAX)]:
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
