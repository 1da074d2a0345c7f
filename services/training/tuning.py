"""What a trial of a learner's parameters is: Optuna proposes, folds of the stream judge, and what
can't win is pruned. Imported in the fit's child, and in the workers that it starts.

Each trial is fitted on the folds one after the other and reports its mean loss after each, which
the pruner looks at. The first trial is the file's own parameters, so that a search never ends worse
than none on its own folds. What trial n proposes follows from the seed, n and the trials that ended
before it: so one worker finds the same in any number of attempts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna

from driftloop.folds import Fold, blocked, k_folds, rolling_origin, stratified
from driftloop.plugins import Examples, Learner
from services.training.plan import SearchPlan

optuna.logging.set_verbosity(optuna.logging.ERROR)
TINY = float(np.finfo(np.float64).eps)
ENDED = ("complete", "pruned", "failed")


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of parameters, as it is told. `loss` None: none came of it. `losses`: the mean after
    each fold. `killed`: its worker died, and it will be tried again, as its next `attempt`.
    """

    number: int
    state: str  # running, killed, complete, pruned, failed
    loss: float | None
    params: Mapping[str, Any]
    error: str = ""
    losses: tuple[float, ...] = ()
    attempt: int = 1
    worker: str = ""
    seconds: float = 0.0
    run_id: str = ""  # that tried it

    @property
    def ended(self) -> bool:
        return self.state in ENDED


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


class Bench:
    """Where a set of parameters is tried."""

    def __init__(
        self,
        learner: Learner,
        examples: Examples,
        params: Mapping[str, Any],
        seed: int,
        search: SearchPlan,
    ) -> None:
        """ValueError: the rows can't be parted."""
        self._learner, self._examples = learner, examples
        self._params, self._seed, self._search = params, seed, search
        self._folds = _folds(examples, search, seed)
        if not self._folds:
            raise ValueError(
                f"{len(examples.times)} rows leave nothing to learn from {search.folds} folds with "
                "a gap as long as the labels take"
            )

    def loss(self, trial: optuna.Trial) -> float:
        """Mean over the folds. TrialPruned: it can't win."""
        params = {**self._params, **_asked(trial, self._search.space)}
        known = trial.storage.get_trial(trial._trial_id).intermediate_values
        losses: list[float] = []
        for step, (train, test) in enumerate(self._folds):
            learnt = self._learner.fit(_part(self._examples, train), params, self._seed)
            tried = _part(self._examples, test)
            losses.append(_mean_loss(learnt.answers(tried.vectors), tried))
            if step not in known:  # of an attempt that was cut off
                trial.report(float(np.mean(losses)), step)
            if step + 1 < len(self._folds) and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(losses))


def best(trials: tuple[Trial, ...], params: Mapping[str, Any], stopped: str) -> Tuned:
    """The least loss, the first of equal ones. `params`: the file's own. ValueError: no trial gave
    one.
    """
    complete = [one for one in trials if one.state == "complete" and one.loss is not None]
    if not complete:
        why = trials[0].error if trials else "none was tried"
        raise ValueError(f"none of {len(trials)} trials gave a loss; the first: {why}")
    won = min(complete, key=lambda one: (one.loss, one.number))
    assert won.loss is not None
    first = next((one for one in trials if one.number == 0), None)
    own = first.loss if first and _own(params, first.params) else None
    return Tuned({**params, **won.params}, won.loss, own, trials, stopped)


def first_of(
    search: SearchPlan, params: Mapping[str, Any], seed: int, number: int
) -> dict[str, Any]:
    """What trial `number` is told to try: of a grid its point, of others the file's own parameters
    at first, then nothing.
    """
    if search.sampler == "grid":
        return _point(search.space, seed, number)
    own = {name: value for name, value in params.items() if name in search.space}
    return own if number == 0 else {}


def most(search: SearchPlan) -> int:
    """How many trials there can be: a grid has an end."""
    return min(search.trials, _points(search.space)) if search.sampler == "grid" else search.trials


def sampler(search: SearchPlan, seed: int, number: int) -> optuna.samplers.BaseSampler:
    """Of one trial alone, so that it doesn't matter what this process has drawn before."""
    drawn = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if search.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=drawn)
    return optuna.samplers.RandomSampler(drawn)


def pruner(search: SearchPlan) -> optuna.pruners.BasePruner:
    match search.pruner:
        case "none":
            return optuna.pruners.NopPruner()
        case "hyperband":
            return optuna.pruners.HyperbandPruner(1, search.folds, 2)
        case "asha":
            return optuna.pruners.SuccessiveHalvingPruner(1, 2)
    return optuna.pruners.MedianPruner(n_startup_trials=3)


def _own(params: Mapping[str, Any], tried: Mapping[str, Any]) -> bool:
    return any(name in params for name in tried) and all(
        params.get(name, value) == value for name, value in tried.items()
    )


def _points(space: Mapping[str, Any]) -> int:
    return math.prod(len(choices) for choices in space.values())


def _point(space: Mapping[str, Any], seed: int, number: int) -> dict[str, Any]:
    """The grid's point, in an order that the seed gives and that a larger budget only prolongs:
    steps round the ring of all points that meet each once.
    """
    count = _points(space)
    start, step = (int(drawn) for drawn in np.random.default_rng(seed).integers(0, count, 2))
    while math.gcd(step, count) != 1:
        step += 1
    at, point = (start + number * step) % count, {}
    for name, choices in space.items():
        at, chosen = divmod(at, len(choices))
        point[name] = choices[chosen]
    return point


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
