"""What a Prometheus expression asks for: its metrics and labels, against those that are known.

A reader of the part of PromQL that our rules and dashboards are written in. That an expression can
be parsed at all is the real Prometheus's to say; whether what it names exists is said here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Labels = frozenset[str]
TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<number>\d[\w.]*)'
    r"|(?P<name>[A-Za-z_:][\w:]*)|(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^(){},=<>])|\Z)"
)
AGGREGATES = {"sum", "min", "max", "avg", "count", "group", "topk", "bottomk", "quantile"}
FILTERS = {"and", "unless", "==", "!=", "<", ">", "<=", ">="}
OPERATORS = {*FILTERS, "or", "+", "-", "*", "/", "%", "^"}
SCALARS = {"time", "scalar", "vector"}


class Wrong(Exception):
    """The expression names something that does not exist, or joins what never matches."""


@dataclass(frozen=True)
class Known:
    """A metric's labels; the values of those that are bounded by a fixed list."""

    labels: Labels
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)


def labels_of(expression: str, known: Mapping[str, Known]) -> Labels | None:
    """The labels of what the expression gives; None: a number. Raises Wrong."""
    reader = _Reader(_tokens(expression), known)
    found = reader.expression()
    if reader.next:
        raise Wrong(f"{reader.next!r} is not expected in {expression!r}")
    return found


def metrics_of(expression: str) -> set[str]:
    """The metrics that the expression names."""
    seen: set[str] = set()
    _Reader(_tokens(expression), _Any(seen)).expression()
    return seen


class _Any(dict[str, Known]):
    """Knows everything, and remembers what it was asked for."""

    def __init__(self, seen: set[str]) -> None:
        super().__init__()
        self._seen = seen

    def __contains__(self, name: object) -> bool:
        self._seen.add(str(name))
        return True

    def __getitem__(self, name: str) -> Known:
        return Known(frozenset())


def _tokens(expression: str) -> list[str]:
    found, at = [], 0
    while at < len(expression.rstrip()):
        match = TOKEN.match(expression, at)
        if match is None or match.end() == at:
            raise Wrong(f"can't read {expression[at : at + 20]!r}")
        found.append(match.group().strip())
        at = match.end()
    return [token for token in found if token]


class _Reader:
    """Recursive descent. A step gives back the labels of what it read, None for a number."""

    def __init__(self, tokens: list[str], known: Mapping[str, Known]) -> None:
        self._tokens, self._known, self._at = tokens, known, 0
        self._strict = not isinstance(known, _Any)

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def expression(self) -> Labels | None:
        left = self._term()
        while self.next in OPERATORS:
            operator = self._take()
            joins, keeps = self._joins()
            left = self._joined(operator, joins, keeps, left, self._term())
        return left

    def _take(self, wanted: str = "") -> str:
        token = self.next
        if not token or (wanted and token != wanted):
            raise Wrong(f"{token!r} where {wanted or 'more'!r} is expected")
        self._at += 1
        return token

    def _joins(self) -> tuple[Labels | None, bool]:
        """The labels of `on (…)`, and whether the left side keeps all of its own (group_left)."""
        if self.next == "bool":
            self._take()
        on, keeps = None, False
        if self.next == "on":
            self._take()
            on = self._names()
        if self.next == "group_left":
            self._take()
            self._names()
            keeps = True
        return on, keeps

    def _joined(
        self,
        operator: str,
        on: Labels | None,
        keeps: bool,
        left: Labels | None,
        right: Labels | None,
    ) -> Labels | None:
        if left is None or right is None:
            return right if left is None else left
        if operator == "or":
            return left & right
        if on is not None:
            self._want(on, left)
            self._want(on, right)
        elif left != right and self._strict:
            raise Wrong(f"{sorted(left)} never match {sorted(right)}: join them `on` some")
        return left if keeps or operator in FILTERS or on is None else on

    def _want(self, wanted: Labels, there: Labels) -> None:
        if self._strict and not wanted <= there:
            raise Wrong(f"no label {', '.join(sorted(wanted - there))}: there are {sorted(there)}")

    def _term(self) -> Labels | None:
        token = self._take()
        if token in ("-", "+"):
            return self._term()
        if token == "(":
            inner = self.expression()
            self._take(")")
            return self._suffixed(inner)
        if token[0].isdigit() or token[0] == '"':
            return None
        if token in AGGREGATES and self.next in ("by", "("):
            return self._aggregate()
        if self.next == "(":
            return self._function(token)
        return self._suffixed(self._selector(token))

    def _suffixed(self, inner: Labels | None) -> Labels | None:
        """[5m], offset 10m."""
        if self.next.startswith("["):
            self._take()
        if self.next == "offset":
            self._take()
            self._take()
        return inner

    def _aggregate(self) -> Labels:
        by: Labels = frozenset()
        if self.next == "by":
            self._take()
            by = self._names()
        inner = [each for each in self._arguments() if each is not None]
        for each in inner:
            self._want(by, each)
        return by

    def _function(self, name: str) -> Labels | None:
        first = self._tokens[self._at :]
        inner = [each for each in self._arguments() if each is not None]
        if name in SCALARS:
            return None
        if name == "absent":
            return frozenset(key for key, sign in pairwise(first) if sign == "=")
        if name == "histogram_quantile":
            self._want(frozenset({"le"}), inner[0])
            return inner[0] - {"le"}
        return inner[0] if inner else None

    def _arguments(self) -> list[Labels | None]:
        self._take("(")
        found = []
        while self.next != ")":
            found.append(self.expression())
            if self.next == ",":
                self._take()
        self._take(")")
        return found

    def _selector(self, name: str) -> Labels:
        if name not in self._known:
            raise Wrong(f"no metric {name}")
        metric = self._known[name]
        if self.next == "{":
            self._take()
            while self.next != "}":
                self._matcher(name, metric)
            self._take()
        return metric.labels

    def _matcher(self, name: str, metric: Known) -> None:
        label, sign, text = self._take(), self._take(), self._take()
        if self.next == ",":
            self._take()
        if not self._strict:
            return
        if label not in metric.labels:
            raise Wrong(f"{name} has no label {label}: there are {sorted(metric.labels)}")
        values = metric.values.get(label)
        if values and not text.strip('"').startswith("$"):
            self._value(name, label, sign, text.strip('"'), values)

    def _value(self, name: str, label: str, sign: str, text: str, values: Sequence[str]) -> None:
        """Each of `a|b|c` is one of the values; a real expression matches one at least."""
        parts = text.split("|") if sign in ("=~", "!~") else [text]
        wrong = [part for part in parts if not any(re.fullmatch(part, value) for value in values)]
        if wrong and text:
            raise Wrong(f"{label} of {name} is never {', '.join(wrong)}: {', '.join(values)}")

    def _names(self) -> Labels:
        self._take("(")
        found = set()
        while self.next != ")":
            token = self._take()
            if token != ",":
                found.add(token)
        self._take(")")
        return frozenset(found)
