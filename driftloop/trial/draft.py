"""The pipeline file of a table: each guess is a comment that says what it is."""

from __future__ import annotations

import json

from driftloop.spec import duration_text
from driftloop.trial.events import topics
from driftloop.trial.guess import Table
from driftloop.trial.times import Times

BUCKETS = 150  # closed buckets over the whole table: what the page can draw and a detector needs
FIRST_SHARE = 10  # the first model after a tenth of the time
ROWS_MIN = (100, 2_000)  # of the first window
PACE = "snapshot: {rows: 50, seconds: 1}"
REFITS = (("newest_500", 500, 250), ("newest_2000", 2_000, 500), ("long", 20_000, 1_000))


def draft(name: str, table: Table, file: str) -> str:
    """Its text."""
    return "\n".join(
        [
            f"# Made by `driftloop try {file}` from {table.rows:,} rows. A GUESS is one:",
            f"# change it here, then `driftloop check {name}.yaml`, `driftloop apply {name}.yaml`.",
            f"name: {name}",
            f"description: {json.dumps(f'{table.target.column} of {file}')}",
            "partitions: 2",
            "",
            *_sources(name, table),
            *_features(table),
            *_target(name, table),
            *_learners(table),
            *_times(table),
            "",
        ]
    )


def _sources(name: str, table: Table) -> list[str]:
    rows, truth = topics(name)
    what = table.id or "the number of the row; give --id for a column"
    lines = [
        "sources:",
        f"  - topic: {rows}   # a row to be scored",
        "    role: predict",
        "    schema:",
        f"      row_id: string   # {what}",
        f"      at: time[us]   # GUESS: {table.asked.time}, {table.times.says}",
        *(f"      {each.name}: {_type(each.type)}   # {each.says}" for each in table.features),
        "    id: [row_id]",
        "    time: at",
        f"    lateness: {duration_text(_lateness(table))}",
        f"  - topic: {truth}   # its label, {duration_text(table.label_delay_us)} later",
        "    role: [update, label]",
        "    schema:",
        "      row_id: string",
        "      at: time[us]",
        f"      {table.target.name}: {_type(table.target.type.rstrip('?'))}",
        "    id: [row_id]",
        "    time: at",
        "    joins: [row_id]",
        f"    lateness: {duration_text(_lateness(table))}",
        "",
    ]
    lines += [f"# {column} is left out: {why}" for column, why in table.left_out]
    return [*lines, ""] if table.left_out else lines


def _features(table: Table) -> list[str]:
    lines = ["features:   # in the order of the model's input"]
    for each in table.features:
        code = ", encode: ordinal" if each.code else ""
        lines.append(f"  - {{name: {each.name.lower()}, field: {each.name}{code}}}")
    lines.append("  # windows over time are one line each, see the documentation of features, as:")
    lines.append('  # - {name: hour_utc, expr: "hour(time)"}')
    return [*lines, ""]


def _target(name: str, table: Table) -> list[str]:
    _, truth = topics(name)
    delay_us = table.label_delay_us
    horizon = max(2 * delay_us, delay_us + Times.nice(table.times.span_us // 50))
    lines = [
        "target:",
        f"  name: {table.target.name.lower()}",
        f"  from: {truth}",
        f"  kind: {table.kind}   # GUESS: {table.target.says}",
    ]
    if table.kind == "binary":
        positive = json.dumps(table.positive)
        lines.append(f"  positive: {positive}   # GUESS: which of the two is foretold")
    else:
        lines.append(f"  value: {table.target.name}")
    if table.classes:
        lines.append(f"  classes: [{', '.join(map(_name, table.classes))}]")
    later = "a row without its label by then stays unlabelled"
    return [*lines, f"  horizon: {duration_text(horizon)}   # {later}", ""]


def _learners(table: Table) -> list[str]:
    newest = duration_text(max(Times.nice(table.times.span_us // 5), 1_000_000))
    params = "params: {num_iterations: 100, num_leaves: 31, learning_rate: 0.1}"
    several, number = table.kind == "multiclass", table.kind == "regression"
    linear = "Ridge" if number else "LogisticRegression"
    online = "SoftmaxRegression" if several else "LogisticRegression"
    forest = "HoeffdingTreeRegressor" if number else "ARFClassifier"
    lines = [
        "learners:   # these are fitted at each retrain; the gate takes the best, or none",
        f"  - {{name: all, kind: lightgbm, window: all, {params}}}",
        f"  - {{name: newest, kind: lightgbm, window: newest {newest}, {params}}}",
        f"  - {{name: since_change, kind: lightgbm, window: since change, {params}}}",
        f"  - {{name: linear, kind: sklearn, estimator: {linear}}}",
        "  # these are lines: they learn as labels come, answer in the shadow of what is live, and",
        "  # the one that errs less takes its place. Any of them may be taken out.",
        *([] if number else [f"  - {{name: logistic, kind: river, estimator: {online}, {PACE}}}"]),
        f"  - {{name: forest, kind: river, estimator: {forest}, {PACE}}}",
        *(
            f"  - {{name: {name}, kind: lightgbm, window: newest {rows} rows, {params},\n"
            f"     snapshot: {{rows: {each}}}}}"
            for name, rows, each in REFITS
        ),
    ]
    return [*lines, ""]


def _times(table: Table) -> list[str]:
    span = table.times.span_us
    bucket = Times.nice(max(span // BUCKETS, 1_000_000))
    low, high = ROWS_MIN
    rows_min = max(low, min(high, table.rows // 20))
    first = duration_text(Times.nice(max(span // FIRST_SHARE, 1_000_000)))
    return [
        "monitor:",
        f"  bucket: {duration_text(bucket)}   # GUESS: some {max(1, span // bucket)} over all",
        f"  slack: {duration_text(bucket)}",
        "retrain:",
        f"  first: {first}   # GUESS: the first model, when so much time has passed",
        f"  rows_min: {rows_min}",
        "  on: [drift, manual]",
        f"  cooldown: {duration_text(bucket)}",
    ]


def _lateness(table: Table) -> int:
    return Times.nice(max(table.times.span_us // 1_000, 1_000_000))


def _type(text: str) -> str:
    return json.dumps(text) if "?" in text else text


def _name(text: str) -> str:
    return json.dumps(text)
