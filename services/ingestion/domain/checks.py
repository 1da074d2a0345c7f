"""A source's rules over rows that arrived together, column by column; the value of a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftloop.spec import Pipeline, Source, expression, kind_of

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
        self._classes = _classes(pipeline, source, types)
        if self._classes is not None:
            self._label = Label(pipeline, source, places)

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
        if self._classes is not None:
            for index in np.flatnonzero(self._label.values(rows, times_us) < 0).tolist():
                found.setdefault(
                    index, ("unknown_class", f"the label is none of {', '.join(self._classes)}")
                )
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
        self._named = target.kind == "multiclass"

    def values(self, rows: Values, times_us: Sequence[int]) -> NDArray[np.float64]:
        """[rows] float64; NaN where there is nothing to tell, −1 for a class that is unknown."""
        columns = self._columns.take(rows, times_us)
        found, known = self._expression.evaluate(columns), self._expression.known(columns)
        if self._named:
            codes = [self._codes.get(_spelt(value), -1.0) for value in found.tolist()]
            return np.where(known, np.array(codes, dtype=np.float64), np.nan)
        return np.where(known, found.astype(np.float64), np.nan)


def _spelt(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _classes(pipeline: Pipeline, source: Source, types: Mapping[str, str]) -> Sequence[str] | None:
    target = pipeline.target
    return target.classes if target.kind == "multiclass" and target.from_ == source.topic else None
