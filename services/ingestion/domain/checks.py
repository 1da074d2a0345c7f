"""A source's rules over rows that arrived together, column by column; the value of a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from driftloop.spec import Pipeline, Source, expression, kind_of

FLOAT32_MAX = float(np.finfo(np.float32).max)  # models answer in float32
SHOWN_MAX = 60  # of a label, in the reason
WHOLE_MAX = 2.0**53  # a float beyond is no whole number that anybody has written

Values = Sequence[tuple[Any, ...]]
Array = NDArray[np.generic]


class Columns:
    """Takes named columns out of rows of values. `places`: field -> place in a row's values."""

    def __init__(self, source: Source, names: frozenset[str], places: Mapping[str, int]) -> None:
        self._source = source
        self._names = [name for name in sorted(names) if name != "time"]
        self._places = places
        self._time = "time" in names

    def take(self, rows: Values, times_us: Sequence[int]) -> dict[str, Array]:
        """float64 (NaN: null) for numbers and truths, object for strings; `time`: event time."""
        columns: dict[str, Array] = {}
        for name in self._names:
            place, kind = self._places[name], kind_of(self._source.fields[name])
            dtype = object if kind == "string" else np.float64
            columns[name] = np.array([row[place] for row in rows], dtype=dtype)
        if self._time or not columns:
            columns["time"] = np.array(times_us, dtype=np.float64)
        return columns


class Checks:
    """The rules of one source."""

    def __init__(self, pipeline: Pipeline, source: Source, places: Mapping[str, int]) -> None:
        types = {**source.fields, "time": "time"}
        self._rules = [(rule, expression.compile(rule.that, types)) for rule in source.rules]
        names = frozenset(name for _, rule in self._rules for name in rule.names)
        self._columns = Columns(source, names, places)
        target = pipeline.target  # what is positive or not can't be wrong
        judged = target.from_ == source.topic and target.kind != "binary"
        self._label = Label(pipeline, source, places) if judged else None

    def broken(self, rows: Values, times_us: Sequence[int]) -> dict[int, tuple[str, str]]:
        """row's number -> (rule, reason), for those that break one; the first rule that is broken
        counts.
        """
        found: dict[int, tuple[str, str]] = {}
        if not rows:
            return found
        columns = self._columns.take(rows, times_us) if self._rules else {}
        for rule, that in self._rules:
            wrong = ~that.evaluate(columns).astype(np.bool_) & that.known(columns)
            for index in np.flatnonzero(wrong).tolist():
                found.setdefault(index, (f"rule:{rule.name}", f"not {rule.that}"))
        if self._label is not None:
            for index, wrong_label in self._label.wrong(rows, times_us).items():
                found.setdefault(index, wrong_label)
        return found


class Label:
    """What the target's source says of the row that it joins."""

    def __init__(self, pipeline: Pipeline, source: Source, places: Mapping[str, int]) -> None:
        target = pipeline.target
        text = target.positive if target.kind == "binary" else target.value
        assert text is not None, target
        self._expression = expression.compile(text, {**source.fields, "time": "time"})
        self._columns = Columns(source, self._expression.names, places)
        self._codes = {name: float(code) for code, name in enumerate(target.classes)}
        self._kind = target.kind

    def values(self, rows: Values, times_us: Sequence[int]) -> NDArray[np.float64]:
        """[rows] float64: 0 or 1, the number of the class, or the value; NaN where there is nothing
        to tell. Of rows that `wrong` doesn't name.
        """
        found, told = self._found(rows, times_us)
        return np.where(told, self._numbers(found), np.nan)

    def wrong(self, rows: Values, times_us: Sequence[int]) -> dict[int, tuple[str, str]]:
        """row's number -> (rule, reason), for those whose label can't be foretold."""
        found, told = self._found(rows, times_us)
        numbers = self._numbers(found)
        if self._kind == "multiclass":
            rule, bad, wanted = "unknown_class", numbers < 0, f"none of {', '.join(self._codes)}"
        else:  # NaN is not below either
            bad, wanted = ~(np.abs(numbers) <= FLOAT32_MAX), "no finite float32"
            rule = "not_finite"
        return {
            index: (rule, f"the label is {_spelt(found[index])[:SHOWN_MAX]!r}, {wanted}")
            for index in np.flatnonzero(bad & told).tolist()
        }

    def _found(self, rows: Values, times_us: Sequence[int]) -> tuple[Array, NDArray[np.bool_]]:
        """What the expression gives, and where that tells something: not where it is missing since
        a field is.
        """
        columns = self._columns.take(rows, times_us)
        found, whole = self._expression.evaluate(columns), np.ones(len(rows), np.bool_)
        for column in columns.values():
            whole &= _present(column)
        return found, self._expression.known(columns) & (whole | _present(found))

    def _numbers(self, found: Array) -> NDArray[np.float64]:
        if self._kind == "multiclass":
            return np.array([self._codes.get(_spelt(value), -1.0) for value in found.tolist()])
        return found.astype(np.float64)


def _present(column: Array) -> NDArray[np.bool_]:
    if column.dtype.kind == "O":
        return np.array([value is not None for value in column.tolist()], np.bool_)
    return ~np.isnan(column.astype(np.float64))


def _spelt(value: object) -> str:
    """As the file spells a class: 3 for 3.0."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= WHOLE_MAX
    return str(int(cast(float, value))) if whole else str(value)
