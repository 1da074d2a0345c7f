"""The searches of a run in Optuna's own plots: how the loss fell, what each fold said, which
parameters mattered. Each plot is a piece of HTML; Plotly's library is inlined once, with the first.

Wants optuna and plotly: `pip install 'driftloop[plots]'`, or a clone's `.venv`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import optuna
import optuna.visualization as drawn
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

Plain = Mapping[str, Any]
STATES = {
    "complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL,
}  # fmt: skip
PLOTS: Sequence[tuple[str, int, Callable[[optuna.Study], Any]]] = (  # at least so many trials
    ("How the least loss fell", 1, drawn.plot_optimization_history),
    ("The mean loss after each fold", 1, drawn.plot_intermediate_values),
    ("Which parameters mattered (fANOVA)", 4, drawn.plot_param_importances),
    ("All parameters of each trial", 2, drawn.plot_parallel_coordinate),
    ("The loss along each parameter", 2, drawn.plot_slice),
)
HEIGHT = 420  # px


def plots(trials: Sequence[Plain], library: bool) -> Iterable[tuple[str, str]]:
    """Title and HTML of each plot of one candidate's trials, as `Client.trials` tells them;
    `library`: the first brings Plotly's own code.
    """
    study = study_of(trials)
    complete = [each for each in study.trials if each.state == TrialState.COMPLETE]
    losses = {each.value for each in complete}
    for title, needed, draw in PLOTS:
        if len(complete) < needed or (needed > 1 and len(losses) < 2):
            continue  # of one loss no plot tells more than the table
        figure = draw(study)
        figure.update_layout(height=HEIGHT, title=None, template="plotly_white")
        yield title, figure.to_html(full_html=False, include_plotlyjs=library)
        library = False


def study_of(trials: Sequence[Plain]) -> optuna.Study:
    """What has ended, as a study in memory; spans and choices are those that were met."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="minimize")
    ended = [each for each in trials if each["state"] in STATES]
    spaces = _spaces([each["params"] or {} for each in ended])
    study.add_trials([_frozen(each, spaces) for each in ended])
    return study


def _frozen(told: Plain, spaces: Mapping[str, BaseDistribution]) -> FrozenTrial:
    state, params = STATES[told["state"]], dict(told["params"] or {})
    known = state != TrialState.FAIL and told["loss"] is not None and math.isfinite(told["loss"])
    return create_trial(
        state=state if known else TrialState.FAIL,
        value=told["loss"] if known and state == TrialState.COMPLETE else None,
        params=params,
        distributions={name: spaces[name] for name in params},
        intermediate_values=dict(enumerate(told.get("losses") or ())),
    )


def _spaces(every: Sequence[Plain]) -> dict[str, BaseDistribution]:
    met: dict[str, list[Any]] = {}
    for params in every:
        for name, value in params.items():
            met.setdefault(name, []).append(value)
    return {name: _space(values) for name, values in met.items()}


def _space(values: Sequence[Any]) -> BaseDistribution:
    if all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
        return FloatDistribution(float(min(values)), float(max(values)))
    return CategoricalDistribution(list(dict.fromkeys(values)))
