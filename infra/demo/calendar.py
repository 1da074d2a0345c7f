"""What a calendar would have reached: a LightGBM on everything so far, every two weeks, live at
once.

Computed after the replay from the same vectors and labels. It is favoured: its models cost no time
to go live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
import polars as pl

DAY_US = 86_400_000_000


def calendar(
    examples: pl.DataFrame,
    vectors: np.ndarray,
    scored: pl.DataFrame,
    params: Mapping[str, Any],
    *,
    first_days: float = 28,
    every_days: float = 14,
) -> pl.DataFrame:
    """`scored` (event_id, …) with a column `calendar`: the probability by the newest refit before
    the row's time.
    """
    times, known = examples["time_us"].to_numpy(), examples["label_time_us"].to_numpy()
    targets = examples["target"].to_numpy()
    answers = np.full(len(times), np.nan)
    at = int(times.min() + first_days * DAY_US)
    while at <= times.max():
        until = int(at + every_days * DAY_US)
        live = (times >= at) & (times < until)
        answers[live] = _fitted(vectors[known < at], targets[known < at], params).predict(
            vectors[live]
        )
        at = until
    answered = examples.select("event_id").with_columns(pl.Series("calendar", answers))
    return scored.join(answered, on="event_id", how="left")


def _fitted(
    vectors: np.ndarray, targets: np.ndarray, params: Mapping[str, Any]
) -> lightgbm.Booster:
    settings = {
        "objective": "binary",
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "seed": 1,
        **params,
    }
    rounds = int(settings.pop("n_estimators", settings.pop("num_iterations", 200)))
    return lightgbm.train(settings, lightgbm.Dataset(vectors, targets), num_boost_round=rounds)
