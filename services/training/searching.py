"""One search from end to end: by this process alone, or by workers that it starts, watches and
replaces.

With one worker the trials follow from the seed. With several they see each other in the order in
which they end, which no seed gives; the model is made from what was found, so that making it again
needs no search.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from driftloop.contracts.model_pb2 import Tuning
from driftloop.kit.clock import Clock
from driftloop.plugins import Examples
from services.training.crew import Crew, attempt
from services.training.kinds import kind_of
from services.training.plan import LearnerPlan, Searching, SearchPlan
from services.training.studies import Study, storage_of
from services.training.tuning import ENDED, Bench, Trial, Tuned, best, most

Tell = Callable[[Trial, int], None]  # a trial's news, and how many have ended by then
POLL_S = 0.1  # of a journal; a trial takes longer
POLL_SHARED_S = 0.5  # of a database, which reads all trials again
CUT_OFF = "training was ended in the midst of it"
BY_CHANCE = "{0} workers: trials see each other in the order in which they end"
BY_TIME = "how many trials {0:g} seconds are enough for is the machine's word"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is searched for. `key`: sha256 of all that makes a trial's loss."""

    pipeline: str
    run_id: str
    learner: LearnerPlan
    examples: Examples
    key: str

    @property
    def study(self) -> str:
        return f"{self.pipeline}.{self.learner.name}.{self.key[:16]}"


def searched(
    subject: Subject, search: SearchPlan, place: Searching, clock: Clock, tell: Tell
) -> Tuned:
    """ValueError: no trial gave a loss, or the rows can't be parted."""
    learner = subject.learner
    kind = kind_of(learner.kind)
    bench = Bench(kind(), subject.examples, learner.params, learner.seed, search)
    storage = storage_of(place, subject.study)
    study = Study(storage, subject.study, search, learner.params, learner.seed, subject.run_id)
    workers = min(search.workers, place.workers_max) if place.folder else 1
    hunt = Hunt(study, search, workers, clock, tell)
    if workers == 1 and not (place.url and search.workers > 1):
        return hunt.alone(bench, learner.params)
    argument = {
        "place": place, "study": subject.study, "search": search, "run_id": subject.run_id,
        "kind": learner.kind, "params": dict(learner.params), "seed": learner.seed,
    }  # fmt: skip
    with closing(Crew(place, workers, argument, subject.examples)) as crew:
        return hunt.together(crew, learner.params, shared=bool(place.url))


def tuning(found: Tuned, search: SearchPlan, run_id: str) -> Tuning:
    """The record of a search."""
    states = [trial.state for trial in found.trials]
    chance = BY_CHANCE.format(search.workers) if search.workers > 1 else ""
    if not chance and found.stopped == "seconds":
        chance = BY_TIME.format(search.seconds)
    return Tuning(
        trials=len(states),
        pruned=states.count("pruned"),
        failed=states.count("failed"),
        loss=found.loss,
        own_loss=found.own_loss,
        sampler=search.sampler,
        stopped=found.stopped,
        workers=search.workers,
        kept=sum(trial.run_id != run_id for trial in found.trials),
        chance=chance,
    )


class Hunt:
    """One search that goes on until its budget is used up."""

    def __init__(
        self, study: Study, search: SearchPlan, workers: int, clock: Clock, tell: Tell
    ) -> None:
        self._study, self._search, self._clock, self._tell = study, search, clock, tell
        self._workers = workers
        self._told: dict[int, tuple[str, int]] = {}
        spent_s = sum(one.seconds for one in study.trials() if one.ended) / max(1, workers)
        self._end_s = clock.seconds() + search.seconds - spent_s

    def alone(self, bench: Bench, params: Any) -> Tuned:
        """Here, one trial after the other."""
        self._take_back()
        while not self._late() and self._study.top_up(1):
            trial = self._study.take("")
            if trial is None:
                break
            self._news()
            attempt(self._study, bench, trial, self._clock)
            self._news()
        self._news()
        return best(self._ended(), params, self._stopped())

    def together(self, crew: Crew, params: Any, *, shared: bool) -> Tuned:
        """By workers; those of other replicas too where the study is `shared`."""
        if not shared:
            self._take_back()
        self._study.set_open(True)
        while True:
            waiting = 0 if self._late() else self._study.top_up(2 * self._workers + 2)
            self._news()
            for trial, error in crew.lost(self._study, self._clock.seconds()):
                self._say(self._study.put_back(trial, error))
            if not waiting and not self._study.beats():
                break
            if self._late():
                self._study.set_open(False)
            crew.keep_up()
            self._clock.sleep(POLL_SHARED_S if shared else POLL_S)
        self._study.set_open(False)
        self._news()
        return best(self._ended(), params, self._stopped())

    def _take_back(self) -> None:
        """What nobody works on any more."""
        for trial in self._study.trials():
            if trial.state == "running":
                self._say(self._study.put_back(trial, CUT_OFF))

    def _late(self) -> bool:
        """One trial has ended at least, or there would be nothing to choose."""
        return self._clock.seconds() >= self._end_s and bool(self._ended())

    def _ended(self) -> tuple[Trial, ...]:
        return tuple(one for one in self._study.trials() if one.ended)

    def _stopped(self) -> str:
        if len(self._ended()) < most(self._search):
            return "seconds"
        return "grid" if most(self._search) < self._search.trials else "trials"

    def _news(self) -> None:
        """Each change of a trial once, in the order of the ends."""
        for trial in self._study.trials():
            if self._told.get(trial.number) != (trial.state, trial.attempt):
                self._say(trial)

    def _say(self, trial: Trial) -> None:
        self._told[trial.number] = (trial.state, trial.attempt)
        self._tell(trial, sum(state in ENDED for state, _ in self._told.values()))
