"""A run's report: its trials in Optuna's own plots, in one file that loads nothing."""

from __future__ import annotations

import re
from typing import Any

import optuna
import pytest

from driftloop.client.story import Step
from driftloop.plots.run import page
from driftloop.plots.searched import plots, study_of

RUN = {
    "opened": {"run_id": "run-1", "pipeline": "sea", "trigger": "drift"},
    "finished": {"outcome": "released", "reason": "surely better"},
    "trained": {
        "candidates": [
            {"name": "gbm", "kind": "lightgbm", "window": {"rows": 400}, "fit_s": 1.5,
             "digest": "0" * 64, "cached_from": "", "error": ""},
        ]
    },
}  # fmt: skip


def trial(number: int, state: str, loss: float | None, **params: Any) -> dict[str, Any]:
    return {
        "candidate": "gbm", "number": number, "state": state, "loss": loss, "params": params,
        "error": "", "losses": [] if loss is None else [loss + 0.1, loss], "seconds": 0.5,
        "attempt": 1, "worker": "",
    }  # fmt: skip


TRIALS = [
    *(trial(n, "complete", 0.5 + 0.01 * n * n, leaves=4.0 + n, kind="ab"[n % 2]) for n in range(6)),
    trial(6, "pruned", 0.9, leaves=60.0, kind="a"),
    trial(7, "failed", None, leaves=61.0, kind="b"),
    trial(8, "running", None),
]


def test_a_study_is_what_the_trials_told() -> None:
    study = study_of(TRIALS)
    assert study.best_params == {"leaves": 4.0, "kind": "a"}
    assert study.best_value == pytest.approx(0.5)
    states = [each.state.name for each in study.trials]
    assert states == ["COMPLETE"] * 6 + ["PRUNED", "FAIL"]
    assert study.trials[6].intermediate_values == {0: pytest.approx(1.0), 1: 0.9}


def test_all_plots_are_drawn_and_the_library_comes_once() -> None:
    drawn = list(plots(TRIALS, library=True))
    assert len(drawn) == 5
    assert ["plotly.js v" in html for _, html in drawn] == [True, False, False, False, False]
    assert all("Plotly.newPlot" in html for _, html in drawn)


def test_what_says_nothing_is_not_drawn() -> None:
    assert list(plots([trial(0, "failed", None), trial(1, "running", None)], library=True)) == []
    assert len(list(plots([trial(0, "complete", 0.5, leaves=4.0)], library=True))) == 2


def test_the_report_has_steps_candidates_and_trials_and_loads_nothing() -> None:
    step = Step(1_700_000_000_000, "requested", "log-loss <rose>", "r", details=("z 5.1",))
    html = page(RUN, [step], TRIALS)
    for word in ("log-loss &lt;rose&gt;", "z 5.1", "surely better", "Trials of gbm", "lightgbm"):
        assert word in html
    assert re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", html) == []
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR


def test_a_run_without_a_search_has_no_plots() -> None:
    html = page({**RUN, "trained": None, "finished": None}, [], [])
    assert "under way" in html
    assert "Plotly" not in html and "uPlot" not in html
