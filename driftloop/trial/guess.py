"""What a table's columns are: the time, the target and its kind, the row's id, and how each other
column enters the model. Each guess carries the words that say so.

What can't be guessed is refused in one line that says what to give.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from driftloop.kit.errors import Refused
from driftloop.spec.expression import FUNCTIONS
from driftloop.trial.times import ROWS, Times, instants

CLASSES_MAX = 20  # whole numbers of more kinds are numbers
NAMES_MAX = 100  # text of more kinds is no target
CODES_SHARE_MAX = 0.5  # text that is new in more rows than these says nothing of the next row
POSITIVE = ("1", "true", "yes", "y", "t", "positive", "pos", "fraud", "up", "churn")
ID_NAME = re.compile(r"(.*_)?(id|uuid|guid|key|number|nr)", re.IGNORECASE)
FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
LEGAL = re.compile(r"[^A-Za-z0-9_]+")
SAFE_INT = 2**53  # what JSON and float64 hold exactly
OWN = ("row_id", "at")  # fields of the events that are ours


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user said. `time`: a column, or `rows`: a row a minute. `label_delay_us` None: to be
    guessed.
    """

    time: str
    target: str
    id: str = ""
    label_delay_us: int | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of the table as a field of the events. `type`: of the schema, with `?` where some
    rows lack it; `code`: text, which enters the model as a number of its own.
    """

    column: str
    name: str
    type: str
    code: bool
    says: str


@dataclass(frozen=True, slots=True)
class Table:
    """All that was found out."""

    asked: Asked
    rows: int
    times: Times
    id: str  # a column; empty: the number of the row
    target: Feature
    kind: str
    classes: tuple[str, ...]
    positive: str  # of a binary target: the expression
    labelled: int
    features: tuple[Feature, ...]
    left_out: tuple[tuple[str, str], ...]  # column, why
    label_delay_us: int
    notes: tuple[str, ...] = field(default=())


def guess(frame: pl.DataFrame, asked: Asked) -> Table:
    """Refused: a column that isn't there, times that can't be read, a target that is none."""
    for name in (asked.target, asked.id, *([] if asked.time == ROWS else [asked.time])):
        if name and name not in frame.columns:
            raise Refused(f"no column {name!r}; the table has {', '.join(frame.columns)}")
    times = instants(frame, asked.time)
    named = _names(frame.columns)
    row_id = asked.id or _found_id(frame, asked)
    if asked.id:
        _must_be_ids(frame[asked.id])
    target, kind, classes, positive = _target(frame[asked.target], named[asked.target])
    taken = {asked.time, asked.target, row_id}
    features, left_out = [], []
    for column in frame.columns:
        if column in taken:
            continue
        found = _feature(frame[column], named[column])
        if isinstance(found, Feature):
            features.append(found)
        else:
            left_out.append((column, found))
    if not features:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out)
        raise Refused(f"no column can enter the model ({why or 'there is no other column'})")
    return Table(
        asked, frame.height, times, row_id, target, kind, classes, positive,
        int(frame[asked.target].is_not_null().sum()), tuple(features), tuple(left_out),
        _delay(asked, times),
    )  # fmt: skip


def _names(columns: Sequence[str]) -> dict[str, str]:
    """A legal field name for each column, none twice and none of ours."""
    found: dict[str, str] = {}
    used = {*OWN, *FUNCTIONS, "time"}
    for column in columns:
        word = LEGAL.sub("_", column).strip("_")[:50] or "column"
        word = word if FIELD.fullmatch(word) else f"f_{word}"
        name, number = word, 2
        while name.lower() in used:
            name, number = f"{word}_{number}", number + 1
        used.add(name.lower())
        found[column] = name
    return found


def _found_id(frame: pl.DataFrame, asked: Asked) -> str:
    for column in frame.columns:
        series = frame[column]
        if column in (asked.time, asked.target) or not ID_NAME.fullmatch(column):
            continue
        ids = series.dtype in (pl.String, *_INTEGERS) and not series.null_count()
        if ids and series.n_unique() == frame.height:
            return column
    return ""


def _must_be_ids(series: pl.Series) -> None:
    if missing := series.null_count():
        raise Refused(f"--id {series.name}: {missing} rows have none; leave --id out")
    if (doubled := len(series) - series.n_unique()) > 0:
        raise Refused(
            f"--id {series.name}: {doubled} rows repeat an id, and what comes twice is taken once; "
            "leave --id out"
        )


def _target(series: pl.Series, name: str) -> tuple[Feature, str, tuple[str, ...], str]:
    """The target's field, its kind, its classes and what is positive."""
    known = series.drop_nulls()
    distinct = known.n_unique()
    if distinct < 2:
        raise Refused(f"--target {series.name}: {distinct} distinct value, nothing to foretell")
    type_ = _type(series)
    if type_ is None:
        raise Refused(f"--target {series.name}: {series.dtype} can't be foretold; wanted numbers, "
                      "truths or text")  # fmt: skip
    words = sorted(map(_spelt, known.unique().to_list()))
    whole = type_ == "int"
    if distinct == 2:
        return _binary(series, name, type_, words)
    if type_ == "float" or (whole and distinct > CLASSES_MAX):
        numbers = known.cast(pl.Float64).to_list()
        says = f"numbers from {min(numbers):g} to {max(numbers):g}: regression"
        return Feature(series.name, name, type_ + _lacks(series), False, says), "regression", (), ""
    if distinct > NAMES_MAX:
        raise Refused(f"--target {series.name}: {distinct} different texts; wanted 2 to "
                      f"{NAMES_MAX} classes, or numbers")  # fmt: skip
    if whole:
        words = sorted(words, key=int)
    found = Feature(series.name, name, type_ + _lacks(series), False, f"{distinct} classes")
    return found, "multiclass", tuple(words), ""


