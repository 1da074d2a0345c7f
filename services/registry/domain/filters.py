"""What a list is narrowed by: `outcome = rejected AND version >= 3`, terms that all must hold.

Values are compared as numbers where the field is one, else as text; `=` on a field of several
values (a model's aliases) holds if one of them is it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Value = str | int | bool | Sequence[str]
_AND = re.compile(r"\s+AND\s+", re.IGNORECASE)
_TERM = re.compile(r"\s*([\w.-]+)\s*(!=|>=|<=|=|>|<)\s*(\"[^\"]*\"|\S+)\s*")
_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_TRUTH: Mapping[str, bool] = {"true": True, "false": False}


class Unreadable(ValueError):
    """A filter that says nothing; the text says what is wrong and what would do."""


@dataclass(frozen=True, slots=True)
class Term:
    field: str
    relation: str
    value: str

    def holds(self, values: Mapping[str, Value]) -> bool:
        """A field that is not there is empty text: tags differ from row to row."""
        found = values.get(self.field, "")
        if isinstance(found, bool):
            return _COMPARE[self.relation](found, _TRUTH[self.value])
        if isinstance(found, int):
            return _COMPARE[self.relation](found, int(self.value))
        among = self.value == found if isinstance(found, str) else self.value in found
        return among is (self.relation == "=")


def terms(text: str, kinds: Mapping[str, type], prefixes: Sequence[str] = ()) -> list[Term]:
    """The terms of `text`; `kinds` says what each field is: int, bool or str. A field that begins
    with one of `prefixes` is text. Unreadable: no term, no such field, no such value.
    """
    if not text.strip():
        return []
    return [_term(part, kinds, prefixes) for part in _AND.split(text.strip())]


def _term(part: str, kinds: Mapping[str, type], prefixes: Sequence[str]) -> Term:
    matched = _TERM.fullmatch(part)
    if matched is None:
        raise Unreadable(f"filter: found {part!r}, wanted FIELD = VALUE, and AND between terms")
    field, relation, value = matched.groups()
    value = value.strip('"')
    kind = str if field.startswith(tuple(prefixes)) else kinds.get(field)
    if kind is None:
        known = ", ".join([*kinds, *(f"{prefix}NAME" for prefix in prefixes)])
        raise Unreadable(f"filter: no field {field!r}; there is: {known}")
    if kind is int and not re.fullmatch(r"-?\d{1,18}", value):
        raise Unreadable(f"filter: {field} is a number, found {value!r}")
    if kind is bool and value not in _TRUTH:
        raise Unreadable(f"filter: {field} is true or false, found {value!r}")
    if kind is not int and relation not in ("=", "!="):
        raise Unreadable(f"filter: {field} {relation}: only numbers have an order; use = or !=")
    return Term(field, relation, value)
