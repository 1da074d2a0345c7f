"""The records that a real stream also has: broken ones, doubled ones, labels for nothing. A
handful, always the same.

They are made of the true events and go out right after them, so that the demo shows what becomes of
each. None of them changes what is predicted or scored."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from infra.demo.flights import LANDINGS, SCHEDULE, STREAMS

EVERY = 9  # each kind comes this many times, evenly over the events
DOUBLED = "doubled"
CORRECTED = "corrected"
LABEL_FOR_NOTHING = "label_for_nothing"
LABEL_DOUBLED = "label_doubled"
# kind -> the rule that ingestion dead-letters it by
BROKEN = {
    "cut": "not_json",
    "list": "not_object",
    "lacking": "missing_field",
    "text": "wrong_type",
    "infinite": "not_finite",
    "timeless": "wrong_time",
    "unjoined": "unknown_join",
    "huge": "too_large",
    "impossible": "rule:distance",
}


def faults(events: pl.DataFrame) -> pl.DataFrame:
    """`events`' columns and `fault`: EVERY rows of each kind, with the time of the event that each
    is made of.
    """
    schedule = _picked(events, SCHEDULE)
    landings = _picked(events, LANDINGS)
    made = [
        _made(
            landings
            if kind in ("unjoined", CORRECTED, LABEL_DOUBLED, LABEL_FOR_NOTHING)
            else schedule,
            kind,
        )
        for kind in (*BROKEN, DOUBLED, LABEL_DOUBLED, CORRECTED, LABEL_FOR_NOTHING)
    ]
    return pl.concat(made)


def _picked(events: pl.DataFrame, stream: str) -> pl.DataFrame:
    rows = events.filter(pl.col("stream") == STREAMS.index(stream))
    return rows.gather_every(max(1, rows.height // EVERY)).head(EVERY)


def _made(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    values = [_broken(value, kind) for value in rows["value"]]
    return rows.with_columns(pl.Series("value", values), pl.lit(kind).alias("fault"))


def _broken(value: str, kind: str) -> str:
    record: dict[str, Any] = json.loads(value)
    if kind == "cut":
        return value[:-7]
    if kind == "list":
        return f"[{value}]"
    if kind == "infinite":
        return value.replace(f'"distance":{record["distance"]}', '"distance":NaN')
    every: dict[str, dict[str, Any]] = {
        "lacking": {"origin": None},
        "text": {"distance": "far"},
        "timeless": {"sched_dep": "tomorrow"},
        "unjoined": {"flight": None},
        "huge": {"tailnum": "N" * 1_100_000},
        "impossible": {"distance": -1},
        CORRECTED: {"arr_delay": 500 if record.get("arr_delay", 0) <= 15 else -20},
        LABEL_FOR_NOTHING: {"flight": 99_999},
    }
    changes = every.get(kind, {})
    if not changes:  # the same bytes again
        return value
    return json.dumps(
        {name: each for name, each in {**record, **changes}.items() if each is not None}
    )
