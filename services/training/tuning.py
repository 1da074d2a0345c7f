"""A learner's parameters chosen by trials: Optuna proposes, folds of the stream judge, and what
can't win is pruned. Imported in the fit's child alone.

Each trial is fitted on the folds one after the other and reports its mean loss after each, which
the pruner looks at. The first trial is the file's own parameters, so that a search never ends worse
than none on its own folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.storages.journal import JournalFileBackend

from driftloop.folds import Fold, blocked, k_folds, rolling_origin, stratified
from driftloop.kit.clock import Clock
from driftloop.plugins import Examples, Learner
from services.training.plan import SearchPlan

optuna.logging.set_verbosity(optuna.logging.ERROR)
TINY = float(np.finfo(np.float64).eps)
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
Tell = Callable[["Trial"], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of parameters, as it is told. `loss` None: none came of it."""

    number: int
    state: str  # complete, pruned, failed
    loss: float | None
    params: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What the search found: `params`, all of them; `loss` and `own_loss`: of the best ones, and of
    the file's own, None where those failed.
    """

    params: Mapping[str, Any]
    loss: float
    own_loss: float | None
    trials: tuple[Trial, ...]
    stopped: str  # trials, seconds, grid


def tune(
    learner: Learner,
    examples: Examples,
    params: Mapping[str, Any],
    seed: int,
    search: SearchPlan,
    clock: Clock,
    tell: Tell,
    journal: Path | None = None,
) -> Tuned:
    """`journal`: a file that holds the trials as they end, so that a search which was killed goes
    on; it is removed when the search has ended. ValueError: no trial gave a loss, or the rows can't
    be parted.
    """
    folds = _folds(examples, search, seed)
    if not folds:
        raise ValueError(
            f"{len(examples.times)} rows leave nothing to learn from {search.folds} folds with a "
            "gap as long as the labels take"
        )
    bench = _Bench(learner, examples, params, seed, search, folds, clock, tell)
    found = bench.searched(_study(search, seed, journal))
    if journal is not None:
        journal.unlink(missing_ok=True)
    return found


class _Bench:
    """One search."""

    def __init__(
        self,
        learner: Learner,
        examples: Examples,
        params: Mapping[str, Any],
        seed: int,
        search: SearchPlan,
        folds: list[Fold],
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._learner, self._examples, self._folds = learner, examples, folds
        self._params, self._seed, self._search = params, seed, search
        self._clock, self._tell = clock, tell
        self._told: list[Trial] = []

    def searched(self, study: optuna.Study) -> Tuned:
        search = self._search
        self._told = [_trial(each) for each in study.trials if each.state.is_finished()]
        own = {name: value for name, value in self._params.items() if name in search.space}
        if own and search.sampler != "grid":
            study.enqueue_trial(own, skip_if_exists=True)
        end_s = self._clock.seconds() + search.seconds

        def stop(study: optuna.Study, _: optuna.trial.FrozenTrial) -> None:
            if self._clock.seconds() >= end_s:
                study.stop()

        _retry(study)
        left = search.trials - len(self._told)
        if left > 0:
            study.optimize(self._loss, n_trials=left, callbacks=[self._heard, stop],
                           catch=(Exception,))  # fmt: skip
        best = [one for one in self._told if one.state == "complete" and one.loss is not None]
        if not best:
            raise ValueError(
                f"none of {len(self._told)} trials gave a loss; the first: {self._told[0].error}"
            )
        won = min(best, key=lambda one: (one.loss, one.number))
        assert won.loss is not None
        own_loss = self._told[0].loss if own and search.sampler != "grid" else None
        late = self._clock.seconds() >= end_s
        stopped = "seconds" if late else "trials" if len(self._told) >= search.trials else "grid"
        return Tuned({**self._params, **won.params}, won.loss, own_loss, tuple(self._told), stopped)

    def _loss(self, trial: optuna.Trial) -> float:
        params = {**self._params, **_asked(trial, self._search.space)}
        losses: list[float] = []
        for step, (train, test) in enumerate(self._folds):
            learnt = self._learner.fit(_part(self._examples, train), params, self._seed)
            tried = _part(self._examples, test)
            losses.append(_mean_loss(learnt.answers(tried.vectors), tried))
            trial.report(float(np.mean(losses)), step)
            if step + 1 < len(self._folds) and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(losses))

    def _heard(self, _: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        told = _trial(trial)
        self._told.append(told)
        self._tell(told)


def _study(search: SearchPlan, seed: int, journal: Path | None) -> optuna.Study:
    """A new one, or the one that the journal holds."""
    storage: optuna.storages.BaseStorage | None = None
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    return optuna.create_study(
        storage=storage,
        study_name="search",
        load_if_exists=True,
        direction="minimize",
        sampler=_sampler(search, seed),
        pruner=_pruner(search),
    )


def _retry(study: optuna.Study) -> None:
    """What a kill has cut off is asked again first."""
    cut = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    for trial in cut:
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _trial(trial: optuna.trial.FrozenTrial) -> Trial:
    failure = trial.system_attrs.get("fail_reason", "") or trial.user_attrs.get("error", "")
    steps = trial.intermediate_values
    loss = trial.value if trial.value is not None else steps[max(steps)] if steps else None
    state = STATES.get(trial.state.name, "failed")
    return Trial(trial.number, state, loss, trial.params, str(failure))


def _folds(examples: Examples, search: SearchPlan, seed: int) -> list[Fold]:
    match search.validation:
        case "blocked":
            return list(blocked(examples.times, search.folds, search.gap_us))
        case "kfold":
            return list(k_folds(len(examples.times), search.folds, seed))
        case "stratified":
            return list(stratified(examples.target, search.folds, seed))
    return list(rolling_origin(examples.times, search.folds, search.gap_us))


def _asked(trial: optuna.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """`space`: name → a list of choices, or {"low", "high", "log", "step"}."""
    return {name: _suggested(trial, name, one) for name, one in space.items()}


def _suggested(trial: optuna.Trial, name: str, one: Any) -> Any:
    if isinstance(one, (list, tuple)):
        return trial.suggest_categorical(name, list(one))
    low, high, log, step = one["low"], one["high"], one.get("log", False), one.get("step")
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=log, step=step or 1)
    return trial.suggest_float(name, low, high, log=log, step=step)


def _sampler(search: SearchPlan, seed: int) -> optuna.samplers.BaseSampler:
    if search.sampler == "grid":
        return optuna.samplers.GridSampler({n: list(one) for n, one in search.space.items()}, seed)
    if search.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    return optuna.samplers.TPESampler(seed=seed)


def _pruner(search: SearchPlan) -> optuna.pruners.BasePruner:
    match search.pruner:
        case "none":
            return optuna.pruners.NopPruner()
        case "hyperband":
            return optuna.pruners.HyperbandPruner(1, search.folds, 2)
        case "asha":
            return optuna.pruners.SuccessiveHalvingPruner(1, 2)
    return optuna.pruners.MedianPruner(n_startup_trials=3)


def _part(examples: Examples, rows: npt.NDArray[np.int64]) -> Examples:
    weights = examples.weights
    return replace(
        examples,
        times=examples.times[rows],
        vectors=examples.vectors[rows],
        target=examples.target[rows],
        weights=None if weights is None else weights[rows] / weights[rows].mean(),
    )


def _mean_loss(answers: npt.NDArray[np.float64], tried: Examples) -> float:
    """Log-loss of classes, squared error of numbers."""
    if not tried.classes:
        return float(((answers[:, 0] - tried.target) ** 2).mean())
    true = answers[np.arange(len(answers)), tried.target.astype(np.int64)]
    return float(-np.log(np.clip(true, TINY, 1.0)).mean())
