"""A pipeline file begun from what a topic holds: fields, types and guesses, each guess said to be
one.

Pure: JSON objects in, the file's text out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

Row = Mapping[str, object]
LABEL_NAMES = re.compile(
    r"(is_|has_)?(label|target|outcome|class|y|fraud|churn(ed)?|click(ed)?|default(ed)?)",
    re.IGNORECASE,
)
TIME_NAMES = re.compile(r".*(time|date|timestamp|_at|_ts)|ts|t", re.IGNORECASE)
ID_NAMES = re.compile(r"(.*_)?(id|uuid|key)", re.IGNORECASE)
EPOCHS = (
    ("us", 1e14),
    ("ms", 1e11),
    ("s", 1e8),
)  # an epoch number at least so large counts in this unit, from 1973 on
KEYS_SHARE_MAX = (
    0.2  # a field with fewer distinct values than this share of the rows looks like an entity's key
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field as the sample shows it."""

    name: str
    type: str  # of the file's schema, `?` where it was missing or null
    distinct: int
    example: object


def fields(rows: Sequence[Row]) -> list[Field]:
    """In the order of first appearance."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [_field(name, rows) for name in names]


def draft(topic: str, rows: Sequence[Row]) -> str:
    """A commented pipeline file for one topic. `rows`: at least one JSON object of it."""
    found = fields(rows)
    time = next((f for f in found if f.type.startswith("time")), None)
    label = next((f for f in found if LABEL_NAMES.fullmatch(f.name)), None)
    key = next(
        (
            f
            for f in found
            if f is not label and ID_NAMES.fullmatch(f.name) and f.distinct == len(rows)
        ),
        None,
    )
    entities = [f for f in found if f not in (time, label, key) and _like_a_key(f, len(rows))]
    numbers = [
        f
        for f in found
        if f not in (time, label, key, *entities) and f.type.rstrip("?") in ("int", "float", "bool")
    ]
    return "\n".join(
        [
            *_head(topic, len(rows)),
            *_source(topic, found, time, label, key),
            *_entities(entities),
            *_features(topic, numbers, entities),
            *_target(topic, label),
            *_rest(),
            "",
        ]
    )


def _field(name: str, rows: Sequence[Row]) -> Field:
    values = [row[name] for row in rows if row.get(name) is not None]
    kinds = {_kind(name, value) for value in values}
    kind = kinds.pop() if len(kinds) == 1 else "float" if kinds == {"int", "float"} else "string"
    optional = "?" if len(values) < len(rows) else ""
    return Field(name, kind + optional, len(set(map(str, values))), values[0] if values else None)


def _kind(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        epoch = TIME_NAMES.fullmatch(name) and value >= EPOCHS[-1][1]
        if epoch:
            return f"time[{next(unit for unit, least in EPOCHS if value >= least)}]"
        return "int" if isinstance(value, int) else "float"
    return "time" if isinstance(value, str) and _is_instant(value) else "string"


def _is_instant(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return len(text) >= len("2013-07-01T06:00")  # not a number that happens to parse


def _like_a_key(field: Field, rows: int) -> bool:
    kind = field.type.rstrip("?")
    return kind == "string" or (
        kind == "int"
        and ID_NAMES.fullmatch(field.name) is not None
        and field.distinct <= max(1, rows * KEYS_SHARE_MAX)
    )


def _head(topic: str, rows: int) -> list[str]:
    name = re.sub(r"[^a-z0-9-]+", "-", topic.lower().split(".")[0]).strip("-") or "mine"
    name = name if name[0].isalpha() and name != "driftloop" else f"p-{name}"
    return [
        f"# Begun by `driftloop init {topic}` from {rows} messages. What is marked GUESS is one: "
        "look at it.",
        "# Then: driftloop check FILE · driftloop apply FILE",
        f"name: {name}",
        "partitions: 2",
        "",
        "sources:",
    ]


def _source(
    topic: str, found: Sequence[Field], time: Field | None, label: Field | None, key: Field | None
) -> list[str]:
    roles = "[predict, label]" if label else "[predict]"
    lines = [
        f"  - topic: {topic}",
        f"    role: {roles}   # GUESS: predict (a row to be scored), update (changes state), label",
        "    format: json",
        "    schema:",
    ]
    lines += [
        f"      {_quoted(f.name)}: {_quoted(f.type)}   # e.g. {str(f.example)[:40]!r}"
        for f in found
    ]
    lines.append(
        f"    time: {_quoted(time.name)}   # GUESS: when it happened"
        if time
        else "    # time: no field looks like an instant; name the one that says when it happened"
    )
    lines.append(
        f"    id: [{_quoted(key.name)}]   # GUESS: what makes a row itself"
        if key
        else "    # id: [field, …]   # left out: topic, partition and offset"
    )
    return [*lines, "    lateness: 1h", ""]


def _entities(entities: Sequence[Field]) -> list[str]:
    if not entities:
        return ["# entities: {customer: [customer_id]}   # what windows are kept by", ""]
    return [
        "entities:   # GUESS: what windows are kept by",
        *(f"  {_word(f.name)}: [{_quoted(f.name)}]" for f in entities),
        "",
    ]


def _features(topic: str, numbers: Sequence[Field], entities: Sequence[Field]) -> list[str]:
    lines = ["features:   # in the order of the model's input"]
    lines += [f"  - {{name: {_word(f.name)}, field: {_quoted(f.name)}}}" for f in numbers]
    lines += [
        f"  - {{name: {_word(f.name)}_code, field: {_quoted(f.name)}, encode: ordinal}}"
        for f in entities
        if f.type.rstrip("?") == "string"
    ]
    lines += [
        "  - "
        f"{{name: {_word(f.name)}_count_1d, from: {topic}, "
        f"by: {_word(f.name)}, window: 1d, agg: count}}"
        for f in entities
    ]
    return (
        [*lines, ""] if len(lines) > 1 else ["features: []   # none found: no numbers, no text", ""]
    )


def _target(topic: str, label: Field | None) -> list[str]:
    if label is None:
        return [
            "# The truth: which topic brings it, and what in it counts as positive.",
            "# target: "
            f'{{name: mine, from: {topic}, positive: "field > 0", horizon: 1d, kind: binary}}',
            "",
        ]
    positive = (
        f'{label.name} == "{label.example}"'
        if label.type.rstrip("?") == "string"
        else label.name
        if label.type.rstrip("?") == "bool"
        else f"{label.name} > 0"
    )
    return [
        "target:",
        f"  name: {_word(label.name)}",
        f"  from: {topic}",
        f"  positive: '{positive}'   # GUESS",
        "  horizon: 1d   # a row without a label by then stays unlabelled",
        "  kind: binary",
        "",
    ]


def _rest() -> list[str]:
    return [
        "learners:",
        "  - {name: all, kind: lightgbm, window: all, seed: 1}",
        "  - {name: online, kind: river, window: all, seed: 1}",
        "",
        "retrain: {first: 1d, rows_min: 500, on: [drift, manual], cooldown: 1h}",
    ]


def _word(name: str) -> str:
    """A legal name of ours made of a field's."""
    word = re.sub(r"\W+", "_", name.lower()).strip("_") or "field"
    return word if word[0].isalpha() else f"f_{word}"


def _quoted(text: str) -> str:
    return (
        text
        if re.fullmatch(r"[A-Za-z_][\w-]*\??", text) and text.lower() not in _YAML_WORDS
        else f'"{text}"'
    )


_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