def _binary(
    series: pl.Series, name: str, type_: str, words: list[str]
) -> tuple[Feature, str, tuple[str, ...], str]:
    share = dict.fromkeys(words, 0)
    share |= {_spelt(v): n for v, n in series.drop_nulls().value_counts().iter_rows()}
    known = [word for word in words if word.lower() in POSITIVE]
    positive = known[0] if len(known) == 1 else min(words, key=lambda word: (share[word], word))
    negative = next(word for word in words if word != positive)
    if type_ == "string":
        condition = f'{name} == "{positive}"'
    else:
        condition = name if type_ == "bool" else f"{name} == {positive}"
    says = f"two values, {negative} and {positive} ({share[positive]:,} times)"
    field_ = Feature(series.name, name, type_ + _lacks(series), False, says)
    return field_, "binary", (), condition


def _feature(series: pl.Series, name: str) -> Feature | str:
    """A field, or why the column is left out."""
    known = series.drop_nulls()
    distinct = known.n_unique()
    if not distinct:
        return "it is empty"
    if distinct == 1:
        return f"it is always {_spelt(known[0])}"
    type_ = _type(series)
    if type_ is None:
        return f"{series.dtype} is neither number, truth nor text"
    missing = series.null_count()
    says = f"{distinct:,} values" + (f", missing in {missing:,} rows" if missing else "")
    if type_ == "string":
        if distinct > max(2, CODES_SHARE_MAX * len(known)):
            return f"text that is new in most rows ({distinct:,} of {len(known):,})"
        return Feature(series.name, name, "string" + _lacks(series), True, says)
    return Feature(series.name, name, type_ + _lacks(series), False, says)


_INTEGERS = (
    pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64,
)  # fmt: skip


def _type(series: pl.Series) -> str | None:
    """Of the schema; None: nothing that a field can be."""
    if series.dtype == pl.Boolean:
        return "bool"
    if series.dtype in _INTEGERS:
        largest = series.cast(pl.Float64).abs().max()
        return "float" if isinstance(largest, float) and largest > SAFE_INT else "int"
    if series.dtype.is_numeric():
        return "float"
    return "string" if series.dtype in (pl.String, pl.Categorical, pl.Enum) else None


def _lacks(series: pl.Series) -> str:
    lacking = series.null_count()
    if series.dtype.is_float():
        lacking += int((~series.drop_nulls().is_finite()).sum())
    return "?" if lacking else ""


def _spelt(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _delay(asked: Asked, times: Times) -> int:
    if asked.label_delay_us is not None:
        return asked.label_delay_us
    return times.nice(times.span_us // 100)
